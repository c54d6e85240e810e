/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whom a listener takes PROXY headers from.
 */
#include "config/build/build.h"

void build_balancers(const struct site *listener, struct config_service *service)
{
	struct config_balancers *balancers = &service->balancers;
	struct site site;

	if (!site_count(listener, "proxy_protocol"))
		return;
	site = site_inside(listener, "proxy_protocol", 0);
	if (!site_has(&site, "from"))
		site_complain(&site, NULL,
			      "needs the balancers' addresses: from = {\"10.0.0.0/8\"}");
	/* Whoever may say that he is somebody else may be anybody. */
	balancers->ranges = build_ranges(&site, "from", "any client could choose its address",
					 &balancers->count);
	build_options(&site, BLOCK_BALANCERS, balancers);
}
