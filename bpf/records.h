/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is on record about a source's network: a blocked address; a verified source or a connection.
 * The map `records` has a bit of each kind for a network, under a hash. Clear means that no table
 * need be looked into: so a flood of random sources meets one that fits L2, and not the exact ones,
 * many times larger, where every look would miss the cache. Set means "perhaps".
 *
 * Whoever writes a record sets the bit when the record is in its table (and the warden, within a
 * second, for whoever writes block_hosts by hand); struct fw_meta says why
 * there are two halves.
 *
 * No stage, but what the stages that look into tables are spared by.
 */
#ifndef FLOODWALL_RECORDS_H
#define FLOODWALL_RECORDS_H

#include <stdbool.h>
#include "expect.h"
#include "maps.h"
#include "policy.h"

static __always_inline __u64 *records_word(__u32 half, __u32 bit)
{
	__u32 index = fw_record_word(half, bit);

	return bpf_map_lookup_elem(&records, &index);
}

static __always_inline __u32 records_bit(__u64 network)
{
	const __u64 seed[2] = {fw_seed[0], fw_seed[1]};

	return fw_record_bit(seed, network);
}

/* Of enum fw_record. */
static __always_inline __u32 records_of(__u64 network)
{
	__u32 bit = records_bit(network);
	__u64 *word = records_word(meta.records, bit);

	return likely(word) ? *(volatile __u64 *)word >> bit % 64 & 3
			    : FW_RECORD_BLOCKED | FW_RECORD_KNOWN;
}

/* Whether anybody of the network may be blocked. While nobody is anywhere that costs one load. */
static __always_inline bool records_have_blocked(__u64 network)
{
	return unlikely(meta.blocked) && records_of(network) & FW_RECORD_BLOCKED;
}

/* Notes that the source is known. */
static __always_inline void records_note(const struct fw_addr *addr)
{
	__u32 half, bit = records_bit(fw_network(addr));
	__u64 *word;

#pragma unroll
	for (half = 0; half < 2; half++) {
		word = records_word(half, bit);
		if (word && !(*(volatile __u64 *)word >> bit % 64 & FW_RECORD_KNOWN))
			__sync_fetch_and_or(word, (__u64)FW_RECORD_KNOWN << bit % 64);
	}
}

#endif
