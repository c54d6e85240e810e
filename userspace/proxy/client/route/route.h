/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of a listener's routes a request takes: that of the most exact host, there of the longest
 * path, there the first in the file whose conditions hold (docs/routing.md).
 *
 * A router is made once and read by all threads. Hosts are found by one hash, paths in a sorted
 * table; nothing is allocated for a request.
 */
#ifndef PROXY_CLIENT_ROUTE_ROUTE_H
#define PROXY_CLIENT_ROUTE_ROUTE_H

#include <stdatomic.h>
#include "config/config.h"
#include "proxy/http/http.h"

/* What all threads have of a route that is limited; on cache lines of its own. */
struct route_load {
	_Alignas(64) _Atomic uint64_t due_ns; /* of pacer_take_exactly() */
	atomic_uint active;                   /* requests */
};

/* Names, as http_head_drop() takes them. */
struct route_names {
	struct http_slice *list;
	size_t count;
};

struct route {
	const struct config_route *config;
	struct http_slice prefix; /* of the paths, as http_path_read() has it */
	uint32_t index;           /* in the listener's config->routes */
	uint32_t number;          /* among all routes of all listeners */
	bool plain;               /* its requests go on as they came */
	bool plain_back;          /* and so do the answers */
	bool limited;
	struct route_names request_drop, response_drop;
	struct route_load load;
};

struct router;

/* @first: how many routes earlier listeners have. NULL: no memory. */
struct router *router_create(const struct config_service *listener, uint32_t first);
void router_free(struct router *router); /* NULL is allowed */

/* The request's route; NULL: none. What its limits count belongs to the caller. */
struct route *router_find(struct router *router, const struct http_request *request,
			  const char *data);

/* What servers are told of clients, or of a peer that is trusted to tell of its own. */
const struct http_policy *router_policy(const struct router *router, bool trusted);
/* Whether it is. */
bool router_trusts(const struct router *router, const struct fw_addr *source);

/* The host that a request names, without the port and a dot at its end; empty: none. */
struct http_slice route_host(const struct http_request *request, const char *data);

#endif
