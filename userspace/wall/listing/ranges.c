/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries are sorted by where they begin, wider ones first, and swept once: a stack holds those
 * that are open, and wherever one begins or ends a range does. What a range's rule is depends on
 * the stack; equal neighbours melt into one.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "wall/listing/ranges.h"

typedef unsigned __int128 u128;

#define FOREVER UINT64_MAX
/* Prefixes that can be open at once: each length of each list. */
#define OPEN_MAX   (129 * FW_LISTS_MAX)
#define RULES_HASH (4 * FW_LIST_RULES_MAX)

static u128 number_of(const struct fw_addr *addr)
{
	uint64_t half[2];

	memcpy(half, addr, sizeof(half));
	return (u128)be64toh(half[0]) << 64 | be64toh(half[1]);
}

static u128 last_of(u128 first, uint32_t length)
{
	return length ? first | (((u128)1 << (128 - length)) - 1) : ~(u128)0;
}

static uint64_t until_of(uint32_t expires_s)
{
	return expires_s ? expires_s : FOREVER;
}

/* --- tidying ---------------------------------------------------------------------------------- */

static int compare_entries(const void *a, const void *b)
{
	const struct fw_listed *left = a, *right = b;
	int order = memcmp(&left->addr, &right->addr, sizeof(left->addr));

	if (order == 0)
		order = (int)left->length - (int)right->length;
	if (order == 0)
		order = (until_of(left->expires_s) < until_of(right->expires_s)) -
			(until_of(left->expires_s) > until_of(right->expires_s));
	return order;
}

static bool covers(const struct fw_listed *outer, const struct fw_listed *inner)
{
	u128 first = number_of(&outer->addr);

	return outer->length <= inner->length && number_of(&inner->addr) >= first &&
	       number_of(&inner->addr) <= last_of(first, outer->length);
}

void listing_tidy(struct fw_listed *entries, size_t *count, struct fw_list *row)
{
	size_t open[129], depth = 0, kept = 0;
	const struct fw_listed *around;

	qsort(entries, *count, sizeof(*entries), compare_entries);
	row->given = (uint32_t)*count;
	row->duplicates = row->covered = 0;
	for (size_t i = 0; i < *count; i++) {
		const struct fw_listed entry = entries[i];

		while (depth && !covers(&entries[open[depth - 1]], &entry))
			depth--;
		/* Those open outlast each other inwards, so the innermost speaks for all. */
		around = depth ? &entries[open[depth - 1]] : NULL;
		if (around && around->length == entry.length) {
			row->duplicates++;
		} else if (around && until_of(around->expires_s) >= until_of(entry.expires_s)) {
			row->covered++;
		} else {
			entries[kept] = entry;
			open[depth++] = kept++;
		}
	}
	*count = kept;
}

/* --- rules ------------------------------------------------------------------------------------ */

/* Rules as they come about, each once. */
struct rules {
	struct fw_list_rule *rule;
	uint32_t *slots; /* hash of number + 1; 0: free */
	uint32_t count;
};

/* Number of a rule; −ENOSPC: one too many. */
static int64_t rules_number(struct rules *rules, const struct fw_list_rule *rule)
{
	uint64_t hash = rule->allow_until_ns * 0x9e3779b97f4a7c15ULL;

	hash = (hash ^ rule->block_until_ns ^ hash >> 32) * 0x9e3779b97f4a7c15ULL;
	hash = (hash ^ rule->allow_list << 8 ^ rule->block_list ^ hash >> 32) *
	       0x9e3779b97f4a7c15ULL;
	for (uint32_t slot = hash >> 32;; slot++) {
		uint32_t *number = &rules->slots[slot % RULES_HASH];

		if (*number && memcmp(&rules->rule[*number - 1], rule, sizeof(*rule)) == 0)
			return *number - 1;
		if (*number)
			continue;
		if (rules->count == FW_LIST_RULES_MAX)
			return -ENOSPC;
		rules->rule[rules->count] = *rule;
		*number = ++rules->count;
		return *number - 1;
	}
}

