/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a route answers itself: a redirect, or a response that is the same for everybody, read now
 * so that no request waits for a disk.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/build/build.h"

/* Printable ASCII goes into a field as it is. */
static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

/* "/$path" is "//…": a host that the client chose, and no path (RFC 3986 section 4.2). */
static bool begins_with_two_slashes(const struct config_text *target)
{
	const struct config_piece *pieces = target->pieces;

	return target->count > 1 && pieces[0].fact == FACT_NONE && pieces[0].length == 1 &&
	       *pieces[0].bytes == '/' && pieces[1].fact == FACT_PATH;
}

static void build_redirect(const struct site *site, struct config_answer *answer)
{
	const unsigned int allowed =
		1 << FACT_HOST | 1 << FACT_SCHEME | 1 << FACT_PATH | 1 << FACT_QUERY;
	static const uint16_t statuses[] = {301, 302, 303, 307, 308}; /* as its words */
	const struct grammar_value *to = grammar_value(site->section, "to", 0);

	build_options(site, BLOCK_REDIRECT, answer);
	answer->status = statuses[answer->status];
	if (!to)
		site_complain(site, NULL, "needs a target: to = \"https://$host$path$query\"");
	else if (!*to->text || !is_printable(to->text) || strchr(to->text, ' '))
		site_complain(site, "to", "\"%s\" is no target: printable ASCII without spaces",
			      to->text);
	else if (build_text_most(&answer->location) > CONFIG_LINES_MAX ||
		 strlen(to->text) > CONFIG_LINES_MAX)
		site_complain(site, "to", "is longer than %d bytes", CONFIG_LINES_MAX);
	else if (build_text(site, to, "to", to->text, allowed, &answer->location) &&
		 begins_with_two_slashes(&answer->location))
		site_complain(site, "to",
			      "\"%s\" leads to a host that the client chooses: $path begins with a "
			      "slash itself",
			      to->text);
}

static void read_file(const struct site *site, const char *path, struct config_answer *answer)
{
	FILE *file = fopen(path, "re");

	if (!file) {
		site_complain(site, "file", "%s: %s", path, strerror(errno));
		return;
	}
	answer->body = build_alloc(CONFIG_BODY_MAX + 1, 1);
	answer->length = fread(answer->body, 1, CONFIG_BODY_MAX + 1, file);
	if (ferror(file))
		site_complain(site, "file", "%s: can't be read", path);
	else if (answer->length > CONFIG_BODY_MAX)
		site_complain(site, "file", "%s: is larger than %d bytes", path, CONFIG_BODY_MAX);
	fclose(file);
}

static void build_body(const struct site *site, struct config_answer *answer)
{
	const struct grammar_value *body = grammar_value(site->section, "body", 0);
	const char *path = answer->file;

	if (body && path) {
		site_complain(site, "body", "there is a file already");
	} else if (body) {
		answer->body = build_copy(body->text);
		answer->length = strlen(body->text);
		if (answer->length > CONFIG_BODY_MAX)
			site_complain(site, "body", "is longer than %d bytes", CONFIG_BODY_MAX);
	} else if (path) {
		read_file(site, path, answer);
	}
	if (answer->body &&
	    (answer->status == 204 || answer->status == 205 || answer->status == 304))
		site_complain(site, NULL, "status %u has no body", answer->status);
}

static void build_respond(const struct site *site, struct config_answer *answer)
{
	build_options(site, BLOCK_RESPOND, answer);
	build_body(site, answer);
	if (answer->type && (!is_printable(answer->type) || strlen(answer->type) > 255))
		site_complain(site, "type", "\"%s\" is no media type", answer->type);
	if (!answer->type && answer->body)
		answer->type = build_copy("text/plain; charset=utf-8");
}

bool build_answer(const struct site *route, struct config_answer *answer)
{
	bool redirect = site_count(route, "redirect"), respond = site_count(route, "respond");
	struct site site;

	if (redirect && respond)
		site_complain(route, NULL, "has a redirect and a respond: which is it?");
	if (redirect) {
		site = site_inside(route, "redirect", 0);
		build_redirect(&site, answer);
	} else if (respond) {
		site = site_inside(route, "respond", 0);
		build_respond(&site, answer);
	}
	return redirect || respond;
}
