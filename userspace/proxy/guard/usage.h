/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much of a thread's time each source has lately had, so that when many want their turn at once
 * who has had least comes first.
 *
 * A source may use its part of the thread for ever, as one of 2,048 (usage.c), and be as good
 * as a newcomer; what it uses beyond is remembered, and forgotten as time goes by. Times are what
 * such work costs as a rule, not measured: a clock that is read twice an event would cost more than
 * the order is worth.
 *
 * A table of a fixed size, whatever the number of sources, of one thread alone: a count-min sketch
 * (Cormode, Muthukrishnan 2005) of moments. Sharing cells can only make it look like more.
 */
#ifndef PROXY_GUARD_USAGE_H
#define PROXY_GUARD_USAGE_H

#include <stdint.h>
#include "base/tally.h"

enum {
	USAGE_COLUMNS = 1 << 16, /* of four bytes: 512 KiB a thread, touched as sources come */
	USAGE_LEVELS = 8,
};

/* What is charged as a rule, in µs of a thread. */
enum usage_cost {
	USAGE_EVENT = 20,       /* something has come, or can be sent */
	USAGE_CONNECTION = 120, /* from accept to close */
	USAGE_HANDSHAKE = 400,
	USAGE_FAULT = 1000, /* no work, but who makes one has less of a right */
};

/* Zero-initialised: nobody has had anything. */
struct usage {
	uint32_t until[TALLY_ROWS][USAGE_COLUMNS]; /* ticks: when it will have been forgotten */
};

/* @cost_us: of usage_cost, or a part of one. */
void usage_charge(struct usage *usage, struct tally_place source, uint32_t cost_us,
		  uint64_t now_ns);

/* 0: no more than its part, or little more; one higher for each time that it has twice as much. At
 * most USAGE_LEVELS − 1. */
unsigned int usage_level(const struct usage *usage, struct tally_place source, uint64_t now_ns);

#endif
