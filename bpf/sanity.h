/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage 4: packets that no honest host sends, told from the one packet alone.
 *
 * A rule here must never cost an honest packet: neighbour discovery and multicast listener reports
 * come from :: (RFC 4861, RFC 3810), DHCP and IGMP from 0.0.0.0 (RFC 2131, RFC 4541), and path MTU
 * discovery needs every ICMP. Loopback addresses are martian on every interface, as the filter is
 * not made to run on lo.
 */
#ifndef FLOODWALL_SANITY_H
#define FLOODWALL_SANITY_H

#include <bpf/bpf_endian.h>
#include "expect.h"
#include "packet.h"
#include "policy.h"

enum { SANITY_DHCP_SERVER = 67 };

/*
 * Flags of a segment, as bits of a word, that some state of TCP sends: an opening, its answer, a
 * reset, an end, or data. PSH goes with any of them. Everything else (none at all, SYN+FIN,
 * SYN+RST, FIN+RST, FIN or data without ACK, XMAS) only scanners send.
 */
#define SANITY_FLAGS(flags) (1ULL << (flags) | 1ULL << ((flags) | PACKET_PSH))
#define SANITY_TCP_FLAGS_VALID                                                                     \
	(SANITY_FLAGS(PACKET_SYN) | SANITY_FLAGS(PACKET_SYN | PACKET_URG) |                        \
	 SANITY_FLAGS(PACKET_SYN | PACKET_ACK) | SANITY_FLAGS(PACKET_RST) |                        \
	 SANITY_FLAGS(PACKET_RST | PACKET_ACK) | SANITY_FLAGS(PACKET_FIN | PACKET_ACK) |           \
	 SANITY_FLAGS(PACKET_FIN | PACKET_ACK | PACKET_URG) | SANITY_FLAGS(PACKET_ACK) |           \
	 SANITY_FLAGS(PACKET_ACK | PACKET_URG))

/* Of TCP. */
static __always_inline bool sanity_tcp_flags_are_valid(const struct packet *packet)
{
	return likely(SANITY_TCP_FLAGS_VALID >> packet->tcp_flags & 1);
}

/* Of what has ports. */
static __always_inline enum fw_verdict sanity_land(const struct packet *packet)
{
	if (unlikely(packet->source_port == packet->destination.port) &&
	    packet_addr_equal(&packet->source.addr, &packet->destination.addr))
		return FW_LAND;
	return FW_NONE;
}

static __always_inline bool sanity_source_v4_answerable(const struct packet *packet)
{
	const __be32 source = packet->source.addr.word[3];
	const __u8 first = *(const __u8 *)&packet->source.addr.word[3];

	if (unlikely(first == 127))
		return false;
	if (unlikely(first >= 224))
		return first >= 240 && source != 0xffffffff;
	if (likely(first) || source || !packet_has_ports(packet))
		return true;
	return packet->destination.proto == IPPROTO_UDP &&
	       packet->destination.port == bpf_htons(SANITY_DHCP_SERVER);
}

static __always_inline bool sanity_source_v6_answerable(const struct packet *packet)
{
	const __be32 *word = packet->source.addr.word;

	if (bpf_ntohl(word[0]) >> 24 == 0xff)
		return false;
	if (word[0] || word[1] || word[2])
		return true;
	if (word[3] == bpf_htonl(1))
		return false;
	return word[3] != 0 || !packet_has_ports(packet);
}

static __always_inline enum fw_verdict sanity_source(const struct packet *packet)
{
	bool answerable = packet->is_v4 ? sanity_source_v4_answerable(packet)
					: sanity_source_v6_answerable(packet);

	return answerable ? FW_NONE : FW_MARTIAN;
}

/* Fragments that hide their transport header never came this far; the others are the operator's
 * choice. */
static __always_inline enum fw_verdict sanity_fragment(const struct packet *packet)
{
	if (unlikely(packet->fragment != PACKET_WHOLE) &&
	    policy_setting(FW_HOST_SERVICE, FW_SET_HOST_DROP_FRAGMENTS))
		return FW_FRAGMENT;
	return FW_NONE;
}

#endif
