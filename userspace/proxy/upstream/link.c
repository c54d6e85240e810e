// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/link.h"
#include <errno.h>
#include <unistd.h>
#include "base/clock.h"
#include "proxy/net/socket.h"
#include "proxy/upstream/pool.h"

struct server *link_server(const struct upstream_link *link)
{
	return &link->pool->shared->servers[link->server];
}

static void release(struct source *source)
{
	struct upstream_link *link = container_of(source, struct upstream_link, stream.source);

	pool_give(&link->pool->links, link);
}

/* --- beginning ---------------------------------------------------------------------------------
 */

/* One more of at most @cap; 0: of any number. */
static bool count_up(atomic_uint *open, uint32_t cap)
{
	if (atomic_fetch_add(open, 1) < cap || !cap)
		return true;
	atomic_fetch_sub(open, 1);
	return false;
}

static int reserve(struct upstream_shared *shared, struct server *server)
{
	if (!count_up(&shared->open, shared->config->max_connections))
		return -EBUSY;
	if (count_up(&server->open, server->config->max_connections))
		return 0;
	atomic_fetch_sub(&shared->open, 1);
	return -EUSERS;
}

static void unreserve(struct upstream_shared *shared, struct server *server)
{
	atomic_fetch_sub(&server->open, 1);
	atomic_fetch_sub(&shared->open, 1);
}

/* The attempt failed for want of something of ours. */
static bool is_our_fault(int code)
{
	return code == -ENOMEM || code == -EMFILE || code == -ENFILE || code == -ENOBUFS ||
	       code == -EADDRNOTAVAIL;
}

static int connect_to(const struct server *server)
{
	struct fw_addr address;
	uint16_t port;
	int fd = -EHOSTUNREACH;

	if (server_address(server, &address, &port))
		fd = socket_connect(&address, port);
	return is_our_fault(fd) ? -ENOMEM : fd;
}

static int begin(struct upstream_pool *pool, uint32_t server, struct upstream_link *link)
{
	struct server *peer = &pool->shared->servers[server];

	*link = (struct upstream_link){
		.pool = pool,
		.born_ns = pool->loop->now_ns,
		.server = server,
		.version = server_version(peer),
		.connecting = true,
		.stream.source = {.fd = connect_to(peer), .release = release},
	};
	list_init(&link->node);
	if (link->stream.source.fd < 0)
		return link->stream.source.fd;
	if (stream_open(&link->stream, pool->loop, link->stream.source.fd, true) == 0)
		return 0;
	close(link->stream.source.fd);
	return -ENOMEM;
}

int link_open(struct upstream_pool *pool, uint32_t server, struct upstream_link **result)
{
	struct server *peer = &pool->shared->servers[server];
	int code = reserve(pool->shared, peer);
	struct upstream_link *link;

	if (code < 0)
		return code;
	link = pool_take(&pool->links);
	code = link ? begin(pool, server, link) : -ENOMEM;
	if (code < 0) {
		pool_give(&pool->links, link);
		unreserve(pool->shared, peer);
		return code;
	}
	*result = link;
	return 0;
}

/* --- lent and returned -------------------------------------------------------------------------
 */

void link_lend(struct upstream_link *link, void *borrower,
	       void (*handle)(struct source *source, uint32_t events))
{
	link->borrower = borrower;
	link->requests++;
	link->stream.source.handle = handle;
	server_begin(link_server(link));
}

void link_return(struct upstream_link *link)
{
	if (link->borrower)
		server_end(link_server(link));
	link->borrower = NULL;
}

bool link_is_spent(const struct upstream_link *link, uint64_t now_ns)
{
	const struct config_upstream *config = link->pool->shared->config;

	return link->version != server_version(link_server(link)) ||
	       (config->max_requests && link->requests >= config->max_requests) ||
	       (config->max_age_ms && now_ns - link->born_ns >= config->max_age_ms * CLOCK_MS);
}

/* --- to another thread -------------------------------------------------------------------------
 */

struct upstream_link *link_adopt(struct upstream_pool *pool, struct upstream_link *from)
{
	struct upstream_link *link = pool_take(&pool->links);

	if (!link)
		return NULL;
	*link = (struct upstream_link){
		.pool = pool,
		.born_ns = from->born_ns,
		.idle_since = from->idle_since,
		.server = from->server,
		.version = from->version,
		.requests = from->requests,
		.reused = true,
		.stream.source = {.fd = -1, .release = release},
	};
	list_init(&link->node);
	from->husk = true;
	if (stream_adopt(&link->stream, pool->loop, &from->stream) == 0)
		return link;
	unreserve(pool->shared, link_server(link));
	pool_give(&pool->links, link);
	return NULL;
}

void link_discard(struct upstream_link *husk)
{
	stream_abandon(&husk->stream);
}

/* --- the end -----------------------------------------------------------------------------------
 */

static void forget(struct upstream_link *link)
{
	link_return(link);
	unreserve(link->pool->shared, link_server(link));
}

void link_close(struct upstream_link *link)
{
	forget(link);
	stream_close(&link->stream);
}

void link_reset(struct upstream_link *link)
{
	forget(link);
	stream_reset(&link->stream);
}
