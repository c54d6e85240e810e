/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Between allow and block: the named lists, of any size, compiled into one image.
 *
 * The image is found once for a packet, and the kernel keeps it for as long; so a packet sees the
 * old lists or the new ones, never neither. How the image is laid out says listing.h; that
 * it holds together is user space's duty, but whatever it says, a walk ends.
 */
#ifndef FLOODWALL_LISTED_H
#define FLOODWALL_LISTED_H

#include <stddef.h>
#include <bpf/bpf_endian.h>
#include "expect.h"
#include "maps.h"
#include "packet.h"

#define LISTED_LANES 0x0001000100010001ULL

/* In each lane of 16 bits 1 if the end there is below the digit, else 0. The digits of a flood are
 * random, and a branch would be mispredicted half the time, so there is none: the upper bit of a
 * lane is free, and says whether the lane below it was enough. */
static __always_inline __u64 listed_below(__u64 ends, __u64 digits)
{
	return (digits - ends) >> 15 & LISTED_LANES;
}

/* Which part of a node holds the digit: how many of its ends are below. @short_node, 0 or 1: it has
 * but twelve. */
static __always_inline __u32 listed_part(const union fw_line *line, __u32 digit, __u64 short_node)
{
	const __u64 *ends = line->branch.ends;
	__u64 digits = ((digit | 0x8000) - 1) * LISTED_LANES, below;

	below = listed_below(ends[0], digits) + listed_below(ends[1], digits) +
		listed_below(ends[2], digits) + (listed_below(ends[3], digits) & (short_node - 1));
	return below * LISTED_LANES >> 48;
}

static __always_inline const union fw_line *listed_line(void *image, __u32 index)
{
	return bpf_map_lookup_elem(image, &index);
}

/* A reference from one of the tables. */
static __always_inline __u32 listed_start(void *image, __u32 table, __u32 index)
{
	const union fw_line *line = listed_line(image, table + index / 16);

	return line ? line->ref[index % 16] : FW_RULE_NONE;
}

/* Number of the rule for an IPv4 address in host order. */
static __always_inline __u32 listed_rule_v4(void *image, __u32 address)
{
	__u32 ref = listed_start(image, FW_LINE_V4, address >> FW_DIGIT_BITS), part;
	const union fw_line *line;
	int i;

	for (i = 0; i < FW_V4_DEPTH && ref & FW_REF_KIND; i++) {
		line = listed_line(image, ref & ~FW_REF_KIND);
		if (!line)
			return FW_RULE_NONE;
		part = listed_part(line, address & FW_DIGIT_MAX, 0);
		ref = ref & FW_REF_BRANCH ? line->branch.children + part
					  : line->v4_leaf.rule[part % FW_V4_LEAF_PARTS];
	}
	return ref;
}

/* The words of a line at which a branch says where its children are, and a leaf of IPv6 what each
 * part leads to. */
enum {
	LISTED_CHILDREN = offsetof(struct fw_branch, children) / sizeof(__u32),
	LISTED_REFS = offsetof(struct fw_v6_leaf, ref) / sizeof(__u32),
};

/* The same for an IPv6 address. Leaf and branch are one way through the code: that is no more
 * work for the processor, and a fraction of it for the kernel's verifier. */
static __noinline __u32 listed_rule_v6(void *image, const struct fw_addr *addr)
{
	const __u64 upper = bpf_be64_to_cpu((__u64)addr->word[1] << 32 | addr->word[0]);
	const __u64 lower = bpf_be64_to_cpu((__u64)addr->word[3] << 32 | addr->word[2]);
	const int rest = 64 - FW_DIGIT_BITS; /* bits behind a digit */
	__u64 next = upper << FW_DIGIT_BITS | lower >> rest, after = lower << FW_DIGIT_BITS;
	__u32 ref = listed_start(image, FW_LINE_V6, upper >> rest), part, is_leaf, word;
	const union fw_line *line;
	int i;

	for (i = 0; i < FW_V6_DEPTH && ref & FW_REF_KIND; i++) {
		line = listed_line(image, ref & ~FW_REF_KIND);
		if (!line)
			return FW_RULE_NONE;
		if ((ref & FW_REF_KIND) == FW_REF_BLOCK)
			return (upper & line->v6_block.upper_mask) == line->v6_block.upper &&
					       (lower & line->v6_block.lower_mask) ==
						       line->v6_block.lower
				       ? line->v6_block.inside
				       : line->v6_block.outside;
		is_leaf = ref / FW_REF_LEAF & 1;
		part = listed_part(line, next >> rest, is_leaf);
		word = LISTED_CHILDREN + is_leaf * (LISTED_REFS - LISTED_CHILDREN + part);
		ref = line->ref[word % 16] + (part & (is_leaf - 1));
		/* Behind a leaf comes the next digit. */
		next = next << is_leaf * FW_DIGIT_BITS |
		       after >> rest >> (1 - is_leaf) * FW_DIGIT_BITS;
		after <<= is_leaf * FW_DIGIT_BITS;
	}
	return ref;
}

static __always_inline bool listed_lasts(__u64 until_ns)
{
	return until_ns == ~0ULL || (until_ns && until_ns > bpf_ktime_get_coarse_ns());
}

/* What a rule comes to now, and by which list. One that allows decides before one that blocks, as
 * long as it lasts. */
static __always_inline enum fw_verdict listed_apply(void *image, __u32 number, __u32 *list)
{
	const union fw_line *line;
	const struct fw_list_rule *rule;

	if (number == FW_RULE_NONE)
		return FW_NONE;
	if (number < FW_RULE_ALLOW) {
		*list = number - FW_RULE_BLOCK;
		return FW_LISTED;
	}
	if (number < FW_RULE_OTHER) {
		*list = number - FW_RULE_ALLOW;
		return FW_PASS_ALLOWED;
	}
	line = listed_line(image, FW_LINE_RULES + number / 2);
	if (!line)
		return FW_NONE;
	rule = &line->rule[number & 1];
	if (listed_lasts(rule->allow_until_ns)) {
		*list = rule->allow_list;
		return FW_PASS_ALLOWED;
	}
	*list = rule->block_list;
	return listed_lasts(rule->block_until_ns) ? FW_LISTED : FW_NONE;
}

static __always_inline enum fw_verdict listed_find(const struct packet *packet, __u32 *list)
{
	const struct fw_addr *source = &packet->source.addr;
	__u32 zero = 0, number;
	void *image;

	if (likely(!meta.listing))
		return FW_NONE;
	image = bpf_map_lookup_elem(&listing, &zero);
	if (!image)
		return FW_NONE;
	number = fw_addr_is_v4(source) ? listed_rule_v4(image, bpf_ntohl(source->word[3]))
				       : listed_rule_v6(image, source);
	return listed_apply(image, number, list);
}

/* Passes what a list allows, condemns what one blocks, and counts the packet for that list. */
static __always_inline enum fw_verdict listed_judge(const struct packet *packet)
{
	__u32 list = 0;
	enum fw_verdict verdict = listed_find(packet, &list);
	__u64 *packets = verdict != FW_NONE ? bpf_map_lookup_elem(&list_packets, &list) : NULL;

	if (packets)
		(*packets)++;
	return verdict;
}

/* Whether nothing is asked of a connection's source; as lists_exempt(). */
static __always_inline bool listed_exempt(const struct packet *packet)
{
	__u32 list = 0;

	return listed_find(packet, &list) == FW_PASS_ALLOWED;
}

#endif
