/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel has for a packet: a connection, a listener, or nothing.
 *
 * A lookup doesn't ask whether the destination is this host's: a listener on every address also
 * matches what is only forwarded. sockets_are_here() asks; where nothing is forwarded that is
 * cheap.
 */
#ifndef FLOODWALL_SOCKETS_H
#define FLOODWALL_SOCKETS_H

#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "packet.h"

enum { SOCKETS_AF_INET = 2, SOCKETS_AF_INET6 = 10 }; /* sys/socket.h is not for this side */

/* The kernel's view of a TCP socket, as far as it concerns us. */
#define SOCKETS_KERNEL __attribute__((preserve_access_index))

struct sock {
	__u32 sk_ack_backlog;     /* of a listener: connections that wait for accept, … */
	__u32 sk_max_ack_backlog; /* … and how many may */
} SOCKETS_KERNEL;

struct inet_sock {
	struct sock sk;
} SOCKETS_KERNEL;

struct inet_connection_sock {
	struct inet_sock icsk_inet;
} SOCKETS_KERNEL;

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u8 is_mptcp : 1;
} SOCKETS_KERNEL;

/* The helpers that look for a socket. */
typedef struct bpf_sock *(*sockets_helper)(void *ctx, struct bpf_sock_tuple *tuple, __u32 size,
					   __u64 netns, __u64 flags);

static __always_inline struct bpf_sock *sockets_look_up(void *ctx, const struct packet *packet,
							sockets_helper look_up)
{
	const struct fw_addr *source = &packet->source.addr;
	const struct fw_addr *destination = &packet->destination.addr;
	struct bpf_sock_tuple tuple;

	if (fw_addr_is_v4(source)) {
		tuple.ipv4.saddr = source->word[3];
		tuple.ipv4.daddr = destination->word[3];
		tuple.ipv4.sport = packet->source_port;
		tuple.ipv4.dport = packet->destination.port;
		return look_up(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	__builtin_memcpy(tuple.ipv6.saddr, source, sizeof(*source));
	__builtin_memcpy(tuple.ipv6.daddr, destination, sizeof(*destination));
	tuple.ipv6.sport = packet->source_port;
	tuple.ipv6.dport = packet->destination.port;
	return look_up(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

/* The TCP socket that the stack would give the packet to, or NULL; to be released. */
static __always_inline struct bpf_sock *sockets_find(void *ctx, const struct packet *packet)
{
	return sockets_look_up(ctx, packet, bpf_skc_lookup_tcp);
}

/* Whether the packet, TCP or UDP, belongs to a connection of a process here. An unconnected UDP
 * socket has none: it has as many peers as a forger likes. Global, so that the verifier looks at it
 * once. */
__noinline int sockets_are_connected(struct xdp_md *ctx, const struct packet *packet)
{
	bool is_udp = packet && packet->destination.proto == IPPROTO_UDP, found;
	struct bpf_sock *sk;

	if (!packet)
		return 0;
	sk = is_udp ? sockets_look_up(ctx, packet, bpf_sk_lookup_udp)
		    : sockets_look_up(ctx, packet, bpf_sk_lookup_tcp);
	if (!sk)
		return 0;
	found = is_udp ? sk->state == BPF_TCP_ESTABLISHED : sk->state != BPF_TCP_LISTEN;
	bpf_sk_release(sk);
	return found;
}

/* The kernel makes no request socket of ours for a Multipath TCP listener. */
static __always_inline bool sockets_is_multipath(struct bpf_sock *sk)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

	return tcp && bpf_core_field_exists(tcp->is_mptcp) && BPF_CORE_READ_BITFIELD(tcp, is_mptcp);
}

/* Whether a listener's server is behind with accepting: the stack drops what comes then. */
static __always_inline bool sockets_queue_is_full(struct bpf_sock *sk)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
	struct sock *listener = tcp ? &tcp->inet_conn.icsk_inet.sk : NULL;

	return listener && listener->sk_ack_backlog > listener->sk_max_ack_backlog;
}

/* Whether the packet's destination is this host, not one behind it. */
static __always_inline bool sockets_are_here(void *ctx, const struct packet *packet)
{
	struct bpf_fib_lookup route = {.ifindex = packet->ifindex, .l4_protocol = IPPROTO_TCP};
	long found;

	if (fw_addr_is_v4(&packet->source.addr)) {
		route.family = SOCKETS_AF_INET;
		route.ipv4_src = packet->source.addr.word[3];
		route.ipv4_dst = packet->destination.addr.word[3];
	} else {
		route.family = SOCKETS_AF_INET6;
		__builtin_memcpy(route.ipv6_src, &packet->source.addr, sizeof(route.ipv6_src));
		__builtin_memcpy(route.ipv6_dst, &packet->destination.addr, sizeof(route.ipv6_dst));
	}
	found = bpf_fib_lookup(ctx, &route, sizeof(route), 0);
	return found == BPF_FIB_LKUP_RET_NOT_FWDED || found == BPF_FIB_LKUP_RET_FWD_DISABLED;
}

#endif
