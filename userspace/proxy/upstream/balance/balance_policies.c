// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/balance/balance_policies.h"
#include <stdbool.h>
#include "base/clock.h"
#include "base/hash.h"
#include "proxy/upstream/balance/balance_maglev.h"

#define LATENCY_HALVING_NS (10 * CLOCK_SEC)

enum {
	WEIGHT_UNIT = 256, /* a weight of 1, in parts of which a slow start gives some */
	WEIGHT_FLOOR = 10, /* of which a slow start begins, percent: enough to learn from */
};

/* Who comes back from being ejected is as new as who comes back to health. */
static uint64_t up_since(const struct server *server)
{
	uint64_t ejected_ns = atomic_load_explicit(&server->ejected_until_ns, memory_order_relaxed);
	uint64_t up_ns = atomic_load_explicit(&server->up_since_ns, memory_order_relaxed);

	return ejected_ns > up_ns ? ejected_ns : up_ns;
}

uint32_t balance_weight(const struct balance_plan *plan, uint32_t server, uint64_t now_ns)
{
	uint32_t whole = plan->weight[server] * WEIGHT_UNIT, floor = whole * WEIGHT_FLOOR / 100;
	uint64_t ramp_ns = plan->config->balance.slow_start_ms * CLOCK_MS, since_ns;
	uint64_t grown;

	if (!ramp_ns)
		return whole;
	since_ns = up_since(&plan->servers[server]);
	if (!since_ns || now_ns >= since_ns + ramp_ns)
		return whole;
	if (now_ns <= since_ns)
		return floor;
	grown = (now_ns - since_ns) / CLOCK_MS * whole / plan->config->balance.slow_start_ms;
	return grown > floor ? (uint32_t)grown : floor;
}

/*
 * In turn, in proportion to weights, and as evenly mixed as they allow: every server's credit grows
 * by its weight; who has most is chosen, and pays what all were given. (A B A C A for 3, 1, 1.)
 */
static uint32_t choose_round_robin(struct balance *balance, uint64_t candidates, uint64_t key,
				   uint64_t now_ns)
{
	uint32_t best = first_of(candidates), server, weight;
	int64_t given = 0;

	(void)key;
	for (uint64_t left = candidates; left; left = rest_of(left)) {
		server = first_of(left);
		weight = balance_weight(balance->plan, server, now_ns);
		balance->credit[server] += weight;
		given += weight;
		if (balance->credit[server] > balance->credit[best])
			best = server;
	}
	balance->credit[best] -= given;
	return best;
}

/* What a server would be busy with if it were chosen. */
static uint64_t load_with_one_more(const struct balance *balance, uint32_t server)
{
	return atomic_load_explicit(&balance->plan->servers[server].active, memory_order_relaxed) +
	       1ULL;
}

/* The one with the fewest requests for its weight; of equals, who is next in turn. */
static uint32_t choose_least_connections(struct balance *balance, uint64_t candidates, uint64_t key,
					 uint64_t now_ns)
{
	uint64_t least = 0, equals = 0, load, ours, theirs;
	uint32_t weight, least_weight = 1, server;

	for (uint64_t left = candidates; left; left = rest_of(left)) {
		server = first_of(left);
		load = load_with_one_more(balance, server);
		weight = balance_weight(balance->plan, server, now_ns);
		ours = load * least_weight;
		theirs = least * weight;
		if (equals && ours > theirs)
			continue;
		if (!equals || ours < theirs)
			equals = 0;
		equals |= 1ULL << server;
		least = load;
		least_weight = weight;
	}
	return rest_of(equals) ? choose_round_robin(balance, equals, key, now_ns)
			       : first_of(equals);
}

/* Marsaglia's xorshift; @below is small, so that what modulo favours is nothing. */
static uint32_t random_below(struct balance *balance, uint32_t below)
{
	balance->random ^= balance->random << 13;
	balance->random ^= balance->random >> 7;
	balance->random ^= balance->random << 17;
	return (uint32_t)((balance->random >> 32) % below);
}

/* Any of the set. */
static uint32_t pick(struct balance *balance, uint64_t set)
{
	for (uint32_t skip = random_below(balance, (uint32_t)__builtin_popcountll(set)); skip;
	     skip--)
		set = rest_of(set);
	return first_of(set);
}

/* How long a response of @server takes, as far as that is still worth anything: it halves every ten
 * seconds in which this thread did not ask it, so that who was slow once is tried again. µs. */
static uint64_t latency_of(const struct balance *balance, uint32_t server, uint64_t now_ns)
{
	uint64_t latency_ns = atomic_load_explicit(&balance->plan->servers[server].latency_ns,
						   memory_order_relaxed);
	uint64_t halvings = (now_ns - balance->asked_ns[server]) / LATENCY_HALVING_NS;

	return halvings < 64 ? (latency_ns >> halvings) / 1000 : 0;
}

/* Whether @a is likely to answer sooner than @b: by how long it takes for one request, times the
 * requests it has, for its weight. One of which nothing is known is asked once, to learn; until
 * that is answered the requests alone are compared. */
static bool is_sooner(const struct balance *balance, uint32_t a, uint32_t b, uint64_t now_ns)
{
	uint64_t cost_a = load_with_one_more(balance, a), us_a = latency_of(balance, a, now_ns);
	uint64_t cost_b = load_with_one_more(balance, b), us_b = latency_of(balance, b, now_ns);

	if ((us_a || cost_a == 1) && (us_b || cost_b == 1)) {
		cost_a *= us_a;
		cost_b *= us_b;
	}
	return cost_a * balance_weight(balance->plan, b, now_ns) <
	       cost_b * balance_weight(balance->plan, a, now_ns);
}

/*
 * The sooner of two taken at random (Mitzenmacher, "The Power of Two Choices in Randomized Load
 * Balancing", 2001): nearly as good as the best of all, and threads that know the same do not all
 * run to the same server.
 */
static uint32_t choose_latency(struct balance *balance, uint64_t candidates, uint64_t key,
			       uint64_t now_ns)
{
	uint32_t chosen = pick(balance, candidates);
	uint32_t other = pick(balance, candidates & ~(1ULL << chosen));

	(void)key;
	if (is_sooner(balance, other, chosen, now_ns))
		chosen = other;
	balance->asked_ns[chosen] = now_ns;
	return chosen;
}

/* Whether a server that starts slowly has this key of its own back already. They come back one by
 * one, and stay: each has a part of the weight from which on it does. */
static bool has_back(const struct balance_plan *plan, uint32_t server, uint64_t key,
		     uint64_t now_ns)
{
	uint32_t whole = plan->weight[server] * WEIGHT_UNIT;
	uint32_t weight = balance_weight(plan, server, now_ns);

	return weight == whole || hash_mix(~key) % whole < weight;
}

/* Always the same for a key, as long as it is up. */
static uint32_t choose_hash(struct balance *balance, uint64_t candidates, uint64_t key,
			    uint64_t now_ns)
{
	const struct balance_plan *plan = balance->plan;
	uint32_t server = maglev_find(plan->maglev, key, candidates);

	for (uint64_t left = candidates; !has_back(plan, server, key, now_ns);
	     server = maglev_find(plan->maglev, key, left)) {
		left &= ~(1ULL << server);
		if (!left)
			return maglev_find(plan->maglev, key, candidates);
	}
	return server;
}

balance_policy *const balance_policies[] = {
#define FW_BALANCE(id, word) [BALANCE_##id] = choose_##word,
#include "config/balance.def"
#undef FW_BALANCE
};