/* Those that every image has. */
static void rules_clear(struct rules *rules)
{
	memset(rules->slots, 0, RULES_HASH * sizeof(*rules->slots));
	rules->count = 0;
	rules_number(rules, &(struct fw_list_rule){.zero = 0});
	for (uint32_t list = 0; list < FW_LISTS_MAX; list++)
		rules_number(rules,
			     &(struct fw_list_rule){.block_until_ns = FOREVER, .block_list = list});
	for (uint32_t list = 0; list < FW_LISTS_MAX; list++)
		rules_number(rules,
			     &(struct fw_list_rule){.allow_until_ns = FOREVER, .allow_list = list});
}

/* What @rule becomes where an entry lies on top: of each action the one that lasts longest. */
static struct fw_list_rule rule_under(struct fw_list_rule rule, uint64_t until_ns, uint32_t action,
				      uint32_t list)
{
	if (action == FW_LIST_ALLOW && until_ns >= rule.allow_until_ns) {
		rule.allow_until_ns = until_ns;
		rule.allow_list = list;
	} else if (action == FW_LIST_BLOCK && until_ns >= rule.block_until_ns) {
		rule.block_until_ns = until_ns;
		rule.block_list = list;
	}
	if (rule.block_until_ns <= rule.allow_until_ns) /* its time never comes */
		rule.block_until_ns = rule.block_list = 0;
	return rule;
}

/* --- the sweep -------------------------------------------------------------------------------- */

struct item {
	u128 first, last;
	uint64_t until_ns;
	uint32_t action, list;
};

struct open_prefix {
	u128 last;
	struct fw_list_rule rule;
	uint32_t number;
};

struct sweep {
	struct rules *rules;
	struct range_list *out;
	struct open_prefix *open;
};

static int compare_items(const void *a, const void *b)
{
	const struct item *left = a, *right = b;

	if (left->first != right->first)
		return left->first < right->first ? -1 : 1;
	return (left->last < right->last) - (left->last > right->last);
}

static void begin_range(struct range_list *out, u128 first, uint32_t rule)
{
	uint64_t upper = (uint64_t)(first >> 64), lower = (uint64_t)first;
	const struct range *last = out->count ? &out->range[out->count - 1] : NULL;

	if (last && last->upper == upper && last->lower == lower)
		last = --out->count ? last - 1 : NULL;
	if (!last || last->rule != rule)
		out->range[out->count++] = (struct range){upper, lower, rule};
}

/* Cuts everything from @base to the last address into ranges. −ENOSPC: too many rules. */
static int sweep_items(struct sweep *sweep, const struct item *items, size_t count, u128 base,
		       u128 last)
{
	struct open_prefix *top = sweep->open;
	int64_t number;

	*top = (struct open_prefix){.last = last};
	begin_range(sweep->out, base, 0);
	for (size_t i = 0; i < count; i++) {
		for (; top->last < items[i].first; top--)
			begin_range(sweep->out, top->last + 1, top[-1].number);
		top[1].last = items[i].last;
		top[1].rule =
			rule_under(top->rule, items[i].until_ns, items[i].action, items[i].list);
		top++;
		number = rules_number(sweep->rules, &top->rule);
		if (number < 0)
			return (int)number;
		top->number = (uint32_t)number;
		begin_range(sweep->out, items[i].first, top->number);
	}
	for (; top > sweep->open; top--)
		if (top->last < last)
			begin_range(sweep->out, top->last + 1, top[-1].number);
	return 0;
}

