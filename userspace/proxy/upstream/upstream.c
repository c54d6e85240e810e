// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/upstream.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "proxy/net/socket.h"
#include "proxy/upstream/server.h"

#define DOWN_NS (2 * CLOCK_SEC) /* how long a server that refused is passed over */
#define SHED_NS CLOCK_SEC       /* how long threads keep nothing idle after one met the cap */

struct upstream_shared {
	const struct config_upstream *config;
	uint32_t keep; /* idle links of a thread */
	atomic_uint open;
	_Atomic uint64_t met_cap_ns;
	struct server servers[];
};

struct upstream_pool {
	struct upstream_shared *shared;
	struct loop *loop;
	struct pool links;
	struct timer sweep;
	uint32_t next, idle;
	struct list idle_of[]; /* per server, last used first */
};

struct upstream_shared *upstream_shared_create(const struct config_upstream *config,
					       uint32_t threads)
{
	struct upstream_shared *shared;
	uint32_t share = config->max_connections / (threads ? threads : 1);

	shared = calloc(1, sizeof(*shared) + config->server_count * sizeof(struct server));
	if (shared) {
		shared->config = config;
		for (size_t i = 0; i < config->server_count; i++)
			server_init(&shared->servers[i], &config->servers[i]);
		/* A link that was one client's is nobody else's. */
		shared->keep = config->proxy_protocol ? 0 : config->keepalive;
		/* A thread's idle links must not use up what the others may open. */
		if (config->max_connections && share < shared->keep)
			shared->keep = share;
	}
	return shared;
}

void upstream_shared_free(struct upstream_shared *shared)
{
	free(shared);
}

static uint32_t server_count(const struct upstream_pool *pool)
{
	size_t count = pool->shared->config->server_count;

	return count < UPSTREAM_SERVERS_MAX ? (uint32_t)count : UPSTREAM_SERVERS_MAX;
}

static struct upstream_link *link_of(struct source *source)
{
	return container_of(source, struct upstream_link, stream.source);
}

static void release_link(struct source *source)
{
	struct upstream_link *link = link_of(source);

	pool_give(&link->pool->links, link);
}

static void forget(struct upstream_link *link)
{
	atomic_fetch_sub(&link->pool->shared->open, 1);
	atomic_fetch_sub(&link->pool->shared->servers[link->server].open, 1);
	link->borrower = NULL;
}

void upstream_close(struct upstream_link *link)
{
	forget(link);
	stream_close(&link->stream);
}

void upstream_reset(struct upstream_link *link)
{
	forget(link);
	stream_reset(&link->stream);
}

/* --- idle links --------------------------------------------------------------------------------
 */

static void close_idle(struct upstream_link *link)
{
	list_remove(&link->node);
	link->pool->idle--;
	upstream_close(link);
}

/* Whatever an idle server says, or that it closes: the link is of no more use. That there is room
 * to write may be reported late, along with what was read meanwhile. */
static void handle_idle(struct source *source, uint32_t events)
{
	if (events & ~(uint32_t)EPOLLOUT)
		close_idle(link_of(source));
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
	for (uint32_t server = 0; server < server_count(pool); server++) {
		struct list *idle = &pool->idle_of[server];

		while (!list_is_empty(idle)) {
			struct upstream_link *link =
				container_of(idle->previous, struct upstream_link, node);
			uint64_t until_ns = link->idle_since + kept_ns;

			if (until_ns > pool->loop->now_ns) {
				next_ns = until_ns < next_ns ? until_ns : next_ns;
				break;
			}
			close_idle(link);
		}
	}
	/* Looks in at least once a second, for the sake of threads that met the cap. */
	if (next_ns < WHEEL_NEVER && next_ns > pool->loop->now_ns + CLOCK_SEC)
		next_ns = pool->loop->now_ns + CLOCK_SEC;
	timer_arm_lazily(&pool->loop->wheel, timer, next_ns);
}

void upstream_give(struct upstream_link *link)
{
	struct upstream_pool *pool = link->pool;

	/* What can still be read belongs to no answer that anybody asked for. */
	if (pool->idle >= pool->shared->keep || met_cap_lately(pool) ||
	    stream_is(&link->stream, STREAM_READABLE | STREAM_ENDING)) {
		upstream_close(link);
		return;
	}
	link->borrower = NULL;
	link->reused = true;
	link->idle_since = pool->loop->now_ns;
	link->stream.source.handle = handle_idle;
	list_insert(&pool->idle_of[link->server], &link->node);
	pool->idle++;
	timer_arm_lazily(&pool->loop->wheel, &pool->sweep, pool->loop->now_ns + CLOCK_SEC);
}

/* What a server has said since its last answer, even in this very turn, must not be taken for the
 * answer to what comes next. */
static struct upstream_link *take_idle(struct upstream_pool *pool, uint32_t server)
{
	struct list *idle = &pool->idle_of[server];
	struct upstream_link *link;

	while (!list_is_empty(idle)) {
		link = container_of(idle->next, struct upstream_link, node);
		if (stream_is_silent(&link->stream)) {
			list_remove(&link->node);
			pool->idle--;
			return link;
		}
		close_idle(link);
	}
	return NULL;
}

/* --- new links ---------------------------------------------------------------------------------
 */

/* Whose turn it is: the next untried server that is not down, else the next untried. −1: none. */
static int choose_server(struct upstream_pool *pool, uint64_t tried)
{
	uint32_t count = server_count(pool);
	int resort = -1;

	for (uint32_t step = 0; step < count; step++) {
		uint32_t server = (pool->next + step) % count;

		if (tried & 1ULL << server)
			continue;
		if (server_is_up(&pool->shared->servers[server], pool->loop->now_ns)) {
			pool->next = (server + 1) % count;
			return (int)server;
		}
		if (resort < 0)
			resort = (int)server;
	}
	return resort;
}

