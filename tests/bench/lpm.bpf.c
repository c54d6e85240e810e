// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A peer of the packet suite: the least program that drops by an LPM trie, which is how XDP filters
 * keep long lists of prefixes. It parses no more than it must and counts nothing.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct key_v4 {
	__u32 length;
	__be32 addr;
};

struct key_v6 {
	__u32 length;
	struct in6_addr addr;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 20);
	__type(key, struct key_v4);
	__type(value, __u8);
} trie_v4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 20);
	__type(key, struct key_v6);
	__type(value, __u8);
} trie_v6 SEC(".maps");

SEC("xdp")
int lpm(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct ipv6hdr *v6 = (void *)(eth + 1);
	struct iphdr *v4 = (void *)(eth + 1);

	if ((void *)(v4 + 1) > end)
		return XDP_DROP;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		struct key_v4 key = {32, v4->saddr};

		return bpf_map_lookup_elem(&trie_v4, &key) ? XDP_DROP : XDP_PASS;
	}
	if (eth->h_proto == bpf_htons(ETH_P_IPV6) && (void *)(v6 + 1) <= end) {
		struct key_v6 key = {128, v6->saddr};

		return bpf_map_lookup_elem(&trie_v6, &key) ? XDP_DROP : XDP_PASS;
	}
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
