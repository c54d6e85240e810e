/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage 8: rates of everyone who has proved nothing, in memory of fixed size.
 *
 * A stream summary: Space-Saving (Metwally, Agrawal, El Abbadi 2005) over GCRA cells, in sets of
 * one cache line. A hash chooses a line, where a key has a cell under its fingerprint. A newcomer
 * to the line takes over the cell whose TAT is least, and goes on from there: so whoever lost his
 * cell and comes back finds at least as much charged as when he left, and nobody ever gets more
 * than his rate. A cell in the past says nothing, and taking it costs nobody anything; only where
 * eight others of the same line are ahead of their rates is a key taken for busier than it is.
 *
 * Which keys share a line depends on a secret, so nobody outside can choose whom to crowd.
 */
#ifndef FLOODWALL_SKETCH_H
#define FLOODWALL_SKETCH_H

#include "limit.h"
#include "maps.h"

/* A cell: the hash's upper bits, and below them the TAT in ticks, which last for nine years. */
enum {
	SKETCH_TICK_NS = 64,
	SKETCH_TAT_BITS = 52,
	SKETCH_SLOT_BITS = 3,
};
_Static_assert(FW_SKETCH_CELLS == 1 << SKETCH_SLOT_BITS, "a cell is chosen by bits");

#define SKETCH_TAT_MASK ((1ULL << SKETCH_TAT_BITS) - 1)
#define SKETCH_OWN      (1ULL << 60) /* beyond every rank */

/*
 * How well a cell suits a key, least best: first the key's own, then by TAT. The slot is in the
 * lowest bits. Without a branch, as the cells of a flood are random, and so is which is least.
 */
static __always_inline __s64 sketch_rank(__u64 cell, __u32 slot, __u64 hash)
{
	__u64 differs = (cell ^ hash) >> SKETCH_TAT_BITS;
	__u64 own = (differs - 1) & SKETCH_OWN;

	return ((cell & SKETCH_TAT_MASK) << SKETCH_SLOT_BITS | slot) - own;
}

/* The rank of the best one. */
static __always_inline __s64 sketch_choose(const volatile struct fw_sketch_line *line, __u64 hash)
{
	__s64 best = sketch_rank(line->cell[0], 0, hash), less;
	__u32 slot;

#pragma unroll
	for (slot = 1; slot < FW_SKETCH_CELLS; slot++) {
		less = sketch_rank(line->cell[slot], slot, hash) - best;
		best += less & less >> 63;
	}
	return best;
}

static __always_inline __u64 sketch_tat(__u64 cell)
{
	return (cell & SKETCH_TAT_MASK) * SKETCH_TICK_NS;
}

static __always_inline __u64 sketch_cell(__u64 hash, __u64 tat)
{
	__u64 ticks = (tat + SKETCH_TICK_NS - 1) / SKETCH_TICK_NS;

	return (hash & ~SKETCH_TAT_MASK) | (ticks & SKETCH_TAT_MASK);
}

enum sketch_outcome { SKETCH_CHARGED, SKETCH_REFUSED, SKETCH_RACED };

static __always_inline enum sketch_outcome sketch_try(struct fw_sketch_line *line, __u64 hash,
						      struct limit limit, __u64 now)
{
	__s64 best = sketch_choose(line, hash);
	__u32 slot = best & (FW_SKETCH_CELLS - 1);
	__u64 *cell = &line->cell[slot], word = *(volatile __u64 *)cell;
	__u64 tat = sketch_tat(word), effective = limit_effective(limit, tat, now);

	if (sketch_rank(word, slot, hash) != best)
		return SKETCH_RACED;
	if (limit_refuses(limit, effective, now)) {
		if (effective < tat) /* left by a slower limit */
			__sync_val_compare_and_swap(cell, word, sketch_cell(word, effective));
		return SKETCH_REFUSED;
	}
	effective += limit.interval_ns;
	if (__sync_val_compare_and_swap(cell, word, sketch_cell(hash, effective)) != word)
		return SKETCH_RACED;
	return SKETCH_CHARGED;
}

/*
 * sketch_take() with the limit's parts apart: a function of its own, for the sake of the filter's
 * stack, and BPF passes no structs. Whoever loses three races, each to another CPU's charge, passes
 * uncharged; a cell at its limit is not written, and so never raced for.
 */
static __noinline bool sketch_charge(void *lines, __u64 hash, __u64 interval_ns, __u64 tolerance_ns,
				     __u64 now)
{
	const struct limit limit = {interval_ns, tolerance_ns};
	__u32 index = hash % FW_SKETCH_LINES;
	struct fw_sketch_line *line = bpf_map_lookup_elem(lines, &index);
	enum sketch_outcome outcome;

	if (!line)
		return true;
	outcome = sketch_try(line, hash, limit, now);
	if (outcome == SKETCH_RACED)
		outcome = sketch_try(line, hash, limit, now);
	if (outcome == SKETCH_RACED)
		outcome = sketch_try(line, hash, limit, now);
	return outcome != SKETCH_REFUSED;
}

/* Charges one attempt of @hash against @limit, which must be one; false if it comes too early, and
 * then it costs nothing. @lines: the map `sketch` or `answers`. */
static __always_inline bool sketch_take(void *lines, __u64 hash, struct limit limit, __u64 now)
{
	return sketch_charge(lines, hash, limit.interval_ns, limit.tolerance_ns, now);
}

#endif
