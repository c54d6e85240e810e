// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/upstream.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "proxy/net/tls/tls_client.h"
#include "proxy/upstream/pool.h"
#include "proxy/upstream/capacity/share.h"
#include "proxy/upstream/server/health.h"

/* --- what the threads share --------------------------------------------------------------------
 */

static void wake(void *context, uint32_t thread)
{
	const struct upstream_shared *shared = context;

	loop_wake(shared->pools[thread]->loop);
}

struct upstream_shared *upstream_shared_create(const struct config_upstream *config,
					       const struct credentials *credentials,
					       uint32_t threads)
{
	uint32_t count = config->server_count < UPSTREAM_SERVERS_MAX
				 ? (uint32_t)config->server_count
				 : UPSTREAM_SERVERS_MAX;
	size_t size = sizeof(struct upstream_shared) + count * sizeof(struct server);
	struct upstream_shared *shared = aligned_alloc(alignof(struct upstream_shared), size);

	if (!shared)
		return NULL;
	memset(shared, 0, size);
	shared->config = config;
	shared->threads = threads;
	shared->server_count = count;
	health_init(&shared->health, config, shared->servers, count);
	for (uint32_t i = 0; credentials && i < count; i++)
		shared->servers[i].tls = credentials_peer(credentials, config, i);
	/* A link that was one client's is nobody else's. */
	shared->keep = config->proxy_protocol ? 0 : config->keepalive;
	shared->plan = balance_plan_create(config, shared->servers);
	shared->pools = calloc(threads, sizeof(*shared->pools));
	if (config->queue)
		shared->queue = queue_create(config->queue, threads, wake, shared);
	if (!shared->plan || !shared->pools || (config->queue && !shared->queue)) {
		upstream_shared_free(shared);
		return NULL;
	}
	return shared;
}

void upstream_shared_free(struct upstream_shared *shared)
{
	if (!shared)
		return;
	queue_free(shared->queue);
	balance_plan_free(shared->plan);
	free(shared->pools);
	free(shared);
}

struct server *upstream_servers(struct upstream_shared *shared, uint32_t *count)
{
	*count = shared->server_count;
	return shared->servers;
}

/* --- a link, taken and given back --------------------------------------------------------------
 */

/* An idle link makes room for a new one. */
static int take_instead(struct upstream_pool *pool, struct upstream_link *idle, uint32_t server,
			struct upstream_link **link)
{
	link_close(idle);
	return link_open(pool, server, link);
}

/* At the cap of the upstream: an idle link is used for whatever server it leads to, or has to go
 * where that would not do. */
static int take_at_cap(struct upstream_pool *pool, const struct upstream_wish *wish,
		       uint32_t server, struct upstream_link **link)
{
	struct upstream_link *idle;

	if (!wish->fresh && !wish->key) {
		*link = idle_take_any(pool, wish->tried);
		return *link ? 0 : -EBUSY;
	}
	idle = idle_take_any(pool, 0);
	return idle ? take_instead(pool, idle, server, link) : -EBUSY;
}

/* The same at the cap of the server, for whom an idle link would not do. */
static int take_at_servers_cap(struct upstream_pool *pool, const struct upstream_wish *wish,
			       uint32_t server, struct upstream_link **link)
{
	struct upstream_link *idle = wish->fresh ? idle_take(pool, server) : NULL;

	return idle ? take_instead(pool, idle, server, link) : -EUSERS;
}

static bool is_share(uint32_t count, uint32_t cap, uint32_t threads)
{
	return cap && count && count >= cap / threads;
}

bool pool_has_its_share(const struct upstream_pool *pool, uint32_t server)
{
	const struct upstream_shared *shared = pool->shared;
	const struct config_server *config = shared->servers[server].config;

	return is_share(pool->session_count, shared->config->max_connections, shared->threads) ||
	       is_share(pool->sessions[server], config->max_connections, shared->threads);
}

static int take_from(struct upstream_pool *pool, const struct upstream_wish *wish, uint32_t server,
		     struct upstream_link **link)
{
	int code;

	*link = wish->join ? wish->join(wish, pool, server) : NULL;
	if (!*link && wish->late)
		return -EBUSY;
	if (!*link && !wish->fresh)
		*link = idle_take(pool, server);
	if (*link)
		return 0;
	if (wish->join && pool_has_its_share(pool, server))
		return -EUSERS;
	code = link_open(pool, server, link);
	if (code == -EUSERS)
		return take_at_servers_cap(pool, wish, server, link);
	return code == -EBUSY ? take_at_cap(pool, wish, server, link) : code;
}

bool upstream_is_crowded(const struct upstream_pool *pool)
{
	const struct upstream_shared *shared = pool->shared;
	uint32_t cap = shared->config->max_connections;

	return cap && atomic_load_explicit(&shared->open, memory_order_relaxed) >= cap / 2;
}

