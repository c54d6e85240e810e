/* SPDX-License-Identifier: BSD-2-Clause */
/* list load, drop, show: named lists of any size. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "contract/list_text.h"
#include "cli.h"

static const char *const actions[] = {[FW_LIST_BLOCK] = "block", [FW_LIST_ALLOW] = "allow"};

/* --- load ------------------------------------------------------------------------------------- */

/* For whoever waits at a terminal; @context is the command line. */
static bool is_watched(const struct cli *cli)
{
	return !cli->json && isatty(STDERR_FILENO);
}

static void show_reading(void *context, size_t lines)
{
	if (is_watched(context))
		fprintf(stderr, "\r%zu lines read ", lines);
}

static int read_entries(struct cli *cli, const char *path, uint64_t seconds,
			struct fw_listed **entries, size_t *count)
{
	bool is_stdin = strcmp(path, "-") == 0;
	FILE *file = is_stdin ? stdin : fopen(path, "r");
	struct list_text text = {.name = is_stdin ? "standard input" : path,
				 .now_s = clock_now_ns() / CLOCK_SEC,
				 .seconds = seconds,
				 .progress = show_reading,
				 .context = cli};
	struct error error;
	int result;

	if (!file)
		return cli_fail(cli, "%s: %s", path, strerror(errno));
	result = list_text_read(&text, file, entries, count, &error);
	if (!is_stdin)
		fclose(file);
	if (is_watched(cli))
		fputs("\r\033[K", stderr);
	if (result < 0)
		return cli_fail(cli, "%s\nnothing was loaded", error.text);
	if (*count)
		return STATUS_OK;
	free(*entries);
	return cli_fail(cli, "%s has no entries; to empty a list, drop it", text.name);
}

static json_t *describe(const struct wall_named *named)
{
	const struct fw_list *row = &named->row;
	char loaded[40];

	return json_pack(
		"{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "name", row->name,
		"action", actions[row->action == FW_LIST_ALLOW ? FW_LIST_ALLOW : FW_LIST_BLOCK],
		"entries", (json_int_t)row->entries, "v4", (json_int_t)row->entries_v4, "v6",
		(json_int_t)(row->entries - row->entries_v4), "expiring", (json_int_t)row->expiring,
		"packets", (json_int_t)named->packets, "given", (json_int_t)row->given,
		"duplicates", (json_int_t)row->duplicates, "covered", (json_int_t)row->covered,
		"expired", (json_int_t)row->expired, "loaded", output_time(row->loaded_ns, loaded));
}

static int put(struct cli *cli, enum fw_list_action action, struct fw_listed *entries, size_t count)
{
	uint64_t began = clock_now_ns();
	struct wall_named loaded;
	struct error error;
	json_t *answer;
	double seconds;

	if (is_watched(cli))
		fprintf(stderr, "%zu entries: compiling ", count);
	if (wall_named_load(cli->wall, cli->argv[1], action, entries, count, &loaded, &error) < 0)
		return cli_fail(cli, "%s\nthe lists are as they were", error.text);
	if (is_watched(cli))
		fputs("\r\033[K", stderr);
	seconds = (double)(clock_now_ns() - began) / CLOCK_SEC;
	answer = describe(&loaded);
	if (cli->json) {
		json_object_set_new(answer, "seconds", json_real(seconds));
		output_json(answer);
		return STATUS_OK;
	}
	printf("%s: %s %u entries (%u IPv4, %u IPv6), in force after %.1f s; of %u given, %u were "
	       "there twice and %u inside others\n",
	       loaded.row.name, actions[action], loaded.row.entries, loaded.row.entries_v4,
	       loaded.row.entries - loaded.row.entries_v4, seconds, loaded.row.given,
	       loaded.row.duplicates, loaded.row.covered);
	json_decref(answer);
	return STATUS_OK;
}

static int load(struct cli *cli)
{
	const char *action = cli_option(cli, "action");
	int64_t ms = cli_option_time(cli, "for", 1000, 0);
	struct fw_listed *entries;
	size_t count;
	int status;

	if (ms < 0)
		return STATUS_USAGE;
	if (cli->argc != 3)
		return cli_usage(cli,
				 "a name and a file are needed, such as: list load drop drop.txt");
	if (action && strcmp(action, "block") != 0 && strcmp(action, "allow") != 0)
		return cli_usage(cli, "--action is block or allow, not \"%s\"", action);
	status = cli_wall(cli);
	if (status == STATUS_OK)
		status = read_entries(cli, cli->argv[2], (uint64_t)ms / 1000, &entries, &count);
	if (status != STATUS_OK)
		return status;
	status = put(cli, action && *action == 'a' ? FW_LIST_ALLOW : FW_LIST_BLOCK, entries, count);
	free(entries);
	return status;
}

