/* SPDX-License-Identifier: BSD-2-Clause */
/* block, unblock, blocks; allow, unallow, allows: two lists, the same three verbs on each. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "cli.h"

static const char *const list_names[] = {[WALL_ALLOW] = "allow", [WALL_BLOCK] = "block"};

/* Every argument as a prefix, before anything is done; NULL after saying what is wrong. */
static struct fw_prefix *parse_prefixes(struct cli *cli)
{
	struct fw_prefix *prefixes = calloc((size_t)cli->argc + 1, sizeof(*prefixes));
	struct error error;

	if (!prefixes) {
		cli_fail(cli, "out of memory");
		return NULL;
	}
	for (int i = 0; i < cli->argc; i++) {
		if (prefix_parse(cli->argv[i], &prefixes[i], &error) < 0) {
			cli_usage(cli, "%s", error.text);
			free(prefixes);
			return NULL;
		}
	}
	if (cli->argc)
		return prefixes;
	cli_usage(cli, "an address or prefix is needed, such as 192.0.2.1 or 2001:db8::/32");
	free(prefixes);
	return NULL;
}

static void print(struct cli *cli, json_t *names, const char *verb, const char *text)
{
	json_t *name;
	size_t index;

	if (cli->json)
		return;
	json_array_foreach(names, index, name)
		printf("%s: %s%s\n", json_string_value(name), verb, text);
}

/* Where no daemon runs nobody else removes what has expired. */
static int add_one(struct wall *wall, enum wall_list list, const struct fw_prefix *prefix,
		   uint64_t seconds, const char *note, struct error *error)
{
	int result = wall_list_add(wall, list, prefix, seconds, note, FW_NONE, error);

	if (result == -ENOSPC && wall_list_expire(wall, list, NULL) > 0)
		result = wall_list_add(wall, list, prefix, seconds, note, FW_NONE, error);
	return result;
}

static int add_all(struct cli *cli, enum wall_list list, const struct fw_prefix *prefixes,
		   int64_t ms)
{
	const char *note = cli_option(cli, "note");
	char text[ADDRESS_TEXT_SIZE], until[64] = "", duration[32];
	uint64_t seconds = (uint64_t)ms / 1000;
	json_t *added = json_array();
	struct error error;
	int status = cli_wall(cli);

	for (int i = 0; i < cli->argc && status == STATUS_OK; i++) {
		if (add_one(cli->wall, list, &prefixes[i], seconds, note, &error) < 0)
			status = cli_fail(cli, "%s (%zu of %d were added)", error.text,
					  json_array_size(added), cli->argc);
		else
			json_array_append_new(added,
					      json_string(prefix_format(&prefixes[i], text)));
	}
	if (seconds)
		snprintf(until, sizeof(until), " for %s",
			 output_duration(seconds * CLOCK_SEC, duration));
	print(cli, added, list == WALL_BLOCK ? "blocked" : "allowed", until);
	if (status == STATUS_OK && cli->json)
		output_json(json_pack("{s:s, s:O, s:o}", "list", list_names[list], "added", added,
				      "expires_in",
				      seconds ? json_integer((json_int_t)seconds) : json_null()));
	json_decref(added);
	return status;
}

static int add(struct cli *cli, enum wall_list list)
{
	int64_t ms = cli_option_time(cli, "for", 1000, 0);
	struct fw_prefix *prefixes = ms < 0 ? NULL : parse_prefixes(cli);
	int status;

	if (!prefixes)
		return STATUS_USAGE;
	status = add_all(cli, list, prefixes, ms);
	free(prefixes);
	return status;
}

static int remove_all(struct cli *cli, enum wall_list list, const struct fw_prefix *prefixes)
{
	json_t *removed = json_array(), *absent = json_array();
	char text[ADDRESS_TEXT_SIZE];
	struct error error;
	int status = cli_wall(cli), result = 0;

	for (int i = 0; i < cli->argc && status == STATUS_OK; i++) {
		result = wall_list_remove(cli->wall, list, &prefixes[i], &error);
		if (result < 0 && result != -ENOENT)
			status = cli_fail(cli, "%s", error.text);
		else
			json_array_append_new(result == 0 ? removed : absent,
					      json_string(prefix_format(&prefixes[i], text)));
	}
	print(cli, removed, list == WALL_BLOCK ? "not blocked any more" : "not allowed any more",
	      "");
	print(cli, absent, "is not on the list", "");
	if (status == STATUS_OK && cli->json)
		output_json(json_pack("{s:s, s:O, s:O}", "list", list_names[list], "removed",
				      removed, "absent", absent));
	if (status == STATUS_OK && json_array_size(absent))
		status = STATUS_NO;
	json_decref(removed);
	json_decref(absent);
	return status;
}

static int remove_from(struct cli *cli, enum wall_list list)
{
	struct fw_prefix *prefixes = parse_prefixes(cli);
	int status;

	if (!prefixes)
		return STATUS_USAGE;
	status = remove_all(cli, list, prefixes);
	free(prefixes);
	return status;
}

static int describe(void *context, const struct fw_prefix *prefix,
		    const struct fw_list_entry *entry)
{
	uint64_t now = clock_now_ns();
	char text[ADDRESS_TEXT_SIZE], age[32], left[32] = "ever";
	json_t *row, *expires = json_null();

	if (entry->expires_ns) {
		uint64_t ns = entry->expires_ns > now ? entry->expires_ns - now : 0;

		output_duration(ns, left);
		expires = json_integer((json_int_t)(ns / CLOCK_SEC));
	}
	row = json_pack(
		"{s:s, s:I, s:s, s:o, s:s, s:I, s:s, s:s*}", "prefix", prefix_format(prefix, text),
		"age", (json_int_t)((now - entry->created_ns) / CLOCK_SEC), "age_text",
		output_duration(now - entry->created_ns, age), "expires_in", expires,
		"expires_text", left, "packets", (json_int_t)entry->packets, "cause",
		entry->cause < FW_VERDICT_COUNT && entry->cause ? verdict_rows[entry->cause].label
								: "operator",
		"note", entry->note);
	if (row)
		json_array_append_new(context, row);
	return 0;
}

static int show(struct cli *cli, enum wall_list list)
{
	static const struct column columns[] = {
		{"prefix", "PREFIX"},   {"age_text", "SINCE"}, {"expires_text", "FOR"},
		{"packets", "PACKETS"}, {"cause", "CAUSE"},    {"note", "NOTE"},
		{NULL, NULL},
	};
	struct error error;
	json_t *rows;
	char none[32];
	int status;

	if (cli->argc)
		return cli_usage(cli, "%s takes no arguments", cli->verb->name);
	status = cli_wall(cli);
	if (status != STATUS_OK)
		return status;
	rows = json_array();
	if (wall_list_each(cli->wall, list, describe, rows, &error) < 0) {
		json_decref(rows);
		return cli_fail(cli, "%s", error.text);
	}
	snprintf(none, sizeof(none), "the %s list is empty\n", list_names[list]);
	return output_rows(cli, columns, rows, none);
}

int cmd_block(struct cli *cli)
{
	return add(cli, WALL_BLOCK);
}

int cmd_unblock(struct cli *cli)
{
	return remove_from(cli, WALL_BLOCK);
}

int cmd_blocks(struct cli *cli)
{
	return show(cli, WALL_BLOCK);
}

int cmd_allow(struct cli *cli)
{
	return add(cli, WALL_ALLOW);
}

int cmd_unallow(struct cli *cli)
{
	return remove_from(cli, WALL_ALLOW);
}

int cmd_allows(struct cli *cli)
{
	return show(cli, WALL_ALLOW);
}
