// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Packet generator: run by BPF_PROG_RUN in live-frames mode, it fills each frame and sends it out
 * of the interface that the run names as ingress (XDP_TX).
 *
 * The kernel recycles frames with their last contents and length, as the receiver left them, so
 * every frame is cut to size and written from its first byte to its last. Checksums are right:
 * a receiver drops these packets for what they mean, never for being damaged.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "flood.h"

#define HOP_LIMIT     64
#define WINDOW        64240
#define MSS_V4        1460
#define MSS_V6        1440
#define LINUX_SCALE   7
#define WINDOWS_SCALE 8

const volatile struct flood_plan plan;

#define OPTION_MSS    (2 << 24 | 4 << 16)
#define OPTION_SACK   (4 << 8 | 2)
#define OPTION_TIMES  (8 << 8 | 10)
#define OPTION_SCALE  (3 << 16 | 3 << 8)
#define OPTION_NOP    1
#define WORDS(size)   ((size) / 4)
#define FRAME(header) (ETH_HLEN + sizeof(header) + plan.size)

/* One's complement of a sum of 16-bit words (RFC 1071). */
static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

static __always_inline void draw_ethernet(__u8 *ethernet)
{
	for (int i = 0; i < ETH_HLEN; i++)
		ethernet[i] = plan.ethernet[i];
}

/* Draws a source into @from, @words long. */
static __always_inline void draw_source(__be32 *from, int words)
{
	__u32 index;

	for (int i = 0; i < words; i++)
		from[i] = plan.mirror ? plan.to[i] : plan.from[i];
	if (plan.mirror)
		return;
	if (plan.sources) {
		for (int i = 0; i < words; i++) {
			if (i != (int)plan.counted)
				continue;
			index = bpf_ntohl(from[i]) + 1 + bpf_get_prandom_u32() % plan.sources;
			from[i] = bpf_htonl(index);
		}
		if (words == 4 && plan.counted == 1)
			from[3] |= bpf_htonl(1); /* ::1 of its network */
		return;
	}
	for (int i = 0; i < words; i++)
		if (plan.host_bits[i])
			from[i] |= bpf_get_prandom_u32() & plan.host_bits[i];
	if (!plan.anywhere)
		return;
	if (words == 4) { /* 2000::/3, all that is unicast so far */
		from[0] = (from[0] & bpf_htonl(0x1fffffff)) | bpf_htonl(0x20000000);
	} else { /* neither 0/8 nor 10/8 nor 127/8, and below 224/3 */
		index = bpf_ntohl(from[0]) >> 24;
		if (index >= 224)
			from[0] &= bpf_htonl(0x7fffffff);
		index = bpf_ntohl(from[0]) >> 24;
		if (index == 0 || index == 10 || index == 127)
			from[0] ^= bpf_htonl(0x04000000);
	}
}

/* The options of a SYN as a client of its kind has them, in their order and on their boundaries. */
static __always_inline void draw_options(__be32 *words)
{
	words[0] = bpf_htonl(OPTION_MSS | (plan.is_v6 ? MSS_V6 : MSS_V4));
	if (plan.size == FLOOD_LINUX_SIZE) {
		words[1] = bpf_htonl(OPTION_SACK << 16 | OPTION_TIMES);
		words[2] = bpf_get_prandom_u32();
		words[4] = bpf_htonl(OPTION_NOP << 24 | OPTION_SCALE | LINUX_SCALE);
	} else if (plan.size == FLOOD_WINDOWS_SIZE) {
		words[1] = bpf_htonl(OPTION_NOP << 24 | OPTION_SCALE | WINDOWS_SCALE);
		words[2] = bpf_htonl(OPTION_NOP << 24 | OPTION_NOP << 16 | OPTION_SACK);
	}
}

/* Writes the segment or datagram at @to; @sum is of the pseudo-header. */
static __always_inline void draw_transport(void *to, __u64 sum)
{
	__u32 random = bpf_get_prandom_u32();
	__u32 port = plan.mirror        ? bpf_ntohs(plan.port)
		     : plan.source_port ? bpf_ntohs(plan.source_port)
					: 1024 + (random & 0xffff) % 64512;
	__be32 words[WORDS(FLOOD_LINUX_SIZE)] = {bpf_htonl(port << 16 | bpf_ntohs(plan.port))};

	if (plan.proto == IPPROTO_UDP) {
		words[1] = bpf_htonl(plan.size << 16);
		/* An answer, if it is taken for NTP (first byte: mode 4) or DNS (third: QR). */
		words[2] = bpf_htonl(0x24008000) | (random & bpf_htonl(0x00ff00ff));
	} else if (plan.proto != IPPROTO_TCP) { /* ICMP; an error quotes nothing that is known */
		words[0] = bpf_htonl(plan.type << 24 | plan.code << 16);
		words[1] = random;
	} else {
		words[1] = bpf_get_prandom_u32();
		if (plan.flags & 0x10)
			words[2] = bpf_get_prandom_u32();
		words[3] = bpf_htonl((__u32)WORDS(plan.size) << 28 | plan.flags << 16 | WINDOW);
		if (plan.flags & 0x02)
			draw_options(words + 5);
		else
			words[5] = bpf_htonl(OPTION_NOP * 0x01010101);
	}
	for (int i = 0; i < WORDS(FLOOD_LINUX_SIZE); i++)
		sum += words[i];
	if (plan.proto == IPPROTO_UDP) /* 0 would mean: none (RFC 768) */
		words[1] |= (__be32)(fold(sum) ?: 0xffff) << 16;
	else if (plan.proto == IPPROTO_TCP)
		words[4] = fold(sum);
	else
		words[0] |= (__be32)fold(sum) << 16;
	if (plan.size == FLOOD_LINUX_SIZE)
		__builtin_memcpy(to, words, FLOOD_LINUX_SIZE);
	else if (plan.size == FLOOD_WINDOWS_SIZE)
		__builtin_memcpy(to, words, FLOOD_WINDOWS_SIZE);
	else
		__builtin_memcpy(to, words, FLOOD_BARE_SIZE);
}

