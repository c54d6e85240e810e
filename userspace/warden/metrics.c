/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Family after family, as the format wants it: all samples of a name stand together.
 *
 * Which reasons a layer can give is read from the actions in verdicts.def: the filter passes, drops
 * and fails open; the proxy refuses and closes, and turns away at accept by the same caps that the
 * filter drops for.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include "base/version.h"
#include "contract/address.h"
#include "layout.h"
#include "warden/metrics.h"

#define PREFIX "floodwall_"

static const char *const actions[] = {
	[FW_ACTION_PASS] = "pass",   [FW_ACTION_DROP] = "drop",   [FW_ACTION_REFUSE] = "refuse",
	[FW_ACTION_CLOSE] = "close", [FW_ACTION_FAULT] = "fault", [FW_ACTION_ANSWER] = "answer",
};

struct writer {
	FILE *out;
	const struct warden_options *options;
	struct fw_counter *counters;                 /* of the filter, added up */
	struct fw_service services[FW_SERVICES_MAX]; /* a free id's kind is FW_SERVICE_FREE */
};

static void write_family(const struct writer *writer, const char *name, const char *type,
			 const char *help)
{
	fprintf(writer->out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name,
		type);
}

/* --- the filter ------------------------------------------------------------------------------ */

static bool is_filters(enum fw_verdict verdict)
{
	enum fw_action action = verdict_rows[verdict].action;

	return verdict != FW_NONE &&
	       (action == FW_ACTION_PASS || action == FW_ACTION_DROP || action == FW_ACTION_ANSWER);
}

static bool is_in_use(const struct writer *writer, uint32_t service)
{
	return service == FW_HOST_SERVICE || writer->services[service].kind != FW_SERVICE_FREE;
}

static const char *service_name(const struct writer *writer, uint32_t service)
{
	return service == FW_HOST_SERVICE ? "host" : writer->services[service].name;
}

enum counted { COUNTED_PACKETS, COUNTED_BYTES, COUNTED_WOULD };

static uint64_t counted(const struct fw_counter *counter, enum counted what)
{
	return what == COUNTED_PACKETS ? counter->packets
				       : (what == COUNTED_BYTES ? counter->bytes : counter->would);
}

static void write_filter_family(const struct writer *writer, const char *name, enum counted what,
				const char *help)
{
	write_family(writer, name, "counter", help);
	for (uint32_t service = 0; service < FW_SERVICES_MAX; service++) {
		for (uint32_t verdict = 0; verdict < FW_VERDICT_COUNT; verdict++) {
			const struct verdict_row *row = &verdict_rows[verdict];

			if (!is_in_use(writer, service) || !is_filters(verdict) ||
			    (what == COUNTED_WOULD && row->action != FW_ACTION_DROP))
				continue;
			fprintf(writer->out,
				PREFIX "%s{service=\"%s\",reason=\"%s\",action=\"%s\"} %llu\n",
				name, service_name(writer, service), row->label,
				actions[row->action],
				(unsigned long long)counted(
					&writer->counters[fw_counter_index(service, verdict)],
					what));
		}
	}
}

static void write_faults(const struct writer *writer)
{
	write_family(writer, "faults_total", "counter",
		     "What Floodwall could not do for want of room, and failed open.");
	for (uint32_t service = 0; service < FW_SERVICES_MAX; service++)
		for (uint32_t verdict = 0; verdict < FW_VERDICT_COUNT; verdict++)
			if (is_in_use(writer, service) &&
			    verdict_rows[verdict].action == FW_ACTION_FAULT)
				fprintf(writer->out,
					PREFIX "faults_total{service=\"%s\",reason=\"%s\"} %llu\n",
					service_name(writer, service), verdict_rows[verdict].label,
					(unsigned long long)writer
						->counters[fw_counter_index(service, verdict)]
						.packets);
}

static void write_filter(const struct writer *writer)
{
	write_filter_family(writer, "filter_packets_total", COUNTED_PACKETS,
			    "Packets that the filter gave this verdict.");
	write_filter_family(writer, "filter_bytes_total", COUNTED_BYTES,
			    "Bytes of the packets that the filter gave this verdict.");
	write_filter_family(writer, "filter_would_packets_total", COUNTED_WOULD,
			    "Packets that passed only because the rule or service is in monitor "
			    "mode.");
	write_faults(writer);
}

