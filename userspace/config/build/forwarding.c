/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What servers are told about the client, and whose word about that is taken.
 */
#include <string.h>
#include "config/build/build.h"

static const char *const lists[] = {[TELL_OFF] = "off",
				    [TELL_REMOVE] = "remove",
				    [TELL_REPLACE] = "replace",
				    [TELL_KEEP] = "append",
				    NULL};
static const char *const values[] = {[TELL_OFF] = "off",
				     [TELL_REMOVE] = "remove",
				     [TELL_REPLACE] = "replace",
				     [TELL_KEEP] = "keep",
				     NULL};

/* What a client says is passed on where nobody takes it for ours. */
static const struct {
	const char *option;
	const char *const *words;
	enum config_telling initial;
} told[TOLD_COUNT] = {
	[TOLD_FOR] = {"x_forwarded_for", lists, TELL_KEEP},
	[TOLD_PROTO] = {"x_forwarded_proto", values, TELL_REPLACE},
	[TOLD_HOST] = {"x_forwarded_host", values, TELL_REMOVE},
	[TOLD_FORWARDED] = {"forwarded", lists, TELL_REMOVE},
	[TOLD_REQUEST_ID] = {"x_request_id", values, TELL_OFF},
	[TOLD_TRACE] = {"traceparent", values, TELL_OFF},
};

static const struct setting_row trace_sample = {
	"trace_sample", SCOPE_LISTENER, UNIT_COUNT, 100, 0, 100, ""};

static void build_deadline(const struct site *site, struct config_forwarding *forwarding)
{
	const struct grammar_value *written = grammar_value(site->section, "deadline", 0);

	if (!written)
		return;
	if (strlen(written->text) > CONFIG_DEADLINE_NAME_MAX)
		site_complain(site, written->line, "deadline", "a name has %d characters at most",
			      CONFIG_DEADLINE_NAME_MAX);
	else if (build_check_field(site, written->line, "deadline", written->text))
		forwarding->deadline = build_copy(written->text);
}

void build_forwarding(const struct site *listener, struct config_service *service)
{
	struct config_forwarding *forwarding = &service->forwarding;
	struct site site;

	for (int i = 0; i < TOLD_COUNT; i++)
		forwarding->tell[i] = told[i].initial;
	forwarding->trace_sample = (uint32_t)trace_sample.initial;
	if (!site_count(listener, "forwarding"))
		return;
	site = site_inside(listener, "forwarding", 0);
	if (service->protocol == PROTOCOL_TCP)
		site_complain(&site, site_line(&site), NULL,
			      "protocol tcp has no header to tell it in");
	for (int i = 0; i < TOLD_COUNT; i++)
		forwarding->tell[i] = (enum config_telling)site_choice(
			&site, told[i].option, told[i].words, (int)told[i].initial);
	site_number(&site, &trace_sample, &forwarding->trace_sample);
	build_deadline(&site, forwarding);
	forwarding->trusted = build_ranges(&site, "trust", "any client could say who it is",
					   &forwarding->trusted_count);
}
