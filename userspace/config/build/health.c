/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How an upstream's servers are found to be well or not: by asking them (health), and by what
 * requests to them meet (ejection).
 */
#include <stdlib.h>
#include <string.h>
#include "config/build/build.h"

enum { STATUS_MIN = 100, STATUS_MAX = 599 };

static const char *const checks[] = {
	[CHECK_NONE] = "off", [CHECK_TCP] = "tcp", [CHECK_HTTP] = "http", NULL};

static const struct setting_row health_port = {"port", SCOPE_LISTENER, UNIT_COUNT, 0, 1, 65535, ""};
static const struct setting_row health_interval = {
	"interval", SCOPE_LISTENER, UNIT_MILLISECONDS, 5000, 50, 3600000, ""};
static const struct setting_row health_timeout = {
	"timeout", SCOPE_LISTENER, UNIT_MILLISECONDS, 2000, 10, 600000, ""};
static const struct setting_row health_rise = {"rise", SCOPE_LISTENER, UNIT_COUNT, 2, 1, 1000, ""};
static const struct setting_row health_fall = {"fall", SCOPE_LISTENER, UNIT_COUNT, 3, 1, 1000, ""};

static const struct setting_row ejection_refusals = {"refusals", SCOPE_LISTENER, UNIT_COUNT, 1,
						     1,          1000000,        ""};
static const struct setting_row ejection_failures = {"failures", SCOPE_LISTENER, UNIT_COUNT, 5,
						     1,          1000000,        ""};
static const struct setting_row ejection_latency = {
	"latency_factor", SCOPE_LISTENER, UNIT_COUNT, 0, 0, 1000, ""};
static const struct setting_row ejection_time = {
	"time", SCOPE_LISTENER, UNIT_MILLISECONDS, 2000, 10, 3600000, ""};
static const struct setting_row ejection_max_time = {
	"max_time", SCOPE_LISTENER, UNIT_MILLISECONDS, 60000, 10, 86400000, ""};
static const struct setting_row ejection_trials = {"trials", SCOPE_LISTENER, UNIT_COUNT, 3,
						   1,        1000,           ""};
static const struct setting_row ejection_most = {
	"max_ejected", SCOPE_LISTENER, UNIT_COUNT, 50, 0, 100, ""};
static const struct setting_row ejection_panic = {"panic", SCOPE_LISTENER, UNIT_COUNT, 25, 0, 100,
						  ""};

/* "200", or "200-299". */
static bool add_statuses(struct config_statuses *set, const char *text)
{
	char *end;
	unsigned long from = strtoul(text, &end, 10), to = from;

	if (*end == '-')
		to = strtoul(end + 1, &end, 10);
	if (*end || from < STATUS_MIN || to > STATUS_MAX || from > to)
		return false;
	for (; from <= to; from++)
		set->bit[(from - STATUS_MIN) / 64] |= 1ULL << (from - STATUS_MIN) % 64;
	return true;
}

/* What the option status lists; @otherwise if it is not given. */
static void build_statuses(const struct site *site, const char *otherwise,
			   struct config_statuses *set)
{
	size_t count = site->section ? cfg_size(site->section, "status") : 0;
	const struct grammar_value *written;

	if (!count && otherwise)
		add_statuses(set, otherwise);
	for (size_t i = 0; i < count; i++) {
		written = grammar_value(site->section, "status", i);
		if (!add_statuses(set, written->text))
			site_complain(site, written->line, "status",
				      "\"%s\" is not a status from %d to %d, nor a range such as "
				      "\"500-599\"",
				      written->text, STATUS_MIN, STATUS_MAX);
	}
}

/* It is sent as it is: what would end the line, or the target, is refused. */
static char *build_request_text(const struct site *site, const char *option)
{
	char *text = site_text(site, option);

	for (const char *at = text; at && *at; at++) {
		if (*at > ' ' && *at < 0x7f)
			continue;
		site_complain(site, grammar_value(site->section, option, 0)->line, option,
			      "\"%s\" has a character that a request can't have there", text);
		break;
	}
	return text;
}

static void build_request(const struct site *site, struct config_health *health)
{
	static const char *const of_requests[] = {"path", "host", "body", "status"};
	const struct grammar_value *written;

	health->path = build_request_text(site, "path");
	health->host = build_request_text(site, "host");
	health->body = site_text(site, "body");
	if (health->path && *health->path != '/')
		site_complain(site, grammar_value(site->section, "path", 0)->line, "path",
			      "\"%s\" does not begin with a /", health->path);
	if (!health->path)
		health->path = build_copy("/");
	for (size_t i = 0; i < sizeof(of_requests) / sizeof(of_requests[0]); i++) {
		written = grammar_value(site->section, of_requests[i], 0);
		if (written && health->check != CHECK_HTTP)
			site_complain(site, written->line, of_requests[i],
				      "only of use with check = \"http\"");
	}
}

void build_health(const struct site *upstream, struct config_health *health)
{
	struct site site;
	uint32_t port = 0;

	if (!site_count(upstream, "health"))
		return;
	site = site_inside(upstream, "health", 0);
	health->check = (enum config_check)site_choice(&site, "check", checks, CHECK_TCP);
	health->interval_ms = health_interval.initial;
	health->timeout_ms = health_timeout.initial;
	health->rise = (uint32_t)health_rise.initial;
	health->fall = (uint32_t)health_fall.initial;
	site_setting(&site, &health_interval, &health->interval_ms);
	site_setting(&site, &health_timeout, &health->timeout_ms);
	site_number(&site, &health_rise, &health->rise);
	site_number(&site, &health_fall, &health->fall);
	site_number(&site, &health_port, &port);
	health->port = (uint16_t)port;
	build_request(&site, health);
	build_statuses(&site, "200-299", &health->statuses);
}

void build_ejection(const struct site *upstream, struct config_ejection *ejection)
{
	struct site site = site_inside(upstream, "ejection", 0);

	ejection->refusals = (uint32_t)ejection_refusals.initial;
	ejection->failures = (uint32_t)ejection_failures.initial;
	ejection->latency_factor = (uint32_t)ejection_latency.initial;
	ejection->time_ms = ejection_time.initial;
	ejection->max_time_ms = ejection_max_time.initial;
	ejection->trials = (uint32_t)ejection_trials.initial;
	ejection->max_ejected = (uint32_t)ejection_most.initial;
	ejection->panic = (uint32_t)ejection_panic.initial;
	site_number(&site, &ejection_refusals, &ejection->refusals);
	site_number(&site, &ejection_failures, &ejection->failures);
	site_number(&site, &ejection_latency, &ejection->latency_factor);
	site_setting(&site, &ejection_time, &ejection->time_ms);
	site_setting(&site, &ejection_max_time, &ejection->max_time_ms);
	site_number(&site, &ejection_trials, &ejection->trials);
	site_number(&site, &ejection_most, &ejection->max_ejected);
	site_number(&site, &ejection_panic, &ejection->panic);
	if (ejection->time_ms > ejection->max_time_ms)
		site_complain(&site, site_line(&site), NULL, "time is longer than max_time");
	build_statuses(&site, NULL, &ejection->statuses);
}
