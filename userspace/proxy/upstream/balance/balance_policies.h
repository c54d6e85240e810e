/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policies by which one of several servers is chosen, and what they know. Private to
 * balance*.c.
 */
#ifndef PROXY_UPSTREAM_BALANCE_BALANCE_POLICIES_H
#define PROXY_UPSTREAM_BALANCE_BALANCE_POLICIES_H

#include <stdatomic.h>
#include <stdint.h>
#include "proxy/upstream/balance/balance.h"

struct balance_plan {
	const struct config_upstream *config;
	const struct server *servers;
	uint32_t count, level_count;
	uint64_t all; /* servers, a bit each */
	uint64_t
		level[CONFIG_PRIORITIES]; /* servers of each priority in use, the first one first */
	uint32_t weight[CONFIG_SERVERS_MAX]; /* at least 1 */
	uint8_t *maglev;                     /* policy "hash" only */
	atomic_uint threads;                 /* how many have a struct balance */
};

/* One of @candidates, which are two at least. */
typedef uint32_t balance_policy(struct balance *balance, uint64_t candidates, uint64_t key,
				uint64_t now_ns);

extern balance_policy *const balance_policies[];

/* What a server's share is in proportion to, now: its weight, less of it while it starts slowly. */
uint32_t balance_weight(const struct balance_plan *plan, uint32_t server, uint64_t now_ns);

/* The lowest of a set's members, and the set without it. */
static inline uint32_t first_of(uint64_t set)
{
	return (uint32_t)__builtin_ctzll(set);
}

static inline uint64_t rest_of(uint64_t set)
{
	return set & (set - 1);
}

#endif
