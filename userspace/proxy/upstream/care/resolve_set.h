/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the addresses that a name has to the places that the configuration gave it: pure.
 *
 * Who stays keeps its place, and with it all that is known of it. Whose address the name has no
 * more is nowhere; a newcomer gets a place that is free, rather one that nobody is still connected
 * through. What there is no place for is left out, and counted.
 */
#ifndef PROXY_UPSTREAM_CARE_RESOLVE_SET_H
#define PROXY_UPSTREAM_CARE_RESOLVE_SET_H

#include "proxy/upstream/server/server.h"

struct resolve_change {
	uint32_t arrived, left; /* places whose address is another one now, or none */
	uint32_t left_out;      /* addresses beyond the places */
};

/*
 * Makes @places, those of one name, what @addresses say, none of which stands there twice.
 * @arrived is called for each place that has got another address. At least one address: a name
 * that has none any more keeps what it had, which is for the caller to see to.
 */
struct resolve_change resolve_assign(struct server *places, uint32_t place_count,
				     const struct fw_addr *addresses, uint32_t address_count,
				     void (*arrived)(struct server *server, uint64_t now_ns),
				     uint64_t now_ns);

#endif
