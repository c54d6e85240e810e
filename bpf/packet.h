/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the stages know of a packet: filled by parse.h, completed by service.h, read by all.
 *
 * Source and destination are laid out as the maps want their keys, so that no lookup copies them.
 * No stage, but what they hand on.
 */
#ifndef FLOODWALL_PACKET_H
#define FLOODWALL_PACKET_H

#include <stdbool.h>
#include <linux/in.h>
#include "expect.h"
#include "floodwall.h"

/* How far parsing came: what lies beyond is unset, and no rule about it applies. */
enum packet_known {
	PACKET_OPAQUE,    /* not IP, or no readable IP header */
	PACKET_ADDRESSES, /* source and destination addresses, protocol */
	PACKET_UDP,       /* … and ports */
	PACKET_TCP,       /* … and ports and flags */
};

enum packet_fragment { PACKET_WHOLE, PACKET_FIRST_FRAGMENT, PACKET_LATER_FRAGMENT };

enum packet_tcp_flag {
	PACKET_FIN = 0x01,
	PACKET_SYN = 0x02,
	PACKET_RST = 0x04,
	PACKET_PSH = 0x08,
	PACKET_ACK = 0x10,
	PACKET_URG = 0x20,
	PACKET_TCP_FLAGS = 0x3f, /* ECE and CWR say nothing about a connection's state */
};

/* An ICMP header of either family (RFC 792, RFC 4443). The kernel's own <linux/icmp.h> brings in
 * what is not for this side. */
struct packet_icmp {
	__u8 type, code;
	__be16 checksum;
	__be16 id, sequence; /* of an echo */
};

enum packet_icmp_type {
	PACKET_ICMP_ECHO_REPLY = 0,
	PACKET_ICMP_UNREACHABLE = 3,
	PACKET_ICMP_ECHO_REQUEST = 8,
	PACKET_ICMP_TIME_EXCEEDED = 11,
	PACKET_ICMP_PARAMETER = 12,

	PACKET_ICMP_FRAGMENTATION_NEEDED = 4, /* code */
};

struct packet {
	struct fw_prefix source;           /* length is always 128 */
	struct fw_service_key destination; /* address, port, protocol */
	__be16 source_port;
	__u8 known;      /* enum packet_known */
	__u8 fragment;   /* enum packet_fragment */
	__u8 tcp_flags;  /* of enum packet_tcp_flag; 0 if not TCP */
	__u8 hops;       /* left to an IPv6 packet */
	__u16 transport; /* offset of a UDP or ICMP header that is whole; else 0 */
	__u32 length;    /* bytes, Ethernet header included */
	__u32 ifindex;
	__u32 service; /* FW_HOST_SERVICE until the service is found */

	__u8 is_v4;    /* fw_addr_is_v4() of both addresses; set by the parser alone */
	__u64 network; /* fw_network() of the source; the same */
};

/* fw_host() of the source. */
static __always_inline __u32 packet_host(const struct packet *packet)
{
	const __be32 *word = packet->source.addr.word;

	return packet->is_v4 ? word[3] & (__be32)__builtin_bswap32(0x000000ff)
			     : word[1] & (__be32)__builtin_bswap32(0x0000ffff);
}

static __always_inline bool packet_addr_equal(const struct fw_addr *a, const struct fw_addr *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}

static __always_inline bool packet_is_tcp(const struct packet *packet)
{
	return packet->known == PACKET_TCP;
}

static __always_inline bool packet_has_ports(const struct packet *packet)
{
	return packet->known >= PACKET_UDP;
}

/* SYN without ACK. ECN bits may be set (RFC 3168 section 6.1.1), data may follow (RFC 7413). */
static __always_inline bool packet_opens_connection(const struct packet *packet)
{
	return (packet->tcp_flags & (PACKET_SYN | PACKET_ACK)) == PACKET_SYN;
}

/* What may complete a handshake. */
static __always_inline bool packet_may_complete(const struct packet *packet)
{
	return (packet->tcp_flags & (PACKET_ACK | PACKET_SYN | PACKET_RST)) == PACKET_ACK;
}

#endif
