/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the named lists together say of every address there is: ranges in order, and the rule of
 * each. Only wall/listing.c needs to know.
 */
#ifndef WALL_LISTING_RANGES_H
#define WALL_LISTING_RANGES_H

#include "wall/listing/listing.h"

/* From here to where the next one begins. An IPv4 address is in the last 32 bits. */
struct range {
	uint64_t upper, lower;
	uint32_t rule;
};

struct range_list {
	struct range *range;
	size_t count;
};

struct ranges {
	struct range_list v4, v6; /* each begins with its family's first address */
	struct fw_list_rule *rules;
	uint32_t rules_count;
	uint32_t granularity_s;
};

/* −ENOMEM. */
int ranges_cut(const struct listing_source sources[FW_LISTS_MAX], uint64_t now_s,
	       struct ranges *ranges);
void ranges_free(struct ranges *ranges);

/* Whether an entry that expires then counts no more at @now_s. */
static inline bool ranges_expired(uint32_t expires_s, uint64_t now_s)
{
	return expires_s && expires_s <= now_s;
}

/* Whether the entry is about IPv4. */
static inline bool ranges_entry_is_v4(const struct fw_listed *entry)
{
	return fw_addr_is_v4(&entry->addr) && entry->length >= 96;
}

#endif
