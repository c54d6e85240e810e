// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/link.h"
#include <errno.h>
#include <unistd.h>
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

int link_open(struct upstream_pool *pool, uint32_t server, struct upstream_link **result)
{
	struct server *peer = &pool->shared->servers[server];
	struct upstream_link *link = pool_take(&pool->links);
	unsigned int version = server_version(peer);
	struct fw_addr address;
	uint16_t port;
	int fd, code;

	if (!link)
		return -ENOMEM;
	fd = server_address(peer, &address, &port) ? socket_connect(&address, port) : -EHOSTUNREACH;
	if (fd < 0) {
		pool_give(&pool->links, link);
		return fd;
	}
	*link = (struct upstream_link){
		.pool = pool, .server = server, .version = version, .connecting = true};
	list_init(&link->node);
	link->stream.source.release = release;
	code = stream_open(&link->stream, pool->loop, fd, true);
	if (code < 0) {
		close(fd);
		pool_give(&pool->links, link);
		return -ENOMEM;
	}
	atomic_fetch_add(&peer->open, 1);
	*result = link;
	return 0;
}

void link_lend(struct upstream_link *link, void *borrower,
	       void (*handle)(struct source *source, uint32_t events))
{
	link->borrower = borrower;
	link->stream.source.handle = handle;
	server_begin(link_server(link));
}

void link_return(struct upstream_link *link)
{
	if (link->borrower)
		server_end(link_server(link));
	link->borrower = NULL;
}

bool link_is_astray(const struct upstream_link *link)
{
	return link->version != server_version(link_server(link));
}

static void forget(struct upstream_link *link)
{
	link_return(link);
	atomic_fetch_sub(&link_server(link)->open, 1);
	atomic_fetch_sub(&link->pool->shared->open, 1);
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
