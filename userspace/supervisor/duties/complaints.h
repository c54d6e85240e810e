/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The proxy's complaints about sources (struct fw_complaint): examined, and followed by having the
 * filter shut the source out.
 *
 * The proxy faces clients, so what it says is a claim. It can be about nobody but sources of its
 * own listeners, for no longer than their source.exclusion; what lies beyond is cut, or ignored.
 * So the worst that a proxy under somebody else's control can do is what it could do anyway: not
 * serve.
 */
#ifndef SUPERVISOR_DUTIES_COMPLAINTS_H
#define SUPERVISOR_DUTIES_COMPLAINTS_H

#include "base/clock.h"
#include "wall/wall.h"

/*
 * How often complaints_follow() is to be called: when the proxy says that there are some, or there
 * were some the last time, which no word of the proxy's makes more often; and else, for those of
 * generations that drain, and of one that could not say so.
 */
#define COMPLAINTS_BUSY_NS (5 * CLOCK_MS)
#define COMPLAINTS_IDLE_NS (500 * CLOCK_MS)

/* How many of each worker's were read. Zero-initialised: none yet. */
struct complaints_read {
	uint64_t count[FW_WORKERS_MAX];
};

/* Follows what has come. Whether there was anything. */
bool complaints_follow(struct wall *wall, struct complaints_read *read, uint64_t now_ns);

#endif
