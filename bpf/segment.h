/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A TCP segment's headers, copied out of a packet whose IP header is plain: no IPv4 options, no
 * IPv6 extension headers, no fragment. Every stack's SYNs and ACKs are so.
 *
 * No stage, but what challenge.h and admit.bpf.c read with, each by its own helper.
 */
#ifndef FLOODWALL_SEGMENT_H
#define FLOODWALL_SEGMENT_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include "cookie.h"

#define SEGMENT_V4_FRAGMENT 0x3fff /* offset, and more to follow */

/* bpf_xdp_load_bytes() or bpf_skb_load_bytes(), which differ in their first argument's type. */
typedef long segment_load(void *ctx, __u32 offset, void *to, __u32 size);

struct segment_v4 {
	struct iphdr ip;
	struct tcphdr tcp;
};

struct segment_v6 {
	struct ipv6hdr ip;
	struct tcphdr tcp;
};

/* Room for either. */
union segment_headers {
	struct segment_v4 v4;
	struct segment_v6 v6;
};

/* Copies the options behind @tcp, which is at @offset. */
static __always_inline bool segment_read_tcp(void *ctx, segment_load *load, __u32 offset,
					     const struct tcphdr *tcp,
					     struct cookie_segment *segment)
{
	__u32 length = tcp->doff * 4 - sizeof(*tcp);
	__u8 flags = ((const __u8 *)tcp)[13];

	if (length > COOKIE_OPTIONS_SIZE) /* below 20 wraps */
		return false;
	segment->seq = bpf_ntohl(tcp->seq);
	segment->ack = bpf_ntohl(tcp->ack_seq);
	segment->ecn_setup = (flags & 0xc0) == 0xc0;
	segment->length = length;
	__builtin_memset(segment->raw, 0, sizeof(segment->raw) + sizeof(segment->zero));
	if (length == 0)
		return true;
	length = (length - 1) & 63; /* for the verifier */
	return length < COOKIE_OPTIONS_SIZE &&
	       load(ctx, offset + sizeof(*tcp), segment->raw, length + 1) == 0;
}

/* Reads the segment whose IP header is at @offset. False: it is not plain, or cut off. */
static __always_inline bool segment_read(void *ctx, segment_load *load, __u32 offset, bool is_v4,
					 union segment_headers *headers,
					 struct cookie_segment *segment)
{
	if (is_v4) {
		if (load(ctx, offset, &headers->v4, sizeof(headers->v4)) != 0 ||
		    headers->v4.ip.ihl != 5 || headers->v4.ip.protocol != IPPROTO_TCP ||
		    headers->v4.ip.frag_off & bpf_htons(SEGMENT_V4_FRAGMENT))
			return false;
		return segment_read_tcp(ctx, load, offset + sizeof(struct iphdr), &headers->v4.tcp,
					segment);
	}
	if (load(ctx, offset, &headers->v6, sizeof(headers->v6)) != 0 ||
	    headers->v6.ip.nexthdr != IPPROTO_TCP)
		return false;
	return segment_read_tcp(ctx, load, offset + sizeof(struct ipv6hdr), &headers->v6.tcp,
				segment);
}

#endif
