/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From ranges to an image. What has but one rule needs no tree, and what differs from its
 * surroundings in one block alone needs no more than a node; the rest is in trees of the size that
 * it takes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "wall/listing/ranges.h"

typedef unsigned __int128 u128;

static int place_v4(struct image *image, const struct range_list *ranges)
{
	struct image_part *parts = malloc((FW_DIGIT_MAX + 1) * sizeof(*parts));
	const struct range *range = ranges->range, *end = range + ranges->count;
	int64_t ref = 0;

	for (uint32_t site = 0; parts && ref >= 0 && site < 1 << 17; site++) {
		uint32_t last = site << FW_DIGIT_BITS | FW_DIGIT_MAX;
		size_t count = 0;

		for (;; range++) {
			bool goes_on = range + 1 == end || (uint32_t)range[1].lower > last;

			parts[count++] = (struct image_part){
				.end = goes_on ? FW_DIGIT_MAX
					       : ((uint32_t)range[1].lower - 1) & FW_DIGIT_MAX,
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

/* Part of the IPv6 addresses: those whose first @digits digits are the same. The ranges from @begin
 * to @end begin in it, and what @before says lasts until the first of them does. */
struct region {
	u128 first;
	uint32_t digits;
	const struct range *begin, *end;
	uint32_t before;
};

static u128 start_of(const struct range *range)
{
	return (u128)range->upper << 64 | range->lower;
}

/* How many bits of the address come behind @digits digits. */
static uint32_t bits_behind(uint32_t digits)
{
	return digits * FW_DIGIT_BITS < 128 ? 128 - digits * FW_DIGIT_BITS : 0;
}

static uint32_t digit_of(u128 address, uint32_t nth)
{
	return (uint32_t)((address << (nth * FW_DIGIT_BITS)) >> (128 - FW_DIGIT_BITS));
}

/* Whether these are the addresses of one prefix. */
static bool is_block(u128 first, u128 last)
{
	u128 differ = first ^ last;

	return (differ & (differ + 1)) == 0 && (first & differ) == 0;
}

/* If one block is all that differs in the region, a node that says so; else 0. */
static int64_t place_block(struct image *image, const struct region *region)
{
	u128 last = region->first + (((u128)1 << bits_behind(region->digits)) - 1), mask;
	u128 cut = start_of(region->begin), from = region->first, to = cut - 1;
	uint32_t inside = region->before, outside = region->begin->rule;
	union fw_line *line;
	int64_t index;

	if (region->end - region->begin == 2 && region->begin[1].rule == region->before) {
		from = cut;
		to = start_of(&region->begin[1]) - 1;
	} else if (region->end - region->begin != 1) {
		return 0;
	} else if (!is_block(from, to)) {
		from = cut;
		to = last;
	}
	if (!is_block(from, to))
		return 0;
	if (from == cut) {
		inside = region->begin->rule;
		outside = region->before;
	}
	index = image_take(image, 1);
	if (index < 0)
		return index;
	mask = ~(from ^ to);
	line = &image->lines[index];
	line->v6_block = (struct fw_v6_block){.upper = (uint64_t)(from >> 64),
					      .lower = (uint64_t)from,
					      .upper_mask = (uint64_t)(mask >> 64),
					      .lower_mask = (uint64_t)mask,
					      .inside = inside,
					      .outside = outside};
	return FW_REF_BLOCK | index;
}

static int64_t cut_region(struct image *image, struct region region, struct image_part *parts);

/* A reference to all that is said of the region. @parts has room for each digit that is left. */
static int64_t place_region(struct image *image, struct region region, struct image_part *parts)
{
	int64_t result;

	if (region.begin < region.end && start_of(region.begin) == region.first)
		region.before = region.begin++->rule;
	if (region.begin == region.end)
		return region.before;
	result = place_block(image, &region);
	if (result != 0)
		return result;
	result = cut_region(image, region, parts);
	return result < 0 ? result : image_tree(image, IMAGE_V6, parts, (size_t)result);
}

/* Cuts the region by its next digit. Where a range begins behind a digit's first address, that
 * value is a region of its own. Returns how many parts there are; −ENOMEM. */
static int64_t cut_region(struct image *image, struct region region, struct image_part *parts)
{
	const struct range *range = region.begin, *inner;
	uint32_t behind = bits_behind(region.digits + 1), begun = 0, digit;
	size_t count = 0;
	int64_t ref;
	u128 first;

	while (range < region.end) {
		digit = digit_of(start_of(range), region.digits);
		first = start_of(range) >> behind << behind;
		for (inner = range;
		     inner < region.end && start_of(inner) >> behind == first >> behind;)
			inner++;
		if (digit > begun)
			parts[count++] = (struct image_part){digit - 1, region.before};
		ref = place_region(
			image,
			(struct region){first, region.digits + 1, range, inner, region.before},
			parts + count);
		if (ref < 0)
			return ref;
		range = inner;
		region.before = range[-1].rule;
		begun = digit + 1;
		/* What lasts beyond this value is one part with it. */
		if (ref == region.before)
			begun = digit;
		else
			parts[count++] = (struct image_part){digit, (uint32_t)ref};
	}
	if (begun <= FW_DIGIT_MAX)
		parts[count++] = (struct image_part){FW_DIGIT_MAX, region.before};
	return (int64_t)count;
}

static int place_v6(struct image *image, const struct range_list *ranges)
{
	/* On the way down every digit's parts may be in the making. */
	struct image_part *parts = malloc(10 * (FW_DIGIT_MAX + 1) * sizeof(*parts));
	struct region all = {.begin = ranges->range, .end = ranges->range + ranges->count};
	int64_t count = parts ? cut_region(image, all, parts) : -ENOMEM;
	uint32_t index = 0;

	for (int64_t i = 0; i < count; i++)
		for (; index <= parts[i].end; index++)
			image->lines[FW_LINE_V6 + index / 16].ref[index % 16] = parts[i].ref;
	free(parts);
	return count < 0 ? (int)count : 0;
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
		row.entries = row.entries_v4 = row.expiring = 0;
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
			row.expiring += entry->expires_s != 0;
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

	*image = (struct image){.lines = NULL};
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
