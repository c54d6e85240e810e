/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring is read from its oldest event on, and only the last ones are kept: readers of a moving
 * ring can't start in its middle.
 */
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/clock.h"
#include "contract/address.h"
#include "warden/events.h"

/* RFC 3339, in UTC. */
static const char *format_time(uint64_t monotonic_ns, char *buffer, size_t size)
{
	uint64_t real = clock_to_realtime_ns(monotonic_ns);
	time_t seconds = (time_t)(real / CLOCK_SEC);
	char date[32];
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(date, sizeof(date), "%FT%T", &utc);
	snprintf(buffer, size, "%s.%03uZ", date, (unsigned)(real % CLOCK_SEC / CLOCK_MS));
	return buffer;
}

static const char *protocol_name(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "tcp" : (proto == IPPROTO_UDP ? "udp" : "other");
}

static json_t *event_json(struct wall *wall, const struct fw_event *event)
{
	char when[64], source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];
	struct fw_service service = {.name = ""};

	if (event->service == FW_HOST_SERVICE || !wall_service(wall, event->service, &service))
		snprintf(service.name, sizeof(service.name), "host");
	return json_pack(
		"{s:I, s:s, s:s, s:s, s:s, s:I, s:s, s:i, s:s, s:i, s:s, s:i, s:i}", "sequence",
		(json_int_t)event->sequence, "time",
		format_time(event->time_ns, when, sizeof(when)), "service", service.name, "reason",
		event->verdict < FW_VERDICT_COUNT ? verdict_rows[event->verdict].label : "unknown",
		"mode", event->mode == FW_MODE_MONITOR ? "monitor" : "enforce", "count",
		(json_int_t)event->count, "source", address_format(&event->source, source),
		"source_port", (int)ntohs(event->source_port), "destination",
		address_format(&event->destination, destination), "destination_port",
		(int)ntohs(event->destination_port), "protocol", protocol_name(event->proto),
		"length", (int)event->length, "ifindex", (int)event->ifindex);
}

char *events_write(struct wall *wall, size_t count)
{
	struct fw_event *events = calloc(FW_EVENTS_MAX, sizeof(*events));
	json_t *array = json_array();
	uint64_t sequence = 0, lost = 0;
	size_t found, first;
	char *text = NULL;

	if (count > EVENTS_MOST)
		count = EVENTS_MOST;
	if (events && array) {
		found = wall_events(wall, &sequence, events, FW_EVENTS_MAX, &lost);
		first = found > count ? found - count : 0;
		for (size_t i = first; i < found; i++)
			json_array_append_new(array, event_json(wall, &events[i]));
		text = json_dumps(array, JSON_COMPACT);
	}
	json_decref(array);
	free(events);
	return text;
}
