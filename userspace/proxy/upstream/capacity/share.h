/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many of an upstream's connections a source may hold: as many as are left, and one in any case
 * (dynamic thresholds, Choudhury and Hahne 1998). While there are plenty nobody meets it. As they
 * run short whoever has most waits first, and something is always left for who comes with nothing:
 * of 1,024 that a hundred sources want all of, each has ten, and a dozen are free. A source that is
 * alone may have all.
 */
#ifndef PROXY_UPSTREAM_CAPACITY_SHARE_H
#define PROXY_UPSTREAM_CAPACITY_SHARE_H

#include <stdbool.h>
#include <stdint.h>

/* Whether a source that holds @held of @most may have one more of those @free that nobody has. */
static inline bool share_permits(uint64_t held, uint64_t free, uint64_t most)
{
	return held <= free || held + free >= most;
}

#endif