/* --- drop ------------------------------------------------------------------------------------- */

static int drop(struct cli *cli)
{
	struct error error;
	int status, result;

	if (cli->argc != 2)
		return cli_usage(cli, "one name is needed");
	status = cli_wall(cli);
	if (status != STATUS_OK)
		return status;
	result = wall_named_drop(cli->wall, cli->argv[1], &error);
	if (result < 0)
		return result == -ENOENT ? cli_no(cli, "%s", error.text)
					 : cli_fail(cli, "%s", error.text);
	if (cli->json)
		output_json(json_pack("{s:s}", "dropped", cli->argv[1]));
	else
		printf("%s is no list any more\n", cli->argv[1]);
	return STATUS_OK;
}

/* --- show ------------------------------------------------------------------------------------- */

static int show_all(struct cli *cli)
{
	static const struct column columns[] = {
		{"name", "NAME"},       {"action", "ACTION"},
		{"entries", "ENTRIES"}, {"expiring", "EXPIRING"},
		{"packets", "PACKETS"}, {"loaded", "LOADED"},
		{NULL, NULL},
	};
	struct wall_listing *listing = malloc(sizeof(*listing));
	struct error error = {"out of memory"};
	json_t *rows = json_array();

	if (!listing || wall_named_all(cli->wall, listing, &error) < 0) {
		free(listing);
		json_decref(rows);
		return cli_fail(cli, "%s", error.text);
	}
	for (size_t i = 0; i < listing->count; i++)
		json_array_append_new(rows, describe(&listing->list[i]));
	if (cli->json) {
		output_json(json_pack("{s:O, s:I, s:i}", "lists", rows, "bytes",
				      (json_int_t)listing->bytes, "granularity",
				      (int)listing->granularity_s));
	} else if (listing->count == 0) {
		printf("there are no lists: floodwall list load NAME FILE\n");
	} else {
		output_table(columns, rows);
		printf("%.1f MiB of kernel memory\n", (double)listing->bytes / (1 << 20));
		if (listing->granularity_s > 1)
			printf("entries last up to %u s longer than they say: there are too many "
			       "different times\n",
			       listing->granularity_s - 1);
	}
	json_decref(rows);
	free(listing);
	return STATUS_OK;
}

/* Every entry is printed as it comes: there may be millions. */
struct printing {
	bool json;
	uint64_t now_s, count;
};

static int print_entry(void *context, const struct fw_listed *entry)
{
	struct printing *printing = context;
	struct fw_prefix prefix = {entry->length, entry->addr};
	uint64_t left = entry->expires_s > printing->now_s ? entry->expires_s - printing->now_s : 0;
	char text[ADDRESS_TEXT_SIZE];

	prefix_format(&prefix, text);
	if (entry->expires_s && !left)
		return 0;
	if (printing->json && entry->expires_s)
		printf("%s{\"prefix\": \"%s\", \"expires_in\": %llu}", printing->count ? ",\n" : "",
		       text, (unsigned long long)left);
	else if (printing->json)
		printf("%s{\"prefix\": \"%s\", \"expires_in\": null}", printing->count ? ",\n" : "",
		       text);
	else if (entry->expires_s)
		printf("%s %llus\n", text, (unsigned long long)left);
	else
		printf("%s\n", text);
	printing->count++;
	return 0;
}

/* In the form that list load reads. */
static int show_entries(struct cli *cli, const char *name)
{
	struct printing printing = {.json = cli->json, .now_s = clock_now_ns() / CLOCK_SEC};
	struct wall_named named;
	struct error error;
	int result = wall_named_find(cli->wall, name, &named, &error);

	if (result == 0) {
		if (cli->json)
			putchar('[');
		result = wall_named_each(cli->wall, name, print_entry, &printing, &error);
		if (cli->json)
			puts("]");
	}
	if (result == -ENOENT)
		return cli_no(cli, "%s", error.text);
	return result < 0 ? cli_fail(cli, "%s", error.text) : STATUS_OK;
}

static int show_one(struct cli *cli, const char *name)
{
	struct wall_named named;
	struct error error;
	const char *key;
	json_t *answer, *value;
	int result = wall_named_find(cli->wall, name, &named, &error);

	if (result < 0)
		return result == -ENOENT ? cli_no(cli, "%s", error.text)
					 : cli_fail(cli, "%s", error.text);
	answer = describe(&named);
	if (cli->json) {
		output_json(answer);
		return STATUS_OK;
	}
	json_object_foreach(answer, key, value)
	{
		if (json_is_string(value))
			printf("%-10s  %s\n", key, json_string_value(value));
		else
			printf("%-10s  %lld\n", key, (long long)json_integer_value(value));
	}
	json_decref(answer);
	return STATUS_OK;
}

