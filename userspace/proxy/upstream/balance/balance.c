// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/balance/balance.h"
#include <stdlib.h>
#include "base/hash.h"
#include "proxy/upstream/balance/balance_maglev.h"
#include "proxy/upstream/balance/balance_policies.h"

/* --- a plan ------------------------------------------------------------------------------------
 */

/* Servers by priority; those that nobody has are left out. */
static void sort_by_priority(struct balance_plan *plan)
{
	uint64_t level[CONFIG_PRIORITIES] = {0};

	for (uint32_t i = 0; i < plan->count; i++)
		level[plan->config->servers[i].priority] |= 1ULL << i;
	for (uint32_t priority = 0; priority < CONFIG_PRIORITIES; priority++)
		if (level[priority])
			plan->level[plan->level_count++] = level[priority];
}

struct balance_plan *balance_plan_create(const struct config_upstream *config,
					 const struct server *servers)
{
	struct balance_plan *plan = calloc(1, sizeof(*plan));
	size_t count = config->server_count;

	if (!plan)
		return NULL;
	plan->config = config;
	plan->servers = servers;
	plan->count = count < CONFIG_SERVERS_MAX ? (uint32_t)count : CONFIG_SERVERS_MAX;
	plan->all = ~0ULL >> (64 - plan->count);
	for (uint32_t i = 0; i < plan->count; i++)
		plan->weight[i] = config->servers[i].weight ? config->servers[i].weight : 1;
	sort_by_priority(plan);
	if (config->balance.policy != BALANCE_HASH)
		return plan;
	plan->maglev = maglev_create(config->servers, plan->weight, plan->count);
	if (plan->maglev)
		return plan;
	free(plan);
	return NULL;
}

void balance_plan_free(struct balance_plan *plan)
{
	if (plan)
		free(plan->maglev);
	free(plan);
}

void balance_init(struct balance *balance, struct balance_plan *plan)
{
	uint32_t thread = atomic_fetch_add_explicit(&plan->threads, 1, memory_order_relaxed);

	*balance = (struct balance){.plan = plan, .random = hash_mix(thread + 1)};
	/* Each begins where the one before would go on: together they do not march in step. */
	for (uint32_t turn = 0; turn < thread; turn++)
		balance_policies[BALANCE_ROUND_ROBIN](balance, plan->all, 0, UINT64_MAX);
}

/* --- among whom --------------------------------------------------------------------------------
 */

static uint64_t servers_up(const struct balance_plan *plan, uint64_t now_ns)
{
	uint64_t up = 0;

	for (uint32_t i = 0; i < plan->count; i++)
		up |= (uint64_t)server_is_up(&plan->servers[i], now_ns) << i;
	return up;
}

/* A name has fewer addresses at times than it has places. */
static uint64_t servers_there(const struct balance_plan *plan)
{
	uint64_t there = 0;

	for (uint32_t i = 0; i < plan->count; i++)
		there |= (uint64_t)server_is_there(&plan->servers[i]) << i;
	return there;
}

static uint64_t weight_of(const struct balance_plan *plan, uint64_t set)
{
	uint64_t weight = 0;

	for (; set; set = rest_of(set))
		weight += plan->weight[first_of(set)];
	return weight;
}

/* Whether so many of @called are up that nobody else needs to be called. */
static bool are_enough(const struct balance_plan *plan, uint64_t called, uint64_t up)
{
	uint32_t percent = plan->config->balance.failover_percent;

	if (!(called & up))
		return false;
	return !percent || weight_of(plan, called & up) * 100 >= weight_of(plan, called) * percent;
}

/* Those of @up whose priority's turn it is. */
static uint64_t in_turn(const struct balance_plan *plan, uint64_t up)
{
	uint64_t called = 0;

	for (uint32_t i = 0; i < plan->level_count && !are_enough(plan, called, up); i++)
		called |= plan->level[i];
	return called & up;
}

static uint64_t find_candidates(const struct balance_plan *plan, uint64_t tried, uint64_t now_ns)
{
	uint64_t up = servers_up(plan, now_ns), found = in_turn(plan, up) & ~tried;

	if (!found)
		found = in_turn(plan, up & ~tried);
	if (!found)
		found = in_turn(plan, servers_there(plan) & ~tried);
	return found;
}

/* --- whom --------------------------------------------------------------------------------------
 */

int balance_choose(struct balance *balance, uint64_t tried, uint64_t key, uint64_t now_ns)
{
	const struct balance_plan *plan = balance->plan;
	uint64_t candidates = find_candidates(plan, tried, now_ns);

	if (!candidates)
		return -1;
	if (!rest_of(candidates))
		return (int)first_of(candidates);
	return (int)balance_policies[plan->config->balance.policy](balance, candidates, key,
								   now_ns);
}
