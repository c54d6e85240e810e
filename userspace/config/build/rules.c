/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules for fields: what the listener says for all of its routes, then what a route says, in one.
 *
 * Fields that frame a message, concern one connection, or tell who the client is are written by the
 * proxy alone: no rule touches them. Values are checked here, so that nothing is left to check when
 * they are written.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "config/build/build.h"

/* Requests or answers. */
struct direction {
	const char *block;
	const char *const *own; /* names in lower case; "proxy-*" stands for all such */
	unsigned int allowed;   /* facts */
};

static const char *const request_own[] = {"host",
					  "content-length",
					  "transfer-encoding",
					  "connection",
					  "upgrade",
					  "expect",
					  "keep-alive",
					  "te",
					  "trailer",
					  "proxy",
					  "proxy-*",
					  "http2-settings",
					  "x-client-cert-*",
					  NULL};
static const char *const response_own[] = {"content-length", "transfer-encoding",
					   "connection",     "upgrade",
					   "keep-alive",     "te",
					   "trailer",        "proxy",
					   "proxy-*",        NULL};
static const char *const told[] = {
	"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded",
	"x-request-id",    "traceparent",       "tracestate",       NULL};

static const struct direction requests = {"request_headers", request_own,
					  1 << FACT_CLIENT | 1 << FACT_HOST | 1 << FACT_SCHEME |
						  1 << FACT_TLS | 1 << FACT_REQUEST_ID};
static const struct direction responses = {"response_headers", response_own,
					   1 << FACT_CLIENT | 1 << FACT_SCHEME | 1 << FACT_TLS |
						   1 << FACT_REQUEST_ID};

/* Who builds, and into what. */
struct rules {
	const struct direction *direction;
	struct config_rules *result;
	const char *deadline; /* the field that forwarding has for it; NULL: none */
	bool has_request_id;
};

/* Whether @name is one of @names, also as CGI's variables would have it, with '_' for '-'. */
static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++) {
		size_t i = 0;

		while (name[i] && (*names)[i] != '*' &&
		       ((name[i] | 0x20) == (*names)[i] ||
			((*names)[i] == '-' && !strchr("-0123456789", name[i]) &&
			 strspn(name + i, "!#$%&'*+.^_`|~"))))
			i++;
		if ((*names)[i] == '*' || (!name[i] && !(*names)[i]))
			return true;
	}
	return false;
}

static bool is_token(const char *name)
{
	return *name && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789!#$%&'*+-.^_`|~") == strlen(name);
}

static bool check_name(const struct site *site, int line, const char *option, const char *name,
		       const struct direction *direction)
{
	if (!is_token(name) || strlen(name) > 255)
		site_complain_at(site, line, option, "\"%s\" is not a field's name", name);
	else if (is_one_of(name, direction->own))
		site_complain_at(
			site, line, option,
			"%s frames a message or concerns one connection: it is the proxy's "
			"own to say",
			name);
	else if (direction == &requests && is_one_of(name, told))
		site_complain_at(site, line, option, "%s is what the block forwarding is for",
				 name);
	else
		return true;
	return false;
}

bool build_check_field(const struct site *site, int line, const char *option, const char *name)
{
	return check_name(site, line, option, name, &requests);
}

/* The same of what a rule names. */
static bool check_rule(const struct site *site, int line, const char *option, const char *name,
		       const struct rules *rules)
{
	if (rules->direction == &requests && rules->deadline && !strcasecmp(name, rules->deadline))
		site_complain_at(site, line, option, "%s is what forwarding.deadline is for", name);
	else
		return check_name(site, line, option, name, rules->direction);
	return false;
}

static void free_line(struct config_line *line)
{
	for (size_t i = 0; i < line->value.count; i++)
		free(line->value.pieces[i].bytes);
	free(line->value.pieces);
	free(line->name);
}

/* The field goes; so do lines of it that were said before. */
static void drop(struct config_rules *rules, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < rules->line_count; i++) {
		if (!strcasecmp(rules->lines[i].name, name))
			free_line(&rules->lines[i]);
		else
			rules->lines[kept++] = rules->lines[i];
	}
	rules->line_count = kept;
	for (size_t i = 0; i < rules->drop_count; i++)
		if (!strcasecmp(rules->drop[i], name))
			return;
	rules->drop[rules->drop_count++] = build_copy(name);
}

