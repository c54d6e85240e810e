// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/guard/usage.h"

enum {
	SHARES = 2048,      /* of a thread, one of which is a source's */
	TICK_BITS = 20,     /* of ns: a little more than a millisecond, without a division */
	LEVEL_TICKS = 2048, /* beyond its part, from which on a source is at level 1 */
	TICKS_MOST = LEVEL_TICKS << (USAGE_LEVELS - 1), /* within five minutes all is forgotten */
};

static uint32_t ticks_at(uint64_t now_ns)
{
	return (uint32_t)(now_ns >> TICK_BITS);
}

/* What is beyond the most is no moment ahead, but one long past: ticks wrap after 52 days. */
static uint32_t ahead(uint32_t until, uint32_t now)
{
	return until - now <= TICKS_MOST ? until - now : 0;
}

static uint32_t least_ahead(const struct usage *usage, struct tally_place source, uint32_t now)
{
	uint32_t least = TICKS_MOST;

	for (int row = 0; row < TALLY_ROWS; row++) {
		uint32_t ticks = ahead(usage->until[row][source.column[row]], now);

		least = ticks < least ? ticks : least;
	}
	return least;
}

void usage_charge(struct usage *usage, struct tally_place source, uint32_t cost_us, uint64_t now_ns)
{
	uint32_t now = ticks_at(now_ns);
	uint32_t more = (uint32_t)(((uint64_t)cost_us * SHARES * 1000) >> TICK_BITS);
	uint32_t ticks = least_ahead(usage, source, now) + more;

	ticks = ticks < TICKS_MOST ? ticks : TICKS_MOST;
	/* Only those cells are raised that say less: others' share in them need not grow. */
	for (int row = 0; row < TALLY_ROWS; row++) {
		uint32_t *until = &usage->until[row][source.column[row]];

		if (ahead(*until, now) < ticks)
			*until = now + ticks;
	}
}

unsigned int usage_level(const struct usage *usage, struct tally_place source, uint64_t now_ns)
{
	uint32_t times = least_ahead(usage, source, ticks_at(now_ns)) / LEVEL_TICKS;
	unsigned int level = times ? 32 - (unsigned int)__builtin_clz(times) : 0;

	return level < USAGE_LEVELS ? level : USAGE_LEVELS - 1;
}
