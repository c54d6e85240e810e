// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/pool.h"
#include <stdlib.h>
#include "base/clock.h"
#include "proxy/upstream/upstream.h"

#define SHED_NS CLOCK_SEC /* how long threads keep nothing idle after one met the cap */

static struct upstream_link *link_of(struct source *source)
{
	return container_of(source, struct upstream_link, stream.source);
}

static void drop(struct upstream_link *link)
{
	list_remove(&link->node);
	link->pool->idle--;
	link_close(link);
}

/* Whatever an idle server says, or that it closes: the link is of no more use. That there is room
 * to write may be reported late, along with what was read meanwhile. */
static void handle_idle(struct source *source, uint32_t events)
{
	if (events & ~(uint32_t)EPOLLOUT)
		drop(link_of(source));
}

static bool met_cap_lately(const struct upstream_pool *pool)
{
	uint64_t met_ns = atomic_load_explicit(&pool->shared->met_cap_ns, memory_order_relaxed);

	return met_ns && pool->loop->now_ns - met_ns < SHED_NS;
}

/* Closes what has been idle for too long; the oldest are last. */
static void sweep(struct timer *timer)
{
	struct upstream_pool *pool = container_of(timer, struct upstream_pool, sweep);
	uint64_t kept_ns = pool->shared->config->keepalive_ms * CLOCK_MS, next_ns = WHEEL_NEVER;

	if (met_cap_lately(pool))
		kept_ns = 0;
	for (uint32_t server = 0; server < pool->shared->server_count; server++) {
		struct list *idle = &pool->idle_of[server];

		while (!list_is_empty(idle)) {
			struct upstream_link *link =
				container_of(idle->previous, struct upstream_link, node);
			uint64_t until_ns = link_is_astray(link) ? 0 : link->idle_since + kept_ns;

			if (until_ns > pool->loop->now_ns) {
				next_ns = until_ns < next_ns ? until_ns : next_ns;
				break;
			}
			drop(link);
		}
	}
	/* Looks in at least once a second, for the sake of threads that met the cap. */
	if (next_ns < WHEEL_NEVER && next_ns > pool->loop->now_ns + CLOCK_SEC)
		next_ns = pool->loop->now_ns + CLOCK_SEC;
	timer_arm_lazily(&pool->loop->wheel, timer, next_ns);
}

bool idle_keep(struct upstream_link *link)
{
	struct upstream_pool *pool = link->pool;

	if (pool->idle >= pool->shared->keep || met_cap_lately(pool) || link_is_astray(link))
		return false;
	link_return(link);
	link->reused = true;
	link->idle_since = pool->loop->now_ns;
	link->stream.source.handle = handle_idle;
	list_insert(&pool->idle_of[link->server], &link->node);
	pool->idle++;
	timer_arm_lazily(&pool->loop->wheel, &pool->sweep, pool->loop->now_ns + CLOCK_SEC);
	return true;
}

/* What a server has said since its last answer, even in this very turn, must not be taken for the
 * answer to what comes next. */
struct upstream_link *idle_take(struct upstream_pool *pool, uint32_t server)
{
	struct list *idle = &pool->idle_of[server];
	struct upstream_link *link;

	while (!list_is_empty(idle)) {
		link = container_of(idle->next, struct upstream_link, node);
		if (!link_is_astray(link) && stream_is_silent(&link->stream)) {
			list_remove(&link->node);
			pool->idle--;
			return link;
		}
		drop(link);
	}
	return NULL;
}

struct upstream_link *idle_take_any(struct upstream_pool *pool, uint64_t tried)
{
	struct upstream_link *link = NULL;

	for (uint32_t server = 0; server < pool->shared->server_count && !link; server++)
		if (!(tried & 1ULL << server))
			link = idle_take(pool, server);
	return link;
}

/* --- a thread's pool ---------------------------------------------------------------------------
 */

struct upstream_pool *upstream_pool_create(struct upstream_shared *shared, struct loop *loop,
					   struct pool_budget *budget)
{
	struct upstream_pool *pool;

	pool = calloc(1, sizeof(*pool) + shared->server_count * sizeof(struct list));
	if (!pool)
		return NULL;
	pool->shared = shared;
	pool->loop = loop;
	pool->sweep.fire = sweep;
	balance_init(&pool->balance, shared->plan);
	pool_init(&pool->links, sizeof(struct upstream_link), 256, budget);
	for (uint32_t server = 0; server < shared->server_count; server++)
		list_init(&pool->idle_of[server]);
	return pool;
}

void upstream_pool_close(struct upstream_pool *pool)
{
	timer_cancel(&pool->loop->wheel, &pool->sweep);
	for (uint32_t server = 0; server < pool->shared->server_count; server++)
		while (!list_is_empty(&pool->idle_of[server]))
			drop(container_of(pool->idle_of[server].next, struct upstream_link, node));
}

void upstream_pool_free(struct upstream_pool *pool)
{
	if (pool)
		pool_destroy(&pool->links);
	free(pool);
}

uint32_t upstream_idle(const struct upstream_pool *pool)
{
	return pool->idle;
}
