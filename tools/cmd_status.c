/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * status: everything at a glance. What needs attention is marked with !!, and comes first.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/version.h"
#include "cli.h"
#include "tiers.h"

/* What one look at the wall's figures needs. */
struct view {
	struct wall *wall;
	struct fw_counter *counters;
	uint64_t connections[FW_SERVICES_MAX], sources[FW_SERVICES_MAX];
};

static int look(struct wall *wall, struct view *view, struct error *error)
{
	struct wall_holder *list;
	size_t count;
	int result;

	*view = (struct view){.wall = wall};
	view->counters = calloc(FW_SERVICES_MAX * FW_VERDICTS_MAX, sizeof(*view->counters));
	if (!view->counters)
		return error_set(error, -ENOMEM, "out of memory");
	result = wall_counters(wall, view->counters, error);
	if (result == 0)
		result = wall_holders(wall, FW_LEVEL_SOURCE, &list, &count, error);
	if (result < 0)
		return result;
	for (size_t i = 0; i < count; i++) {
		view->connections[list[i].service % FW_SERVICES_MAX] += list[i].connections;
		view->sources[list[i].service % FW_SERVICES_MAX]++;
	}
	free(list);
	return 0;
}

static json_t *tables(struct wall *wall, struct error *error)
{
	struct wall_usage list[WALL_USAGE_COUNT];
	json_t *rows;

	if (wall_usage(wall, list, error) < 0)
		return NULL;
	rows = json_array();
	for (int i = 0; i < WALL_USAGE_COUNT; i++)
		json_array_append_new(rows, json_pack("{s:s, s:I, s:I}", "name", list[i].name,
						      "used", (json_int_t)list[i].used, "size",
						      (json_int_t)list[i].size));
	return rows;
}

/* Times that @verdict was given for a service, by the filter and by the proxy. */
static uint64_t total(const struct view *view, uint32_t service, enum fw_verdict verdict)
{
	return view->counters[fw_counter_index(service, verdict)].packets +
	       wall_board_verdict(view->wall, service, verdict);
}

static void count(json_t *object, const char *key, uint64_t value)
{
	if (value)
		json_object_set_new(object, key, json_integer((json_int_t)value));
}

static uint64_t sum_actions(const struct view *view, uint32_t service, enum fw_action action)
{
	uint64_t sum = 0;

	for (int i = FW_NONE + 1; i < FW_VERDICT_COUNT; i++)
		if (verdict_rows[i].action == action)
			sum += total(view, service, i);
	return sum;
}

static json_t *proxy_figures(struct wall *wall, uint32_t service)
{
	json_t *figures = json_object();

	for (int i = 0; i < METRIC_COUNT; i++)
		json_object_set_new(figures, metric_rows[i].name,
				    json_integer((json_int_t)wall_board_metric(wall, service, i)));
	return figures;
}

/* Cookies that were sent, came back, or were not sent for all the pressure there was. */
static json_t *pressure(const struct view *view, uint32_t service)
{
	uint64_t left;
	bool on = wall_pressure(view->wall, service, clock_now_ns(), &left);
	char text[32] = "";

	if (on)
		output_duration(left, text);
	return json_pack("{s:b, s:f, s:s, s:I, s:I, s:I}", "on", on, "left",
			 (double)left / CLOCK_SEC, "text", text, "challenged",
			 (json_int_t)total(view, service, FW_COOKIE_SENT), "returned",
			 (json_int_t)total(view, service, FW_PASS_COOKIE), "unchallenged",
			 (json_int_t)total(view, service, FW_UNCHALLENGED));
}

/* Everything about the secret of SYN cookies but the secret itself. */
static json_t *secret(struct wall *wall)
{
	struct wall_secret said;
	char fingerprint[9], age[32];
	uint64_t age_ns;

	if (wall_secret(wall, &said, NULL) < 0 || !said.made_ns)
		return json_null();
	age_ns = clock_read_ns(CLOCK_REALTIME) - said.made_ns;
	snprintf(fingerprint, sizeof(fingerprint), "%08" PRIx32, said.fingerprint);
	return json_pack("{s:b, s:I, s:s, s:s, s:i, s:I}", "shared", said.shared, "age",
			 (json_int_t)(age_ns / CLOCK_SEC), "age_text", output_duration(age_ns, age),
			 "fingerprint", fingerprint, "window_scale", (int)said.window_scale,
			 "accepted", (json_int_t)said.accepted);
}

