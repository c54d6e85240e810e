/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage 1: what the packet says it is, and whether its headers are whole.
 *
 * Ethernet, up to two VLAN tags (802.1Q, 802.1ad), IPv4 with options (RFC 791), IPv6 with up to six
 * extension headers (RFC 8200), fragments, TCP, UDP, ICMP. A header must lie within the packet
 * *and* within the length its IP header states; Ethernet padding after that is nobody's business.
 * What Floodwall does not know (ARP, tunnels, SCTP) is left to the stack.
 *
 * Left out: checksums (the NIC and the stack verify them), the contents of options.
 */
#ifndef FLOODWALL_PARSE_H
#define FLOODWALL_PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "expect.h"
#include "packet.h"

enum {
	PARSE_VLAN_TAGS = 2,
	PARSE_EXTENSIONS = 6,
	PARSE_ICMP_HEADER = 8, /* RFC 792, RFC 4443: no message is shorter */
};

#define PARSE_V4_PLAIN           0x45 /* version 4, a header without options */
#define PARSE_V4_FRAGMENT_OFFSET 0x1fff
#define PARSE_V4_MORE_FRAGMENTS  0x2000
#define PARSE_V4_FRAGMENT        (PARSE_V4_FRAGMENT_OFFSET | PARSE_V4_MORE_FRAGMENTS)
#define PARSE_V6_FRAGMENT_OFFSET 0xfff8
#define PARSE_V6_MORE_FRAGMENTS  0x0001

/* Six extension headers of at most 2,048 bytes end well before this; the verifier needs the bound.
 */
#define PARSE_OFFSET_MASK 0x3fff

/* Where the next header begins, and how much of the packet may belong to it. */
struct parse_cursor {
	void *pos;
	void *end;  /* of the packet */
	__u32 left; /* bytes that the IP header grants from pos on */
};

struct parse_vlan {
	__be16 tci;
	__be16 ethertype;
};

/* The same while the extension headers are walked. */
struct parse_walk {
	__u32 offset;
	__u32 left;
};

/* The first eight bytes that every extension header has (RFC 6564), seen as a fragment header. */
struct parse_extension {
	__u8 next;
	__u8 length;
	__be16 fragment;
	__be32 id;
};

static __always_inline enum fw_verdict parse_ethernet(struct parse_cursor *cursor,
						      __be16 *ethertype)
{
	struct parse_vlan *tag;
	int i;

	cursor->pos += ETH_HLEN;
	if (unlikely(cursor->pos > cursor->end))
		return FW_TRUNCATED;
	*ethertype = ((__be16 *)cursor->pos)[-1];
#pragma unroll
	for (i = 0; i <= PARSE_VLAN_TAGS; i++) {
		if (likely(*ethertype != bpf_htons(ETH_P_8021Q) &&
			   *ethertype != bpf_htons(ETH_P_8021AD)))
			return FW_NONE;
		tag = cursor->pos;
		if ((void *)(tag + 1) > cursor->end)
			return FW_TRUNCATED;
		cursor->pos = tag + 1;
		*ethertype = tag->ethertype;
	}
	return FW_VLAN_DEPTH;
}

/*
 * A fragment at offset 8 would overwrite TCP's flags on reassembly (RFC 3128). Other later
 * fragments hide nothing: a first one that held no whole header never got through.
 */
static __always_inline enum fw_verdict parse_later_fragment(struct packet *packet, __u32 offset)
{
	packet->fragment = PACKET_LATER_FRAGMENT;
	if (packet->destination.proto == IPPROTO_TCP && offset == 8)
		return FW_FRAGMENT;
	return FW_NONE;
}

/* A header that the packet's end cuts off. In a first fragment it went into the next one: hidden.
 */
static __always_inline enum fw_verdict parse_cut_off(const struct packet *packet)
{
	return packet->fragment == PACKET_FIRST_FRAGMENT ? FW_FRAGMENT : FW_TRUNCATED;
}

/* For a packet without readable addresses. */
static __always_inline enum fw_verdict parse_no_address(struct packet *packet,
							enum fw_verdict verdict)
{
	packet->source.addr = packet->destination.addr = (struct fw_addr){};
	return verdict;
}

static __always_inline enum fw_verdict parse_ipv4_fragment(struct packet *packet, __u32 field)
{
	if (field & PARSE_V4_FRAGMENT_OFFSET)
		return parse_later_fragment(packet, (field & PARSE_V4_FRAGMENT_OFFSET) * 8);
	packet->fragment = PACKET_FIRST_FRAGMENT;
	return FW_NONE;
}

static __always_inline enum fw_verdict parse_ipv4(struct parse_cursor *cursor,
						  struct packet *packet)
{
	struct iphdr *ip = cursor->pos;
	__be32 source, destination;
	__u32 header, total;

