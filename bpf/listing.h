/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract's listing: every named list, compiled into one image that takes its predecessor's
 * place whole. Part of floodwall.h, which includes it.
 *
 * The image is an array of cache lines. What the lists say of an address is cut into ranges, each
 * of which has one rule; the ranges are the leaves of search trees whose node is one line, so that
 * a lookup costs a line for each level and nothing depends on how many lists there are.
 *
 *     line 0                  head
 *     FW_LINE_LISTS …         a row for each list; its index is the list's id
 *     FW_LINE_V4 …            a reference for each IPv4 /17
 *     FW_LINE_V6 …            a reference for each IPv6 /15
 *     FW_LINE_RULES …         rules
 *     …                       nodes
 *     fw_list.entries_line …  each list's entries, sorted: what the next image is compiled from
 *
 * A reference is a rule, or a kind and the line of a node. Below the tables an address is looked up
 * by digits of 15 bits (IPv4 has one, IPv6 eight, the last one filled up with zeros). Each has a
 * tree of its own, and from its leaf it goes on with the next digit's, if it must. A node's
 * `end[i]` is the last value of its i-th part, so the part that holds a digit is the number of ends
 * below it; with 15 bits four of them can be compared at once in a word. Ends that are not used are
 * the last value there is. Where but one block of addresses differs from what is around it, a node
 * of its own says so and cuts the way short.
 */
#ifndef FLOODWALL_LISTING_H
#define FLOODWALL_LISTING_H

#include "floodwall.h"

enum fw_list_action { FW_LIST_BLOCK, FW_LIST_ALLOW };

enum {
	FW_LINE_SIZE = 64,
	FW_LINE_LISTS = 1, /* two lines each */
	FW_LINE_V4 = FW_LINE_LISTS + 2 * FW_LISTS_MAX,
	FW_LINE_V6 = FW_LINE_V4 + (1 << 17) / 16,
	FW_LINE_RULES = FW_LINE_V6 + (1 << 15) / 16, /* two rules each */
};

/* Rules that say the same in every image, so that nobody need look: listed nowhere, blocked for
 * ever by a list, allowed for ever by a list. */
enum {
	FW_RULE_NONE,
	FW_RULE_BLOCK,
	FW_RULE_ALLOW = FW_RULE_BLOCK + FW_LISTS_MAX,
	FW_RULE_OTHER = FW_RULE_ALLOW + FW_LISTS_MAX,
};

#define FW_REF_LEAF   (1u << 30)
#define FW_REF_BRANCH (2u << 30)
#define FW_REF_BLOCK  (3u << 30)
#define FW_REF_KIND   (3u << 30) /* 0: a rule */

enum {
	FW_DIGIT_BITS = 15,
	FW_DIGIT_MAX = (1 << FW_DIGIT_BITS) - 1,
	FW_BRANCH_PARTS = 16,
	FW_V4_LEAF_PARTS = 16,
	FW_V6_LEAF_PARTS = 10,
	FW_V4_DEPTH = 4,         /* nodes on a way at most: 16^4 parts … */
	FW_V6_DEPTH = 8 * 4 + 1, /* … and 10 × 16^3 of each digit */
};

struct fw_branch {
	union {
		__u16 end[FW_BRANCH_PARTS];
		__u64 ends[FW_BRANCH_PARTS / 4];
	};
	__u32 children; /* reference to the first; the others follow */
	__u32 zero[7];
};

struct fw_v4_leaf {
	__u16 end[FW_V4_LEAF_PARTS];
	__u16 rule[FW_V4_LEAF_PARTS];
};

struct fw_v6_leaf {
	__u16 end[12];
	__u32 ref[FW_V6_LEAF_PARTS];
};

/* Rules of the addresses that are @addr under the mask, and of the others. */
struct fw_v6_block {
	__u64 upper, lower; /* host order */
	__u64 upper_mask, lower_mask;
	__u32 inside, outside;
	__u64 zero[3];
};

/* Until when a list that allows, and then one that blocks, decides. Times are CLOCK_MONOTONIC;
 * 0: none does, ~0: for ever. */
struct fw_list_rule {
	__u64 allow_until_ns;
	__u64 block_until_ns;
	__u32 allow_list; /* id of the list that the packet is counted for */
	__u32 block_list;
	__u64 zero;
};

struct fw_list {
	char name[FW_NAME_SIZE]; /* "": the row is free */
	__u64 loaded_ns;         /* CLOCK_REALTIME */
	__u32 action;            /* enum fw_list_action */
	__u32 entries_line;
	__u32 entries;
	__u32 entries_v4; /* of them */
	__u32 given;      /* entries that were given, before … */
	__u32 duplicates; /* … those given twice, */
	__u32 covered;    /* those inside another one, */
	__u32 expired;    /* and those that have expired since, were left out */
	__u32 expiring;   /* entries that are not for ever */
	__u32 from_file;  /* 1: the configuration named it, and it goes with it */
	__u64 zero[6];
};

/* A list's entry as it is kept. */
struct fw_listed {
	struct fw_addr addr;
	__u32 length;    /* bits of the 128 */
	__u32 expires_s; /* CLOCK_MONOTONIC, seconds; 0: never */
};

struct fw_listing {
	__u32 lines;
	__u32 rules;
	__u64 compiled_ns;   /* CLOCK_MONOTONIC */
	__u32 granularity_s; /* expiries are rounded up to multiples of this */
	__u32 zero[11];
};

union fw_line {
	struct fw_listing head;
	__u32 ref[16];
	struct fw_list_rule rule[2];
	struct fw_branch branch;
	struct fw_v4_leaf v4_leaf;
	struct fw_v6_leaf v6_leaf;
	struct fw_v6_block v6_block;
};

#endif