/* Adds a service's figures to its description. */
static void add_figures(const struct view *view, uint32_t id, json_t *row)
{
	json_t *reasons = json_object(), *would = json_object(), *faults = json_object();
	struct fw_service service;

	for (int i = FW_NONE + 1; i < FW_VERDICT_COUNT; i++) {
		enum fw_action action = verdict_rows[i].action;

		if (action == FW_ACTION_DROP || action == FW_ACTION_REFUSE)
			count(reasons, verdict_rows[i].label, total(view, id, i));
		if (action == FW_ACTION_FAULT)
			count(faults, verdict_rows[i].label, total(view, id, i));
		count(would, verdict_rows[i].label, view->counters[fw_counter_index(id, i)].would);
	}
	json_object_update_new(
		row, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:b}", "connections",
			       (json_int_t)view->connections[id], "sources",
			       (json_int_t)view->sources[id], "passed",
			       (json_int_t)sum_actions(view, id, FW_ACTION_PASS), "answered",
			       (json_int_t)sum_actions(view, id, FW_ACTION_ANSWER), "dropped",
			       (json_int_t)sum_actions(view, id, FW_ACTION_DROP), "refused",
			       (json_int_t)sum_actions(view, id, FW_ACTION_REFUSE), "reasons",
			       reasons, "would", would, "faults", faults, "monitor",
			       id && wall_setting(view->wall, id, FW_SET_MONITOR)));
	if (id != FW_HOST_SERVICE)
		json_object_set_new(row, "pressure", pressure(view, id));
	if (wall_service(view->wall, id, &service) && service.kind == FW_SERVICE_LISTENER)
		json_object_set_new(row, "proxy", proxy_figures(view->wall, id));
}

static json_t *services(struct cli *cli, const struct view *view)
{
	json_t *rows = json_array(), *row;

	for (uint32_t id = 0; id < FW_SERVICES_MAX; id++) {
		row = cli_describe_service(cli, id, rows);
		if (row)
			add_figures(view, id, row);
	}
	return rows;
}

static json_t *monitored(struct wall *wall)
{
	json_t *labels = json_array();

	for (int i = FW_NONE + 1; i < FW_VERDICT_COUNT; i++)
		if (wall_rule_mode(wall, i) == FW_MODE_MONITOR)
			json_array_append_new(labels, json_string(verdict_rows[i].label));
	return labels;
}

static json_t *faults(const struct view *view)
{
	json_t *object = json_object();
	uint64_t sum;

	for (int i = FW_NONE + 1; i < FW_VERDICT_COUNT; i++) {
		sum = 0;
		for (uint32_t id = 0; id < FW_SERVICES_MAX; id++)
			if (verdict_rows[i].action == FW_ACTION_FAULT)
				sum += total(view, id, i);
		count(object, verdict_rows[i].label, sum);
	}
	return object;
}

static json_t *lists(struct wall *wall)
{
	struct wall_listing *listing = malloc(sizeof(*listing));
	json_t *rows = json_array();

	if (listing && wall_named_all(wall, listing, NULL) == 0)
		for (size_t i = 0; i < listing->count; i++) {
			const struct wall_named *named = &listing->list[i];

			json_array_append_new(
				rows,
				json_pack("{s:s, s:s, s:I, s:I}", "name", named->row.name, "action",
					  named->row.action == FW_LIST_ALLOW ? "allow" : "block",
					  "entries", (json_int_t)named->row.entries, "packets",
					  (json_int_t)named->packets));
		}
	free(listing);
	return rows;
}

static bool has_listeners(struct wall *wall)
{
	struct fw_service service;

	for (uint32_t id = 1; id < FW_SERVICES_MAX; id++)
		if (wall_service(wall, id, &service) && service.kind == FW_SERVICE_LISTENER)
			return true;
	return false;
}

/* Whether there is a proxy behind the listeners: its figures are new, or floodwalld answers. */
static json_t *serving(struct wall *wall)
{
	struct fw_server *list;
	bool fresh;

	if (!has_listeners(wall))
		return json_null();
	list = calloc(FW_SERVERS_MAX, sizeof(*list));
	fresh = list && wall_server_list(wall, list) &&
		clock_now_ns() - list[0].written_ns < SERVERS_OLD_NS;
	free(list);
	return json_boolean(fresh || cli_daemon_runs());
}

