/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock that everything is timed by: CLOCK_MONOTONIC in nanoseconds, the same that the filter
 * reads (bpf_ktime_get_ns). Logic takes the time as a parameter; only loops and mains ask for it.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_MS  1000000ULL
#define CLOCK_SEC 1000000000ULL

static inline uint64_t clock_read_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * CLOCK_SEC + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_now_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

/* Wall time of a moment on the monotonic clock, as it looks from now; for people to read. */
static inline uint64_t clock_to_realtime_ns(uint64_t monotonic_ns)
{
	return clock_read_ns(CLOCK_REALTIME) - clock_now_ns() + monotonic_ns;
}

#endif
