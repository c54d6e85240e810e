// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/guard/gate.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
	ROWS = 4,
	COLUMN_BITS = 13, /* four rows take 52 bits of one hash, and 256 KiB */
	COLUMNS = 1 << COLUMN_BITS,
};

struct gate {
	__u64 seed[2];
	_Atomic uint64_t all[FW_SERVICES_MAX];
	_Atomic uint64_t cell[ROWS][COLUMNS];
};

struct limit {
	uint64_t interval_ns, tolerance_ns;
};

struct gate *gate_create(void)
{
	struct gate *gate = calloc(1, sizeof(*gate));

	if (gate && getrandom(gate->seed, sizeof(gate->seed), 0) != sizeof(gate->seed)) {
		free(gate);
		return NULL;
	}
	return gate;
}

void gate_free(struct gate *gate)
{
	free(gate);
}

static struct limit limit_of(uint64_t rate, uint64_t burst)
{
	struct limit limit = {.interval_ns = CLOCK_SEC / rate};

	limit.tolerance_ns = (burst - 1) * limit.interval_ns;
	return limit;
}

/* An idle cell counts from now, and none lies further ahead than a full burst would put it: one
 * that does was written under a slower limit. */
static uint64_t effective(struct limit limit, uint64_t due_ns, uint64_t now_ns)
{
	uint64_t furthest = now_ns + limit.tolerance_ns + limit.interval_ns;

	return due_ns < now_ns ? now_ns : due_ns > furthest ? furthest : due_ns;
}

static bool is_early(struct limit limit, uint64_t due_ns, uint64_t now_ns)
{
	return due_ns > now_ns + limit.tolerance_ns;
}

/* Moves a cell ahead to @to, unless it is there or beyond. */
static void advance(_Atomic uint64_t *cell, uint64_t to)
{
	uint64_t was = atomic_load_explicit(cell, memory_order_relaxed);

	while (was < to && !atomic_compare_exchange_weak(cell, &was, to))
		;
}

/* Moves a cell that a slower limit left further ahead back to @to. */
static void retreat(_Atomic uint64_t *cell, uint64_t to)
{
	uint64_t was = atomic_load_explicit(cell, memory_order_relaxed);

	while (was > to && !atomic_compare_exchange_weak(cell, &was, to))
		;
}

static bool take_of_all(_Atomic uint64_t *cell, struct limit limit, uint64_t now_ns)
{
	uint64_t was = atomic_load(cell), due;

	do {
		due = effective(limit, was, now_ns);
		if (is_early(limit, due, now_ns)) {
			retreat(cell, due);
			return false;
		}
	} while (!atomic_compare_exchange_weak(cell, &was, due + limit.interval_ns));
	return true;
}

/* A source is as far ahead as the least of its cells: sharing one can only push it on. Threads may
 * race for a cell; then one attempt of theirs goes uncounted. */
static bool take_of_source(struct gate *gate, uint64_t hash, struct limit limit, uint64_t now_ns)
{
	_Atomic uint64_t *cell[ROWS];
	uint64_t least = UINT64_MAX, each, due;
	bool early;

	for (int row = 0; row < ROWS; row++) {
		cell[row] = &gate->cell[row][hash >> row * COLUMN_BITS & (COLUMNS - 1)];
		each = atomic_load_explicit(cell[row], memory_order_relaxed);
		least = each < least ? each : least;
	}
	due = effective(limit, least, now_ns);
	early = is_early(limit, due, now_ns);
	for (int row = 0; row < ROWS; row++) {
		if (!early)
			advance(cell[row], due + limit.interval_ns);
		else if (due < least)
			retreat(cell[row], due);
	}
	return !early;
}

enum fw_verdict gate_judge(struct gate *gate, const struct live *live, uint32_t service,
			   const struct fw_addr *source, uint64_t now_ns)
{
	uint64_t each = live->value[FW_SET_SOURCE_HANDSHAKE_RATE];
	uint64_t all = live->value[FW_SET_HANDSHAKE_RATE];
	struct fw_addr masked = fw_addr_at_level(*source, FW_LEVEL_SOURCE);

	if (each &&
	    !take_of_source(gate, fw_hash(gate->seed, &masked, service, FW_LEVEL_SOURCE),
			    limit_of(each, live->value[FW_SET_SOURCE_HANDSHAKE_BURST]), now_ns))
		return FW_SOURCE_HANDSHAKE_RATE;
	if (all && !take_of_all(&gate->all[service],
				limit_of(all, live->value[FW_SET_HANDSHAKE_BURST]), now_ns))
		return FW_HANDSHAKE_RATE;
	return FW_NONE;
}