static json_t *answer(struct cli *cli, const struct view *view, struct error *error)
{
	json_t *places = tiers_describe(cli->wall, error), *usage = tables(cli->wall, error), *said;

	if (!places || !usage) {
		json_decref(places);
		json_decref(usage);
		return NULL;
	}
	said = json_pack(
		"{s:s, s:b, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "version", FLOODWALL_VERSION,
		"tracking", wall_is_tracking(cli->wall), "serving", serving(cli->wall), "shut",
		(json_int_t)wall_shut_count(cli->wall, clock_now_ns()), "faults", faults(view),
		"monitored_rules", monitored(cli->wall), "tables", usage, "secret",
		secret(cli->wall), "lists", lists(cli->wall), "services", services(cli, view));
	json_object_update_new(said, places);
	return said;
}

/* "land 3, blocked 17" of an object of counts, the largest first. */
static void print_counts(const char *indent, const char *title, json_t *counts)
{
	const char *key, *largest;
	json_t *left = json_deep_copy(counts), *value;

	if (json_object_size(left))
		printf("%s%s:", indent, title);
	for (const char *comma = " "; json_object_size(left); comma = ", ") {
		json_int_t most = -1;

		largest = NULL;
		json_object_foreach(left, key, value)
		{
			if (json_integer_value(value) <= most)
				continue;
			most = json_integer_value(value);
			largest = key;
		}
		printf("%s%s %" JSON_INTEGER_FORMAT, comma, largest, most);
		json_object_del(left, largest);
	}
	if (json_object_size(counts))
		printf("\n");
	json_decref(left);
}

static void print_alarms(const json_t *said)
{
	const char *reason;
	const json_t *table, *label, *interface;
	json_t *value;
	size_t index;

	if (json_array_size(json_object_get(said, "interfaces")) == 0)
		printf("!! the filter is attached to no interface: floodwall attach INTERFACE\n");
	json_array_foreach(json_object_get(said, "interfaces"), index, interface)
	{
		if (!json_is_true(json_object_get(interface, "asks")))
			printf("!! %s: what leaves is not noted, so unsolicited answers pass: "
			       "floodwall attach %s says why\n",
			       json_string_value(json_object_get(interface, "name")),
			       json_string_value(json_object_get(interface, "name")));
		if (json_is_string(json_object_get(interface, "hidden_vlan")))
			printf("!! %s: its driver hides the tags of %s: ethtool -K %s rxvlan off\n",
			       json_string_value(json_object_get(interface, "name")),
			       json_string_value(json_object_get(interface, "hidden_vlan")),
			       json_string_value(json_object_get(interface, "name")));
	}
	if (!json_is_true(json_object_get(said, "tracking")))
		printf("!! connections are not tracked, so caps on them don't hold: floodwall "
		       "attach "
		       "starts it\n");
	if (json_is_false(json_object_get(said, "serving")))
		printf("!! floodwalld does not run, so nobody serves the listeners: systemctl "
		       "start "
		       "floodwalld\n");
	tiers_print_alarms(said);
	json_object_foreach(json_object_get(said, "faults"), reason, value)
		printf("!! %s: %" JSON_INTEGER_FORMAT " (%s)\n", reason, json_integer_value(value),
		       verdict_rows[verdict_find(reason)].text);
	json_array_foreach(json_object_get(said, "tables"), index, table)
	{
		json_int_t used = json_integer_value(json_object_get(table, "used"));
		json_int_t size = json_integer_value(json_object_get(table, "size"));
		const char *name = json_string_value(json_object_get(table, "name"));

		/* Full tables of verified sources and of questions are in order: the oldest give
		 * way. */
		if (used * 10 >= size * 9 && strcmp(name, "sources") != 0 &&
		    strcmp(name, "questions") != 0)
			printf("!! table %s is nearly full: %" JSON_INTEGER_FORMAT
			       " of %" JSON_INTEGER_FORMAT "\n",
			       name, used, size);
	}
	json_array_foreach(json_object_get(said, "monitored_rules"), index, label) printf(
		"!! rule %s is in monitor mode: it drops nothing\n", json_string_value(label));
}