/* Connections that nobody has. */
static uint64_t count_free(const struct upstream_shared *shared)
{
	uint64_t open = atomic_load_explicit(&shared->open, memory_order_relaxed);
	uint64_t free = shared->config->max_connections;

	free = free > open ? free - open : 0;
	for (uint32_t i = 0; i < shared->pool_count; i++)
		free += upstream_idle(shared->pools[i]);
	return free;
}

/* Whether the source has its share of what there is, and can wait. */
static bool is_late(const struct upstream_shared *shared, const struct upstream_wish *wish)
{
	return shared->queue && wish->held &&
	       !share_permits(wish->held, count_free(shared), shared->config->max_connections);
}

static int take_link(struct upstream_pool *pool, struct upstream_wish *wish,
		     struct upstream_link **link, uint32_t *failures)
{
	uint64_t now_ns = pool->loop->now_ns, full = 0;
	struct server *servers = pool->shared->servers;
	int server, code;

	while ((server = balance_choose(&pool->balance, wish->tried | full, wish->key, now_ns)) >=
	       0) {
		/* Better to wait for one that is well than to ask one that is not. */
		if ((full || wish->spare) && !server_is_up(&servers[server], now_ns))
			break;
		code = take_from(pool, wish, (uint32_t)server, link);
		if (code == 0 || code == -EBUSY || code == -ENOMEM)
			return code;
		if (code == -EUSERS) {
			full |= 1ULL << server;
			continue;
		}
		wish->tried |= 1ULL << server;
		server_note_result(&servers[server], SERVER_REFUSED, 0, now_ns);
		++*failures;
	}
	return full ? -EBUSY : -ECONNREFUSED;
}

static int take(struct upstream_pool *pool, struct upstream_wish *wish, struct upstream_link **link,
		uint32_t *failures)
{
	struct upstream_shared *shared = pool->shared;
	int code;

	if (!breaker_has_room(&shared->breaker.active, shared->config->max_active))
		return -EBUSY;
	code = take_link(pool, wish, link, failures);
	if (code < 0)
		return code;
	wish->tried |= 1ULL << (*link)->server;
	(*link)->offers_http2 = wish->join != NULL;
	if (!(*link)->session)
		link_lend(*link, wish->borrower, wish->handle, wish->ledger, wish->source);
	return 0;
}

/* What somebody was called for is still there, and he does not wait for it any more; or he has it,
 * and others who wait only because they had their share may find more. */
static void pass_on_call(struct upstream_pool *pool, const struct upstream_wish *wish, int code)
{
	if (wish->called && (code < 0 ? code != -EBUSY : !upstream_is_claimed(pool)))
		upstream_free_up(pool->shared);
}

int upstream_take(struct upstream_pool *pool, struct upstream_wish *wish,
		  struct upstream_link **link, uint32_t *failures)
{
	const struct queue *queue = pool->shared->queue;
	int code;

	*failures = 0;
	wish->late = is_late(pool->shared, wish);
	if (!wish->tried && !wish->called)
		retry_budget_earn(&pool->retries, pool->loop->now_ns);
	/* Nobody overtakes those who wait. */
	if (queue && !wish->called && queue_is_claimed(queue))
		return -EBUSY;
	code = take(pool, wish, link, failures);
	pass_on_call(pool, wish, code);
	return code;
}

/* --- waiting -----------------------------------------------------------------------------------
 */

int upstream_wait(struct upstream_pool *pool, struct upstream_wish *wish, struct waiter *waiter,
		  struct upstream_link **link, uint32_t *failures)
{
	struct queue *queue = pool->shared->queue;
	int code = -EBUSY;

	*failures = 0;
	if (!queue)
		return -EBUSY;
	waiter->thread = pool->index;
	waiter->tried = wish->tried;
	waiter->late = wish->late;
	switch (queue_join(queue, waiter, wish->called)) {
	case QUEUE_FULL:
		return -ENOBUFS;
	case QUEUE_FIRST:
		/* What was freed between the last look and now was nobody's call. */
		idle_settle(pool->shared);
		code = take(pool, wish, link, failures);
		break;
	case QUEUE_BEHIND:
		break;
	}
	if (code == -EBUSY) {
		if (wish->called)
			queue_pass_on(queue, waiter);
		return -EINPROGRESS;
	}
	upstream_wait_no_more(pool, waiter);
	pass_on_call(pool, wish, code);
	return code;
}

void upstream_wait_no_more(struct upstream_pool *pool, struct waiter *waiter)
{
	struct queue *queue = pool->shared->queue;

	if (queue && queue_leave(queue, waiter))
		queue_call(queue);
}