/* "Name: value" in two, without the white space around them. False: it was complained about. */
static bool split(const struct site *site, const struct grammar_value *written, const char *option,
		  char **name, char **value)
{
	const char *colon = strchr(written->text, ':'), *end;

	if (!colon) {
		site_complain_at(site, written->line, option, "\"%s\" is not \"Name: value\"",
				 written->text);
		return false;
	}
	*name = build_copy(written->text);
	(*name)[colon - written->text] = '\0';
	colon += 1 + strspn(colon + 1, " \t");
	*value = build_copy(colon);
	end = *value + strlen(*value);
	while (end > *value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	(*value)[end - *value] = '\0';
	return true;
}

static bool check_value(const struct site *site, int line, const char *option, const char *value)
{
	for (const char *at = value; *at; at++) {
		if ((*at >= ' ' && *at <= '~') || *at == '\t')
			continue;
		site_complain_at(site, line, option,
				 "a value has printable ASCII, spaces and tabs, no line ends");
		return false;
	}
	return true;
}

static bool uses(const struct config_text *text, enum config_fact fact)
{
	for (size_t i = 0; i < text->count; i++)
		if (text->pieces[i].fact == fact)
			return true;
	return false;
}

static void build_line(const struct site *site, const struct grammar_value *written,
		       const char *option, bool replaces, const struct rules *rules)
{
	struct config_line line = {0};
	char *value;

	if (!split(site, written, option, &line.name, &value))
		return;
	if (check_rule(site, written->line, option, line.name, rules) &&
	    check_value(site, written->line, option, value) &&
	    build_text(site, written, option, value, rules->direction->allowed, &line.value)) {
		if (uses(&line.value, FACT_REQUEST_ID) && !rules->has_request_id)
			site_complain_at(
				site, written->line, option,
				"there is no $request_id: forwarding.x_request_id does not "
				"say replace or keep");
		if (replaces)
			drop(rules->result, line.name);
		rules->result->lines[rules->result->line_count++] = line;
	} else {
		free_line(&line);
	}
	free(value);
}

static size_t sum_lines(const struct config_rules *rules)
{
	size_t sum = 0;

	for (size_t i = 0; i < rules->line_count; i++)
		sum += strlen(rules->lines[i].name) + strlen(": \r\n") +
		       build_text_most(&rules->lines[i].value);
	return sum;
}

static void build_block(const struct site *outer, const struct rules *rules)
{
	const struct direction *direction = rules->direction;
	struct config_rules *result = rules->result;
	size_t removes, sets, adds;
	struct site site;

	if (!outer || !site_count(outer, direction->block))
		return;
	site = site_inside(outer, direction->block, 0);
	removes = cfg_size(site.section, "remove");
	sets = cfg_size(site.section, "set");
	adds = cfg_size(site.section, "add");
	result->drop = reallocarray(result->drop, result->drop_count + removes + sets + 1,
				    sizeof(*result->drop));
	result->lines = reallocarray(result->lines, result->line_count + sets + adds + 1,
				     sizeof(*result->lines));
	if (!result->drop || !result->lines)
		abort();
	for (size_t i = 0; i < removes; i++) {
		const struct grammar_value *written = grammar_value(site.section, "remove", i);

		if (check_rule(&site, written->line, "remove", written->text, rules))
			drop(result, written->text);
	}
	for (size_t i = 0; i < sets; i++)
		build_line(&site, grammar_value(site.section, "set", i), "set", true, rules);
	for (size_t i = 0; i < adds; i++)
		build_line(&site, grammar_value(site.section, "add", i), "add", false, rules);
	if (result->line_count > CONFIG_LINE_COUNT_MAX)
		site_complain(&site, NULL, "there is room for %d lines in all",
			      CONFIG_LINE_COUNT_MAX);
	if (sum_lines(result) > CONFIG_LINES_MAX)
		site_complain(&site, NULL,
			      "the lines that are written may come to more than %d bytes",
			      CONFIG_LINES_MAX);
}

void build_rules(const struct site *listener, const struct site *route,
		 const struct config_service *service, struct config_route *result)
{
	enum config_telling id = service->forwarding.tell[TOLD_REQUEST_ID];
	struct rules rules = {
		.deadline = service->forwarding.deadline,
		.has_request_id = id == TELL_REPLACE || id == TELL_KEEP,
	};

	rules.direction = &requests;
	rules.result = &result->request;
	if (rules.deadline) { /* what a client says of it is nobody's to believe */
		result->request.drop = build_alloc(1, sizeof(*result->request.drop));
		drop(&result->request, rules.deadline);
	}
	build_block(listener, &rules);
	build_block(route, &rules);
	rules.direction = &responses;
	rules.result = &result->response;
	build_block(listener, &rules);
	build_block(route, &rules);
}
