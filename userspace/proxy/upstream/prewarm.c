// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/prewarm.h"
#include <errno.h>
#include "base/clock.h"
#include "proxy/net/tls/tls.h"
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

/* HTTP/2 has it, or it is idle. */
static void keep(struct upstream_link *link, bool http2)
{
	const struct upstream_newborn *newborn = &link->pool->newborn;

	remove_link(link);
	link->pool->prewarm.failures = 0;
	if (!http2)
		upstream_give(link);
	else if (!newborn->begin(newborn->context, link))
		upstream_close(link);
}

/* It is connected. */
static void complete(struct upstream_link *link)
{
	enum config_upstream_http2 http2 = link->pool->shared->config->http2;
	bool spoken =
		link->stream.tls ? tls_speaks_http2(&link->stream) : http2 == UPSTREAM_HTTP2_ON;

	if (http2 == UPSTREAM_HTTP2_ON && !spoken)
		fail(link, -FW_UPSTREAM_BAD_RESPONSE);
	else
		keep(link, spoken);
}

static void handle(struct source *source, uint32_t events)
{
	struct upstream_link *link = container_of(source, struct upstream_link, stream.source);
	int result;

	stream_note(&link->stream, events);
	result = upstream_connected(link) == 0 ? upstream_secure(link) : -FW_UPSTREAM_UNREACHABLE;
	if (result < 0)
		fail(link, result);
	else if (result > 0)
		complete(link);
}

static bool is_on_its_way(const struct upstream_pool *pool, uint32_t server)
{
	list_for_each_safe (node, next, &pool->prewarm.links)
		if (container_of(node, struct upstream_link, node)->server == server)
			return true;
	return false;
}

/* Of HTTP/2 a thread needs one connection to a server. */
static bool has_enough(const struct upstream_pool *pool, uint32_t server)
{
	const struct upstream_shared *shared = pool->shared;

	if (shared->config->http2 == UPSTREAM_HTTP2_OFF ||
	    atomic_load_explicit(&shared->servers[server].speaks_http1, memory_order_relaxed))
		return false;
	return pool->sessions[server] || is_on_its_way(pool, server) ||
	       pool_has_its_share(pool, server);
}

/* The next server that is well; −1: none is. */
static int choose(struct upstream_pool *pool)
{
	const struct upstream_shared *shared = pool->shared;

	for (uint32_t i = 0; i < shared->server_count; i++) {
		uint32_t server = pool->prewarm.next++ % shared->server_count;

		if (server_is_up(&shared->servers[server], pool->loop->now_ns) &&
		    !has_enough(pool, server))
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
	link->offers_http2 = pool->shared->config->http2 != UPSTREAM_HTTP2_OFF;
	link->stream.source.handle = handle;
	list_append(&pool->prewarm.links, &link->node);
	atomic_fetch_add_explicit(&pool->prewarm.opening, 1, memory_order_relaxed);
	return true;
}

static uint32_t count_there(const struct upstream_pool *pool)
{
	return upstream_idle(pool) +
	       atomic_load_explicit(&pool->prewarm.opening, memory_order_relaxed);
}

static uint32_t share_of(const struct upstream_pool *pool, uint32_t count)
{
	uint32_t threads = pool->shared->threads;

	return count / threads + (pool->index < count % threads);
}

/* This thread's part of how many there are too few. */
static uint32_t count_missing(const struct upstream_pool *pool)
{
	const struct upstream_shared *shared = pool->shared;
	uint32_t wanted = shared->config->prewarm, there = 0;

	/* What nobody else can use is counted by each thread for itself. */
	if (shared->config->http2 != UPSTREAM_HTTP2_OFF) {
		wanted = share_of(pool, wanted);
		there = count_there(pool) + pool->session_count;
		return there < wanted ? wanted - there : 0;
	}
	for (uint32_t i = 0; i < shared->pool_count; i++)
		there += count_there(shared->pools[i]);
	return there < wanted ? share_of(pool, wanted - there) : 0;
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
