/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Services that others answer for, through this host: containers whose ports are published by NAT,
 * virtual machines behind a bridge. A listener here may match their packets as well (the proxy that
 * a container engine keeps on a published port, a server on every address), and the routing table
 * can't tell either: it knows of no translation, and of no bridge.
 *
 * What leaves tells: a segment of the service that came in by another interface. Since it has to, a
 * packet from outside that claims to be the service's is none.
 *
 * No stage, but what questions.bpf.c tells homes.h.
 */
#ifndef FLOODWALL_BEHIND_H
#define FLOODWALL_BEHIND_H

#include <stdbool.h>
#include "maps.h"
#include "policy.h"

#define BEHIND_LIFE_NS  (3600 * NSEC_PER_SEC) /* any connection of the service renews it */
#define BEHIND_RENEW_NS NSEC_PER_SEC          /* a time is written so often at most */

/* Takes note once more that a segment has left from there which somebody else sent. False: there is
 * no note of it yet. */
static __always_inline bool behind_renew(const struct fw_service_key *service)
{
	__u64 now = bpf_ktime_get_coarse_ns(), *seen = bpf_map_lookup_elem(&behind, service);

	if (seen && *(volatile __u64 *)seen + BEHIND_RENEW_NS < now)
		*(volatile __u64 *)seen = now;
	return seen;
}

static __always_inline void behind_note(const struct fw_service_key *service)
{
	__u64 now = bpf_ktime_get_coarse_ns();

	bpf_map_update_elem(&behind, service, &now, BPF_ANY);
}

/* Whether it isn't for this host to say what belongs to the service's connections. By value: what a
 * global function was given is no key to Linux 6.1. */
static __always_inline bool behind_answers(struct fw_service_key service)
{
	__u64 *seen = bpf_map_lookup_elem(&behind, &service);

	return seen && *(volatile __u64 *)seen + BEHIND_LIFE_NS > bpf_ktime_get_coarse_ns();
}

#endif
