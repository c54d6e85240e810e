// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/upstream.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "proxy/upstream/health.h"
#include "proxy/upstream/pool.h"

/* --- what the threads share --------------------------------------------------------------------
 */

struct upstream_shared *upstream_shared_create(const struct config_upstream *config,
					       uint32_t threads)
{
	struct upstream_shared *shared;
	uint32_t share = config->max_connections / (threads ? threads : 1);
	uint32_t count = config->server_count < UPSTREAM_SERVERS_MAX
				 ? (uint32_t)config->server_count
				 : UPSTREAM_SERVERS_MAX;

	shared = aligned_alloc(_Alignof(struct server),
			       sizeof(*shared) + count * sizeof(struct server));
	if (!shared)
		return NULL;
	memset(shared, 0, sizeof(*shared) + count * sizeof(struct server));
	shared->config = config;
	shared->threads = threads;
	shared->server_count = count;
	health_init(&shared->health, config, shared->servers, count);
	shared->plan = balance_plan_create(config, shared->servers);
	if (!shared->plan) {
		free(shared);
		return NULL;
	}
	/* A link that was one client's is nobody else's. */
	shared->keep = config->proxy_protocol ? 0 : config->keepalive;
	/* A thread's idle links must not use up what the others may open. */
	if (config->max_connections && share < shared->keep)
		shared->keep = share;
	return shared;
}

void upstream_shared_free(struct upstream_shared *shared)
{
	if (shared)
		balance_plan_free(shared->plan);
	free(shared);
}

struct server *upstream_servers(struct upstream_shared *shared, uint32_t *count)
{
	*count = shared->server_count;
	return shared->servers;
}

/* --- a link, taken and given back --------------------------------------------------------------
 */

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

/* The attempt failed for want of something of ours. */
static bool is_our_fault(int code)
{
	return code == -ENOMEM || code == -EMFILE || code == -ENFILE || code == -ENOBUFS ||
	       code == -EADDRNOTAVAIL;
}

static int take_link(struct upstream_pool *pool, struct upstream_wish *wish,
		     struct upstream_link **link, uint32_t *failures)
{
	uint64_t now_ns = pool->loop->now_ns;
	int server, code;

	while ((server = balance_choose(&pool->balance, wish->tried, wish->key, now_ns)) >= 0) {
		*link = wish->fresh ? NULL : idle_take(pool, (uint32_t)server);
		if (*link)
			return 0;
		if (!reserve_slot(pool)) {
			/* At the cap an idle link to any untried server is better than none. */
			*link = wish->fresh ? NULL : idle_take_any(pool, wish->tried);
			return *link ? 0 : -EBUSY;
		}
		code = link_open(pool, (uint32_t)server, link);
		if (code == 0)
			return 0;
		atomic_fetch_sub(&pool->shared->open, 1);
		if (is_our_fault(code))
			return -ENOMEM;
		wish->tried |= 1ULL << server;
		server_note_result(&pool->shared->servers[server], SERVER_REFUSED, 0, now_ns);
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
	link_lend(*link, wish->borrower, wish->handle);
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
	server_note_result(link_server(link), SERVER_REFUSED, 0, link->pool->loop->now_ns);
	link_close(link);
}

void upstream_give(struct upstream_link *link)
{
	/* What can still be read belongs to no answer that anybody asked for. */
	if (stream_is(&link->stream, STREAM_READABLE | STREAM_ENDING) || !idle_keep(link))
		link_close(link);
}

void upstream_close(struct upstream_link *link)
{
	link_close(link);
}

void upstream_reset(struct upstream_link *link)
{
	link_reset(link);
}

/* --- what is known of it -----------------------------------------------------------------------
 */

const char *upstream_server_name(const struct upstream_link *link)
{
	return link_server(link)->config->address;
}

const char *upstream_host(const struct upstream_pool *pool)
{
	return pool->shared->config->servers[0].address;
}

const struct config_balance *upstream_balance(const struct upstream_pool *pool)
{
	return &pool->shared->config->balance;
}

enum config_introduction upstream_introduction(const struct upstream_pool *pool)
{
	return pool->shared->config->proxy_protocol;
}
