/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage 5: which service a destination belongs to. The exact address wins over the wildcard of its
 * family.
 */
#ifndef FLOODWALL_SERVICE_H
#define FLOODWALL_SERVICE_H

#include <bpf/bpf_endian.h>
#include "maps.h"

/* A binding to an id that can't be is no binding. */
static __always_inline __u32 service_bound(const struct fw_service_key *key)
{
	__u32 *id = bpf_map_lookup_elem(&bindings, key);

	return id && *id < FW_SERVICES_MAX ? *id : FW_HOST_SERVICE;
}

/* Id of the service that listens at @destination, or FW_HOST_SERVICE. */
static __always_inline __u32 service_find(const struct fw_service_key *destination)
{
	struct fw_service_key wildcard;
	__u32 id = service_bound(destination);

	if (id != FW_HOST_SERVICE)
		return id;
	/* ::ffff:a.b.c.d → ::ffff:0.0.0.0, anything else → :: */
	wildcard = (struct fw_service_key){
		.addr = {{0, 0, fw_addr_is_v4(&destination->addr) ? bpf_htonl(0xffff) : 0, 0}},
		.port = destination->port,
		.proto = destination->proto,
	};
	return service_bound(&wildcard);
}

#endif
