/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From ranges to an image. A /17 of IPv4 with but one rule needs no tree, nor does a /64 of IPv6 to
 * which no longer prefix belongs; the rest is in trees of the size that it takes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "wall/ranges.h"

static int place_v4(struct image *image, const struct range_list *ranges)
{
	struct image_part *parts = malloc((1 << 15) * sizeof(*parts));
	const struct range *range = ranges->range, *end = range + ranges->count;
	int64_t ref = 0;

	for (uint32_t site = 0; parts && ref >= 0 && site < 1 << 17; site++) {
		uint32_t last = site << 15 | 0x7fff;
		size_t count = 0;

		for (;; range++) {
			bool goes_on = range + 1 == end || (uint32_t)range[1].lower > last;

			parts[count++] = (struct image_part){
				.end = goes_on ? 0x7fff : ((uint32_t)range[1].lower - 1) & 0x7fff,
				.ref = range->rule};
			if (goes_on)
				break;
		}
		if (range + 1 < end && (uint32_t)range[1].lower == last + 1)
			range++;
		ref = image_tree(image, IMAGE_V4, parts, count);
		image->lines[FW_LINE_V4 + site / 16].ref[site % 16] = (uint32_t)ref;
	}
	free(parts);
	return !parts ? -ENOMEM : ref < 0 ? (int)ref : 0;
}

/* The tree of one /64, whose ranges from @i on begin inside it; @before is what it begins with.
 * Advances *@i past them. */
static int64_t place_lower(struct image *image, const struct range_list *ranges, size_t *i,
			   uint32_t before, struct image_part *parts)
{
	const struct range *range = ranges->range;
	uint64_t upper = range[*i].upper;
	size_t count = 0;

	for (; *i < ranges->count && range[*i].upper == upper; (*i)++) {
		parts[count++] = (struct image_part){range[*i].lower - 1, before};
		before = range[*i].rule;
	}
	parts[count++] = (struct image_part){UINT64_MAX, before};
	return image_tree(image, IMAGE_V6, parts, count);
}

/* The parts of the upper half. Where a range begins inside a /64, that is a part with a tree of its
 * own. Returns how many; −ENOMEM. */
static int64_t place_upper(struct image *image, const struct range_list *ranges,
			   struct image_part *parts, struct image_part *lower)
{
	const struct range *range = ranges->range;
	uint32_t rule = 0;
	uint64_t upper, begun = 0; /* where the part being made begins */
	size_t count = 0, i = 0;
	int64_t ref;

	while (i < ranges->count) {
		upper = range[i].upper;
		if (upper > begun)
			parts[count++] = (struct image_part){upper - 1, rule};
		begun = upper;
		if (range[i].lower == 0) {
			rule = range[i++].rule;
			/* Unless more begin inside, the part goes on beyond this /64. */
			if (i == ranges->count || range[i].upper != upper)
				continue;
		}
		ref = place_lower(image, ranges, &i, rule, lower);
		if (ref < 0)
			return ref;
		rule = range[i - 1].rule;
		parts[count++] = (struct image_part){upper, (uint32_t)ref};
		if (upper == UINT64_MAX)
			return (int64_t)count;
		begun = upper + 1;
	}
	parts[count++] = (struct image_part){UINT64_MAX, rule};
	return (int64_t)count;
}

static int place_v6(struct image *image, const struct range_list *ranges)
{
	/* Every range ends one part of the upper half, and those inside a /64 end two. */
	struct image_part *parts = malloc((2 * ranges->count + 1) * sizeof(*parts));
	struct image_part *lower = malloc((ranges->count + 1) * sizeof(*lower));
	int64_t ref = -ENOMEM;

	if (parts && lower)
		ref = place_upper(image, ranges, parts, lower);
	if (ref >= 0)
		ref = image_tree(image, IMAGE_V6, parts, (size_t)ref);
	if (ref >= 0)
		image->lines[0].head.root_v6 = (uint32_t)ref;
	free(parts);
	free(lower);
	return ref < 0 ? (int)ref : 0;
}

static int place_rules(struct image *image, const struct ranges *ranges)
{
	int64_t first = image_take(image, (ranges->rules_count + 1) / 2);

	if (first < 0)
		return (int)first;
	memcpy(image->lines + first, ranges->rules, ranges->rules_count * sizeof(*ranges->rules));
	return 0;
}

/* The lists' rows and entries, without what has expired. */
static int place_sources(struct image *image, const struct listing_source *sources, uint64_t now_s)
{
	struct fw_list *rows, row;
	struct fw_listed *kept;
	int64_t line;

	for (size_t i = 0; i < FW_LISTS_MAX; i++) {
		row = sources[i].row;
		row.entries = row.entries_v4 = 0;
		line = image_take(image, (sources[i].count * sizeof(*kept) + FW_LINE_SIZE - 1) /
						 FW_LINE_SIZE);
		if (line < 0)
			return (int)line;
		row.entries_line = (uint32_t)line;
		kept = (struct fw_listed *)(image->lines + line);
		for (size_t j = 0; j < sources[i].count; j++) {
			const struct fw_listed *entry = &sources[i].entries[j];

			if (ranges_expired(entry->expires_s, now_s)) {
				row.expired++;
				continue;
			}
			row.entries_v4 += ranges_entry_is_v4(entry);
			kept[row.entries++] = *entry;
		}
		rows = (struct fw_list *)(image->lines + FW_LINE_LISTS);
		if (row.name[0])
			rows[i] = row;
	}
	return 0;
}

/* --- all of it -------------------------------------------------------------------------------- */

static int place(struct image *image, const struct ranges *ranges,
		 const struct listing_source *sources, uint64_t now_s)
{
	int result = image_take(image, FW_LINE_RULES) < 0 ? -ENOMEM : 0;

	if (result == 0)
		result = place_rules(image, ranges);
	if (result == 0)
		result = place_v4(image, &ranges->v4);
	if (result == 0)
		result = place_v6(image, &ranges->v6);
	if (result == 0)
		result = place_sources(image, sources, now_s);
	if (result < 0)
		return result;
	image->lines[0].head.lines = image->count;
	image->lines[0].head.rules = ranges->rules_count;
	image->lines[0].head.granularity_s = ranges->granularity_s;
	image->lines[0].head.compiled_ns = now_s * CLOCK_SEC;
	return 0;
}

int listing_compile(const struct listing_source sources[FW_LISTS_MAX], uint64_t now_s,
		    struct image *image, struct error *error)
{
	struct ranges ranges;
	int result = ranges_cut(sources, now_s, &ranges);

	*image = (struct image){NULL};
	if (result == 0) {
		result = place(image, &ranges, sources, now_s);
		ranges_free(&ranges);
	}
	if (result == 0)
		return 0;
	image_free(image);
	return error_set(error, result, "cannot compile the lists: %s", strerror(-result));
}

void listing_read(const struct image *image, struct listing_source sources[FW_LISTS_MAX])
{
	const struct fw_list *rows;

	memset(sources, 0, FW_LISTS_MAX * sizeof(*sources));
	if (image->count < FW_LINE_RULES)
		return;
	rows = (const struct fw_list *)(image->lines + FW_LINE_LISTS);
	for (size_t i = 0; i < FW_LISTS_MAX; i++) {
		if (!rows[i].name[0])
			continue;
		sources[i].row = rows[i];
		sources[i].count = rows[i].entries;
		sources[i].entries = (const void *)(image->lines + rows[i].entries_line);
	}
}
