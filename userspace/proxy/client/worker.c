// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/worker.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/machine.h"
#include "proxy/client/admission/accept.h"
#include "proxy/client/client.h"
#include "proxy/client/exchange/exchange.h"
#include "proxy/client/front/http2.h"
#include "proxy/client/overload/elsewhere.h"
#include "proxy/client/overload/evict.h"
#include "proxy/client/overload/load.h"
#include "proxy/client/relay.h"
#include "proxy/client/report.h"

#define TICK_NS (250 * CLOCK_MS) /* how soon an edit counts, and how late the log may be */

enum {
	CLIENTS_KEPT = 4096,
	EXCHANGES_KEPT = 1024,
	RELAYS_KEPT = 1024,
	MEMORY_SHARE = 2, /* of all memory, for all threads: one part in so many */
};

/* --- once in a while ---------------------------------------------------------------------------
 */

/* A thread's share of the memory that clients may make us use. */
static size_t memory_share(const struct live *live, uint32_t threads)
{
	uint64_t wanted = live->value[FW_SET_HOST_MEMORY];

	return (wanted ? wanted : machine_memory() / MEMORY_SHARE) / threads;
}

/* Takes over the settings as they are now. True: some has changed. */
static bool refresh(struct listener *listener)
{
	struct worker *worker = listener->worker;
	const struct live *live = &listener->live;

	if (!live_refresh(&listener->live, worker->shared->settings, listener->service))
		return false;
	listener->ledger.connection_most = (uint32_t)live->value[FW_SET_LIMIT_MEMORY];
	listener->ledger.source_most = (uint32_t)live->value[FW_SET_SOURCE_MEMORY];
	listener->links.source_most = listener->ledger.source_most;
	worker->budget.limit = memory_share(live, worker->shared->options->config->threads);
	return true;
}

/* Calls @each for every client of a listener; it may close that one, and no other. */
static void each_client(struct listener *listener, void (*each)(struct client *client))
{
	listener->worker->walking = true;
	for (int ward = 0; ward < WARDS; ward++)
		list_for_each_safe (node, next, &listener->wards[ward])
			each(container_of(node, struct client, node));
	listener->worker->walking = false;
}

void worker_review_clients(struct listener *listener)
{
	each_client(listener, client_review);
}

static void look_at_upstreams(struct worker *worker)
{
	uint64_t idle = 0, waiting = 0;

	for (size_t i = 0; i < worker->shared->options->config->upstream_count; i++) {
		struct upstream_pool *pool = worker->pools[i];

		idle += upstream_idle(pool);
		waiting += upstream_waiting(pool);
		board_add(worker->board, METRIC_UPSTREAM_STEALS, upstream_take_steals(pool));
		if (!worker->draining)
			board_add(worker->board, METRIC_UPSTREAM_CONNECTS, upstream_prewarm(pool));
		if (upstream_is_claimed(pool))
			evict_for_waiting(worker, pool);
		else if (upstream_is_awaited(pool))
			upstream_look_again(pool);
	}
	board_set(worker->board, METRIC_UPSTREAM_IDLE, idle);
	board_set(worker->board, METRIC_UPSTREAM_WAITING, waiting);
}

static void tick(struct timer *timer)
{
	struct worker *worker = container_of(timer, struct worker, tick);

	for (size_t i = 0; i < worker->listener_count; i++) {
		struct listener *listener = &worker->listeners[i];

		if (refresh(listener))
			worker_review_clients(listener);
		report_suppressed(listener);
	}
	atomic_store_explicit(&worker->beat_ns, worker->loop.now_ns, memory_order_relaxed);
	load_measure(worker);
	look_at_upstreams(worker);
	pipes_trim(&worker->pipes);
	board_set(worker->board, METRIC_PIPES, worker->pipes.open);
	/* Added, not set: a row outlives the proxy that wrote it last. */
	board_add(worker->board, METRIC_LOOP_TURNS, worker->loop.turns);
	board_add(worker->board, METRIC_LOOP_BUSY, worker->loop.busy_ns);
	board_add(worker->board, METRIC_PIPES_LACKED, worker->pipes.lacked);
	worker->loop.turns = worker->loop.busy_ns = worker->pipes.lacked = 0;
	access_log_flush(&worker->log);
	timer_arm(&worker->loop.wheel, timer, worker->loop.now_ns + TICK_NS);
}

/* --- draining ----------------------------------------------------------------------------------
 */

/*
 * Who speaks HTTP/2 can be told to ask elsewhere. Who speaks HTTP/1 can't, but in the answer to his
 * next request: so he may make one more, unless he is silent for long (deadline.c). Closing his
 * connection at once would lose what he is just sending.
 */
static void drain_client(struct client *client)
{
	if (client->http2)
		http2_drain(client);
	else
		client_review(client);
}

static void cut_off(struct client *client)
{
	if (client->phase == CLIENT_IDLE)
		client_close(client, FW_DRAINED);
	else
		client_reset(client, FW_DRAINED);
}