static bool reserve_slot(struct upstream_pool *pool)
{
	struct upstream_shared *shared = pool->shared;
	uint32_t cap = shared->config->max_connections;

	if (atomic_fetch_add(&shared->open, 1) < cap || !cap)
		return true;
	atomic_fetch_sub(&shared->open, 1);
	atomic_store_explicit(&shared->met_cap_ns, pool->loop->now_ns, memory_order_relaxed);
	return false;
}

static int connect_link(struct upstream_pool *pool, uint32_t server, struct upstream_link **result)
{
	const struct server *peer = &pool->shared->servers[server];
	struct upstream_link *link = pool_take(&pool->links);
	struct fw_addr address;
	uint16_t port;
	int fd, code;

	if (!link)
		return -ENOMEM;
	if (!server_address(peer, &address, &port)) {
		pool_give(&pool->links, link);
		return -EHOSTUNREACH;
	}
	fd = socket_connect(&address, port);
	if (fd < 0) {
		pool_give(&pool->links, link);
		return fd;
	}
	*link = (struct upstream_link){.pool = pool, .server = server, .connecting = true};
	list_init(&link->node);
	link->stream.source.release = release_link;
	code = stream_open(&link->stream, pool->loop, fd, true);
	if (code < 0) {
		close(fd);
		pool_give(&pool->links, link);
		return -ENOMEM;
	}
	atomic_fetch_add(&pool->shared->servers[server].open, 1);
	*result = link;
	return 0;
}

/* At the cap an idle link to any untried server is better than none. */
static struct upstream_link *take_any_idle(struct upstream_pool *pool, uint64_t tried)
{
	struct upstream_link *link = NULL;

	for (uint32_t server = 0; server < server_count(pool) && !link; server++)
		if (!(tried & 1ULL << server))
			link = take_idle(pool, server);
	return link;
}

static int take_link(struct upstream_pool *pool, struct upstream_wish *wish,
		     struct upstream_link **link, uint32_t *failures)
{
	int server, code;

	while ((server = choose_server(pool, wish->tried)) >= 0) {
		*link = wish->fresh ? NULL : take_idle(pool, (uint32_t)server);
		if (*link)
			return 0;
		if (!reserve_slot(pool)) {
			*link = wish->fresh ? NULL : take_any_idle(pool, wish->tried);
			return *link ? 0 : -EBUSY;
		}
		code = connect_link(pool, (uint32_t)server, link);
		if (code == 0)
			return 0;
		atomic_fetch_sub(&pool->shared->open, 1);
		if (code == -ENOMEM || code == -EMFILE || code == -ENFILE || code == -ENOBUFS ||
		    code == -EADDRNOTAVAIL)
			return -ENOMEM; /* ours to mend, not the server's */
		wish->tried |= 1ULL << server;
		server_eject(&pool->shared->servers[server], pool->loop->now_ns + DOWN_NS);
		++*failures;
	}
	return -ECONNREFUSED;
}

int upstream_take(struct upstream_pool *pool, struct upstream_wish *wish,
		  struct upstream_link **link, uint32_t *failures)
{
	int code;

	*failures = 0;
	code = take_link(pool, wish, link, failures);
	if (code < 0)
		return code;
	wish->tried |= 1ULL << (*link)->server;
	(*link)->borrower = wish->borrower;
	(*link)->stream.source.handle = wish->handle;
	return 0;
}

int upstream_connected(struct upstream_link *link)
{
	int code = 0;

	if (stream_is(&link->stream, STREAM_BROKEN))
		code = stream_error(&link->stream);
	if (code == 0)
		link->connecting = false;
	return code;
}

void upstream_failed(struct upstream_link *link)
{
	struct upstream_pool *pool = link->pool;

	server_eject(&pool->shared->servers[link->server], pool->loop->now_ns + DOWN_NS);
	upstream_close(link);
}

/* --- a thread's pool ---------------------------------------------------------------------------
 */

struct upstream_pool *upstream_pool_create(struct upstream_shared *shared, struct loop *loop,
					   struct pool_budget *budget)
{
	struct upstream_pool *pool;

	pool = calloc(1, sizeof(*pool) + shared->config->server_count * sizeof(struct list));
	if (!pool)
		return NULL;
	pool->shared = shared;
	pool->loop = loop;
	pool->sweep.fire = sweep;
	pool_init(&pool->links, sizeof(struct upstream_link), 256, budget);
	for (size_t server = 0; server < shared->config->server_count; server++)
		list_init(&pool->idle_of[server]);
	return pool;
}

void upstream_pool_close(struct upstream_pool *pool)
{
	timer_cancel(&pool->loop->wheel, &pool->sweep);
	for (uint32_t server = 0; server < server_count(pool); server++)
		while (!list_is_empty(&pool->idle_of[server]))
			close_idle(container_of(pool->idle_of[server].next, struct upstream_link,
						node));
}

void upstream_pool_free(struct upstream_pool *pool)
{
	if (pool)
		pool_destroy(&pool->links);
	free(pool);
}

const char *upstream_server_name(const struct upstream_link *link)
{
	return link->pool->shared->servers[link->server].config->address;
}

const char *upstream_host(const struct upstream_pool *pool)
{
	return pool->shared->config->servers[0].address;
}

enum config_introduction upstream_introduction(const struct upstream_pool *pool)
{
	return pool->shared->config->proxy_protocol;
}

uint32_t upstream_idle(const struct upstream_pool *pool)
{
	return pool->idle;
}
