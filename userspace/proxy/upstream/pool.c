// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/pool.h"
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "proxy/net/tls/tls_client.h"
#include "proxy/upstream/upstream.h"

#define SWEEP_NS CLOCK_SEC

static struct upstream_link *link_of(struct list *node)
{
	return container_of(node, struct upstream_link, node);
}

/* --- under the lock ----------------------------------------------------------------------------
 */

static void change_idle(struct upstream_pool *pool, int change)
{
	uint32_t idle = atomic_load_explicit(&pool->idle, memory_order_relaxed);

	atomic_store_explicit(&pool->idle, idle + (uint32_t)change, memory_order_relaxed);
}

static void remove_idle(struct upstream_link *link)
{
	list_remove(&link->node);
	change_idle(link->pool, -1);
}

/* The last used one, removed. */
static struct upstream_link *pop(struct upstream_pool *pool, uint32_t server)
{
	struct list *idle = &pool->idle_of[server];
	struct upstream_link *link = NULL;

	pthread_mutex_lock(&pool->lock);
	if (!list_is_empty(idle)) {
		link = link_of(idle->next);
		remove_idle(link);
	}
	pthread_mutex_unlock(&pool->lock);
	return link;
}

static void discard_husks(struct upstream_pool *pool)
{
	struct list husks;

	pthread_mutex_lock(&pool->lock);
	list_take(&husks, &pool->husks);
	pthread_mutex_unlock(&pool->lock);
	while (!list_is_empty(&husks)) {
		struct upstream_link *husk = link_of(husks.next);

		list_remove(&husk->node);
		link_discard(husk);
	}
}

/* Among the idle ones. */
static void push(struct upstream_link *link)
{
	struct upstream_pool *pool = link->pool;
	struct upstream_shared *shared = pool->shared;
	bool husks, awaited;

	pthread_mutex_lock(&pool->lock);
	list_insert(&pool->idle_of[link->server], &link->node);
	change_idle(pool, 1);
	husks = !list_is_empty(&pool->husks);
	/* Within the lock: whoever comes to wait looks for idle links after that. */
	awaited = shared->queue && queue_is_awaited(shared->queue);
	pthread_mutex_unlock(&pool->lock);
	if (awaited)
		queue_call(shared->queue);
	if (husks)
		discard_husks(pool);
}

/* --- idle ones end -----------------------------------------------------------------------------
 */

/* Of a link that nobody else can take: closes in order. */
static void end(struct upstream_link *link)
{
	tls_client_join(&link->stream, link->pool->tls, &link->account);
	link_close(link);
}

/* Over TLS a server may say what is no answer. */
static bool is_quiet_still(struct upstream_link *link)
{
	return link->stream.tls &&
	       tls_client_join(&link->stream, link->pool->tls, &link->account) &&
	       stream_is_quiet(&link->stream) && tls_client_leave(&link->stream);
}

/* Whatever an idle server says, or that it closes: the link is of no more use. That there is room
 * to write may be reported late, along with what was read meanwhile. */
static void handle_idle(struct source *source, uint32_t events)
{
	struct upstream_link *link = container_of(source, struct upstream_link, stream.source);
	struct upstream_pool *pool = link->pool;
	bool ours;

	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	pthread_mutex_lock(&pool->lock);
	ours = !link->husk;
	if (ours)
		remove_idle(link);
	pthread_mutex_unlock(&pool->lock);
	if (!ours)
		return;
	stream_note(&link->stream, events);
	if (is_quiet_still(link))
		push(link);
	else
		link_close(link);
}

/* The one to @server that has been idle for longest, removed, if its time is up; otherwise *next_ns
 * is when it will be. */
static struct upstream_link *pop_expired(struct upstream_pool *pool, uint32_t server,
					 uint64_t *next_ns)
{
	uint64_t kept_ns = pool->shared->config->keepalive_ms * CLOCK_MS;
	uint64_t now_ns = pool->loop->now_ns;
	struct list *idle = &pool->idle_of[server];
	struct upstream_link *link = NULL;

	pthread_mutex_lock(&pool->lock);
	if (!list_is_empty(idle)) {
		link = link_of(idle->previous);
		if (link->idle_since + kept_ns <= now_ns || link_is_spent(link, now_ns)) {
			remove_idle(link);
		} else {
			if (link->idle_since + kept_ns < *next_ns)
				*next_ns = link->idle_since + kept_ns;
			link = NULL;
		}
	}
	pthread_mutex_unlock(&pool->lock);
	return link;
}

/* Closes what has been idle for too long. */
static void sweep(struct timer *timer)
{
	struct upstream_pool *pool = container_of(timer, struct upstream_pool, sweep);
	uint64_t next_ns = WHEEL_NEVER;
	struct upstream_link *link;

	for (uint32_t server = 0; server < pool->shared->server_count; server++)
		while ((link = pop_expired(pool, server, &next_ns)))
			end(link);
	discard_husks(pool);
	if (next_ns < WHEEL_NEVER && next_ns > pool->loop->now_ns + SWEEP_NS)
		next_ns = pool->loop->now_ns + SWEEP_NS;
	timer_arm_lazily(&pool->loop->wheel, timer, next_ns);
}

/* --- kept and taken ----------------------------------------------------------------------------
 */

/* As long as this thread's are within its share, so are all together: usually one look is enough.
 */
