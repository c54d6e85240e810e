/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What keeps requests together on one server, where their upstream balances by a hash: the client's
 * address, or what a header or a cookie of the request says. Who has no such header or cookie (yet)
 * is kept together by the address.
 */
#ifndef PROXY_CLIENT_ROUTE_AFFINITY_H
#define PROXY_CLIENT_ROUTE_AFFINITY_H

#include "proxy/client/client.h"
#include "proxy/http/http.h"

/* The key for balance_choose(); 0, at no cost, if @pool's upstream has no use for one. @head is
 * that of the request in @data; NULL: a connection that speaks no HTTP. */
uint64_t affinity_key(const struct client *client, const struct upstream_pool *pool,
		      const struct http_head *head, const char *data);

#endif
