/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether a packet is for this host, and how large an answer may be where it came from.
 *
 * A listener on every address also matches what is only forwarded, so the routing table has the
 * word, and what was seen to leave (behind.h). They are asked once a second for each of few
 * addresses and ports; a CPU keeps its own notes.
 *
 * No stage, but what challenge.h asks.
 */
#ifndef FLOODWALL_HOMES_H
#define FLOODWALL_HOMES_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "behind.h"
#include "maps.h"
#include "packet.h"
#include "policy.h"
#include "sockets.h"

enum { HOMES_MTU_MIN = 1280 }; /* a smaller one is not believed (RFC 8200 section 5) */

static __always_inline __u32 homes_ask_mtu(struct xdp_md *ctx)
{
	__u32 mtu = 0;

	if (bpf_check_mtu(ctx, 0, &mtu, 0, 0) < 0 || mtu < HOMES_MTU_MIN)
		return HOMES_MTU_MIN;
	return mtu > 0xffff ? 0xffff : mtu;
}

static __always_inline bool homes_is_noted(const struct fw_home *home, const struct packet *packet)
{
	return packet_addr_equal(&home->place.addr, &packet->destination.addr) &&
	       home->place.port == packet->destination.port && home->ifindex == packet->ifindex &&
	       home->until_ns > bpf_ktime_get_coarse_ns();
}

/* The MTU of the packet's interface; 0: it is for a host behind this one. Global, so that the
 * verifier looks at it once. */
__noinline int homes_mtu(struct xdp_md *ctx, const struct packet *packet)
{
	struct fw_home *home;
	__u32 index, port;

	if (!packet)
		return 0;
	port = bpf_ntohs(packet->destination.port);
	index = (bpf_ntohl(packet->destination.addr.word[3]) + port + (port >> 8)) % FW_HOMES;
	home = bpf_map_lookup_elem(&homes, &index);
	if (!home)
		return 0;
	if (!homes_is_noted(home, packet)) {
		if (behind_answers(packet->destination) || !sockets_are_here(ctx, packet))
			return 0;
		home->place = packet->destination;
		home->ifindex = packet->ifindex;
		home->mtu = homes_ask_mtu(ctx);
		home->until_ns = bpf_ktime_get_coarse_ns() + NSEC_PER_SEC;
	}
	return home->mtu;
}

#endif
