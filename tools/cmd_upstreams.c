/* SPDX-License-Identifier: BSD-2-Clause */
/* upstreams: the servers of upstreams, as the proxy last saw them. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "cli.h"

static json_t *place_of(const struct fw_server *server)
{
	const struct fw_service_key place = {.addr = server->addr, .port = htons(server->port)};
	char text[ADDRESS_TEXT_SIZE];

	return server->state == FW_SERVER_NOWHERE ? json_null()
						  : json_string(binding_format(&place, text));
}

static const char *state_name(const struct fw_server *server)
{
	return server->state < FW_SERVER_STATES ? server_state_names[server->state] : "unknown";
}

/* What is counted, and then what people rather read. */
static json_t *describe(const struct fw_server *server, uint64_t now_ns)
{
	uint64_t state_ns = now_ns - server->state_ns, written_ns = now_ns - server->written_ns;
	char text[32];
	json_t *row = json_pack(
		"{s:s, s:s, s:o, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}",
		"upstream", server->upstream, "server", server->server, "address", place_of(server),
		"state", state_name(server), "panic", server->panic, "active",
		(json_int_t)server->active, "open", (json_int_t)server->open, "latency_ns",
		(json_int_t)server->latency_ns, "requests", (json_int_t)server->requests,
		"ejections", (json_int_t)server->ejections, "checks_failed",
		(json_int_t)server->checks_failed, "lookups_failed",
		(json_int_t)server->lookups_failed, "addresses_left_out",
		(json_int_t)server->addresses_left_out, "old", written_ns > SERVERS_OLD_NS);

	json_object_set_new(row, "age", json_integer((json_int_t)(written_ns / CLOCK_SEC)));
	json_object_set_new(row, "state_for",
			    server->state_ns ? json_integer((json_int_t)(state_ns / CLOCK_SEC))
					     : json_null());
	json_object_set_new(row, "since",
			    json_string(server->state_ns ? output_duration(state_ns, text) : ""));
	json_object_set_new(row, "state_text",
			    json_sprintf("%s%s", state_name(server), server->panic ? "+" : ""));
	json_object_set_new(row, "latency",
			    server->latency_ns
				    ? json_sprintf("%.1f ms", (double)server->latency_ns / 1e6)
				    : json_null());
	return row;
}

static void warn_if_old(const struct cli *cli, const struct fw_server *server, uint64_t now_ns)
{
	uint64_t age_ns = now_ns - server->written_ns;
	char age[32];

	if (!cli->json && age_ns > SERVERS_OLD_NS)
		printf("no proxy is running: this is how it was %s ago\n",
		       output_duration(age_ns, age));
}

int cmd_upstreams(struct cli *cli)
{
	static const struct column columns[] = {
		{"upstream", "UPSTREAM"},
		{"server", "SERVER"},
		{"address", "ADDRESS"},
		{"state_text", "STATE"},
		{"since", "SINCE"},
		{"requests", "REQUESTS"},
		{"active", "ACTIVE"},
		{"open", "OPEN"},
		{"latency", "LATENCY"},
		{"ejections", "EJECTED"},
		{"checks_failed", "CHECKS FAILED"},
		{"lookups_failed", "LOOKUPS FAILED"},
		{NULL, NULL},
	};
	struct fw_server *list;
	uint64_t now_ns = clock_now_ns();
	json_t *rows;
	size_t count;
	int status;

	if (cli->argc)
		return cli_usage(cli, "upstreams takes no arguments");
	status = cli_wall(cli);
	if (status != STATUS_OK)
		return status;
	list = calloc(FW_SERVERS_MAX, sizeof(*list));
	if (!list)
		return cli_fail(cli, "out of memory");
	count = wall_server_list(cli->wall, list);
	rows = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(rows, describe(&list[i], now_ns));
	if (count)
		warn_if_old(cli, &list[0], now_ns);
	free(list);
	return output_rows(cli, columns, rows, "no proxy has upstreams\n");
}
