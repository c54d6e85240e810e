/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which server of an upstream a request goes to. A pure choice among words that all threads share;
 * what a thread remembers of its own choices is in a struct balance.
 */
#ifndef PROXY_UPSTREAM_BALANCE_H
#define PROXY_UPSTREAM_BALANCE_H

#include "proxy/upstream/server.h"

/* Of one thread. */
struct balance {
	const struct server *servers;
	uint32_t count; /* at most 64: a request remembers which it has tried in one word */
	uint32_t next;
};

void balance_init(struct balance *balance, const struct config_upstream *config,
		  const struct server *servers, uint32_t count);

/*
 * Index of the server to ask, none of those in @tried (a bit each); −1: none is left. A server that
 * is down is chosen only when no other is left. @key: of the client or the request, for policies
 * that keep to a server; 0: none.
 */
int balance_choose(struct balance *balance, uint64_t tried, uint64_t key, uint64_t now_ns);

#endif
