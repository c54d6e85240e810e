/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much oddity of a peer is borne: points are spent by what it does and forgiven at a rate, up
 * to a burst at once (GCRA, as the limits of packets). One word, no timer.
 */
#ifndef PROXY_GUARD_PATIENCE_H
#define PROXY_GUARD_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/clock.h"

/* Zero-initialised: nothing is spent. */
struct patience {
	uint64_t settled_ns; /* when everything spent so far will have been forgiven */
};

/* Spends @points, of which @rate are forgiven a second; both above 0. False: with these more than
 * @burst are open. They are spent either way. */
static inline bool patience_bear(struct patience *patience, uint32_t points, uint64_t rate,
				 uint64_t burst, uint64_t now_ns)
{
	uint64_t from = patience->settled_ns > now_ns ? patience->settled_ns : now_ns;

	patience->settled_ns = from + points * CLOCK_SEC / rate;
	return patience->settled_ns - now_ns <= burst * CLOCK_SEC / rate;
}

#endif
