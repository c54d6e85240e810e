/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * In place of stage 5 and what follows, for ICMP: what the network cannot do without passes, and
 * what tells a connection of this host something passes apart from whatever else comes.
 *
 * Neighbour discovery and multicast listener discovery can't come from beyond the link (RFC 4861
 * section 6.1, RFC 3810 section 5.1.14). An error quotes the packet that it is about: if that
 * belongs to a connection that there is, the error is likely to be honest, and path MTU discovery
 * (RFC 1191, RFC 8201) goes on whatever else is flooded. Who knows a connection can still forge
 * errors about it, so there are only so many about one peer; above that, they are like the others.
 */
#ifndef FLOODWALL_ICMP_H
#define FLOODWALL_ICMP_H

#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "packet.h"
#include "questions.h"
#include "sockets.h"

enum {
	ICMP_ERRORS_PER_PEER = 10, /* a second, about one peer's connections, and as many at once */
	ICMP_ON_LINK_HOPS = 255,   /* no router has forwarded it */

	ICMP_MLD_QUERY = 130, /* RFC 2710, RFC 3810, RFC 4861 */
	ICMP_MLD_DONE = 132,
	ICMP_NEIGHBOUR_FIRST = 133,
	ICMP_NEIGHBOUR_LAST = 137,
	ICMP_MLD2_REPORT = 143,
};

enum icmp_kind {
	ICMP_VITAL,     /* to the link */
	ICMP_ANSWER,    /* echo reply that was asked for */
	ICMP_ERROR,     /* quotes a packet */
	ICMP_PATH_MTU,  /* the same, of one that was too big */
	ICMP_REMAINDER, /* echo requests, redirects, what nobody uses any more */
};

static __always_inline bool icmp_is_link_local(const struct fw_addr *addr)
{
	return (addr->word[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000) ||
	       (addr->word[0] | addr->word[1] | addr->word[2] | addr->word[3]) == 0;
}

/* Whether an echo reply was asked for. */
static __always_inline bool icmp_answers(const struct packet *packet,
					 const struct packet_icmp *icmp)
{
	struct fw_question question = {
		.local = packet->destination.addr,
		.remote = packet->source.addr,
		.local_port = icmp->id,
		.proto = IPPROTO_ICMP,
	};

	return questions_take(&question) == QUESTION_ANSWERED;
}

static __always_inline enum icmp_kind icmp_kind_v4(const struct packet *packet,
						   const struct packet_icmp *icmp)
{
	switch (icmp->type) {
	case PACKET_ICMP_UNREACHABLE:
		return icmp->code == PACKET_ICMP_FRAGMENTATION_NEEDED ? ICMP_PATH_MTU : ICMP_ERROR;
	case PACKET_ICMP_TIME_EXCEEDED:
	case PACKET_ICMP_PARAMETER:
		return ICMP_ERROR;
	case PACKET_ICMP_ECHO_REPLY:
		return icmp_answers(packet, icmp) ? ICMP_ANSWER : ICMP_REMAINDER;
	default:
		return ICMP_REMAINDER;
	}
}

static __always_inline enum icmp_kind icmp_kind_v6(const struct packet *packet,
						   const struct packet_icmp *icmp)
{
	if (icmp->type >= ICMP_NEIGHBOUR_FIRST && icmp->type <= ICMP_NEIGHBOUR_LAST)
		return packet->hops == ICMP_ON_LINK_HOPS ? ICMP_VITAL : ICMP_REMAINDER;
	if ((icmp->type >= ICMP_MLD_QUERY && icmp->type <= ICMP_MLD_DONE) ||
	    icmp->type == ICMP_MLD2_REPORT)
		return icmp_is_link_local(&packet->source.addr) ? ICMP_VITAL : ICMP_REMAINDER;
	switch (icmp->type) {
	case ICMPV6_PKT_TOOBIG:
		return ICMP_PATH_MTU;
	case ICMPV6_DEST_UNREACH:
	case ICMPV6_TIME_EXCEED:
	case ICMPV6_PARAMPROB:
		return ICMP_ERROR;
	case ICMPV6_ECHO_REPLY:
		return icmp_answers(packet, icmp) ? ICMP_ANSWER : ICMP_REMAINDER;
	default:
		return ICMP_REMAINDER;
	}
}

/* A global function: what is rare takes no stack from what is not. */
__noinline int icmp_kind(struct xdp_md *ctx, const struct packet *packet)
{
	struct packet_icmp icmp;

	if (!packet || !packet->transport ||
	    bpf_xdp_load_bytes(ctx, packet->transport, &icmp, sizeof(icmp)) != 0)
		return ICMP_REMAINDER;
	return fw_addr_is_v4(&packet->source.addr) ? icmp_kind_v4(packet, &icmp)
						   : icmp_kind_v6(packet, &icmp);
}

/* Reads the quoted packet, which this host sent, as one that would come back. */
static __always_inline bool icmp_read_quoted(struct xdp_md *ctx, const struct packet *packet,
					     struct packet *quoted)
{
	__u32 offset = packet->transport + sizeof(struct packet_icmp);
	union {
		struct iphdr v4;
		struct ipv6hdr v6;
	} ip;
	struct fw_addr *sender = &quoted->destination.addr;
	__be16 ports[2];

	*quoted = (struct packet){};
	if (fw_addr_is_v4(&packet->source.addr)) {
		if (bpf_xdp_load_bytes(ctx, offset, &ip, sizeof(ip.v4)) != 0)
			return false;
		*sender = (struct fw_addr){{0, 0, bpf_htonl(0xffff), ip.v4.saddr}};
		quoted->source.addr = (struct fw_addr){{0, 0, bpf_htonl(0xffff), ip.v4.daddr}};
		quoted->destination.proto = ip.v4.protocol;
		offset += ip.v4.ihl * 4;
	} else {
		if (bpf_xdp_load_bytes(ctx, offset, &ip, sizeof(ip.v6)) != 0)
			return false;
		__builtin_memcpy(sender, &ip.v6.saddr, sizeof(*sender));
		__builtin_memcpy(&quoted->source.addr, &ip.v6.daddr, sizeof(ip.v6.daddr));
		quoted->destination.proto = ip.v6.nexthdr;
		offset += sizeof(ip.v6);
	}
	if (!packet_addr_equal(sender, &packet->destination.addr) ||
	    bpf_xdp_load_bytes(ctx, offset, ports, sizeof(ports)) != 0)
		return false;
	quoted->destination.port = ports[0];
	quoted->source_port = ports[1];
	return true;
}

/*
 * Whether an error is about a connection of this host; @peer: with whom. A global function, so that
 * the verifier looks at it once.
 */
__noinline int icmp_is_about_connection(struct xdp_md *ctx, const struct packet *packet,
					struct fw_addr *peer)
{
	struct packet quoted;

	if (!packet || !peer || !icmp_read_quoted(ctx, packet, &quoted))
		return 0;
	*peer = quoted.source.addr;
	return (quoted.destination.proto == IPPROTO_TCP ||
		quoted.destination.proto == IPPROTO_UDP) &&
	       sockets_are_connected(ctx, &quoted);
}

#endif
