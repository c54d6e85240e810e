/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage 5: which service a destination belongs to. The exact address wins over the wildcard of its
 * family.
 */
#ifndef FLOODWALL_SERVICE_H
#define FLOODWALL_SERVICE_H

#include <bpf/bpf_endian.h>
#include "maps.h"

/* A key by the words that its hash reads: of what was just written by bytes, and is read back as a
 * word, the processor waits for every one. Little-endian, as is the build. */
union service_place {
	struct fw_service_key key;
	__u32 word[sizeof(struct fw_service_key) / sizeof(__u32)];
};

/* A binding to an id that can't be is no binding. */
static __always_inline __u32 service_bound(const struct fw_service_key *key)
{
	__u32 *id = bpf_map_lookup_elem(&bindings, key);

	return id && *id < FW_SERVICES_MAX ? *id : FW_HOST_SERVICE;
}

/* Id of the service that listens at @destination, or FW_HOST_SERVICE. */
static __always_inline __u32 service_find(const struct fw_service_key *destination)
{
	union service_place wildcard;
	__u32 id = service_bound(destination);

	if (id != FW_HOST_SERVICE)
		return id;
	/* ::ffff:a.b.c.d → ::ffff:0.0.0.0, anything else → :: */
	wildcard.word[0] = wildcard.word[1] = wildcard.word[3] = 0;
	wildcard.word[2] = fw_addr_is_v4(&destination->addr) ? bpf_htonl(0xffff) : 0;
	wildcard.word[4] = destination->port | (__u32)destination->proto << 16;
	return service_bound(&wildcard.key);
}

#endif
