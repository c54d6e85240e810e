/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What servers are told about the client, and whose word about that is taken.
 */
#include <string.h>
#include "config/build/build.h"

static void check_deadline(const struct site *site, const char *name)
{
	if (strlen(name) > CONFIG_DEADLINE_NAME_MAX)
		site_complain(site, "deadline", "a name has %d characters at most",
			      CONFIG_DEADLINE_NAME_MAX);
	else
		build_check_field(site, grammar_value(site->section, "deadline", 0)->line,
				  "deadline", name);
}

void build_forwarding(const struct site *listener, struct config_service *service)
{
	struct config_forwarding *forwarding = &service->forwarding;
	struct site site = site_inside(listener, "forwarding", 0);

	build_options(&site, BLOCK_FORWARDING, forwarding);
	if (service->protocol == PROTOCOL_TCP && site_line(&site))
		site_complain(&site, NULL, "protocol tcp has no header to tell it in");
	if (forwarding->deadline)
		check_deadline(&site, forwarding->deadline);
	forwarding->trusted = build_ranges(&site, "trust", "any client could say who it is",
					   &forwarding->trusted_count);
}
