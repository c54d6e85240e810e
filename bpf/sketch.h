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

/* A cell: the TAT in ticks, which last for nine years, and in the lowest bits a mark of whose it
 * is.
 */
enum { SKETCH_TICK_NS = 64 };

#define SKETCH_MARKS ((1ULL << FW_SKETCH_MARK_BITS) - 1)

/* The mark of a hash, of bits that its line doesn't depend on. Never 0: that is the mark of cells
 * which nobody has used yet, and one key in 4,096 would find its own in all of a line. */
static __always_inline __u64 sketch_mark(__u64 hash)
{
	__u64 mark = hash >> (64 - FW_SKETCH_MARK_BITS);

	return likely(mark) ? mark : 1;
}

static __always_inline __u64 sketch_tat(__u64 cell)
{
	return (cell >> FW_SKETCH_MARK_BITS) * SKETCH_TICK_NS;
}

static __always_inline __u64 sketch_cell(__u64 mark, __u64 tat)
{
	return (tat + SKETCH_TICK_NS - 1) / SKETCH_TICK_NS << FW_SKETCH_MARK_BITS | mark;
}

static __always_inline bool sketch_is_of(__u64 cell, __u64 mark)
{
	return (cell & SKETCH_MARKS) == mark;
}

/* What cells are compared by: the TAT, and in the lowest bits, in place of what says nothing of
 * time, the slot. */
static __always_inline __s64 sketch_rank(__u64 cell, __u32 slot)
{
	return (cell & -FW_SKETCH_CELLS) | slot;
}

/* The lesser of two ranks. Hidden from the compiler, which would make it a branch: the cells of a
 * flood are random, and so is which is least. */
static __always_inline __s64 sketch_lesser(__s64 a, __s64 b)
{
	__s64 less = b - a;

	asm("" : "+r"(less));
	return a + (less & less >> 63);
}

/* The least rank of all. In pairs, pairs of pairs …: what doesn't wait for another's outcome the
 * processor does at once. */
static __always_inline __s64 sketch_least(const volatile struct fw_sketch_line *line)
{
	__s64 rank[FW_SKETCH_CELLS];
	__u32 slot, step;

#pragma unroll
	for (slot = 0; slot < FW_SKETCH_CELLS; slot++)
		rank[slot] = sketch_rank(line->cell[slot], slot);
#pragma unroll
	for (step = 1; step < FW_SKETCH_CELLS; step *= 2)
#pragma unroll
		for (slot = 0; slot < FW_SKETCH_CELLS; slot += 2 * step)
			rank[slot] = sketch_lesser(rank[slot], rank[slot + step]);
	return rank[0];
}

/* Whose rate it is, and which. */
struct sketch_rate {
	__u64 hash;
	struct limit limit; /* interval_ns 0: none */
};

/* The cell that an attempt would be charged to. */
struct sketch_pick {
	__u64 *cell;
	__u64 mark;      /* whose it would be */
	__u64 word;      /* what it holds */
	__u64 effective; /* the TAT that counts */
	bool raced;      /* another CPU changed it while the line was read */
};

/* The key's own cell, else the one whose TAT is least. */
static __always_inline struct sketch_pick sketch_pick(struct fw_sketch_line *line,
						      const struct sketch_rate *rate, __u64 now)
{
	struct sketch_pick pick = {.mark = sketch_mark(rate->hash)};
	volatile __u64 *cell = line->cell;
	__u32 slot;
	__s64 least;

#pragma unroll
	for (slot = 0; slot < FW_SKETCH_CELLS; slot++) {
		pick.word = cell[slot];
		if (sketch_is_of(pick.word, pick.mark))
			break;
	}
	if (slot == FW_SKETCH_CELLS) {
		least = sketch_least(line);
		slot = least & (FW_SKETCH_CELLS - 1);
		pick.word = cell[slot];
		pick.raced = (pick.word ^ least) >= FW_SKETCH_CELLS;
	}
	pick.cell = &line->cell[slot];
	pick.effective = limit_effective(&rate->limit, sketch_tat(pick.word), now);
	return pick;
}

enum sketch_outcome { SKETCH_CHARGED, SKETCH_REFUSED, SKETCH_RACED };

