// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/overload/relief.h"
#include "base/log.h"
#include "proxy/client/overload/evict.h"
#include "proxy/client/worker.h"

#define PAUSE_NS                                                                                   \
	CLOCK_MS /* between evictions: each takes a tenth of one, as its sockets are full */

enum {
	ON_FROM = 80,   /* percent; … */
	OFF_BELOW = 70, /* … until it is less than that */
	EVICT_FROM = 90,
	EVICT_TO = 85,
	MISSES_MOST = 64, /* each a look at so many who are idle, and as many who are not */
};

static void relieve(struct timer *timer)
{
	struct worker *worker = container_of(timer, struct worker, relief.next);
	struct relief *relief = &worker->relief;
	uint64_t freed = evict_for_sockets(worker);

	relief->misses = freed ? 0 : relief->misses + 1;
	relief->excess = freed < relief->excess ? relief->excess - freed : 0;
	if (relief->excess && relief->misses < MISSES_MOST)
		timer_arm(&worker->loop.wheel, timer, worker->loop.now_ns + PAUSE_NS);
}

void relief_init(struct relief *relief)
{
	*relief = (struct relief){.next = {.fire = relieve}};
}

static void turn(struct worker *worker, bool on, uint16_t level)
{
	worker->relief.is_on = on;
	for (size_t i = 0; i < worker->listener_count; i++)
		if (worker->listeners[i].board.cell)
			worker_review_clients(&worker->listeners[i]);
	if (worker->index != 0)
		return; /* once is enough */
	if (on)
		log_warning("the machine's TCP sockets hold %u%% of host.socket_memory: who does "
			    "not take his answer has less time for it",
			    level);
	else
		log_info("the machine's TCP sockets hold %u%% of host.socket_memory again", level);
}

void relief_measure(struct worker *worker, const struct live *live)
{
	struct socket_memory *sockets = &worker->shared->sockets;
	struct relief *relief = &worker->relief;
	uint64_t used = socket_memory_used(sockets);
	uint64_t most = socket_memory_most(sockets, live->value[FW_SET_HOST_SOCKET_MEMORY]);
	uint16_t level = overload_level(used, most);
	bool on = level >= ON_FROM || (relief->is_on && level >= OFF_BELOW);

	board_set(worker->board, METRIC_OVERLOAD_SOCKETS, level);
	if (on != relief->is_on)
		turn(worker, on, level);
	relief->excess = level < EVICT_FROM ? 0
					    : (used - most / 100 * EVICT_TO) /
						      worker->shared->options->config->threads;
	relief->misses = 0;
	if (relief->excess && !relief->next.due_ms)
		timer_arm(&worker->loop.wheel, &relief->next, worker->loop.now_ns);
}