static bool there_is_room(const struct upstream_pool *pool)
{
	const struct upstream_shared *shared = pool->shared;
	uint32_t sum = 0;

	if (upstream_idle(pool) < shared->keep / shared->threads)
		return true;
	for (uint32_t i = 0; i < shared->pool_count; i++)
		sum += upstream_idle(shared->pools[i]);
	return sum < shared->keep;
}

bool idle_keep(struct upstream_link *link)
{
	struct upstream_pool *pool = link->pool;

	if (!there_is_room(pool) || link_is_spent(link, pool->loop->now_ns) ||
	    !tls_client_leave(&link->stream))
		return false;
	link_return(link);
	link->reused = true;
	link->idle_since = pool->loop->now_ns;
	link->stream.source.handle = handle_idle;
	push(link);
	timer_arm_lazily(&pool->loop->wheel, &pool->sweep, pool->loop->now_ns + SWEEP_NS);
	return true;
}

/* Takes over a connection of @victim's. */
static struct upstream_link *steal(struct upstream_pool *pool, struct upstream_pool *victim,
				   uint32_t server)
{
	struct list *idle = &victim->idle_of[server];
	struct upstream_link *theirs, *ours = NULL;

	pthread_mutex_lock(&victim->lock);
	if (!list_is_empty(idle)) {
		theirs = link_of(idle->next);
		ours = link_adopt(pool, theirs);
		if (theirs->husk) {
			remove_idle(theirs);
			list_append(&victim->husks, &theirs->node);
		}
	}
	pthread_mutex_unlock(&victim->lock);
	pool->steals += ours != NULL;
	return ours;
}

static struct upstream_link *steal_any(struct upstream_pool *pool, uint32_t server)
{
	const struct upstream_shared *shared = pool->shared;
	struct upstream_link *link = NULL;

	for (uint32_t i = 1; i < shared->pool_count && !link; i++) {
		struct upstream_pool *victim =
			shared->pools[(pool->index + i) % shared->pool_count];

		if (upstream_idle(victim))
			link = steal(pool, victim, server);
	}
	return link;
}

/* Whether it is good for another exchange. Asks the kernel, ahead of epoll. */
static bool is_good(struct upstream_link *link)
{
	if (!tls_client_join(&link->stream, link->pool->tls, &link->account) ||
	    link_is_spent(link, link->pool->loop->now_ns))
		return false;
	if (stream_is_silent(&link->stream))
		return true;
	stream_note(&link->stream, EPOLLIN);
	return stream_is_quiet(&link->stream);
}

struct upstream_link *idle_take(struct upstream_pool *pool, uint32_t server)
{
	struct upstream_link *link;

	for (;;) {
		link = upstream_idle(pool) ? pop(pool, server) : NULL;
		if (!link)
			link = steal_any(pool, server);
		if (!link || is_good(link))
			return link;
		link_close(link);
	}
}

void idle_settle(const struct upstream_shared *shared)
{
	for (uint32_t i = 0; i < shared->pool_count; i++) {
		pthread_mutex_lock(&shared->pools[i]->lock);
		pthread_mutex_unlock(&shared->pools[i]->lock);
	}
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
					   struct pool_budget *budget, struct tls_engine *tls)
{
	size_t size = sizeof(struct upstream_pool) + shared->server_count * sizeof(struct list);
	size_t line = alignof(struct upstream_pool);
	struct upstream_pool *pool;

	size = (size + line - 1) / line * line;
	pool = aligned_alloc(line, size);
	if (!pool)
		return NULL;
	memset(pool, 0, size);
	pool->shared = shared;
	pool->loop = loop;
	pool->tls = tls;
	pool->ledger = (struct ledger){
		.budget = budget,
		.buffers = tls ? tls_buffers(tls) : NULL,
		.threads = 1,
	};
	pool->index = shared->pool_count;
	pool->sweep.fire = sweep;
	pthread_mutex_init(&pool->lock, NULL);
	balance_init(&pool->balance, shared->plan);
	pool_init(&pool->links, sizeof(struct upstream_link), 256, budget);
	prewarm_init(&pool->prewarm);
	list_init(&pool->husks);
	for (uint32_t server = 0; server < shared->server_count; server++)
		list_init(&pool->idle_of[server]);
	shared->pools[shared->pool_count++] = pool;
	return pool;
}

void upstream_pool_set_newborn(struct upstream_pool *pool, struct upstream_newborn newborn)
{
	pool->newborn = newborn;
}

void upstream_pool_close(struct upstream_pool *pool)
{
	struct upstream_link *link;

	timer_cancel(&pool->loop->wheel, &pool->sweep);
	prewarm_close(pool);
	for (uint32_t server = 0; server < pool->shared->server_count; server++)
		while ((link = pop(pool, server)))
			end(link);
	discard_husks(pool);
}

void upstream_pool_free(struct upstream_pool *pool)
{
	if (!pool)
		return;
	pool_destroy(&pool->links);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

uint32_t upstream_idle(const struct upstream_pool *pool)
{
	return atomic_load_explicit(&pool->idle, memory_order_relaxed);
}

unsigned int upstream_prewarm(struct upstream_pool *pool)
{
	return prewarm_run(pool);
}

uint64_t upstream_take_steals(struct upstream_pool *pool)
{
	uint64_t steals = pool->steals;

	pool->steals = 0;
	return steals;
}
