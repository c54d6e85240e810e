/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How an upstream's servers are found to be well or not: by asking them (health), and by what
 * requests to them meet (ejection).
 */
#include "config/build/build.h"

/* It is sent as it is: what would end the line, or the target, is refused. */
static void check_request_text(const struct site *site, const char *option, const char *text)
{
	for (const char *at = text; at && *at; at++) {
		if (*at > ' ' && *at < 0x7f)
			continue;
		site_complain(site, option,
			      "\"%s\" has a character that a request can't have there", text);
		break;
	}
}

static void check_request(const struct site *site, const struct config_health *health)
{
	static const char *const of_requests[] = {"path", "host", "body", "status"};

	check_request_text(site, "path", health->path);
	check_request_text(site, "host", health->host);
	if (*health->path != '/')
		site_complain(site, "path", "\"%s\" does not begin with a /", health->path);
	for (size_t i = 0; i < sizeof(of_requests) / sizeof(of_requests[0]); i++)
		if (site_has(site, of_requests[i]) && health->check != CHECK_HTTP)
			site_complain(site, of_requests[i], "only of use with check = \"http\"");
}

void build_health(const struct site *upstream, struct config_health *health)
{
	struct site site;

	if (!site_count(upstream, "health"))
		return;
	site = site_inside(upstream, "health", 0);
	build_options(&site, BLOCK_HEALTH, health);
	check_request(&site, health);
}

void build_ejection(const struct site *upstream, struct config_ejection *ejection)
{
	struct site site = site_inside(upstream, "ejection", 0);

	build_options(&site, BLOCK_EJECTION, ejection);
	if (ejection->time_ms > ejection->max_time_ms)
		site_complain(&site, NULL, "time is longer than max_time");
}
