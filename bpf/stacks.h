/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SYN cookies that the kernel's own stack makes, and takes back by itself: what is left where
 * nobody can hand it a request socket (before Linux 6.9). Its number carries the client's MSS and
 * nothing else; timestamps could carry more, but their offset is the stack's secret.
 *
 * With net.ipv4.tcp_syncookies at 2 the stack makes one for any SYN, at 1 only once the listener's
 * SYN queue is full.
 */
#ifndef FLOODWALL_STACKS_H
#define FLOODWALL_STACKS_H

#include <linux/bpf.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <bpf/bpf_helpers.h>
#include "cookie.h"
#include "sockets.h"

/* All that the stack asks of a SYN. An MSS of 0 is one that was not said. */
struct stacks_syn {
	struct tcphdr tcp;
	__be32 mss;
};

static __always_inline __s64 stacks_cookie(struct bpf_sock *sk, const struct packet *packet,
					   struct stacks_syn *syn)
{
	union {
		struct iphdr v4;
		struct ipv6hdr v6;
	} ip = {};

	if (fw_addr_is_v4(&packet->source.addr)) {
		ip.v4.version = 4;
		ip.v4.saddr = packet->source.addr.word[3];
		ip.v4.daddr = packet->destination.addr.word[3];
		return bpf_tcp_gen_syncookie(sk, &ip.v4, sizeof(ip.v4), &syn->tcp, sizeof(*syn));
	}
	ip.v6.version = 6;
	__builtin_memcpy(&ip.v6.saddr, &packet->source.addr, sizeof(ip.v6.saddr));
	__builtin_memcpy(&ip.v6.daddr, &packet->destination.addr, sizeof(ip.v6.daddr));
	return bpf_tcp_gen_syncookie(sk, &ip.v6, sizeof(ip.v6), &syn->tcp, sizeof(*syn));
}

/* The sequence number of the SYN-ACK. 0: there is none, since the SYN queue has room, and the stack
 * would take the SYN as it is. A global function, so that the verifier looks at it once. */
__noinline int stacks_make(struct xdp_md *ctx, const struct packet *packet,
			   const struct cookie_segment *segment, __u32 *isn)
{
	struct stacks_syn syn = {.tcp = {.syn = 1, .doff = sizeof(syn) / 4}};
	struct bpf_sock *sk;
	__s64 cookie;

	if (!packet || !segment || !isn)
		return 0;
	sk = sockets_find(ctx, packet);
	if (!sk)
		return 0;
	syn.tcp.source = packet->source_port;
	syn.tcp.dest = packet->destination.port;
	syn.tcp.seq = bpf_htonl(segment->seq);
	syn.mss = bpf_htonl(COOKIE_OPTION_MSS << 24 | 4 << 16 | segment->options.mss);
	cookie = stacks_cookie(sk, packet, &syn);
	bpf_sk_release(sk);
	*isn = cookie; /* the upper half is the MSS that it stands for */
	return cookie >= 0;
}

#endif
