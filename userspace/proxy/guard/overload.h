/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Overload: how short of what the proxy is, and in which stage (enum overload_stage) that puts it.
 *
 * What may run short is measured as a level, in percent of its ceiling. A stage begins at once when
 * any level reaches the stage's threshold. It ends when every level has been below that by
 * OVERLOAD_MARGIN for OVERLOAD_HOLD_NS, and then only the stage before it is left, so that stages
 * do not come and go with every connection.
 */
#ifndef PROXY_GUARD_OVERLOAD_H
#define PROXY_GUARD_OVERLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include "base/clock.h"
#include "contract/rows.h"

enum overload_input {
	OVERLOAD_CONNECTIONS, /* of their cap */
	OVERLOAD_DESCRIPTORS, /* of those that clients may use */
	OVERLOAD_MEMORY,      /* of the thread's budget */
	OVERLOAD_QUEUE,       /* of the listening socket: connections not accepted yet */
	OVERLOAD_LATENCY,     /* of overload_latency: the event loop's longest turn */
	OVERLOAD_INPUTS,
};

enum {
	OVERLOAD_MARGIN = 10,         /* percent */
	OVERLOAD_SHORTEN_DIVISOR = 4, /* of deadlines */
	OVERLOAD_LEVEL_MAX = 1000,    /* percent: what lies beyond tells no more */
};

#define OVERLOAD_HOLD_NS CLOCK_SEC

/* Zero-initialised: no overload. Stages are of enum overload_stage. */
struct overload {
	uint16_t level[OVERLOAD_INPUTS]; /* percent, as last measured */
	uint8_t stage;                   /* the higher one of these: */
	uint8_t measured;                /* what the levels call for … */
	uint8_t raised;                  /* … and what happened */
	uint64_t measured_ns, raised_ns; /* when it was last called for */
};

/* @used of @most as a level; nothing where @most is 0. */
static inline uint16_t overload_level(uint64_t used, uint64_t most)
{
	uint64_t level = most ? (uint64_t)((double)used * 100 / (double)most) : 0;

	return (uint16_t)(level < OVERLOAD_LEVEL_MAX ? level : OVERLOAD_LEVEL_MAX);
}

/* The levels have been measured. True: the stage is another one now. */
bool overload_update(struct overload *overload, uint64_t now_ns);

/* Whether the levels, as they are, call for @stage. */
bool overload_calls(const struct overload *overload, enum overload_stage stage);

/* What no level tells has happened: it is @stage at least, until OVERLOAD_HOLD_NS after the last
 * time. */
void overload_raise(struct overload *overload, enum overload_stage stage, uint64_t now_ns);

#endif
