/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top: sources by connections (exact) and by drops (estimated from sampled events, each of which
 * says how many packets it stands for).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "cli.h"

#define BATCH 256

static const char *const levels[] = {
	[FW_LEVEL_SOURCE] = "source",
	[FW_LEVEL_PREFIX] = "prefix",
};

/* Packets of one source for one reason. */
struct tally {
	struct fw_prefix prefix;
	uint32_t service;
	uint32_t verdict;
	uint64_t count;
};

struct tallies {
	struct tally *list;
	size_t count, room;
};

static int find_level(const char *name)
{
	for (int i = FW_LEVEL_SOURCE; i <= FW_LEVEL_PREFIX; i++)
		if (strcmp(levels[i], name) == 0)
			return i;
	return -1;
}

static bool add(struct tallies *tallies, const struct fw_event *event, enum fw_level level)
{
	struct tally *grown;

	if (tallies->count == tallies->room) {
		tallies->room = tallies->room * 2 + BATCH;
		grown = realloc(tallies->list, tallies->room * sizeof(*grown));
		if (!grown)
			return false;
		tallies->list = grown;
	}
	tallies->list[tallies->count++] = (struct tally){
		.prefix = {.length = fw_level_length(&event->source, level),
			   .addr = fw_addr_at_level(event->source, level)},
		.service = event->service,
		.verdict = event->verdict,
		.count = event->count,
	};
	return true;
}

static int by_identity(const void *left, const void *right)
{
	const struct tally *a = left, *b = right;

	if (a->service != b->service)
		return a->service < b->service ? -1 : 1;
	if (a->verdict != b->verdict)
		return a->verdict < b->verdict ? -1 : 1;
	return memcmp(&a->prefix, &b->prefix, sizeof(a->prefix));
}

static int by_count(const void *left, const void *right)
{
	const struct tally *a = left, *b = right;

	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return by_identity(left, right);
}

/* Adds up what is about the same source and reason, and puts the largest first. */
static void settle(struct tallies *tallies)
{
	size_t kept = 0;

	if (tallies->count == 0)
		return;
	qsort(tallies->list, tallies->count, sizeof(struct tally), by_identity);
	for (size_t i = 1; i < tallies->count; i++) {
		if (by_identity(&tallies->list[kept], &tallies->list[i]) == 0)
			tallies->list[kept].count += tallies->list[i].count;
		else
			tallies->list[++kept] = tallies->list[i];
	}
	tallies->count = kept + 1;
	qsort(tallies->list, tallies->count, sizeof(struct tally), by_count);
}

static void read_tallies(struct wall *wall, enum fw_level level, uint64_t *sequence,
			 struct tallies *tallies)
{
	struct fw_event events[BATCH];
	uint64_t lost = 0;
	bool room = true;
	size_t count;

	tallies->count = 0;
	do {
		count = wall_events(wall, sequence, events, BATCH, &lost);
		for (size_t i = 0; i < count && room; i++)
			if (events[i].verdict < FW_VERDICT_COUNT &&
			    (verdict_rows[events[i].verdict].action == FW_ACTION_DROP ||
			     verdict_rows[events[i].verdict].action == FW_ACTION_REFUSE) &&
			    events[i].mode == FW_MODE_ENFORCE)
				room = add(tallies, &events[i], level);
	} while (count == BATCH && room);
	settle(tallies);
}

static json_t *dropped(struct wall *wall, const struct tallies *tallies, size_t most)
{
	json_t *rows = json_array();
	struct fw_service service;
	char text[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < tallies->count && i < most; i++) {
		const struct tally *tally = &tallies->list[i];

		wall_service(wall, tally->service, &service);
		json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:I}", "source",
						      prefix_format(&tally->prefix, text),
						      "service", service.name, "reason",
						      verdict_rows[tally->verdict].label, "packets",
						      (json_int_t)tally->count));
	}
	return rows;
}

static json_t *holders(struct wall *wall, enum fw_level level, size_t most, struct error *error)
{
	struct wall_holder *list;
	struct fw_service service;
	char text[ADDRESS_TEXT_SIZE];
	json_t *rows;
	size_t count;

	if (wall_holders(wall, level, &list, &count, error) < 0)
		return NULL;
	rows = json_array();
	for (size_t i = 0; i < count && i < most; i++) {
		wall_service(wall, list[i].service, &service);
		json_array_append_new(rows, json_pack("{s:s, s:s, s:I}", "source",
						      prefix_format(&list[i].prefix, text),
						      "service", service.name, "connections",
						      (json_int_t)list[i].connections));
	}
	free(list);
	return rows;
}

static void print(struct cli *cli, const char *by, json_t *held, json_t *lost, bool clear)
{
	static const struct column held_columns[] = {{"connections", "CONNECTIONS"},
						     {"source", "SOURCE"},
						     {"service", "SERVICE"},
						     {NULL, NULL}};
	static const struct column lost_columns[] = {{"packets", "DROPPED"},
						     {"source", "SOURCE"},
						     {"service", "SERVICE"},
						     {"reason", "REASON"},
						     {NULL, NULL}};
	char time[40];

	if (cli->json) {
		json_t *answer = json_pack("{s:s, s:s, s:o, s:o}", "time",
					   output_time(clock_read_ns(CLOCK_REALTIME), time), "by",
					   by, "connections", held, "dropped", lost);

		json_dumpf(answer, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
		putchar('\n');
		json_decref(answer);
		fflush(stdout);
		return;
	}
	if (clear)
		fputs("\033[H\033[2J", stdout);
	printf("%s by %s\n\n", output_time(clock_read_ns(CLOCK_REALTIME), time), by);
	if (json_array_size(held) == 0)
		printf("nobody holds a connection to a protected service\n");
	output_table(held_columns, held);
	printf("\n");
	if (json_array_size(lost) == 0)
		printf("nothing was dropped or refused\n");
	output_table(lost_columns, lost);
	fflush(stdout);
	json_decref(held);
	json_decref(lost);
}

static int refresh(struct cli *cli, enum fw_level level, size_t most, useconds_t interval)
{
	bool once = cli_option(cli, "once") != NULL;
	struct tallies tallies = {0};
	uint64_t sequence = 0;
	struct error error;
	json_t *held;
	int status = STATUS_OK;

	do {
		read_tallies(cli->wall, level, &sequence, &tallies);
		held = holders(cli->wall, level, most, &error);
		if (!held) {
			status = cli_fail(cli, "%s", error.text);
			break;
		}
		print(cli, levels[level], held, dropped(cli->wall, &tallies, most),
		      !once && isatty(STDOUT_FILENO));
		if (!once)
			usleep(interval);
	} while (!once && !ferror(stdout));
	free(tallies.list);
	return status;
}

int cmd_top(struct cli *cli)
{
	const char *by = cli_option(cli, "by");
	int level = by ? find_level(by) : FW_LEVEL_SOURCE, status;
	long most = cli_option_number(cli, "n", 1, 10000, 10);
	int64_t interval = most < 0 ? -1 : cli_option_time(cli, "interval", 100, 2000);

	if (most < 0 || interval < 0)
		return STATUS_USAGE;
	if (level < 0)
		return cli_usage(cli, "--by is source or prefix, not \"%s\"", by);
	if (cli->argc)
		return cli_usage(cli, "top takes no arguments");
	status = cli_wall(cli);
	return status == STATUS_OK ? refresh(cli, level, (size_t)most, (useconds_t)interval * 1000)
				   : status;
}
