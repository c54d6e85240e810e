/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage 8: rates of everyone who has proved nothing, in memory of fixed size.
 *
 * A count-min sketch (Cormode, Muthukrishnan 2005) of GCRA cells: a key has one cell in each row,
 * and its TAT is the least of them, as sharing a cell can only push it ahead. With conservative
 * update (Estan, Varghese 2002) a cell is never raised beyond what the key itself accounts for.
 * Which keys share a cell depends on a secret, so nobody outside can choose whom to crowd.
 */
#ifndef FLOODWALL_SKETCH_H
#define FLOODWALL_SKETCH_H

#include "limit.h"
#include "maps.h"

/* Lost races after which a cell stays as another CPU left it: that much further ahead already. */
enum {
	SKETCH_RETRIES = 4,
	SKETCH_COLUMN_BITS = 13, /* four rows take 52 bits of one hash */
};
_Static_assert(FW_SKETCH_COLUMNS == 1 << SKETCH_COLUMN_BITS, "columns are chosen by bits");
_Static_assert(FW_SKETCH_ROWS *SKETCH_COLUMN_BITS <= 64, "one hash serves every row");

static __always_inline __u64 *sketch_cell(void *cells, __u64 hash, __u32 row)
{
	__u32 column = hash >> row * SKETCH_COLUMN_BITS & (FW_SKETCH_COLUMNS - 1);
	__u32 index = row * FW_SKETCH_COLUMNS + column;

	return bpf_map_lookup_elem(cells, &index);
}

/* Moves a cell to @to, unless it is there or beyond (@ahead: or, if not, already behind). */
static __always_inline void sketch_move(__u64 *cell, __u64 to, bool ahead)
{
	__u64 tat;
	int i;

	for (i = 0; i < SKETCH_RETRIES; i++) {
		tat = *(volatile __u64 *)cell;
		if (ahead ? tat >= to : tat <= to)
			return;
		if (__sync_val_compare_and_swap(cell, tat, to) == tat)
			return;
	}
}

/* Charges one attempt of @hash against @limit, which must be one; false if it comes too early, and
 * then it costs nothing. @cells: the map `sketch` or `answers`. */
static __always_inline bool sketch_take(void *cells, __u64 hash, struct limit limit, __u64 now)
{
	__u64 *cell[FW_SKETCH_ROWS], tat = ~0ULL, word, effective;
	int row;

#pragma unroll
	for (row = 0; row < FW_SKETCH_ROWS; row++) {
		cell[row] = sketch_cell(cells, hash, row);
		if (!cell[row])
			return true;
		word = *(volatile __u64 *)cell[row];
		if (word < tat)
			tat = word;
	}
	effective = limit_effective(limit, tat, now);
	if (limit_refuses(limit, effective, now)) {
		if (effective < tat) /* left by a slower limit */
#pragma unroll
			for (row = 0; row < FW_SKETCH_ROWS; row++)
				sketch_move(cell[row], effective, false);
		return false;
	}
#pragma unroll
	for (row = 0; row < FW_SKETCH_ROWS; row++)
		sketch_move(cell[row], effective + limit.interval_ns, true);
	return true;
}

#endif
