// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Gives every packet another source and hands it on to the program under test. So BPF_PROG_RUN,
 * which runs one packet again and again, shows what a flood of many sources costs: caches are cold,
 * branches unpredictable. Its own cost is in every subject's figure.
 *
 * first_time makes the filter forget that the packet was there before, and leaves it as it is.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "floodwall.h"

#define POOL       131072 /* a power of two */
#define FRAME_SIZE 128

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, POOL);
	__type(key, __u32);
	__type(value, struct in6_addr); /* of IPv4 the last four bytes */
} pool SEC(".maps");

/* The filter's: flows that have just returned a cookie. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FW_ARRIVALS);
	__type(key, __u32);
	__type(value, __u64);
} arrivals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u32);
} subjects SEC(".maps");

__u32 subject;      /* who gets the packet */
__u32 population;   /* sources are drawn from so many; 0: the pool's, one after the other */
__u32 frame_length; /* not 0: the frame is written anew, since its subject rewrites it */
__u8 frame[FRAME_SIZE];
__u32 next;  /* in the pool */
__u64 state; /* of the draw */
__u32 place; /* of the packet's flow among the arrivals */

/* Knuth's linear congruential generator; the upper half is random enough, and costs next to
 * nothing. */
static __always_inline __u32 draw(__u32 below)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 32) * below >> 32;
}

/* The source with that number: one in each prefix, as far as there are prefixes. IPv4 from
 * 128.0.0.0/2, IPv6 from 2a00::/16, a /64 each. */
static __always_inline struct in6_addr source_make(__u32 number)
{
	struct in6_addr source = {};

	source.s6_addr32[0] = bpf_htonl(0x2a000000 | (number * 0x9e3779b1u >> 16));
	source.s6_addr32[1] = bpf_htonl(number * 0x85ebca6bu);
	source.s6_addr32[3] = bpf_htonl(0x80000000 | (number * 0x9e3779b1u & 0x3fffffff));
	return source;
}

static __always_inline long write_frame(struct xdp_md *ctx)
{
	__u32 length = frame_length;

	if (length > FRAME_SIZE || length != ctx->data_end - ctx->data)
		return -1;
	return bpf_xdp_store_bytes(ctx, 0, frame, length);
}

SEC("xdp")
int feed(struct xdp_md *ctx)
{
	struct in6_addr source, *listed;
	struct ethhdr *eth;
	struct ipv6hdr *v6;
	struct iphdr *v4;
	__u32 index;

	if (frame_length && write_frame(ctx) != 0)
		return XDP_ABORTED;
	if (population) {
		source = source_make(draw(population));
	} else {
		index = next++ & (POOL - 1);
		listed = bpf_map_lookup_elem(&pool, &index);
		if (!listed)
			return XDP_ABORTED;
		source = *listed;
	}
	eth = (void *)(long)ctx->data;
	v6 = (void *)(eth + 1);
	v4 = (void *)(eth + 1);
	if ((void *)(v6 + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		v6->saddr = source;
	else
		v4->saddr = source.s6_addr32[3];
	bpf_tail_call(ctx, &subjects, subject);
	return XDP_ABORTED;
}

SEC("xdp")
int first_time(struct xdp_md *ctx)
{
	__u32 index = place;
	__u64 *arrival = bpf_map_lookup_elem(&arrivals, &index);

	if (!arrival)
		return XDP_ABORTED;
	*arrival = 0;
	bpf_tail_call(ctx, &subjects, subject);
	return XDP_ABORTED;
}

char _license[] SEC("license") = "Dual BSD/GPL";