/* Time is up: whoever is left is cut off. */
static void end_drain(struct timer *timer)
{
	struct worker *worker = container_of(timer, struct worker, drain_end);

	for (size_t i = 0; i < worker->listener_count; i++)
		each_client(&worker->listeners[i], cut_off);
	loop_stop(&worker->loop);
}

/* No new connections; what has begun may end. */
static void begin_drain(struct loop *loop)
{
	struct worker *worker = container_of(loop, struct worker, loop);

	if (worker->draining || !atomic_load(&worker->shared->draining))
		return;
	worker->draining = true;
	worker->drain_ns = loop->now_ns;
	for (size_t i = 0; i < worker->acceptor_count; i++) {
		if (atomic_load(&worker->shared->is_last))
			acceptor_empty(&worker->acceptors[i]);
		acceptor_close(&worker->acceptors[i]);
	}
	for (size_t i = 0; i < worker->listener_count; i++)
		each_client(&worker->listeners[i], drain_client);
	timer_arm(&loop->wheel, &worker->drain_end,
		  loop->now_ns + atomic_load(&worker->shared->drain_ms) * CLOCK_MS);
	worker_notice_leave(worker);
}

/* What other threads had to say. */
static void heed(struct loop *loop)
{
	struct worker *worker = container_of(loop, struct worker, loop);

	begin_drain(loop);
	elsewhere_heed(worker);
	for (size_t i = 0; i < worker->shared->options->config->upstream_count; i++)
		upstream_heed_calls(worker->pools[i]);
}

void worker_notice_leave(struct worker *worker)
{
	if (worker->draining && !worker->clients_open)
		loop_stop(&worker->loop);
}

void worker_wake(struct worker *worker)
{
	loop_wake(&worker->loop);
}

/* --- beginning and end -------------------------------------------------------------------------
 */

static struct board_row worker_board(const struct worker *worker, uint32_t service)
{
	return board_row(worker->shared->board,
			 worker->shared->options->worker_base + worker->index, service);
}

static size_t upstream_index(const struct config *config, const struct config_upstream *upstream)
{
	return (size_t)(upstream - config->upstreams);
}

static int open_listener(struct worker *worker, size_t index)
{
	struct proxy_shared *shared = worker->shared;
	const struct config *config = shared->options->config;
	struct listener *listener = &worker->listeners[index];

	listener->config = &config->services[index];
	listener->worker = worker;
	listener->site = credentials_site(shared->options->credentials, listener->config);
	listener->connections = &shared->listener_connections[index];
	listener->router = shared->routers[index];
	listener->ledger = (struct ledger){
		.budget = &worker->budget,
		.buffers = &worker->buffers,
		.tallies = shared->crowd->bytes,
		.thread = worker->index,
		.threads = config->threads,
		.relieve = evict_for_memory,
	};
	/* A request may need a handshake, and a connection has many requests: it is the source's
	 * part that is looked at. */
	listener->links = listener->ledger;
	listener->links.relieve = NULL;
	for (int ward = 0; ward < WARDS; ward++)
		list_init(&listener->wards[ward]);
	listener->routes = calloc(listener->config->route_count + 1, sizeof(*listener->routes));
	if (!listener->routes)
		return -ENOMEM;
	for (size_t i = 0; i < listener->config->route_count; i++) {
		const struct config_upstream *upstream = listener->config->routes[i].upstream;

		if (upstream)
			listener->routes[i] = worker->pools[upstream_index(config, upstream)];
	}
	return 0;
}

/* The worker's own listening sockets, and with them which service a listener is. */
static int open_sockets(struct worker *worker, struct error *error)
{
	const struct proxy_options *options = worker->shared->options;
	int code;

	for (size_t i = 0; i < options->socket_count; i++) {
		const struct proxy_socket *socket = &options->sockets[i];
		size_t index = (size_t)(socket->listener - options->config->services);
		struct listener *listener = &worker->listeners[index];

		if (socket->worker != worker->index)
			continue;
		listener->service = socket->service;
		listener->board = worker_board(worker, socket->service);
		code = acceptor_open(&worker->acceptors[worker->acceptor_count++], listener,
				     socket->fd);
		if (code < 0)
			return error_set(error, code, "listener %s: %s", listener->config->name,
					 strerror(-code));
	}
	for (size_t i = 0; i < worker->listener_count; i++)
		refresh(&worker->listeners[i]);
	return 0;
}