static void write_tables(const struct writer *writer)
{
	struct wall_usage usage[WALL_USAGE_COUNT];

	if (wall_usage(writer->options->wall, usage, NULL) < 0)
		return;
	write_family(writer, "table_entries", "gauge", "Entries in a table of the filter.");
	for (size_t i = 0; i < WALL_USAGE_COUNT; i++)
		fprintf(writer->out, PREFIX "table_entries{table=\"%s\"} %llu\n", usage[i].name,
			(unsigned long long)usage[i].used);
	write_family(writer, "table_size", "gauge", "Entries that the table has room for.");
	for (size_t i = 0; i < WALL_USAGE_COUNT; i++)
		fprintf(writer->out, PREFIX "table_size{table=\"%s\"} %llu\n", usage[i].name,
			(unsigned long long)usage[i].size);
}

static void write_attachment(const struct writer *writer)
{
	struct roster_attachment now;

	roster_attachment(writer->options->roster, &now);
	write_family(writer, "interface_attached", "gauge",
		     "1 for each interface that the filter runs on; mode is native or generic.");
	for (uint32_t i = 0; i < now.count; i++)
		fprintf(writer->out, PREFIX "interface_attached{interface=\"%s\",mode=\"%s\"} 1\n",
			now.interfaces[i].name, now.interfaces[i].native ? "native" : "generic");
	write_family(writer, "tracking", "gauge", "1 while connections are counted (sock_ops).");
	fprintf(writer->out, PREFIX "tracking %d\n", now.tracking);
}

static void write_list(const struct writer *writer, const struct roster_list *list,
		       const char *name, uint64_t value)
{
	fprintf(writer->out, PREFIX "%s{list=\"%s\",action=\"%s\"} %llu\n", name, list->name,
		list->allows ? "allow" : "block", (unsigned long long)value);
}

static void write_lists(const struct writer *writer)
{
	struct roster_lists now;

	roster_lists(writer->options->roster, &now);
	write_family(writer, "list_entries", "gauge", "Entries of a named list.");
	for (size_t i = 0; i < now.count; i++)
		write_list(writer, &now.lists[i], "list_entries", now.lists[i].entries);
	write_family(writer, "list_packets_total", "counter",
		     "Packets that a named list decided, since its name was first loaded.");
	for (size_t i = 0; i < now.count; i++)
		write_list(writer, &now.lists[i], "list_packets_total", now.lists[i].packets);
	write_family(writer, "list_memory_bytes", "gauge",
		     "Kernel memory of all named lists together.");
	fprintf(writer->out, PREFIX "list_memory_bytes %llu\n", (unsigned long long)now.bytes);
}

/* --- the proxy ------------------------------------------------------------------------------- */

static bool is_proxys(enum fw_verdict verdict)
{
	enum fw_action action = verdict_rows[verdict].action;

	return action == FW_ACTION_REFUSE || action == FW_ACTION_CLOSE ||
	       verdict == FW_SOURCE_CONNECTIONS || verdict == FW_PREFIX_CONNECTIONS ||
	       verdict == FW_SOURCE_CONDUCT;
}

static bool is_listener(const struct writer *writer, uint32_t service)
{
	return writer->services[service].kind == FW_SERVICE_LISTENER;
}

static void write_verdicts(const struct writer *writer)
{
	write_family(writer, "proxy_verdicts_total", "counter",
		     "Connections and requests that the proxy refused or closed, by reason.");
	for (uint32_t service = 0; service < FW_SERVICES_MAX; service++) {
		for (uint32_t verdict = 0; verdict < FW_VERDICT_COUNT; verdict++) {
			const struct verdict_row *row = &verdict_rows[verdict];

			if (!is_listener(writer, service) || !is_proxys(verdict))
				continue;
			fprintf(writer->out,
				PREFIX "proxy_verdicts_total{service=\"%s\",reason=\"%s\","
				       "action=\"%s\"} %llu\n",
				service_name(writer, service), row->label,
				row->action == FW_ACTION_CLOSE ? "close" : "refuse",
				(unsigned long long)wall_board_verdict(writer->options->wall,
								       service, verdict));
		}
	}
}