	if (unlikely((void *)(ip + 1) > cursor->end))
		return parse_no_address(packet, FW_TRUNCATED);
	header = sizeof(*ip);
	if (unlikely(*(__u8 *)ip != PARSE_V4_PLAIN)) {
		header = ip->ihl * 4;
		if (ip->version != 4 || header < sizeof(*ip))
			return parse_no_address(packet, FW_BAD_HEADER);
	}
	total = bpf_ntohs(ip->tot_len);
	if (unlikely(total < header))
		return parse_no_address(packet, FW_BAD_HEADER);

	source = ip->saddr;
	destination = ip->daddr;
	packet->source.addr = (struct fw_addr){{0, 0, bpf_htonl(0xffff), source}};
	packet->destination.addr = (struct fw_addr){{0, 0, bpf_htonl(0xffff), destination}};
	packet->destination.proto = ip->protocol;
	packet->network = source & bpf_htonl(0xffffff00);
	packet->is_v4 = true;
	packet->known = PACKET_ADDRESSES;
	if (unlikely(total > cursor->end - cursor->pos))
		return FW_TRUNCATED;
	cursor->left = total - header;
	cursor->pos += header;
	if (likely(!(ip->frag_off & bpf_htons(PARSE_V4_FRAGMENT))))
		return FW_NONE;
	return parse_ipv4_fragment(packet, bpf_ntohs(ip->frag_off));
}

static __always_inline bool parse_is_extension(__u8 proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
	       proto == IPPROTO_FRAGMENT || proto == IPPROTO_AH;
}

/*
 * Walks to the transport header. A fragment header that stands for a whole packet (RFC 6946) is
 * stepped over; a first fragment must hold the entire chain (RFC 7112).
 *
 * A global function, so that the verifier looks at it once and not once for every way to get here.
 * Unrolled, because a loop is refused by the verifier of Linux 6.1 ("back-edge") where the compiler
 * lets one turn fall through into the next, and only it knows where it does.
 */
__noinline enum fw_verdict parse_extensions(struct xdp_md *ctx, struct packet *packet,
					    struct parse_walk *walk)
{
	struct parse_extension extension;
	__u32 size, fragment;
	__u8 proto;
	int i;

	if (!packet || !walk)
		return FW_BAD_HEADER;
#pragma unroll
	for (i = 0; i < PARSE_EXTENSIONS; i++) {
		proto = packet->destination.proto;
		if (!parse_is_extension(proto))
			return FW_NONE;
		if (walk->left < sizeof(extension) ||
		    bpf_xdp_load_bytes(ctx, walk->offset, &extension, sizeof(extension)) != 0)
			return parse_cut_off(packet);
		packet->destination.proto = extension.next;

		size = (extension.length + 1) * 8;
		if (proto == IPPROTO_AH)
			size = (extension.length + 2) * 4; /* RFC 4302 section 2.2 */
		if (proto == IPPROTO_FRAGMENT) {
			size = sizeof(extension);
			if (packet->fragment != PACKET_WHOLE)
				return FW_FRAGMENT;
			fragment = bpf_ntohs(extension.fragment);
			if (fragment & PARSE_V6_FRAGMENT_OFFSET)
				return parse_later_fragment(packet,
							    fragment & PARSE_V6_FRAGMENT_OFFSET);
			if (fragment & PARSE_V6_MORE_FRAGMENTS)
				packet->fragment = PACKET_FIRST_FRAGMENT;
		}
		if (size > walk->left)
			return parse_cut_off(packet);
		walk->left -= size;
		walk->offset += size;
	}
	return parse_is_extension(packet->destination.proto) ? FW_EXT_HEADERS : FW_NONE;
}

static __always_inline enum fw_verdict parse_ipv6(struct xdp_md *ctx, struct parse_cursor *cursor,
						  struct packet *packet)
{
	struct ipv6hdr *ip = cursor->pos;
	struct parse_walk walk;
	enum fw_verdict verdict;

	if (unlikely((void *)(ip + 1) > cursor->end))
		return parse_no_address(packet, FW_TRUNCATED);
	if (unlikely(ip->version != 6))
		return parse_no_address(packet, FW_BAD_HEADER);
	__builtin_memcpy(&packet->source.addr, &ip->saddr, sizeof(packet->source.addr));
	__builtin_memcpy(&packet->destination.addr, &ip->daddr, sizeof(packet->destination.addr));
	/* On the wire these stand for no host, and would borrow what is granted to IPv4. */
	if (unlikely(fw_addr_is_v4(&packet->source.addr) ||
		     fw_addr_is_v4(&packet->destination.addr)))
		return FW_MARTIAN;
	packet->network = fw_network_v6(&packet->source.addr);
	packet->is_v4 = false;
	packet->destination.proto = ip->nexthdr;
	packet->hops = ip->hop_limit;
	packet->known = PACKET_ADDRESSES;

