/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread's idle links to the servers of an upstream, still watched by epoll, the last used first.
 */
#ifndef PROXY_UPSTREAM_POOL_H
#define PROXY_UPSTREAM_POOL_H

#include "base/pool.h"
#include "proxy/upstream/link.h"
#include "proxy/upstream/shared.h"

struct upstream_pool {
	struct upstream_shared *shared;
	struct loop *loop;
	struct pool links;
	struct timer sweep;
	struct balance balance;
	uint32_t idle;
	struct list idle_of[]; /* per server */
};

/* Keeps a link that is in order; false: there are enough. */
bool idle_keep(struct upstream_link *link);
/* One to @server on which nothing has come; NULL: none. */
struct upstream_link *idle_take(struct upstream_pool *pool, uint32_t server);
/* One to any server that is not in @tried. */
struct upstream_link *idle_take_any(struct upstream_pool *pool, uint64_t tried);

#endif