static __always_inline void draw_v4(void *frame)
{
	__u8 proto = plan.proto;
	struct iphdr *ip = frame + ETH_HLEN;
	__be32 words[5], from;

	draw_ethernet(frame);
	draw_source(&from, 1);
	words[0] = bpf_htonl(0x45000000 | (__u32)(sizeof(*ip) + plan.size));
	words[1] = bpf_htonl((bpf_get_prandom_u32() & 0xffff0000) | 0x4000); /* don't fragment */
	words[2] = bpf_htonl(HOP_LIMIT << 24 | proto << 16);
	words[3] = from;
	words[4] = plan.to[0];
	__builtin_memcpy(ip, words, sizeof(words));
	ip->check = fold((__u64)words[0] + words[1] + words[2] + words[3] + words[4]);
	/* ICMP alone has no pseudo-header here. */
	draw_transport(ip + 1, proto == IPPROTO_ICMP ? 0
						     : (__u64)from + plan.to[0] +
							       bpf_htonl(proto << 16 | plan.size));
}

static __always_inline void draw_v6(void *frame)
{
	__u8 proto = plan.proto;
	__u64 sum = bpf_htonl(plan.size) + (__u64)bpf_htonl(proto);
	struct ipv6hdr *ip = frame + ETH_HLEN;
	__be32 words[10];

	draw_ethernet(frame);
	words[0] = bpf_htonl(0x60000000);
	words[1] = bpf_htonl(plan.size << 16 | proto << 8 | HOP_LIMIT);
	draw_source(words + 2, 4);
	for (int i = 0; i < 4; i++)
		words[6 + i] = plan.to[i];
	for (int i = 2; i < 10; i++)
		sum += words[i];
	__builtin_memcpy(ip, words, sizeof(words));
	draw_transport(ip + 1, sum);
}

SEC("xdp")
int flood(struct xdp_md *context)
{
	int wanted = plan.is_v6 ? FRAME(struct ipv6hdr) : FRAME(struct iphdr);
	int length = (int)(context->data_end - context->data);
	void *data, *end;

	if (context->ingress_ifindex != plan.ifindex) /* no frame of ours */
		return XDP_PASS;
	if (length != wanted && bpf_xdp_adjust_tail(context, wanted - length))
		return XDP_ABORTED;
	data = (void *)(long)context->data;
	end = (void *)(long)context->data_end;
	if (plan.is_v6) {
		if (data + FRAME(struct ipv6hdr) > end)
			return XDP_ABORTED;
		draw_v6(data);
	} else {
		if (data + FRAME(struct iphdr) > end)
			return XDP_ABORTED;
		draw_v4(data);
	}
	return XDP_TX;
}

/*
 * What a veth needs at the other end of an interface whose filter answers by XDP_TX, and what lets
 * an interface without a filter receive live frames in batches: a program that does nothing.
 */
SEC("xdp")
int pass(struct xdp_md *context)
{
	return XDP_PASS;
}

/* The same where nobody waits for an answer: what comes back is lost at the first instruction. */
SEC("xdp")
int deaf(struct xdp_md *context)
{
	return XDP_DROP;
}

/*
 * The same for the lab's internet: what is sent to an address that nobody has is lost on its way,
 * at the first instruction, rather than costing the honest clients' host a look at its routes.
 */
#define DARK_V4      0xac100000 /* 172.16.0.0/12, as lab.py has it */
#define DARK_V4_MASK 0xfff00000
#define DARK_V6      0x40000000 /* 2001:db8:4000::/36, the second word */
#define DARK_V6_MASK 0xf0000000

SEC("xdp")
int internet(struct xdp_md *context)
{
	void *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
	struct ethhdr *ethernet = data;
	struct ipv6hdr *v6 = data + ETH_HLEN;
	struct iphdr *v4 = data + ETH_HLEN;

	if ((void *)(v4 + 1) <= end && ethernet->h_proto == bpf_htons(ETH_P_IP) &&
	    (bpf_ntohl(v4->daddr) & DARK_V4_MASK) == DARK_V4)
		return XDP_DROP;
	if ((void *)(v6 + 1) <= end && ethernet->h_proto == bpf_htons(ETH_P_IPV6) &&
	    v6->daddr.s6_addr32[0] == bpf_htonl(0x20010db8) &&
	    (bpf_ntohl(v6->daddr.s6_addr32[1]) & DARK_V6_MASK) == DARK_V6)
		return XDP_DROP;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