	cursor->pos = ip + 1;
	cursor->left = bpf_ntohs(ip->payload_len);
	if (unlikely(cursor->left > cursor->end - cursor->pos))
		return FW_TRUNCATED;
	if (likely(!parse_is_extension(packet->destination.proto)))
		return FW_NONE;

	walk.offset = cursor->pos - (void *)(long)ctx->data;
	walk.left = cursor->left;
	verdict = parse_extensions(ctx, packet, &walk);
	cursor->pos = (void *)(long)ctx->data + (walk.offset & PARSE_OFFSET_MASK);
	cursor->left = walk.left;
	return verdict;
}

static __always_inline enum fw_verdict parse_tcp(struct parse_cursor *cursor, struct packet *packet)
{
	struct tcphdr *tcp = cursor->pos;
	__u32 header;

	if (unlikely((void *)(tcp + 1) > cursor->end || cursor->left < sizeof(*tcp)))
		return parse_cut_off(packet);
	header = tcp->doff * 4;
	if (unlikely(header < sizeof(*tcp)))
		return FW_BAD_HEADER;
	if (unlikely(header > cursor->left))
		return packet->fragment == PACKET_FIRST_FRAGMENT ? FW_FRAGMENT : FW_BAD_HEADER;
	packet->source_port = tcp->source;
	packet->destination.port = tcp->dest;
	packet->tcp_flags = ((__u8 *)tcp)[13] & PACKET_TCP_FLAGS;
	packet->known = PACKET_TCP;
	return FW_NONE;
}

static __always_inline enum fw_verdict parse_udp(struct parse_cursor *cursor, struct packet *packet)
{
	struct udphdr *udp = cursor->pos;
	__u32 length;

	if ((void *)(udp + 1) > cursor->end || cursor->left < sizeof(*udp))
		return parse_cut_off(packet);
	length = bpf_ntohs(udp->len);
	if (length < sizeof(*udp))
		return FW_BAD_HEADER;
	if (length > cursor->left && packet->fragment == PACKET_WHOLE)
		return FW_BAD_HEADER;
	packet->source_port = udp->source;
	packet->destination.port = udp->dest;
	packet->known = PACKET_UDP;
	return FW_NONE;
}

static __always_inline enum fw_verdict
parse_transport(struct xdp_md *ctx, struct parse_cursor *cursor, struct packet *packet)
{
	enum fw_verdict verdict;

	if (unlikely(packet->fragment == PACKET_LATER_FRAGMENT))
		return FW_NONE;
	if (likely(packet->destination.proto == IPPROTO_TCP))
		return parse_tcp(cursor, packet);
	switch (packet->destination.proto) {
	case IPPROTO_UDP:
		verdict = parse_udp(cursor, packet);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		verdict = cursor->left < PARSE_ICMP_HEADER ? parse_cut_off(packet) : FW_NONE;
		break;
	default:
		return FW_NONE;
	}
	if (verdict == FW_NONE)
		packet->transport = cursor->pos - (void *)(long)ctx->data;
	return verdict;
}

/* What holds until more is known. Addresses, which most packets have, are left to who finds them,
 * or does not. */
static __always_inline void parse_begin(struct packet *packet, struct xdp_md *ctx, __u32 length)
{
	packet->source.length = 128;
	packet->source_port = packet->destination.port = 0;
	packet->destination.proto = packet->destination.zero = 0;
	packet->known = PACKET_OPAQUE;
	packet->fragment = PACKET_WHOLE;
	packet->tcp_flags = packet->hops = 0;
	packet->transport = 0;
	packet->length = length;
	packet->ifindex = ctx->ingress_ifindex;
	packet->service = FW_HOST_SERVICE;
}

/* Fills @packet as far as it can; FW_NONE, or why it could get no further. */
static __always_inline enum fw_verdict parse_packet(struct xdp_md *ctx, struct packet *packet)
{
	struct parse_cursor cursor = {
		.pos = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};
	enum fw_verdict verdict;
	__be16 ethertype;

	parse_begin(packet, ctx, cursor.end - cursor.pos);
	verdict = parse_ethernet(&cursor, &ethertype);
	if (unlikely(verdict != FW_NONE))
		return parse_no_address(packet, verdict);
	if (ethertype == bpf_htons(ETH_P_IP))
		verdict = parse_ipv4(&cursor, packet);
	else if (ethertype == bpf_htons(ETH_P_IPV6))
		verdict = parse_ipv6(ctx, &cursor, packet);
	else
		return parse_no_address(packet, FW_NONE);
	if (unlikely(verdict != FW_NONE))
		return verdict;
	return parse_transport(ctx, &cursor, packet);
}

#endif
