// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/upstream.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "proxy/upstream/health.h"
#include "proxy/net/tls_client.h"
#include "proxy/upstream/pool.h"

/* --- what the threads share --------------------------------------------------------------------
 */

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
	if (!shared->plan || !shared->pools) {
		upstream_shared_free(shared);
		return NULL;
	}
	return shared;
}

void upstream_shared_free(struct upstream_shared *shared)
{
	if (!shared)
		return;
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

/* At the cap of the upstream: an idle link is used for whatever server it leads to, or makes room
 * for a new one where that would not do. */
static int take_at_cap(struct upstream_pool *pool, const struct upstream_wish *wish,
		       uint32_t server, struct upstream_link **link)
{
	struct upstream_link *idle;

	if (!wish->fresh && !wish->key) {
		*link = idle_take_any(pool, wish->tried);
		return *link ? 0 : -EBUSY;
	}
	idle = idle_take_any(pool, 0);
	if (!idle)
		return -EBUSY;
	link_close(idle);
	return link_open(pool, server, link);
}

static int take_from(struct upstream_pool *pool, const struct upstream_wish *wish, uint32_t server,
		     struct upstream_link **link)
{
	int code;

	*link = wish->join ? wish->join(wish, pool, server) : NULL;
	if (!*link && !wish->fresh)
		*link = idle_take(pool, server);
	if (*link)
		return 0;
	code = link_open(pool, server, link);
	return code == -EBUSY ? take_at_cap(pool, wish, server, link) : code;
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
		if (full && !server_is_up(&servers[server], now_ns))
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

int upstream_take(struct upstream_pool *pool, struct upstream_wish *wish,
		  struct upstream_link **link, uint32_t *failures)
{
	int code;

	*failures = 0;
	code = take_link(pool, wish, link, failures);
	if (code < 0)
		return code;
	wish->tried |= 1ULL << (*link)->server;
	(*link)->offers_http2 = wish->join != NULL;
	if (!(*link)->session)
		link_lend(*link, wish->borrower, wish->handle);
	return 0;
}

int upstream_connected(struct upstream_link *link)
{
	int code = 0;

	if (stream_is(&link->stream, STREAM_BROKEN))
		code = stream_error(&link->stream);
	return code;
}

int upstream_secure(struct upstream_link *link)
{
	struct tls_peer *peer = link_server(link)->tls;
	int result = 1;

	if (peer && !link->stream.tls && tls_client_begin(&link->stream, link->pool->tls, peer) < 0)
		return -FW_MEMORY;
	if (peer && link->offers_http2)
		tls_offer_http2(&link->stream);
	if (peer)
		result = tls_shake(&link->stream);
	link->connecting = result == 0;
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
