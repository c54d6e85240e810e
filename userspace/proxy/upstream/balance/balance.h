/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which server of an upstream is asked next.
 *
 * First, among whom: servers that are up, of the first priority; of further ones too, while too
 * few of those before are up. Servers that the request has tried are passed over. When nobody is
 * left, those that are down are asked as well: an answer may still come of it, and with every
 * server down all of them are used again as if none were.
 *
 * Then, whom of these: by the upstream's policy, a row each in balance_policies.c.
 *
 * Pure but for what it reads of servers: no socket, no clock, no lock. A plan never changes and is
 * shared by all threads; each thread has its own struct balance for what it remembers.
 */
#ifndef PROXY_UPSTREAM_BALANCE_BALANCE_H
#define PROXY_UPSTREAM_BALANCE_BALANCE_H

#include "proxy/upstream/server/server.h"

/* Of one upstream, for all threads. */
struct balance_plan;

/* Of one upstream, for one thread: what it remembers of its own choices. */
struct balance {
	const struct balance_plan *plan;
	uint64_t random;
	int64_t credit[CONFIG_SERVERS_MAX];    /* by how much a server's turn is due */
	uint64_t asked_ns[CONFIG_SERVERS_MAX]; /* when it was last chosen for its latency */
};

/* @servers: as many as @config has, in its order; both outlive it. NULL: no memory. */
struct balance_plan *balance_plan_create(const struct config_upstream *config,
					 const struct server *servers);
void balance_plan_free(struct balance_plan *plan);

/* A thread's own turn begins. The plan outlives it. */
void balance_init(struct balance *balance, struct balance_plan *plan);

/*
 * The index of the server to ask, or −1: there is none that was not tried. @tried: a bit each; it
 * is not changed.
 * @key: the request's hash, for policy "hash"; others take no notice of it.
 */
int balance_choose(struct balance *balance, uint64_t tried, uint64_t key, uint64_t now_ns);

#endif
