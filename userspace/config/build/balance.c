// SPDX-License-Identifier: BSD-2-Clause
/*
 * By what an upstream's servers are chosen, and what each one's share is.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "config/build/build.h"

static const char *const policies[] = {
#define FW_BALANCE(id, word) [BALANCE_##id] = #word,
#include "config/balance.def"
#undef FW_BALANCE
	NULL};

/* What stands before the name of what is hashed. */
static const char *const keys[] = {
	[KEY_SOURCE] = "source", [KEY_HEADER] = "header:", [KEY_COOKIE] = "cookie:"};

static const struct setting_row balance_slow_start = {
	"slow_start", SCOPE_LISTENER, UNIT_MILLISECONDS, 0, 0, 3600000, ""};
static const struct setting_row balance_failover = {
	"failover_below", SCOPE_LISTENER, UNIT_COUNT, 0, 0, 100, ""};
static const struct setting_row share_weight = {"weight", SCOPE_LISTENER, UNIT_COUNT, 1, 1, 256,
						""};
static const struct setting_row share_priority = {"priority", SCOPE_LISTENER,    UNIT_COUNT, 1,
						  1,          CONFIG_PRIORITIES, ""};
static const struct setting_row share_backup = {"backup", SCOPE_LISTENER, UNIT_SWITCH, 0, 0, 1, ""};

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

	balance->policy = (enum config_balance_policy)site_choice(upstream, "balance", policies,
								  BALANCE_ROUND_ROBIN);
	site_setting(upstream, &balance_slow_start, &balance->slow_start_ms);
	site_number(upstream, &balance_failover, &balance->failover_percent);
	if (hash && balance->policy != BALANCE_HASH)
		site_complain(upstream, hash->line, "hash",
			      "is of no use without balance = \"hash\"");
	else if (hash && !read_key(hash->text, balance))
		site_complain(upstream, hash->line, "hash",
			      "\"%s\" is not \"source\", \"header:NAME\" or \"cookie:NAME\"",
			      hash->text);
}

void build_share(const struct site *server, struct config_server *result)
{
	uint64_t weight = share_weight.initial, priority = share_priority.initial;
	uint64_t backup = share_backup.initial;

	site_setting(server, &share_weight, &weight);
	site_setting(server, &share_priority, &priority);
	site_setting(server, &share_backup, &backup);
	if (backup && grammar_value(server->section, "priority", 0))
		site_complain(server, site_line(server), "backup",
			      "is the last priority: give one or the other");
	else if (backup)
		priority = CONFIG_PRIORITIES;
	result->weight = (uint16_t)weight;
	result->priority = (uint16_t)(priority - 1);
}