static json_int_t integer(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void print_pressure(const char *name, const json_t *pressure)
{
	if (json_is_true(json_object_get(pressure, "on")))
		printf("%s is under pressure, for %s more at least: newcomers are challenged\n",
		       name, json_string_value(json_object_get(pressure, "text")));
	if (integer(pressure, "challenged"))
		printf("%s, SYN cookies: %" JSON_INTEGER_FORMAT " sent, %" JSON_INTEGER_FORMAT
		       " came back under pressure\n",
		       name, integer(pressure, "challenged"), integer(pressure, "returned"));
}

static void print_secret(const json_t *secret)
{
	if (json_is_null(secret))
		return;
	printf("secret of SYN cookies: %s, in force for %s, fingerprint %s",
	       json_is_true(json_object_get(secret, "shared")) ? "shared with other hosts"
							       : "this host's own",
	       json_string_value(json_object_get(secret, "age_text")),
	       json_string_value(json_object_get(secret, "fingerprint")));
	if (integer(secret, "accepted"))
		printf("; still accepted: %" JSON_INTEGER_FORMAT " before it",
		       integer(secret, "accepted"));
	printf("\n");
}

static void print_services(const json_t *rows)
{
	static const struct column columns[] = {
		{"name", "SERVICE"},    {"kind", "KIND"},       {"connections", "CONNECTIONS"},
		{"sources", "SOURCES"}, {"passed", "PASSED"},   {"answered", "ANSWERED"},
		{"dropped", "DROPPED"}, {"refused", "REFUSED"}, {"bindings", "AT"},
		{NULL, NULL},
	};
	const json_t *row;
	size_t index;

	output_table(columns, rows);
	json_array_foreach(rows, index, row)
	{
		const char *name = json_string_value(json_object_get(row, "name"));
		json_t *proxy = json_object_get(row, "proxy");
		char title[64];

		if (json_is_true(json_object_get(row, "monitor")))
			printf("!! %s is in monitor mode: nothing is dropped for it\n", name);
		print_pressure(name, json_object_get(row, "pressure"));
		snprintf(title, sizeof(title), "%s, dropped and refused", name);
		print_counts("", title, json_object_get(row, "reasons"));
		snprintf(title, sizeof(title), "%s, would have been dropped", name);
		print_counts("", title, json_object_get(row, "would"));
		if (!proxy)
			continue;
		if (integer(proxy, "overload_stage"))
			printf("!! %s is overloaded, stage %d: %s\n", name,
			       (int)integer(proxy, "overload_stage"),
			       overload_stage_names[integer(proxy, "overload_stage") %
						    OVERLOAD_STAGES]);
		printf("%s, proxy: %" JSON_INTEGER_FORMAT " connections open, %" JSON_INTEGER_FORMAT
		       " accepted, %" JSON_INTEGER_FORMAT " requests\n",
		       name, integer(proxy, "connections_active"),
		       integer(proxy, "connections_accepted"), integer(proxy, "requests"));
	}
}

static void print(const json_t *said)
{
	static const struct column interface_columns[] = {
		{"name", "INTERFACE"}, {"mode", "MODE"}, {"tier", "TIER"}, {NULL, NULL}};
	static const struct column list_columns[] = {{"name", "LIST"},
						     {"action", "ACTION"},
						     {"entries", "ENTRIES"},
						     {"packets", "PACKETS"},
						     {NULL, NULL}};
	static const struct column table_columns[] = {
		{"name", "TABLE"}, {"used", "USED"}, {"size", "OF"}, {NULL, NULL}};

	print_alarms(said);
	output_table(interface_columns, json_object_get(said, "interfaces"));
	print_secret(json_object_get(said, "secret"));
	if (integer(said, "shut"))
		printf("sources kept out for a while, since their connections end for cause: "
		       "%" JSON_INTEGER_FORMAT "\n",
		       integer(said, "shut"));
	printf("\n");
	print_services(json_object_get(said, "services"));
	printf("\n");
	output_table(list_columns, json_object_get(said, "lists"));
	if (json_array_size(json_object_get(said, "lists")))
		printf("\n");
	output_table(table_columns, json_object_get(said, "tables"));
}

int cmd_status(struct cli *cli)
{
	struct error error;
	struct view view;
	json_t *said = NULL;
	int status;

	if (cli->argc)
		return cli_usage(cli, "status takes no arguments");
	status = cli_wall(cli);
	if (status != STATUS_OK)
		return status;
	if (look(cli->wall, &view, &error) == 0)
		said = answer(cli, &view, &error);
	free(view.counters);
	if (!said)
		return cli_fail(cli, "%s", error.text);
	if (json_array_size(json_object_get(said, "interfaces")) == 0 ||
	    !json_is_true(json_object_get(said, "tracking")))
		status = STATUS_NO;
	if (cli->json) {
		output_json(said);
		return status;
	}
	print(said);
	json_decref(said);
	return status;
}
