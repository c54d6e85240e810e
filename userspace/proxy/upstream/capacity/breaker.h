/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What keeps an upstream in trouble from being given more of it: caps on the requests that it is
 * given at once and on those of them that are tried again, and a budget of retries.
 *
 * The budget is a share of live traffic: with every server failing, retries add that share to the
 * load and no more, however many attempts each request might have. Each thread keeps the budget of
 * its own requests, so that counting them costs no cache line that others want.
 */
#ifndef PROXY_UPSTREAM_CAPACITY_BREAKER_H
#define PROXY_UPSTREAM_CAPACITY_BREAKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "config/config.h"

enum { BREAKER_WINDOW_S = 10 };

/* Of one upstream, for all threads. Zero-initialised. */
struct breaker {
	atomic_uint active;   /* requests; counted only where there is a cap */
	atomic_uint retrying; /* those that are tried again */
};

/* Of one thread: what it asked for in each of the last seconds. Zero-initialised. */
struct retry_budget {
	uint64_t second; /* the newest */
	uint32_t requests[BREAKER_WINDOW_S], retries[BREAKER_WINDOW_S];
};

/* Whether there is room for one more of at most @cap; 0: of any number. Others may take it before
 * it is: a cap that is kept so may be exceeded, by less than there are threads. */
static inline bool breaker_has_room(atomic_uint *count, uint32_t cap)
{
	return !cap || atomic_load(count) < cap;
}

/* One more of at most @cap; 0: of any number. False: that is how many there are. */
static inline bool breaker_enter(atomic_uint *count, uint32_t cap)
{
	unsigned int now = atomic_load(count);

	do {
		if (cap && now >= cap)
			return false;
	} while (!atomic_compare_exchange_weak(count, &now, now + 1));
	return true;
}

static inline void breaker_leave(atomic_uint *count)
{
	atomic_fetch_sub(count, 1);
}

/* A request that is not one. */
void retry_budget_earn(struct retry_budget *budget, uint64_t now_ns);
/* Whether there may be one more retry, which is counted then. @threads: that share the minimum. */
bool retry_budget_spend(struct retry_budget *budget, const struct config_retry *policy,
			uint32_t threads, uint64_t now_ns);

#endif
