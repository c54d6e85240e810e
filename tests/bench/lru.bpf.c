// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A peer: what XDP filters do that limit each source by an entry of its own in an LRU hash. It
 * parses no more than it must, and counts nothing but what the limit lets through.
 *
 * lru_insert is the least of it: the entry is written. lru_limit keeps a rate there (GCRA, as ours;
 * one attempt is charged by a plain store, as is usual), and inserts whoever is new.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 20);
	__type(key, __be32);
	__type(value, __u64);
} lru_v4 SEC(".maps");

/* By /64. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 20);
	__type(key, __be64);
	__type(value, __u64);
} lru_v6 SEC(".maps");

const volatile __u64 interval_ns, tolerance_ns;
__u64 passed;

static __always_inline struct ipv6hdr *ipv6_of(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct ipv6hdr *ip = (void *)(eth + 1);

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end || eth->h_proto != bpf_htons(ETH_P_IPV6))
		return NULL;
	return ip;
}

static __always_inline struct iphdr *ipv4_of(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end || eth->h_proto != bpf_htons(ETH_P_IP))
		return NULL;
	return ip;
}

SEC("xdp")
int lru_insert(struct xdp_md *ctx)
{
	struct iphdr *v4 = ipv4_of(ctx);
	struct ipv6hdr *v6 = ipv6_of(ctx);
	__u64 value = 1, upper;
	__be32 source;

	if (v4) {
		source = v4->saddr;
		bpf_map_update_elem(&lru_v4, &source, &value, BPF_ANY);
	} else if (v6) {
		upper = (__u64)v6->saddr.s6_addr32[1] << 32 | v6->saddr.s6_addr32[0];
		bpf_map_update_elem(&lru_v6, &upper, &value, BPF_ANY);
	}
	return XDP_PASS;
}

static __always_inline int limit(void *map, const void *source)
{
	__u64 now = bpf_ktime_get_ns(), fresh = now + interval_ns;
	__u64 *tat = bpf_map_lookup_elem(map, source);

	if (tat && *tat > now + tolerance_ns)
		return XDP_DROP;
	if (tat)
		*tat = (*tat < now ? now : *tat) + interval_ns;
	else
		bpf_map_update_elem(map, source, &fresh, BPF_ANY);
	passed++;
	return XDP_PASS;
}

SEC("xdp")
int lru_limit(struct xdp_md *ctx)
{
	struct iphdr *v4 = ipv4_of(ctx);
	struct ipv6hdr *v6 = ipv6_of(ctx);
	__be32 source;
	__u64 upper;

	if (v4) {
		source = v4->saddr;
		return limit(&lru_v4, &source);
	}
	if (v6) {
		upper = (__u64)v6->saddr.s6_addr32[1] << 32 | v6->saddr.s6_addr32[0];
		return limit(&lru_v6, &upper);
	}
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