static __always_inline enum sketch_outcome sketch_settle(const struct sketch_pick *pick,
							 const struct sketch_rate *rate, __u64 now)
{
	__u64 word = pick->word, charged;

	if (pick->raced)
		return SKETCH_RACED;
	if (limit_refuses(&rate->limit, pick->effective, now)) {
		if (pick->effective < sketch_tat(word)) /* left by a slower limit */
			__sync_val_compare_and_swap(
				pick->cell, word,
				sketch_cell(word & SKETCH_MARKS, pick->effective));
		return SKETCH_REFUSED;
	}
	charged = sketch_cell(pick->mark, pick->effective + rate->limit.interval_ns);
	return __sync_val_compare_and_swap(pick->cell, word, charged) == word ? SKETCH_CHARGED
									      : SKETCH_RACED;
}

static __always_inline struct fw_sketch_line *sketch_line(void *lines, __u64 hash)
{
	__u32 index = hash % FW_SKETCH_LINES;

	return bpf_map_lookup_elem(lines, &index);
}

static __always_inline enum sketch_outcome sketch_try(struct fw_sketch_line *line,
						      const struct sketch_rate *rate, __u64 now)
{
	const struct sketch_pick pick = sketch_pick(line, rate, now);

	return sketch_settle(&pick, rate, now);
}

/* sketch_take() in the key's line. A function of its own, for the sake of the filter's stack. */
APART bool sketch_charge(struct fw_sketch_line *line, const struct sketch_rate *rate, __u64 now)
{
	enum sketch_outcome outcome;

	if (!line || !rate->limit.interval_ns)
		return true;
	outcome = sketch_try(line, rate, now);
	if (outcome == SKETCH_RACED)
		outcome = sketch_try(line, rate, now);
	if (outcome == SKETCH_RACED)
		outcome = sketch_try(line, rate, now);
	return outcome != SKETCH_REFUSED;
}

/*
 * Charges one attempt; false if it comes too early, and then it costs nothing. @lines: the map
 * `sketch`, `answers` or `handshakes`. Whoever loses three races, each to another CPU's charge,
 * passes uncharged; a cell at its limit is not written, and so never raced for.
 */
static __always_inline bool sketch_take(void *lines, const struct sketch_rate *rate, __u64 now)
{
	return sketch_charge(sketch_line(lines, rate->hash), rate, now);
}

/* Of a source, and of the prefix that it is in. */
struct sketch_rates {
	struct sketch_rate source, prefix;
};

enum sketch_refusal { SKETCH_NEITHER, SKETCH_SOURCE, SKETCH_PREFIX };

/* sketch_take_both() in their lines. */
APART enum sketch_refusal sketch_charge_both(struct fw_sketch_line *first,
					     struct fw_sketch_line *second,
					     const struct sketch_rates *rates, __u64 now)
{
	struct sketch_pick source, prefix;
	enum sketch_outcome outcome;

	if (!first || !second)
		return SKETCH_NEITHER;
	source = sketch_pick(first, &rates->source, now);
	prefix = sketch_pick(second, &rates->prefix, now);
	if (rates->source.limit.interval_ns) {
		outcome = sketch_settle(&source, &rates->source, now);
		if (outcome == SKETCH_RACED && !sketch_charge(first, &rates->source, now))
			outcome = SKETCH_REFUSED;
		if (outcome == SKETCH_REFUSED)
			return SKETCH_SOURCE;
	}
	if (!rates->prefix.limit.interval_ns)
		return SKETCH_NEITHER;
	outcome = sketch_settle(&prefix, &rates->prefix, now);
	if (outcome == SKETCH_RACED && !sketch_charge(second, &rates->prefix, now))
		outcome = SKETCH_REFUSED;
	return outcome == SKETCH_REFUSED ? SKETCH_PREFIX : SKETCH_NEITHER;
}

/*
 * Charges one attempt to both: which of them it comes too early for, if any. What a source is
 * refused its prefix is not charged for.
 *
 * Both cells are found before the first is written: an atomic write waits for all that went before,
 * and so would what follows.
 */
static __always_inline enum sketch_refusal
sketch_take_both(void *lines, const struct sketch_rates *rates, __u64 now)
{
	return sketch_charge_both(sketch_line(lines, rates->source.hash),
				  sketch_line(lines, rates->prefix.hash), rates, now);
}

/* How far the TAT of a cell's holder lies ahead; charges nothing. */
static __always_inline __u64 sketch_ahead(void *lines, const struct sketch_rate *rate, __u64 now)
{
	struct fw_sketch_line *line = sketch_line(lines, rate->hash);
	struct sketch_pick pick;

	if (!line || !rate->limit.interval_ns)
		return 0;
	pick = sketch_pick(line, rate, now);
	return sketch_is_of(pick.word, pick.mark) ? pick.effective - now : 0;
}

#endif
