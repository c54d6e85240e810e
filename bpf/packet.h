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
#include "floodwall.h"

/* How far parsing came: what lies beyond is unset, and no rule about it applies. */
enum packet_known {
	PACKET_OPAQUE,    /* not IP, or no readable IP header */
	PACKET_ADDRESSES, /* source and destination addresses, protocol */
	PACKET_PORTS,     /* TCP or UDP, with ports and flags */
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

struct packet {
	struct fw_prefix source;           /* length is always 128 */
	struct fw_service_key destination; /* address, port, protocol */
	__be16 source_port;
	__u8 known;     /* enum packet_known */
	__u8 fragment;  /* enum packet_fragment */
	__u8 tcp_flags; /* of enum packet_tcp_flag; 0 if not TCP */
	__u32 length;   /* bytes, Ethernet header included */
	__u32 ifindex;
	__u32 service; /* FW_HOST_SERVICE until the service is found */
};

static __always_inline bool packet_is_tcp(const struct packet *packet)
{
	return packet->known == PACKET_PORTS && packet->destination.proto == IPPROTO_TCP;
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
