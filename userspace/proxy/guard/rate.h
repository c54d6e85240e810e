/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast a peer is while it is being waited for. Only that time counts: a client is not slow
 * because the server is.
 */
#ifndef PROXY_GUARD_RATE_H
#define PROXY_GUARD_RATE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/clock.h"

#define RATE_GRACE_NS (5 * CLOCK_SEC)
/* What a byte pays for: 16 KiB count for a second of waiting. */
#define RATE_BYTE_NS (CLOCK_SEC / (16 << 10))

/* Zero-initialised. */
struct rate {
	uint64_t base;     /* the peer's byte count when it was first waited for */
	uint64_t spent_ns; /* waited in all, up to the present wait */
	uint64_t since_ns; /* when the present wait began; 0: not waiting */
	/* What it owes: time passes while it is waited for, and bytes pay; none pays ahead. */
	uint64_t owed_ns, counted, counted_ns; /* when last counted, at how many bytes, when */
	bool based;
};

static inline bool rate_is_waiting(const struct rate *rate)
{
	return rate->since_ns != 0;
}

/* What a peer that is being waited for owes, at @count bytes. It never has a credit: however much
 * came at first, who stops owes from then on. */
static inline uint64_t rate_owes_ns(const struct rate *rate, uint64_t count, uint64_t now_ns)
{
	uint64_t owed_ns = rate->owed_ns, paid_ns = (count - rate->counted) * RATE_BYTE_NS;

	if (rate_is_waiting(rate))
		owed_ns += now_ns - rate->counted_ns;
	return owed_ns > paid_ns ? owed_ns - paid_ns : 0;
}

/* The peer has sent or taken @count bytes by now. */
static inline void rate_count(struct rate *rate, uint64_t count, uint64_t now_ns)
{
	rate->owed_ns = rate_owes_ns(rate, count, now_ns);
	rate->counted = count;
	rate->counted_ns = now_ns;
}

/* Tells whether the peer is being waited for; @count: bytes it has sent or taken so far. */
static inline void rate_wait(struct rate *rate, bool waiting, uint64_t count, uint64_t now_ns)
{
	rate_count(rate, count, now_ns);
	if (waiting == rate_is_waiting(rate))
		return;
	if (!waiting) {
		rate->spent_ns += now_ns - rate->since_ns;
		rate->since_ns = 0;
		return;
	}
	rate->since_ns = now_ns;
	if (!rate->based) {
		rate->base = count;
		rate->based = true;
	}
}

/* How long it has been waited for in all. */
static inline uint64_t rate_waited_ns(const struct rate *rate, uint64_t now_ns)
{
	return rate->spent_ns + (rate_is_waiting(rate) ? now_ns - rate->since_ns : 0);
}

/* Whether the peer, at @count bytes, falls short of @minimum bytes a second; 0: no minimum. That is
 * asked when it has been waited for longer than @grace_ns. */
static inline bool rate_is_below(const struct rate *rate, uint64_t minimum, uint64_t grace_ns,
				 uint64_t count, uint64_t now_ns)
{
	uint64_t waited_ns = rate_waited_ns(rate, now_ns);

	if (!rate_is_waiting(rate) || !minimum)
		return false;
	return waited_ns > grace_ns &&
	       (double)(count - rate->base) * 1e9 < (double)minimum * (double)waited_ns;
}

/* When to look again at a peer that is waited for and not below its minimum. */
static inline uint64_t rate_next_look_ns(const struct rate *rate, uint64_t grace_ns,
					 uint64_t now_ns)
{
	uint64_t waited_ns = rate_waited_ns(rate, now_ns);

	return now_ns + (waited_ns < grace_ns ? grace_ns - waited_ns + 1 : CLOCK_SEC);
}

/* How a peer takes what is waiting for it. Zero-initialised. */
struct uptake {
	struct rate rate;
	uint64_t taken;    /* bytes, when last looked at … */
	uint64_t taken_ns; /* … and when that last changed */
};

/* The peer has @taken so many bytes by now. */
static inline void uptake_look(struct uptake *uptake, uint64_t taken, uint64_t now_ns)
{
	rate_count(&uptake->rate, taken, now_ns);
	if (taken != uptake->taken) {
		uptake->taken = taken;
		uptake->taken_ns = now_ns;
	}
}

/* Bytes wait for the peer from now on, when it has @taken so many. */
static inline void uptake_begin(struct uptake *uptake, uint64_t taken, uint64_t now_ns)
{
	uptake->taken = taken;
	uptake->taken_ns = now_ns;
	rate_wait(&uptake->rate, true, taken, now_ns);
}

/* Nothing does any more. */
static inline void uptake_end(struct uptake *uptake, uint64_t now_ns)
{
	rate_wait(&uptake->rate, false, uptake->taken, now_ns);
}

#endif