/* The entries of one family, of all lists. Their first addresses count from @base. */
static size_t collect(const struct listing_source *sources, bool v4, uint64_t now_s,
		      uint32_t granularity_s, struct item *items)
{
	const struct fw_listed *entry;
	size_t count = 0;
	bool sorted = true;

	for (uint32_t list = 0; list < FW_LISTS_MAX; list++) {
		for (size_t i = 0; i < sources[list].count; i++) {
			uint64_t until;
			u128 first;

			entry = &sources[list].entries[i];
			until = until_of(entry->expires_s);
			if (ranges_entry_is_v4(entry) != v4 ||
			    ranges_expired(entry->expires_s, now_s))
				continue;
			if (until != FOREVER)
				until = (until + granularity_s - 1) / granularity_s *
					granularity_s * CLOCK_SEC;
			first = number_of(&entry->addr);
			items[count] = (struct item){.first = first,
						     .last = last_of(first, entry->length),
						     .until_ns = until,
						     .action = sources[list].row.action,
						     .list = list};
			sorted &=
				count == 0 || compare_items(&items[count - 1], &items[count]) <= 0;
			count++;
		}
	}
	if (!sorted)
		qsort(items, count, sizeof(*items), compare_items);
	return count;
}

/* Where a family's addresses begin and end. */
static void family_bounds(bool v4, u128 *first, u128 *last)
{
	const struct fw_addr mapped = {{0, 0, htonl(0xffff), 0}};

	*first = v4 ? number_of(&mapped) : 0;
	*last = last_of(*first, v4 ? 96 : 0);
}

static int sweep_family(struct sweep *sweep, const struct listing_source *sources, bool v4,
			uint64_t now_s, uint32_t granularity_s, struct item *items)
{
	size_t count = collect(sources, v4, now_s, granularity_s, items);
	u128 first, last;

	sweep->out->count = 0;
	family_bounds(v4, &first, &last);
	return sweep_items(sweep, items, count, first, last);
}

/* Both families' ranges. −ENOSPC: more rules than there is room for. */
static int sweep_both(const struct listing_source *sources, uint64_t now_s, struct rules *rules,
		      struct item *items, struct open_prefix *open, struct ranges *ranges)
{
	struct sweep v4 = {rules, &ranges->v4, open}, v6 = {rules, &ranges->v6, open};
	int result;

	rules_clear(rules);
	result = sweep_family(&v4, sources, true, now_s, ranges->granularity_s, items);
	return result < 0 ? result
			  : sweep_family(&v6, sources, false, now_s, ranges->granularity_s, items);
}

int ranges_cut(const struct listing_source sources[FW_LISTS_MAX], uint64_t now_s,
	       struct ranges *ranges)
{
	struct open_prefix *open = malloc((OPEN_MAX + 1) * sizeof(*open));
	struct rules rules = {.rule = malloc(FW_LIST_RULES_MAX * sizeof(*rules.rule)),
			      .slots = malloc(RULES_HASH * sizeof(*rules.slots))};
	struct item *items;
	size_t v4 = 0, v6 = 0;
	int result = -ENOMEM;

	for (size_t i = 0; i < FW_LISTS_MAX; i++)
		for (size_t j = 0; j < sources[i].count; j++)
			*(ranges_entry_is_v4(&sources[i].entries[j]) ? &v4 : &v6) += 1;
	items = malloc(((v4 > v6 ? v4 : v6) + 1) * sizeof(*items));
	*ranges = (struct ranges){.rules = rules.rule, .granularity_s = 1};
	/* An entry begins a range, and where it ends another one may begin. */
	ranges->v4.range = malloc((2 * v4 + 1) * sizeof(struct range));
	ranges->v6.range = malloc((2 * v6 + 1) * sizeof(struct range));
	if (open && rules.rule && rules.slots && items && ranges->v4.range && ranges->v6.range)
		while ((result = sweep_both(sources, now_s, &rules, items, open, ranges)) ==
		       -ENOSPC)
			ranges->granularity_s *= 2;
	ranges->rules_count = rules.count;
	free(open);
	free(rules.slots);
	free(items);
	if (result < 0)
		ranges_free(ranges);
	return result;
}

void ranges_free(struct ranges *ranges)
{
	free(ranges->rules);
	free(ranges->v4.range);
	free(ranges->v6.range);
	*ranges = (struct ranges){.rules = NULL};
}
