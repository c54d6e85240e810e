/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An upstream as all threads see it. Private to this folder.
 */
#ifndef PROXY_UPSTREAM_SHARED_H
#define PROXY_UPSTREAM_SHARED_H

#include <stdalign.h>
#include <stdatomic.h>
#include "proxy/upstream/balance/balance.h"
#include "proxy/upstream/capacity/breaker.h"
#include "proxy/upstream/capacity/queue.h"
#include "proxy/upstream/server/health.h"

struct upstream_pool;

struct upstream_shared {
	const struct config_upstream *config;
	struct balance_plan *plan;
	struct upstream_pool **pools; /* one per thread, all there before any thread runs */
	uint32_t pool_count, threads;
	uint32_t keep; /* idle links of all threads */
	uint32_t server_count;
	struct health health;
	struct queue *queue;          /* NULL: nobody may wait */
	alignas(64) atomic_uint open; /* links to all servers, idle ones included */
	struct breaker breaker;
	struct server servers[];
};

/* Something that somebody may wait for has become free. */
static inline void upstream_free_up(struct upstream_shared *shared)
{
	if (shared->queue && queue_is_awaited(shared->queue))
		queue_call(shared->queue);
}

#endif
