/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whom a listener takes PROXY headers from.
 */
#include "config/build/build.h"
#include "contract/address.h"

static const char *const others[] = {[PEERS_ACCEPT] = "accept", [PEERS_REFUSE] = "refuse", NULL};

/* False: it was complained about. */
static bool build_range(const struct site *site, const struct grammar_value *written,
			struct fw_prefix *range)
{
	struct error error;

	if (prefix_parse(written->text, range, &error) < 0) {
		site_complain(site, written->line, "from", "%s", error.text);
		return false;
	}
	/* Whoever may say that he is somebody else may be anybody. */
	if (range->length == (fw_addr_is_v4(&range->addr) ? 96 : 0)) {
		site_complain(site, written->line, "from",
			      "\"%s\" is everybody: any client could choose its address",
			      written->text);
		return false;
	}
	return true;
}

void build_balancers(const struct site *listener, struct config_service *service)
{
	struct config_balancers *balancers = &service->balancers;
	struct site site;
	size_t count;

	if (!site_count(listener, "proxy_protocol"))
		return;
	site = site_inside(listener, "proxy_protocol", 0);
	count = cfg_size(site.section, "from");
	if (!count)
		site_complain(&site, site_line(&site), NULL,
			      "needs the balancers' addresses: from = {\"10.0.0.0/8\"}");
	balancers->ranges = build_alloc(count, sizeof(*balancers->ranges));
	for (size_t i = 0; i < count; i++)
		if (build_range(&site, grammar_value(site.section, "from", i),
				&balancers->ranges[balancers->count]))
			balancers->count++;
	balancers->others = (enum config_peers)site_choice(&site, "others", others, PEERS_ACCEPT);
}
