// SPDX-License-Identifier: BSD-2-Clause
/*
 * What requests to the same one of an upstream's servers have in common.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "config/build/build.h"

/* What stands before the name of what is hashed. */
static const char *const keys[] = {
	[KEY_SOURCE] = "source", [KEY_HEADER] = "header:", [KEY_COOKIE] = "cookie:"};

/* The characters of a token (RFC 9110 section 5.6.2): what a field or a cookie may be called. */
static bool is_token(const char *text)
{
	for (const char *c = text; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("!#$%&'*+-.^_`|~", *c))
			return false;
	return *text != '\0';
}

/* "source", "header:X-User", "cookie:session". False: none of them. */
static bool read_key(const char *text, struct config_balance *balance)
{
	if (!strcmp(text, keys[KEY_SOURCE])) {
		balance->key = KEY_SOURCE;
		return true;
	}
	for (int key = KEY_HEADER; key <= KEY_COOKIE; key++) {
		size_t length = strlen(keys[key]);

		if (strncmp(text, keys[key], length) != 0 || !is_token(text + length))
			continue;
		balance->key = (enum config_balance_key)key;
		balance->key_name = build_copy(text + length);
		/* Fields have names of any case; cookies have not. */
		for (char *c = balance->key_name; key == KEY_HEADER && *c; c++)
			*c = (char)tolower((unsigned char)*c);
		return true;
	}
	return false;
}

void build_balance(const struct site *upstream, struct config_balance *balance)
{
	const struct grammar_value *hash = grammar_value(upstream->section, "hash", 0);

	if (hash && balance->policy != BALANCE_HASH)
		site_complain(upstream, "hash", "is of no use without balance = \"hash\"");
	else if (hash && !read_key(hash->text, balance))
		site_complain(upstream, "hash",
			      "\"%s\" is not \"source\", \"header:NAME\" or \"cookie:NAME\"",
			      hash->text);
}
