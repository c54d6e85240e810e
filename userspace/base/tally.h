/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much each of very many has, in a table of a fixed size: a count-min sketch (Cormode,
 * Muthukrishnan 2005). Everybody has a cell in each row, by his hash, and has at most what the
 * least of them says; sharing cells can only make it look like more.
 *
 * Each thread has a table of its own, which it alone writes, so that no two ever wait for one
 * another; what somebody has with all threads is the sum. What is added is taken away again by the
 * same amount: a table of nobody is all zero.
 */
#ifndef BASE_TALLY_H
#define BASE_TALLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	TALLY_ROWS = 2,
	TALLY_BITS = 13,
	TALLY_COLUMNS = 1 << TALLY_BITS, /* of four bytes: 64 KiB a thread */
};

/* Of one thread; zero-initialised. */
struct tally {
	_Atomic uint32_t cell[TALLY_ROWS][TALLY_COLUMNS];
};

/* Where somebody's cells are: 16 bits for each row, of which a table uses as many as it has columns
 * for. */
struct tally_place {
	uint16_t column[TALLY_ROWS];
};

/* @hash: keyed by a secret, so that nobody outside can aim at somebody else's cells. */
static inline struct tally_place tally_place(uint64_t hash)
{
	struct tally_place place;

	for (int row = 0; row < TALLY_ROWS; row++)
		place.column[row] = (uint16_t)(hash >> row * 16);
	return place;
}

static inline uint32_t tally_column(struct tally_place place, int row)
{
	return place.column[row] & (TALLY_COLUMNS - 1);
}

/* Whether two are kept under the same cells. */
static inline bool tally_is_same(struct tally_place one, struct tally_place other)
{
	for (int row = 0; row < TALLY_ROWS; row++)
		if (one.column[row] != other.column[row])
			return false;
	return true;
}

/* Adds @amount, a negative one as its complement, to the calling thread's own table. */
static inline void tally_add(struct tally *own, struct tally_place place, uint32_t amount)
{
	for (int row = 0; row < TALLY_ROWS; row++) {
		_Atomic uint32_t *cell = &own->cell[row][tally_column(place, row)];
		uint32_t was = atomic_load_explicit(cell, memory_order_relaxed);

		atomic_store_explicit(cell, was + amount, memory_order_relaxed);
	}
}

/* What somebody has with @count threads; never too little. */
static inline uint64_t tally_sum(const struct tally *tables, uint32_t count,
				 struct tally_place place)
{
	uint64_t least = UINT64_MAX;

	for (int row = 0; row < TALLY_ROWS; row++) {
		uint64_t sum = 0;

		for (uint32_t thread = 0; thread < count; thread++)
			sum += atomic_load_explicit(
				&tables[thread].cell[row][tally_column(place, row)],
				memory_order_relaxed);
		least = sum < least ? sum : least;
	}
	return least;
}

#endif