/* What one list has on an address; @context of find_entry(). */
struct finding {
	const struct fw_addr *addr;
	const struct wall_named *named;
	uint64_t now_s;
	json_t *rows;
};

static int find_entry(void *context, const struct fw_listed *entry)
{
	const struct finding *finding = context;
	struct fw_prefix prefix = {entry->length, entry->addr};
	char text[ADDRESS_TEXT_SIZE];

	if (!prefix_has(&prefix, finding->addr) ||
	    (entry->expires_s && entry->expires_s <= finding->now_s))
		return 0;
	json_array_append_new(
		finding->rows,
		json_pack("{s:s, s:s, s:s, s:o}", "name", finding->named->row.name, "action",
			  actions[finding->named->row.action == FW_LIST_ALLOW], "prefix",
			  prefix_format(&prefix, text), "expires_in",
			  entry->expires_s
				  ? json_integer((json_int_t)(entry->expires_s - finding->now_s))
				  : json_null()));
	return 0;
}

static int find_entries(struct cli *cli, const struct fw_addr *addr, json_t *rows,
			struct error *error)
{
	struct finding finding = {.addr = addr, .now_s = clock_now_ns() / CLOCK_SEC, .rows = rows};
	struct wall_listing *listing = malloc(sizeof(*listing));
	int result = listing ? wall_named_all(cli->wall, listing, error)
			     : error_set(error, -ENOMEM, "out of memory");

	for (size_t i = 0; result == 0 && i < listing->count; i++) {
		finding.named = &listing->list[i];
		result = wall_named_each(cli->wall, finding.named->row.name, find_entry, &finding,
					 error);
		if (result == -ENOENT) /* dropped just now */
			result = 0;
	}
	free(listing);
	return result;
}

/* What the lists together do with a source: one that allows goes before all that block. */
static const char *decide(const json_t *rows)
{
	const char *action, *decision = "none";
	const json_t *row;
	size_t index;

	json_array_foreach(rows, index, row)
	{
		action = json_string_value(json_object_get(row, "action"));
		if (strcmp(decision, "allow") != 0)
			decision = action;
	}
	return decision;
}

static int show_address(struct cli *cli, const char *name)
{
	static const struct column columns[] = {{"name", "LIST"},
						{"action", "ACTION"},
						{"prefix", "PREFIX"},
						{"expires_in", "SECONDS"},
						{NULL, NULL}};
	struct fw_addr addr;
	struct error error;
	json_t *rows;

	if (address_parse(name, &addr, &error) < 0)
		return cli_usage(cli, "%s", error.text);
	rows = json_array();
	if (find_entries(cli, &addr, rows, &error) < 0) {
		json_decref(rows);
		return cli_fail(cli, "%s", error.text);
	}
	if (cli->json) {
		output_json(json_pack("{s:s, s:s, s:O}", "address", name, "action", decide(rows),
				      "entries", rows));
	} else if (json_array_size(rows) == 0) {
		printf("%s is on no list\n", name);
	} else {
		output_table(columns, rows);
		printf("%s is %s by the lists\n", name,
		       strcmp(decide(rows), "allow") == 0 ? "allowed" : "blocked");
	}
	json_decref(rows);
	return STATUS_OK;
}

static int show(struct cli *cli)
{
	bool entries = cli_option(cli, "entries") != NULL;
	int status;

	if (cli->argc > 2 || (entries && cli->argc != 2))
		return cli_usage(cli, entries ? "one name is needed" : "one name at most");
	status = cli_wall(cli);
	if (status != STATUS_OK)
		return status;
	if (cli->argc <= 1)
		return show_all(cli);
	if (!entries && strpbrk(cli->argv[1], ".:/")) /* no name has such */
		return show_address(cli, cli->argv[1]);
	return entries ? show_entries(cli, cli->argv[1]) : show_one(cli, cli->argv[1]);
}

int cmd_list(struct cli *cli)
{
	const char *what = cli->argc ? cli->argv[0] : "show";

	if (strcmp(what, "load") == 0)
		return load(cli);
	if (strcmp(what, "drop") == 0)
		return drop(cli);
	if (strcmp(what, "show") == 0)
		return show(cli);
	return cli_usage(cli, "list load, drop or show, not \"%s\"", what);
}