static void write_metric(const struct writer *writer, enum fw_metric metric)
{
	const struct metric_row *row = &metric_rows[metric];
	bool gauge = row->kind == METRIC_GAUGE || row->kind == METRIC_PEAK;
	char name[96];

	snprintf(name, sizeof(name), "proxy_%s%s", row->name, gauge ? "" : "_total");
	write_family(writer, name, gauge ? "gauge" : "counter", row->text);
	for (uint32_t service = 0; service < FW_SERVICES_MAX; service++) {
		uint64_t value;

		/* The loop's own figures belong to no listener: they stand in the host's row. */
		if (!is_listener(writer, service) && service != FW_HOST_SERVICE)
			continue;
		value = wall_board_metric(writer->options->wall, service, metric);
		fprintf(writer->out, PREFIX "%s{service=\"%s\"} ", name,
			service_name(writer, service));
		if (row->kind == METRIC_COUNTER_NS)
			fprintf(writer->out, "%llu.%09llu\n",
				(unsigned long long)(value / 1000000000),
				(unsigned long long)(value % 1000000000));
		else
			fprintf(writer->out, "%llu\n", (unsigned long long)value);
	}
}

/* --- servers of upstreams -------------------------------------------------------------------- */

#define SERVER(field) offsetof(struct fw_server, field), sizeof(((struct fw_server *)NULL)->field)

/* A row per figure of a server. */
static const struct {
	size_t offset, size;
	const char *name, *type, *help;
} server_figures[] = {
	{SERVER(active), "upstream_server_active", "gauge",
	 "Requests that the server is busy with."},
	{SERVER(open), "upstream_server_open", "gauge",
	 "Connections to the server, idle ones too."},
	{SERVER(requests), "upstream_server_requests_total", "counter",
	 "Requests that were sent the server's way, connections of protocol tcp included."},
	{SERVER(ejections), "upstream_server_ejected_total", "counter",
	 "Times that the server was ejected for what requests met."},
	{SERVER(checks_failed), "upstream_server_checks_failed_total", "counter",
	 "Active checks that the server failed."},
	{SERVER(lookups_failed), "upstream_server_lookups_failed_total", "counter",
	 "Lookups of the server's name that failed."},
	{SERVER(addresses_left_out), "upstream_server_addresses_left_out", "gauge",
	 "Addresses of the server's name that there is no place for."},
};

/* The server as configured, and where it is: a name may be at several places. */
static void write_server_labels(const struct writer *writer, const struct fw_server *server,
				const char *name)
{
	const struct fw_service_key place = {.addr = server->addr, .port = htons(server->port)};
	char text[ADDRESS_TEXT_SIZE] = "";

	if (server->state != FW_SERVER_NOWHERE)
		binding_format(&place, text);
	fprintf(writer->out, PREFIX "%s{upstream=\"%s\",server=\"%s\",address=\"%s\"} ", name,
		server->upstream, server->server, text);
}

static uint64_t server_figure(const struct fw_server *server, size_t offset, size_t size)
{
	const char *at = (const char *)server + offset;

	return size == sizeof(uint64_t) ? *(const uint64_t *)(const void *)at
					: *(const uint32_t *)(const void *)at;
}

static void write_server_states(const struct writer *writer, const struct fw_server *list,
				size_t count)
{
	write_family(writer, "upstream_server_up", "gauge",
		     "1 while requests go to the server as to any other.");
	for (size_t i = 0; i < count; i++) {
		write_server_labels(writer, &list[i], "upstream_server_up");
		fprintf(writer->out, "%d\n", list[i].state == FW_SERVER_UP);
	}
	write_family(writer, "upstream_server_panic", "gauge",
		     "1 while so few servers of the upstream are up that it is used in any case.");
	for (size_t i = 0; i < count; i++) {
		write_server_labels(writer, &list[i], "upstream_server_panic");
		fprintf(writer->out, "%d\n", list[i].panic);
	}
	write_family(writer, "upstream_server_latency_seconds", "gauge",
		     "Time to the first byte of a response, moving average; 0 before the first.");
	for (size_t i = 0; i < count; i++) {
		write_server_labels(writer, &list[i], "upstream_server_latency_seconds");
		fprintf(writer->out, "%.6f\n", (double)list[i].latency_ns / 1e9);
	}
}

