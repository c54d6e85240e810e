// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The oracle: knows beforehand who is honest, and drops all other TCP with its first load from the
 * packet. Nothing that has to find out can be cheaper: it is the limit of the machine.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* The lab's live addresses, as lab.py has them: 10.0.0.0/8, 2001:db8:1000::/36. */
#define LIVE_V4      0x0a000000
#define LIVE_V4_MASK 0xff000000
#define LIVE_V6      0x20010db8
#define LIVE_V6_NEXT 0x10000000
#define LIVE_V6_MASK 0xf0000000

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} oracle_dropped SEC(".maps");

static __always_inline int drop(void)
{
	__u32 key = 0;
	__u64 *count = bpf_map_lookup_elem(&oracle_dropped, &key);

	if (count)
		(*count)++;
	return XDP_DROP;
}

SEC("xdp")
int oracle(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *v4 = data + sizeof(*ethernet);
	struct ipv6hdr *v6 = data + sizeof(*ethernet);

	if ((void *)(v4 + 1) > end)
		return XDP_PASS;
	if (ethernet->h_proto == bpf_htons(ETH_P_IP) && v4->protocol == IPPROTO_TCP)
		return (bpf_ntohl(v4->saddr) & LIVE_V4_MASK) == LIVE_V4 ? XDP_PASS : drop();
	if ((void *)(v6 + 1) > end)
		return XDP_PASS;
	if (ethernet->h_proto == bpf_htons(ETH_P_IPV6) && v6->nexthdr == IPPROTO_TCP)
		return v6->saddr.s6_addr32[0] == bpf_htonl(LIVE_V6) &&
				       (bpf_ntohl(v6->saddr.s6_addr32[1]) & LIVE_V6_MASK) ==
					       LIVE_V6_NEXT
			       ? XDP_PASS
			       : drop();
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
