// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/overload/elsewhere.h"
#include "proxy/client/overload/score.h"

/* An offer is one word: nothing, a score, or, once it is claimed, this and the newcomer's score. */
#define CLAIMED (1ULL << 63)

static void make_offer(struct listener *listener)
{
	bool is_short = listener_stage(listener) >= OVERLOAD_SHORTEN;
	uint64_t score = is_short ? evict_worst_score(listener) : 0;
	uint64_t before = atomic_load(&listener->offer);

	/* Whoever claims it meanwhile is heeded first. */
	if (!(before & CLAIMED))
		atomic_compare_exchange_strong(&listener->offer, &before, score);
}

void elsewhere_offer(struct worker *worker)
{
	for (size_t i = 0; i < worker->listener_count; i++)
		make_offer(&worker->listeners[i]);
}

void elsewhere_heed(struct worker *worker)
{
	for (size_t i = 0; i < worker->listener_count; i++) {
		struct listener *listener = &worker->listeners[i];
		uint64_t offer = atomic_load(&listener->offer);

		if (!(offer & CLAIMED))
			continue;
		evict_above(listener, offer & ~CLAIMED);
		atomic_store(&listener->offer, 0);
		make_offer(listener);
	}
}

static struct listener *worse(struct listener *one, struct listener *other, uint64_t *score)
{
	uint64_t offer = atomic_load(&other->offer);

	if (offer & CLAIMED || offer <= *score)
		return one;
	*score = offer;
	return other;
}

bool elsewhere_ask(const struct listener *listener, enum evict_scope scope,
		   const struct fw_addr *source)
{
	const struct worker *own = listener->worker;
	const struct proxy_shared *shared = own->shared;
	size_t index = (size_t)(listener - own->listeners);
	uint64_t newcomer = score_newcomer(listener, source), score = newcomer;
	struct listener *worst = NULL;

	for (uint32_t thread = 0; thread < shared->options->config->threads; thread++) {
		struct worker *other = shared->workers[thread];

		for (size_t i = 0; other != own && i < other->listener_count; i++)
			if (scope == EVICT_OF_WORKER || i == index)
				worst = worse(worst, &other->listeners[i], &score);
	}
	if (!worst || !atomic_compare_exchange_strong(&worst->offer, &score, newcomer | CLAIMED))
		return false;
	loop_wake(&worst->worker->loop);
	return true;
}
