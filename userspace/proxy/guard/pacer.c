// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/guard/pacer.h"
#include <stdlib.h>
#include <sys/random.h>
#include "base/clock.h"

enum {
	ROWS = 4,
	COLUMN_BITS = 13, /* four rows take 52 bits of one hash, and 256 KiB */
	COLUMNS = 1 << COLUMN_BITS,
};

struct pacer {
	__u64 seed[2];
	_Atomic uint64_t cell[ROWS][COLUMNS];
};

struct pacer *pacer_create(void)
{
	struct pacer *pacer = calloc(1, sizeof(*pacer));

	if (pacer && getrandom(pacer->seed, sizeof(pacer->seed), 0) != sizeof(pacer->seed)) {
		free(pacer);
		return NULL;
	}
	return pacer;
}

void pacer_free(struct pacer *pacer)
{
	free(pacer);
}

struct pace pace_of(uint64_t rate, uint64_t burst)
{
	struct pace pace = {.interval_ns = CLOCK_SEC / rate};

	pace.tolerance_ns = (burst - 1) * pace.interval_ns;
	return pace;
}

/* An idle cell counts from now, and none lies further ahead than a full burst would put it: one
 * that does was written under a slower rate. */
static uint64_t effective(struct pace pace, uint64_t due_ns, uint64_t now_ns)
{
	uint64_t furthest = now_ns + pace.tolerance_ns + pace.interval_ns;

	return due_ns < now_ns ? now_ns : due_ns > furthest ? furthest : due_ns;
}

/* How much too early one is; 0: it may come. */
static uint64_t early_ns(struct pace pace, uint64_t due_ns, uint64_t now_ns)
{
	return due_ns > now_ns + pace.tolerance_ns ? due_ns - now_ns - pace.tolerance_ns : 0;
}

/* Moves a cell ahead to @to, unless it is there or beyond. */
static void advance(_Atomic uint64_t *cell, uint64_t to)
{
	uint64_t was = atomic_load_explicit(cell, memory_order_relaxed);

	while (was < to && !atomic_compare_exchange_weak(cell, &was, to))
		;
}

/* Moves a cell that a slower rate left further ahead back to @to. */
static void retreat(_Atomic uint64_t *cell, uint64_t to)
{
	uint64_t was = atomic_load_explicit(cell, memory_order_relaxed);

	while (was > to && !atomic_compare_exchange_weak(cell, &was, to))
		;
}

uint64_t pacer_take_exactly(_Atomic uint64_t *cell, struct pace pace, uint64_t now_ns)
{
	uint64_t was = atomic_load(cell), due, early;

	do {
		due = effective(pace, was, now_ns);
		early = early_ns(pace, due, now_ns);
		if (early) {
			retreat(cell, due);
			return early;
		}
	} while (!atomic_compare_exchange_weak(cell, &was, due + pace.interval_ns));
	return 0;
}

static _Atomic uint64_t *cell_of(struct pacer *pacer, uint64_t hash, int row)
{
	return &pacer->cell[row][hash >> row * COLUMN_BITS & (COLUMNS - 1)];
}

/* A source is as far ahead as the least of its cells: sharing one can only push it on. Threads may
 * race for a cell; then one attempt of theirs goes uncounted. */
static uint64_t take(struct pacer *pacer, uint64_t hash, struct pace pace, uint64_t now_ns)
{
	_Atomic uint64_t *cell[ROWS];
	uint64_t least = UINT64_MAX, each, due, early;

	for (int row = 0; row < ROWS; row++) {
		cell[row] = cell_of(pacer, hash, row);
		each = atomic_load_explicit(cell[row], memory_order_relaxed);
		least = each < least ? each : least;
	}
	due = effective(pace, least, now_ns);
	early = early_ns(pace, due, now_ns);
	for (int row = 0; row < ROWS; row++) {
		if (!early)
			advance(cell[row], due + pace.interval_ns);
		else if (due < least)
			retreat(cell[row], due);
	}
	return early;
}

uint64_t pacer_wait(struct pacer *pacer, const struct fw_addr *source, enum fw_level level,
		    uint32_t what, struct pace pace, uint64_t now_ns)
{
	struct fw_addr masked = fw_addr_at_level(*source, level);
	uint64_t hash = fw_hash(pacer->seed, &masked, what, level), least = UINT64_MAX, each;

	for (int row = 0; row < ROWS; row++) {
		each = atomic_load_explicit(cell_of(pacer, hash, row), memory_order_relaxed);
		least = each < least ? each : least;
	}
	return early_ns(pace, effective(pace, least, now_ns), now_ns);
}

uint64_t pacer_take(struct pacer *pacer, const struct fw_addr *source, enum fw_level level,
		    uint32_t what, struct pace pace, uint64_t now_ns)
{
	struct fw_addr masked = fw_addr_at_level(*source, level);

	return take(pacer, fw_hash(pacer->seed, &masked, what, level), pace, now_ns);
}
