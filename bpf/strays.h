/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Strays: segments that the stack has no connection for. It answers each with a reset, so a flood
 * of them costs as much as one of SYNs, and while there is no pressure the filter looks at none.
 * What gives it away is what leaves: the reset of a segment that acknowledged something has no ACK
 * itself (RFC 9293 section 3.10.7.1), unlike one that ends a connection. Each counts as an attempt
 * of a newcomer; above challenge.rate the service is under pressure, and what follows needs a
 * socket.
 *
 * No stage, but what questions.bpf.c does for pressure.h.
 */
#ifndef FLOODWALL_STRAYS_H
#define FLOODWALL_STRAYS_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include "maps.h"
#include "policy.h"

/* A reset of the stack's has nothing behind its header, and needs no look at what is longer: nearly
 * every segment of a connection has timestamps or data. There may be two tags before it. */
static __always_inline bool strays_may_be(__u32 length, bool is_v4)
{
	return length <= ETH_HLEN + 8 + sizeof(struct tcphdr) +
				 (is_v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
}

/* The service has sent a segment with @tcp's header. */
static __always_inline void strays_note(const struct fw_service_key *place,
					const struct tcphdr *tcp)
{
	__u32 service;
	__u64 now;

	if (!tcp->rst || tcp->ack)
		return;
	service = service_find(place);
	if (service == FW_HOST_SERVICE ||
	    policy_setting(service, FW_SET_CHALLENGE_MODE) == FW_CHALLENGE_NEVER)
		return;
	now = bpf_ktime_get_ns();
	if (rate_strains(service, now))
		pressure_raise(service, now);
}

#endif
