// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/overload/load.h"
#include "proxy/client/admission/accept.h"
#include "proxy/client/overload/elsewhere.h"
#include "proxy/client/overload/evict.h"
#include "proxy/client/overload/relief.h"
#include "proxy/net/socket.h"

/* A single long turn may be another program's fault; only if the tick before had one as well it
 * tells of load. */
static uint64_t sustained_latency_ns(struct worker *worker)
{
	uint64_t before_ns = worker->latency_ns, now_ns = worker->loop.longest_ns;

	worker->latency_ns = now_ns;
	worker->loop.longest_ns = 0;
	return now_ns < before_ns ? now_ns : before_ns;
}

/* @live: of any listener, as the host's settings are in every one. */
static void measure_worker(struct worker *worker, const struct live *live)
{
	uint16_t *level = worker->overload.level;
	uint64_t reserve = live->value[FW_SET_HOST_DESCRIPTOR_RESERVE];

	level[OVERLOAD_CONNECTIONS] = overload_level(atomic_load(&worker->shared->connections),
						     live->value[FW_SET_HOST_MAX_CONNECTIONS]);
	level[OVERLOAD_DESCRIPTORS] = overload_level(reserve_used(&worker->reserve),
						     reserve_limit(&worker->reserve, reserve));
	level[OVERLOAD_MEMORY] = overload_level(worker->budget.used, worker->budget.limit);
	level[OVERLOAD_LATENCY] = overload_level(sustained_latency_ns(worker),
						 live_ns(live, FW_SET_HOST_OVERLOAD_LATENCY));
}

static void measure_listener(struct listener *listener)
{
	uint16_t *level = listener->overload.level;
	const struct worker *worker = listener->worker;

	level[OVERLOAD_CONNECTIONS] = overload_level(atomic_load(listener->connections),
						     listener->live.value[FW_SET_MAX_CONNECTIONS]);
	level[OVERLOAD_QUEUE] = 0;
	for (size_t i = 0; i < worker->acceptor_count; i++) {
		const struct acceptor *acceptor = &worker->acceptors[i];
		uint32_t waiting, most;
		uint16_t full;

		if (acceptor->listener != listener || acceptor->source.fd < 0 ||
		    socket_queue(acceptor->source.fd, &waiting, &most) < 0)
			continue;
		full = overload_level(waiting + acceptor->lane[LANE_LATE].count, most);
		if (full > level[OVERLOAD_QUEUE])
			level[OVERLOAD_QUEUE] = full;
	}
}

static void publish(struct board_row board, const struct overload *overload,
		    enum overload_stage stage)
{
	board_set(board, METRIC_OVERLOAD_STAGE, stage);
	for (int input = 0; input < OVERLOAD_INPUTS; input++)
		board_set(board, METRIC_OVERLOAD_CONNECTIONS + input, overload->level[input]);
}

/* Deadlines are others below this stage than from it on: connections that wait are told. */
static void review_if_shortened(struct listener *listener, enum overload_stage before)
{
	bool was = before >= OVERLOAD_SHORTEN, is = listener_stage(listener) >= OVERLOAD_SHORTEN;

	if (was != is)
		worker_review_clients(listener);
}

void load_measure(struct worker *worker)
{
	uint64_t now_ns = worker->loop.now_ns;
	uint8_t all_before = worker->overload.stage;

	if (!worker->listener_count)
		return;
	evict_ahead(worker);
	measure_worker(worker, &worker->listeners[0].live);
	relief_measure(worker, &worker->listeners[0].live);
	overload_update(&worker->overload, now_ns);
	publish(worker->board, &worker->overload, worker->overload.stage);
	board_set(worker->board, METRIC_MEMORY_USED, worker->budget.used);
	for (size_t i = 0; i < worker->listener_count; i++) {
		struct listener *listener = &worker->listeners[i];
		enum overload_stage own = listener->overload.stage;
		enum overload_stage before = own > all_before ? own : all_before;

		if (!listener->board.cell)
			continue; /* it has no socket with this thread */
		measure_listener(listener);
		overload_update(&listener->overload, now_ns);
		publish(listener->board, &listener->overload, listener_stage(listener));
		if (listener_stage(listener) >= OVERLOAD_SHORTEN)
			listener->shortened_ns = now_ns;
		review_if_shortened(listener, before);
	}
	elsewhere_offer(worker);
}

/* What a level of connections would be without those that are idle, of @all with this thread. */
static uint16_t without_idle(uint16_t level, uint32_t idle, uint32_t all)
{
	return all ? (uint16_t)(level * (uint64_t)(all - idle) / all) : level;
}

bool load_spares_idle(const struct listener *listener)
{
	const struct worker *worker = listener->worker;
	struct overload own = listener->overload, all = worker->overload;

	if (listener_stage(listener) < OVERLOAD_CLOSE)
		return true;
	for (enum overload_input input = OVERLOAD_CONNECTIONS; input <= OVERLOAD_DESCRIPTORS;
	     input++) {
		own.level[input] = without_idle(own.level[input], listener->idle, listener->active);
		all.level[input] =
			without_idle(all.level[input], worker->clients_idle, worker->clients_open);
	}
	own.level[OVERLOAD_QUEUE] = all.level[OVERLOAD_LATENCY] = 0;
	return !overload_calls(&own, OVERLOAD_CLOSE) && !overload_calls(&all, OVERLOAD_CLOSE);
}

bool load_lacks_room(const struct listener *listener)
{
	const struct worker *worker = listener->worker;
	const uint64_t *live = listener->live.value;
	uint64_t own_most = live[FW_SET_MAX_CONNECTIONS];
	uint64_t all_most = live[FW_SET_HOST_MAX_CONNECTIONS];
	unsigned int own_count = atomic_load(listener->connections);
	unsigned int all_count = atomic_load(&worker->shared->connections);
	struct overload own, all;

	if (listener_stage(listener) < OVERLOAD_EVICT)
		return own_count >= own_most || all_count >= all_most;
	own = listener->overload;
	all = worker->overload;
	own.level[OVERLOAD_CONNECTIONS] = overload_level(own_count, own_most);
	all.level[OVERLOAD_CONNECTIONS] = overload_level(all_count, all_most);
	own.level[OVERLOAD_QUEUE] = all.level[OVERLOAD_LATENCY] = 0; /* nobody's going helps that */
	return overload_calls(&own, OVERLOAD_EVICT) || overload_calls(&all, OVERLOAD_EVICT);
}
