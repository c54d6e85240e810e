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

static int reserve(struct upstream_shared *shared, struct server *server)
{
	if (!breaker_enter(&shared->open, shared->config->max_connections))
		return -EBUSY;
	if (breaker_enter(&server->open, server->config->max_connections))
		return 0;
	breaker_leave(&shared->open);
	return -EUSERS;
}

static void unreserve(struct upstream_shared *shared, struct server *server)
{
	breaker_leave(&server->open);
	breaker_leave(&shared->open);
	upstream_free_up(shared);
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
		.account = {.ledger = &pool->ledger, .held = sizeof(*link)},
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

void link_share(struct upstream_link *link, struct session *session)
{
	link->pool->sessions[link->server] += session ? 1 : -1U;
	link->pool->session_count += session ? 1 : -1U;
	link->session = session;
	link->reused = session != NULL;
}

static void begin_request(struct upstream_link *link)
{
	struct upstream_shared *shared = link->pool->shared;

	link->requests++;
	server_begin(link_server(link));
	if (shared->config->max_active)
		atomic_fetch_add(&shared->breaker.active, 1);
}

/* It is nobody's again. */
static void take_back(struct upstream_link *link)
{
	link->borrower = NULL;
	account_move(&link->account, &link->pool->ledger, (struct tally_place){0});
}

void link_count_request(struct upstream_link *link)
{
	server_count(link_server(link));
}

bool link_begin_request(struct upstream_link *link)
{
	if (link->borrower) {
		take_back(link);
		return true;
	}
	begin_request(link);
	if (link->connecting)
		return false;
	link_count_request(link);
	return true;
}

static void end_request(struct upstream_link *link)
{
	struct upstream_shared *shared = link->pool->shared;

	server_end(link_server(link));
	if (shared->config->max_active) {
		breaker_leave(&shared->breaker.active);
		upstream_free_up(shared);
	}
}

void link_end_request(struct upstream_link *link)
{
	end_request(link);
	/* There may be room for another one on this link. */
	if (!link->pool->shared->config->max_active)
		upstream_free_up(link->pool->shared);
}

static void lend(struct upstream_link *link, void *borrower,
		 void (*handle)(struct source *source, uint32_t events), struct ledger *ledger,
		 struct tally_place source)
{
	link->borrower = borrower;
	link->stream.source.handle = handle;
	if (ledger)
		account_move(&link->account, ledger, source);
	begin_request(link);
}

void link_lend(struct upstream_link *link, void *borrower,
	       void (*handle)(struct source *source, uint32_t events), struct ledger *ledger,
	       struct tally_place source)
{
	link_count_request(link);
	lend(link, borrower, handle, ledger, source);
}

void link_lend_alone(struct upstream_link *link, void *borrower,
		     void (*handle)(struct source *source, uint32_t events), struct ledger *ledger,
		     struct tally_place source)
{
	link->requests = 0;
	lend(link, borrower, handle, ledger, source);
}

void link_return(struct upstream_link *link)
{
	if (!link->borrower)
		return;
	take_back(link);
	end_request(link);
}

bool link_is_spent(const struct upstream_link *link, uint64_t now_ns)
{
	const struct config_upstream *config = link->pool->shared->config;

	return link->version != server_version(link_server(link)) ||
	       (config->max_requests && link->requests >= config->max_requests) ||
	       (config->max_age_ms && link->born_ns + config->max_age_ms * CLOCK_MS <= now_ns);
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
		.account = {.ledger = &pool->ledger, .held = sizeof(*link)},
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