void upstream_heed_calls(struct upstream_pool *pool)
{
	struct queue *queue = pool->shared->queue;
	uint32_t most = queue ? queue_waiting(queue, pool->index) : 0;
	struct waiter *waiter;
	bool removed;

	while (most-- && (waiter = queue_next_called(queue, pool->index, &removed)))
		waiter->called(waiter, removed);
}

uint32_t upstream_waiting(const struct upstream_pool *pool)
{
	return pool->shared->queue ? queue_waiting(pool->shared->queue, pool->index) : 0;
}

bool upstream_is_awaited(const struct upstream_pool *pool)
{
	return pool->shared->queue && queue_is_awaited(pool->shared->queue);
}

bool upstream_is_claimed(const struct upstream_pool *pool)
{
	return pool->shared->queue && queue_is_claimed(pool->shared->queue);
}

uint32_t upstream_waiting_of(const struct upstream_pool *pool, uint64_t source)
{
	struct queue *queue = pool->shared->queue;

	return queue ? queue_waiting_of(queue, source) : 0;
}

void upstream_look_again(struct upstream_pool *pool)
{
	upstream_free_up(pool->shared);
}

/* --- requests at once, and again ---------------------------------------------------------------
 */

const struct config_retry *upstream_retry_policy(const struct upstream_pool *pool)
{
	return &pool->shared->config->retry;
}

bool upstream_has_others(const struct upstream_pool *pool, uint64_t tried)
{
	const struct upstream_shared *shared = pool->shared;

	for (uint32_t server = 0; server < shared->server_count; server++)
		if (!(tried & 1ULL << server) && server_is_there(&shared->servers[server]))
			return true;
	return false;
}

static bool begin_retry(struct upstream_pool *pool, const struct config_retry *policy)
{
	struct upstream_shared *shared = pool->shared;

	if (!breaker_enter(&shared->breaker.retrying, policy->concurrent))
		return false;
	if (retry_budget_spend(&pool->retries, policy, shared->threads, pool->loop->now_ns))
		return true;
	breaker_leave(&shared->breaker.retrying);
	return false;
}

bool upstream_retry_begin(struct upstream_pool *pool)
{
	return begin_retry(pool, &pool->shared->config->retry);
}

bool upstream_hedge_begin(struct upstream_pool *pool)
{
	struct config_retry half = pool->shared->config->retry;

	half.budget /= 2;
	half.minimum /= 2;
	half.concurrent = (half.concurrent + 1) / 2; /* 0 stays any number */
	return begin_retry(pool, &half);
}

void upstream_retry_end(struct upstream_pool *pool)
{
	breaker_leave(&pool->shared->breaker.retrying);
}

/* --- what becomes of a link --------------------------------------------------------------------
 */

int upstream_connected(struct upstream_link *link)
{
	int code = 0;

	if (stream_is(&link->stream, STREAM_BROKEN))
		code = stream_error(&link->stream);
	return code;
}

static void note_protocol(const struct upstream_link *link)
{
	struct server *server = link_server(link);
	bool http1 = !tls_speaks_http2(&link->stream);

	/* Seldom news: what every choice reads is not written each time. */
	if (atomic_load_explicit(&server->speaks_http1, memory_order_relaxed) != http1)
		atomic_store_explicit(&server->speaks_http1, http1, memory_order_relaxed);
}

int upstream_secure(struct upstream_link *link)
{
	struct tls_peer *peer = link_server(link)->tls;
	int result = 1;

	if (peer && !link->stream.tls &&
	    tls_client_begin(&link->stream, link->pool->tls, &link->account, peer) < 0)
		return -FW_MEMORY;
	if (peer && link->offers_http2)
		tls_offer_http2(&link->stream);
	if (peer)
		result = tls_shake(&link->stream);
	link->connecting = result == 0;
	if (result > 0 && peer && link->offers_http2)
		note_protocol(link);
	if (result > 0)
		server_note_result(link_server(link), SERVER_CONNECTED, 0,
				   link->pool->loop->now_ns);
	return result;
}

void upstream_failed(struct upstream_link *link)
{
	server_note_result(link_server(link), SERVER_REFUSED, 0, link->pool->loop->now_ns);
	link_close(link);
}

void upstream_give(struct upstream_link *link)
{
	/* What can still be read belongs to no answer that anybody asked for. */
	if (!stream_is_quiet(&link->stream) || !idle_keep(link))
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

bool upstream_speaks_http1(const struct upstream_link *link)
{
	return atomic_load_explicit(&link_server(link)->speaks_http1, memory_order_relaxed);
}

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

const struct config_upstream *upstream_config(const struct upstream_pool *pool)
{
	return pool->shared->config;
}

enum config_introduction upstream_introduction(const struct upstream_pool *pool)
{
	return pool->shared->config->proxy_protocol;
}