static int allocate(struct worker *worker)
{
	const struct proxy_options *options = worker->shared->options;
	const struct config *config = options->config;
	int code;

	if (!http2_engine_init(&worker->http2, &worker->budget) ||
	    !session_engine_init(&worker->sessions, &worker->loop, &worker->budget,
				 &worker->buffers))
		return -ENOMEM;
	worker->sessions.board = worker->board;
	worker->usage = calloc(1, sizeof(*worker->usage));
	worker->tls = tls_engine_create(&worker->budget, &worker->buffers);
	worker->pools = calloc(config->upstream_count + 1, sizeof(*worker->pools));
	worker->listeners = calloc(config->listener_count + 1, sizeof(*worker->listeners));
	worker->acceptors = calloc(options->socket_count + 1, sizeof(*worker->acceptors));
	if (!worker->usage || !worker->tls || !worker->pools || !worker->listeners ||
	    !worker->acceptors)
		return -ENOMEM;
	for (size_t i = 0; i < config->upstream_count; i++) {
		worker->pools[i] = upstream_pool_create(worker->shared->upstreams[i], &worker->loop,
							&worker->budget, worker->tls);
		if (!worker->pools[i])
			return -ENOMEM;
		upstream_pool_set_newborn(worker->pools[i],
					  session_engine_newborn(&worker->sessions));
	}
	for (; worker->listener_count < config->listener_count; worker->listener_count++) {
		code = open_listener(worker, worker->listener_count);
		if (code < 0)
			return code;
	}
	code = reserve_init(&worker->reserve);
	pipes_init(&worker->pipes, &worker->reserve, &worker->budget, config->threads);
	return code < 0 ? code : access_log_init(&worker->log, options->access_log);
}

static void end_turn(struct loop *loop)
{
	struct worker *worker = container_of(loop, struct worker, loop);

	/* Behind all deadlines that came before it, it would tell the supervisor too late that this
	 * thread lives. */
	if (timer_is_due(&worker->tick, loop->now_ns)) {
		timer_cancel(&loop->wheel, &worker->tick);
		tick(&worker->tick);
	}
	session_engine_flush(&worker->sessions);
}

int worker_create(struct proxy_shared *shared, uint32_t index, struct worker **result,
		  struct error *error)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int code = worker ? loop_init(&worker->loop) : -ENOMEM;

	if (code < 0) {
		free(worker);
		return error_set(error, code, "thread %u: %s", index, strerror(-code));
	}
	worker->shared = shared;
	worker->index = index;
	worker->log.fd = -1;
	worker->reserve.spare = -1;
	worker->loop.woken = heed;
	worker->loop.turned = end_turn;
	worker->tick.fire = tick;
	relief_init(&worker->relief);
	worker->drain_end.fire = end_drain;
	worker->board = worker_board(worker, FW_HOST_SERVICE);
	worker->complaints =
		&wall_complaints(shared->options->wall)[shared->options->worker_base + index];
	worker->budget.limit = SIZE_MAX; /* until settings say */
	kin_init(&worker->kin);
	pool_init(&worker->clients, sizeof(struct client), CLIENTS_KEPT, &worker->budget);
	pool_init(&worker->exchanges, sizeof(struct exchange), EXCHANGES_KEPT, &worker->budget);
	pool_init(&worker->relays, sizeof(struct relay), RELAYS_KEPT, &worker->budget);
	buffers_init(&worker->buffers, &worker->budget);
	code = allocate(worker);
	if (code < 0)
		error_set(error, code, "thread %u: %s", index, strerror(-code));
	else
		code = open_sockets(worker, error);
	if (code < 0) {
		worker_free(worker);
		return code;
	}
	*result = worker;
	return 0;
}

int worker_run(struct worker *worker)
{
	int code;

	tick(&worker->tick);
	begin_drain(&worker->loop);
	code = loop_run(&worker->loop);
	tick(&worker->tick);
	return code;
}

void worker_free(struct worker *worker)
{
	size_t upstreams;

	if (!worker)
		return;
	upstreams = worker->shared->options->config->upstream_count;
	for (size_t i = 0; i < worker->acceptor_count; i++)
		acceptor_close(&worker->acceptors[i]);
	session_engine_close(&worker->sessions);
	for (size_t i = 0; worker->pools && i < upstreams; i++)
		if (worker->pools[i])
			upstream_pool_close(worker->pools[i]);
	loop_destroy(&worker->loop);
	for (size_t i = 0; worker->pools && i < upstreams; i++)
		upstream_pool_free(worker->pools[i]);
	pipes_destroy(&worker->pipes);
	if (worker->budget.used)
		log_error("thread %u: %zu bytes were never given back", worker->index,
			  worker->budget.used);
	for (size_t i = 0; i < worker->listener_count; i++)
		free(worker->listeners[i].routes);
	access_log_destroy(&worker->log);
	session_engine_destroy(&worker->sessions);
	http2_engine_destroy(&worker->http2);
	tls_engine_free(worker->tls);
	reserve_destroy(&worker->reserve);
	buffers_destroy(&worker->buffers);
	pool_destroy(&worker->relays);
	pool_destroy(&worker->exchanges);
	pool_destroy(&worker->clients);
	free(worker->usage);
	free(worker->acceptors);
	free(worker->listeners);
	free(worker->pools);
	free(worker);
}