static void write_servers(const struct writer *writer)
{
	struct fw_server *list = calloc(FW_SERVERS_MAX, sizeof(*list));
	size_t count = list ? wall_server_list(writer->options->wall, list) : 0;

	write_server_states(writer, list, count);
	for (size_t f = 0; f < sizeof(server_figures) / sizeof(server_figures[0]); f++) {
		write_family(writer, server_figures[f].name, server_figures[f].type,
			     server_figures[f].help);
		for (size_t i = 0; i < count; i++) {
			write_server_labels(writer, &list[i], server_figures[f].name);
			fprintf(writer->out, "%llu\n",
				(unsigned long long)server_figure(&list[i],
								  server_figures[f].offset,
								  server_figures[f].size));
		}
	}
	free(list);
}

/* --- the daemon itself ----------------------------------------------------------------------- */

static const char *const process_names[ROSTER_COUNT] = {
	[ROSTER_SUPERVISOR] = "supervisor",
	[ROSTER_PROXY] = "proxy",
	[ROSTER_WARDEN] = "warden",
};

#define ENTRY(field) offsetof(struct roster_entry, field)

/* A row per figure of a process. */
static const struct {
	size_t offset;
	const char *name, *type, *help;
} process_figures[] = {
	{ENTRY(descriptors), "process_open_fds", "gauge", "Open file descriptors."},
	{ENTRY(resident_bytes), "process_resident_memory_bytes", "gauge", "Resident memory."},
	{ENTRY(starts), "process_starts_total", "counter",
	 "Starts since the supervisor's, reloads and restarts included."},
	{ENTRY(crashes), "process_crashes_total", "counter", "Ends that nobody asked for."},
};

static void write_processes(const struct writer *writer)
{
	const struct roster *roster = writer->options->roster;

	for (size_t i = 0; i < sizeof(process_figures) / sizeof(process_figures[0]); i++) {
		const char *name = process_figures[i].name;

		write_family(writer, name, process_figures[i].type, process_figures[i].help);
		for (size_t p = 0; p < ROSTER_COUNT; p++) {
			const _Atomic uint64_t *value =
				(const void *)((const char *)&roster->process[p] +
					       process_figures[i].offset);

			fprintf(writer->out, PREFIX "%s{process=\"%s\"} %llu\n", name,
				process_names[p], (unsigned long long)atomic_load(value));
		}
	}
	write_family(writer, "reloads_total", "counter",
		     "Configurations read again, by what became of them.");
	fprintf(writer->out, PREFIX "reloads_total{result=\"taken\"} %llu\n",
		(unsigned long long)atomic_load(&roster->reloads));
	fprintf(writer->out, PREFIX "reloads_total{result=\"refused\"} %llu\n",
		(unsigned long long)atomic_load(&roster->reloads_refused));
	write_family(writer, "generations_draining", "gauge",
		     "Generations of the proxy that finish what they had begun.");
	fprintf(writer->out, PREFIX "generations_draining %llu\n",
		(unsigned long long)atomic_load(&roster->draining));
	write_family(writer, "generations_cut_total", "counter",
		     "Generations ended with their connections, as more drained than there is room "
		     "for.");
	fprintf(writer->out, PREFIX "generations_cut_total %llu\n",
		(unsigned long long)atomic_load(&roster->drains_cut));
}

static void write_build(const struct writer *writer)
{
	write_family(writer, "build_info", "gauge", "Always 1; what runs.");
	fprintf(writer->out,
		PREFIX "build_info{version=\"" FLOODWALL_VERSION "\",layout=\"%016llx\"} 1\n",
		(unsigned long long)FW_LAYOUT);
}

int metrics_write(FILE *out, const struct warden_options *options, struct error *error)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	int result = -ENOMEM;

	if (!writer)
		return error_set(error, -ENOMEM, "out of memory");
	writer->out = out;
	writer->options = options;
	writer->counters = calloc(FW_SERVICES_MAX * FW_VERDICTS_MAX, sizeof(*writer->counters));
	if (writer->counters)
		result = wall_counters(options->wall, writer->counters, error);
	else
		error_set(error, -ENOMEM, "out of memory");
	for (uint32_t id = 0; id < FW_SERVICES_MAX; id++)
		if (!wall_service(options->wall, id, &writer->services[id]))
			writer->services[id].kind = FW_SERVICE_FREE;
	if (result == 0) {
		write_build(writer);
		write_filter(writer);
		write_tables(writer);
		write_attachment(writer);
		write_lists(writer);
		write_verdicts(writer);
		for (int metric = 0; metric < METRIC_COUNT; metric++)
			write_metric(writer, metric);
		write_servers(writer);
		write_processes(writer);
	}
	free(writer->counters);
	free(writer);
	return result;
}
