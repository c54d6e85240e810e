/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Texts with placeholders: "https://$host$path". A dollar sign is written twice.
 *
 * What a placeholder may stand for is chosen so that no text can come out that breaks a field: a
 * host, path or address was read by the parser before it gets here, and has neither controls nor
 * line ends.
 */
#include <stdio.h>
#include <string.h>
#include "config/build/build.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyz_"

/* Names, and how many bytes they come to at most. */
static const struct {
	const char *name;
	size_t most;
} facts[FACT_COUNT] = {
	[FACT_CLIENT] = {"client", 45},
	[FACT_HOST] = {"host", 255},
	[FACT_SCHEME] = {"scheme", 5},
	[FACT_TLS] = {"tls", 7},
	[FACT_REQUEST_ID] = {"request_id", 128},
	[FACT_PATH] = {"path", 0},
	[FACT_QUERY] = {"query", 0},
};

static enum config_fact find_fact(const char *name, size_t length)
{
	for (enum config_fact fact = FACT_NONE + 1; fact < FACT_COUNT; fact++)
		if (strlen(facts[fact].name) == length && !memcmp(facts[fact].name, name, length))
			return fact;
	return FACT_NONE;
}

static void complain(const struct site *site, int line, const char *option, const char *name,
		     size_t length, unsigned int allowed)
{
	char known[128] = "";

	for (enum config_fact fact = FACT_NONE + 1; fact < FACT_COUNT; fact++) {
		size_t used = strlen(known);

		if (allowed >> fact & 1)
			snprintf(known + used, sizeof(known) - used, "%s$%s", used ? ", " : "",
				 facts[fact].name);
	}
	site_complain_at(site, line, option,
			 "\"$%.*s\" stands for nothing here; there are %s, and $$ for the sign",
			 (int)length, name, known);
}

static void add_piece(struct config_text *text, enum config_fact fact, const char *bytes,
		      size_t length)
{
	struct config_piece *piece = &text->pieces[text->count++];

	*piece = (struct config_piece){.fact = fact};
	if (fact != FACT_NONE)
		return;
	piece->length = length;
	piece->bytes = build_alloc(length + 1, 1);
	memcpy(piece->bytes, bytes, length);
}

bool build_text(const struct site *site, const struct grammar_value *written, const char *option,
		const char *text, unsigned int allowed, struct config_text *result)
{
	size_t length;

	/* No piece takes less than a byte of what was written. */
	result->pieces = build_alloc(strlen(text), sizeof(*result->pieces));
	for (const char *at = text; *at; at += length) {
		enum config_fact fact;

		length = strcspn(at, "$");
		if (length) {
			add_piece(result, FACT_NONE, at, length);
			continue;
		}
		if (at[1] == '$') {
			add_piece(result, FACT_NONE, "$", 1);
			length = 2;
			continue;
		}
		length = 1 + strspn(at + 1, LETTERS);
		fact = find_fact(at + 1, length - 1);
		if (fact == FACT_NONE || !(allowed >> fact & 1)) {
			complain(site, written->line, option, at + 1, length - 1, allowed);
			return false;
		}
		add_piece(result, fact, NULL, 0);
	}
	return true;
}

size_t build_text_most(const struct config_text *text)
{
	size_t most = 0;

	for (size_t i = 0; i < text->count; i++)
		most += text->pieces[i].fact == FACT_NONE ? text->pieces[i].length
							  : facts[text->pieces[i].fact].most;
	return most;
}
