/* SPDX-License-Identifier: BSD-2-Clause */
/* events: the newest of the ring, and what comes after them. */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "cli.h"

#define BATCH     256
#define POLL_USEC 100000

static const struct column columns[] = {
	{"time", "TIME"},       {"reason", "REASON"}, {"mode", "MODE"},
	{"service", "SERVICE"}, {"source", "SOURCE"}, {"destination", "DESTINATION"},
	{"count", "PACKETS"},   {"interface", "ON"},  {NULL, NULL},
};

static const char *endpoint(const struct fw_addr *addr, __be16 port, char *buffer)
{
	struct fw_service_key key = {.addr = *addr, .port = port};

	return port ? binding_format(&key, buffer) : address_format(addr, buffer);
}

static json_t *describe(struct cli *cli, const struct fw_event *event)
{
	char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];
	char interface[IF_NAMESIZE] = "", time[40];
	struct fw_service service;

	wall_service(cli->wall, event->service, &service);
	if_indextoname(event->ifindex, interface);
	return json_pack(
		"{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:i, s:s}", "sequence",
		(json_int_t)event->sequence, "time",
		output_time(clock_to_realtime_ns(event->time_ns), time), "reason",
		event->verdict < FW_VERDICT_COUNT ? verdict_rows[event->verdict].label : "unknown",
		"mode", event->mode == FW_MODE_MONITOR ? "monitor" : "enforce", "service",
		service.name, "source", endpoint(&event->source, event->source_port, source),
		"destination", endpoint(&event->destination, event->destination_port, destination),
		"protocol", event->proto, "count", (json_int_t)event->count, "length",
		event->length, "interface", interface);
}

/* Appends what happened since *@sequence to @rows. */
static void read_events(struct cli *cli, uint64_t *sequence, int reason, json_t *rows)
{
	struct fw_event events[BATCH];
	uint64_t lost = 0;
	size_t count;

	do {
		count = wall_events(cli->wall, sequence, events, BATCH, &lost);
		for (size_t i = 0; i < count; i++)
			if (reason < 0 || events[i].verdict == reason)
				json_array_append_new(rows, describe(cli, &events[i]));
	} while (count == BATCH);
	if (lost)
		fprintf(stderr, "floodwall events: %llu were overwritten before they were read\n",
			(unsigned long long)lost);
}

static const char *word(const json_t *row, const char *key)
{
	return json_string_value(json_object_get(row, key));
}

/* A line for each: a table can't know how wide what comes will be. */
static void print_lines(const struct cli *cli, const json_t *rows)
{
	const json_t *row;
	size_t index;

	json_array_foreach(rows, index, row)
	{
		if (cli->json) {
			json_dumpf(row, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
			putchar('\n');
			continue;
		}
		printf("%s  %-20s %-8s %-12s %s -> %s  %" JSON_INTEGER_FORMAT " on %s\n",
		       word(row, "time"), word(row, "reason"), word(row, "mode"),
		       word(row, "service"), word(row, "source"), word(row, "destination"),
		       json_integer_value(json_object_get(row, "count")), word(row, "interface"));
	}
	fflush(stdout);
}

static int follow(struct cli *cli, uint64_t sequence, int reason, json_t *rows)
{
	while (!ferror(stdout)) {
		print_lines(cli, rows);
		json_array_clear(rows);
		usleep(POLL_USEC);
		read_events(cli, &sequence, reason, rows);
	}
	return STATUS_FAILED;
}

int cmd_events(struct cli *cli)
{
	long most = cli_option_number(cli, "n", 0, FW_EVENTS_MAX, 20);
	const char *label = cli_option(cli, "reason");
	int reason = label ? verdict_find(label) : -1, status;
	uint64_t sequence = 0;
	char meant[MEANT_SIZE];
	json_t *rows;

	if (most < 0)
		return STATUS_USAGE;
	if (label && reason <= FW_NONE)
		return cli_usage(cli, "there is no reason \"%s\"%s floodwall reasons shows them",
				 label, *cli_meant_reason(label, false, meant) ? meant : ";");
	if (cli->argc)
		return cli_usage(cli, "events takes no arguments");
	status = cli_wall(cli);
	if (status != STATUS_OK)
		return status;
	rows = json_array();
	read_events(cli, &sequence, reason, rows);
	while (json_array_size(rows) > (size_t)most)
		json_array_remove(rows, 0);
	if (!cli_option(cli, "follow"))
		return output_rows(cli, columns, rows, "no events yet\n");
	status = follow(cli, sequence, reason, rows);
	json_decref(rows);
	return status;
}
