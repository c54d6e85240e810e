/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Between allow and block: the named lists, of any size, compiled into one image.
 *
 * The image is found once for a packet, and the kernel keeps it for as long; so a packet sees the
 * old lists or the new ones, never neither. How the image is laid out says struct fw_listing; that
 * it holds together is user space's duty, but whatever it says, a walk ends.
 */
#ifndef FLOODWALL_LISTED_H
#define FLOODWALL_LISTED_H

#include <bpf/bpf_endian.h>
#include "maps.h"
#include "packet.h"

/* 1 if @end is below @key, else 0. Keys of a flood are random: a branch would be mispredicted half
 * the time. The empty asm keeps the compiler from making one. */
static __always_inline __u32 listed_below_16(__u16 end, __u16 key)
{
	__u64 difference = (__u64)end - key;

	asm("" : "+r"(difference));
	return difference >> 63;
}

static __always_inline __u32 listed_below_64(__u64 end, __u64 key)
{
	__u64 borrow = (~end & key) | ((~end | key) & (end - key));

	asm("" : "+r"(borrow));
	return borrow >> 63;
}

static __always_inline const union fw_line *listed_line(void *image, __u32 index)
{
	return bpf_map_lookup_elem(image, &index);
}

/* Number of the rule for an IPv4 address in host order. */
static __always_inline __u32 listed_rule_v4(void *image, __u32 address)
{
	const union fw_line *line = listed_line(image, FW_LINE_V4 + (address >> 20));
	__u32 ref, part;
	int i, j;

	if (!line)
		return 0;
	ref = line->ref[address >> 16 & 15];
	for (i = 0; i < FW_V4_DEPTH && ref & FW_REF_NODE; i++) {
		line = listed_line(image, ref & ~FW_REF_NODE);
		if (!line)
			return 0;
		part = 0;
#pragma unroll
		for (j = 0; j < FW_V4_LEAF - 1; j++)
			part += listed_below_16(line->v4_leaf.end[j], address);
		ref = ref & FW_REF_BRANCH ? line->v4_branch.children + part
					  : line->v4_leaf.rule[part & (FW_V4_LEAF - 1)];
	}
	return ref;
}

/* The same for an IPv6 address. The upper half's tree may lead to one of the lower half. */
static __noinline __u32 listed_rule_v6(void *image, const struct fw_addr *addr)
{
	__u64 key = bpf_be64_to_cpu((__u64)addr->word[1] << 32 | addr->word[0]);
	__u64 low = bpf_be64_to_cpu((__u64)addr->word[3] << 32 | addr->word[2]);
	const union fw_line *line = listed_line(image, 0);
	__u32 ref, part;
	int i, j;

	if (!line)
		return 0;
	ref = line->head.root_v6;
	for (i = 0; i < FW_V6_DEPTH && ref & FW_REF_NODE; i++) {
		line = listed_line(image, ref & ~FW_REF_NODE);
		if (!line)
			return 0;
		part = 0;
		if (ref & FW_REF_BRANCH) {
#pragma unroll
			for (j = 0; j < FW_V6_BRANCH - 1; j++)
				part += listed_below_64(line->v6_branch.end[j], key);
			ref = line->v6_branch.children + part;
		} else {
#pragma unroll
			for (j = 0; j < FW_V6_LEAF - 1; j++)
				part += listed_below_64(line->v6_leaf.end[j], key);
			if (part >= FW_V6_LEAF)
				return 0;
			ref = line->v6_leaf.ref[part];
			key = low;
		}
	}
	return ref;
}

static __always_inline bool listed_lasts(__u64 until_ns)
{
	return until_ns == ~0ULL || (until_ns && until_ns > bpf_ktime_get_coarse_ns());
}

static __always_inline void listed_count(__u32 list)
{
	__u64 *packets = bpf_map_lookup_elem(&list_packets, &list);

	if (packets)
		(*packets)++;
}

/* A list that allows decides before one that blocks, as long as it lasts. */
static __always_inline enum fw_verdict listed_apply(void *image, __u32 number)
{
	const union fw_line *line = listed_line(image, FW_LINE_RULES + number / 2);
	const struct fw_list_rule *rule;

	if (!line)
		return FW_NONE;
	rule = &line->rule[number & 1];
	if (listed_lasts(rule->allow_until_ns)) {
		listed_count(rule->allow_list);
		return FW_PASS_ALLOWED;
	}
	if (listed_lasts(rule->block_until_ns)) {
		listed_count(rule->block_list);
		return FW_LISTED;
	}
	return FW_NONE;
}

static __always_inline enum fw_verdict listed_judge(const struct packet *packet)
{
	const struct fw_addr *source = &packet->source.addr;
	__u32 zero = 0, number;
	void *image = bpf_map_lookup_elem(&listing, &zero);

	if (!image)
		return FW_NONE;
	number = fw_addr_is_v4(source) ? listed_rule_v4(image, bpf_ntohl(source->word[3]))
				       : listed_rule_v6(image, source);
	return number ? listed_apply(image, number) : FW_NONE;
}

#endif
