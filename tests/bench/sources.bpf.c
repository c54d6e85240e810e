// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Gives every packet another source, the next of a pool, and hands it on to the program under
 * test. So BPF_PROG_RUN, which runs one packet again and again, shows what a flood of many sources
 * costs: caches are cold, branches unpredictable. Its own cost is in every subject's figure.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define POOL 131072 /* a power of two */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, POOL);
	__type(key, __u32);
	__type(value, struct in6_addr); /* of IPv4 the last four bytes */
} pool SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u32);
} subjects SEC(".maps");

__u32 subject, next;

SEC("xdp")
int sources(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct ipv6hdr *v6 = (void *)(eth + 1);
	struct iphdr *v4 = (void *)(eth + 1);
	__u32 index = next++ & (POOL - 1);
	struct in6_addr *source = bpf_map_lookup_elem(&pool, &index);

	if (!source || (void *)(v6 + 1) > end)
		return XDP_ABORTED;
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		v6->saddr = *source;
	else
		v4->saddr = source->s6_addr32[3];
	bpf_tail_call(ctx, &subjects, subject);
	return XDP_ABORTED;
}

char _license[] SEC("license") = "Dual BSD/GPL";
