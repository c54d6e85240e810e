/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast each of very many may do something: a sketch of cells of the generic cell rate algorithm
 * (bpf/limit.h). A cell is a time, at which the next one is due; it may come early by the burst. No
 * memory grows with the number of sources, nobody outside can tell which of them share a cell, and
 * all threads share one sketch.
 */
#ifndef PROXY_GUARD_PACER_H
#define PROXY_GUARD_PACER_H

#include <stdatomic.h>
#include <stdint.h>
#include "floodwall.h"

/* A rate and its burst. */
struct pace {
	uint64_t interval_ns, tolerance_ns;
};

/* @rate a second, at least 1, and @burst at once, at least 1. */
struct pace pace_of(uint64_t rate, uint64_t burst);

struct pacer;

struct pacer *pacer_create(void);     /* NULL: no memory, or no random numbers */
void pacer_free(struct pacer *pacer); /* NULL is allowed */

/* Charges one to @source, or to its prefix, for @what (a number that tells what is paced). 0; or it
 * comes too early, is charged nothing, and would be due in so many ns. */
uint64_t pacer_take(struct pacer *pacer, const struct fw_addr *source, enum fw_level level,
		    uint32_t what, struct pace pace, uint64_t now_ns);

/* What it would be told now; nothing is charged. */
uint64_t pacer_wait(struct pacer *pacer, const struct fw_addr *source, enum fw_level level,
		    uint32_t what, struct pace pace, uint64_t now_ns);

/* As pacer_take() with a cell of its own, zero-initialised, of which nothing is lost. */
uint64_t pacer_take_exactly(_Atomic uint64_t *cell, struct pace pace, uint64_t now_ns);

#endif
