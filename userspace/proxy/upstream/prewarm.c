// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/prewarm.h"
#include <errno.h>
#include "base/clock.h"
#include "proxy/upstream/pool.h"
#include "proxy/upstream/upstream.h"

#define PATIENCE_NS (5 * CLOCK_SEC) /* from opening to the end of a handshake */
#define PAUSE_NS    CLOCK_SEC       /* after the first failure */

enum { DOUBLINGS = 4 }; /* of the pause */

static struct upstream_link *first_of(struct prewarm *prewarm)
{
	return container_of(prewarm->links.next, struct upstream_link, node);
}

/* It is among those that connect no longer. */
static void remove_link(struct upstream_link *link)
{
	list_remove(&link->node);
	atomic_fetch_sub_explicit(&link->pool->prewarm.opening, 1, memory_order_relaxed);
}

/* What fails at once counts once. */
static void pause_for_a_while(struct upstream_pool *pool)
{
	struct prewarm *prewarm = &pool->prewarm;

	if (pool->loop->now_ns < prewarm->not_before_ns)
		return;
	prewarm->not_before_ns = pool->loop->now_ns + (PAUSE_NS << prewarm->failures);
	if (prewarm->failures < DOUBLINGS)
		prewarm->failures++;
}

static void fail(struct upstream_link *link, int result)
{
	remove_link(link);
	pause_for_a_while(link->pool);
	if (result == -FW_MEMORY) /* no server's fault */
		link_close(link);
	else
		upstream_failed(link);
}

static void handle(struct source *source, uint32_t events)
{
	struct upstream_link *link = container_of(source, struct upstream_link, stream.source);
	int result;

	stream_note(&link->stream, events);
	result = upstream_connected(link) == 0 ? upstream_secure(link) : -FW_UPSTREAM_UNREACHABLE;
	if (result < 0) {
		fail(link, result);
	} else if (result > 0) {
		remove_link(link);
		link->pool->prewarm.failures = 0;
		upstream_give(link);
	}
}

/* The next server that is well; −1: none is. */
static int choose(struct upstream_pool *pool)
{
	const struct upstream_shared *shared = pool->shared;

	for (uint32_t i = 0; i < shared->server_count; i++) {
		uint32_t server = pool->prewarm.next++ % shared->server_count;

		if (server_is_up(&shared->servers[server], pool->loop->now_ns))
			return (int)server;
	}
	return -1;
}

/* False: that was all for now. */
static bool open_one(struct upstream_pool *pool)
{
	int server = choose(pool), code;
	struct upstream_link *link;

	if (server < 0)
		return false;
	code = link_open(pool, (uint32_t)server, &link);
	if (code < 0) {
		if (code != -EBUSY && code != -EUSERS)
			pause_for_a_while(pool);
		return false;
	}
	link->stream.source.handle = handle;
	list_append(&pool->prewarm.links, &link->node);
	atomic_fetch_add_explicit(&pool->prewarm.opening, 1, memory_order_relaxed);
	return true;
}

/* This thread's part of how many there are too few. */
static uint32_t count_missing(const struct upstream_pool *pool)
{
	const struct upstream_shared *shared = pool->shared;
	uint32_t there = 0, missing;

	for (uint32_t i = 0; i < shared->pool_count; i++)
		there += upstream_idle(shared->pools[i]) +
			 atomic_load_explicit(&shared->pools[i]->prewarm.opening,
					      memory_order_relaxed);
	if (there >= shared->config->prewarm)
		return 0;
	missing = shared->config->prewarm - there;
	return missing / shared->threads + (pool->index < missing % shared->threads);
}

unsigned int prewarm_run(struct upstream_pool *pool)
{
	struct prewarm *prewarm = &pool->prewarm;
	uint64_t now_ns = pool->loop->now_ns;
	unsigned int opened = 0;

	while (!list_is_empty(&prewarm->links) &&
	       first_of(prewarm)->born_ns + PATIENCE_NS <= now_ns)
		fail(first_of(prewarm), -FW_CONNECT_TIMEOUT);
	if (!pool->shared->config->prewarm || now_ns < prewarm->not_before_ns)
		return 0;
	for (uint32_t missing = count_missing(pool); missing && open_one(pool); missing--)
		opened++;
	return opened;
}

void prewarm_init(struct prewarm *prewarm)
{
	list_init(&prewarm->links);
}

void prewarm_close(struct upstream_pool *pool)
{
	while (!list_is_empty(&pool->prewarm.links)) {
		struct upstream_link *link = first_of(&pool->prewarm);

		remove_link(link);
		link_close(link);
	}
}
