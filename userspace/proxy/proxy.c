// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/proxy.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "contract/order.h"
#include "proxy/client/route/route.h"
#include "proxy/client/worker.h"
#include "proxy/upstream/care/caretaker.h"

/* Of a thread, which looks around every quarter of a second. */
#define STANDSTILL_NS (3 * CLOCK_SEC)
/* Within which somebody starts another supervisor. */
#define ORPHANED_MS 5000

static int make_routers(struct proxy_shared *shared, const struct config *config)
{
	uint32_t routes = 0;

	shared->routers = calloc(config->listener_count + 1, sizeof(struct router *));
	if (!shared->routers)
		return -ENOMEM;
	for (size_t i = 0; i < config->listener_count; i++) {
		shared->routers[i] = router_create(&config->services[i], routes);
		if (!shared->routers[i])
			return -ENOMEM;
		routes += (uint32_t)config->services[i].route_count;
	}
	return 0;
}

static int start_sharing(struct proxy_shared *shared, const struct proxy_options *options)
{
	const struct config *config = options->config;

	shared->options = options;
	shared->settings = wall_settings_table(options->wall);
	shared->board = wall_board(options->wall);
	shared->listener_connections =
		calloc(config->listener_count + 1, sizeof(*shared->listener_connections));
	shared->upstreams = calloc(config->upstream_count + 1, sizeof(struct upstream_shared *));
	shared->gate = gate_create();
	shared->requests = pacer_create();
	shared->crowd = crowd_create(config->threads);
	shared->conduct = conduct_create();
	socket_memory_open(&shared->sockets, SOCKET_MEMORY_FILE);
	if (!shared->listener_connections || !shared->upstreams || !shared->gate ||
	    !shared->crowd || !shared->conduct || !shared->requests)
		return -ENOMEM;
	for (size_t i = 0; i < config->upstream_count; i++) {
		shared->upstreams[i] = upstream_shared_create(
			&config->upstreams[i], options->credentials, config->threads);
		if (!shared->upstreams[i])
			return -ENOMEM;
	}
	return make_routers(shared, config);
}

static void stop_sharing(struct proxy_shared *shared)
{
	for (size_t i = 0; shared->routers && i < shared->options->config->listener_count; i++)
		router_free(shared->routers[i]);
	free(shared->routers);
	for (size_t i = 0; shared->upstreams && i < shared->options->config->upstream_count; i++)
		upstream_shared_free(shared->upstreams[i]);
	free(shared->upstreams);
	gate_free(shared->gate);
	pacer_free(shared->requests);
	crowd_free(shared->crowd);
	conduct_free(shared->conduct);
	socket_memory_close(&shared->sockets);
	free(shared->listener_connections);
}

static void *run_worker(void *argument)
{
	struct worker *worker = argument;
	int code;

	/* Nobody cancels it. Told so, libc need not make ready for that at every system call, which
	 * took a tenth of a short one's time. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	code = worker_run(worker);

	if (code < 0) {
		/* Its clients are lost; a new process serves better than one that is lame. */
		log_error("thread %u: event loop: %s", worker->index, strerror(-code));
		_exit(EXIT_FAILURE);
	}
	return NULL;
}

/* --- the supervisor ----------------------------------------------------------------------------
 */

static void say(int control, enum order_word word)
{
	const struct order order = {.word = word};

	/* If it is not listening it will find out. */
	(void)!write(control, &order, sizeof(order));
}

/* Whether every thread has been around its loop lately. */
static bool all_turn(struct worker *const *workers, uint32_t threads)
{
	for (uint32_t i = 0; i < threads; i++) {
		/* Before the time is looked at: a thread may be just about to move it on. */
		uint64_t beat_ns = atomic_load(&workers[i]->beat_ns);

		if (clock_now_ns() - beat_ns > STANDSTILL_NS)
			return false;
	}
	return true;
}

/* Returns once it is to be drained; how is in @shared. */
static void follow_orders(const struct proxy_options *options, struct worker *const *workers,
			  struct proxy_shared *shared)
{
	struct pollfd wait = {.fd = options->control, .events = POLLIN};
	struct order order;
	ssize_t count;

	for (;;) {
		poll(&wait, 1, -1);
		count = read(options->control, &order, sizeof(order));
		if (count < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (count != sizeof(order))
			break;
		if (order.word == ORDER_DRAIN || order.word == ORDER_STOP) {
			atomic_store(&shared->drain_ms, order.ms);
			atomic_store(&shared->is_last, order.word == ORDER_STOP);
			return;
		}
		if (order.word == ORDER_PING && all_turn(workers, options->config->threads))
			say(options->control, ORDER_ALIVE);
	}
	log_warning("the supervisor is gone: serving for %d s more, then draining",
		    ORPHANED_MS / 1000);
	poll(NULL, 0, ORPHANED_MS);
	atomic_store(&shared->drain_ms, options->config->drain_ms);
	atomic_store(&shared->is_last, true); /* nobody else accepts from these sockets */
}

int proxy_run(const struct proxy_options *options, struct error *error)
{
	uint32_t threads = options->config->threads, running = 0;
	struct proxy_shared shared = {0};
	struct caretaker *caretaker = NULL;
	struct worker **workers = calloc(threads, sizeof(*workers));
	pthread_t *ids = calloc(threads, sizeof(*ids));
	int code = workers && ids ? start_sharing(&shared, options) : -ENOMEM;

	shared.workers = workers;
	signal(SIGPIPE, SIG_IGN); /* a reader of the log may go away */
	if (code < 0)
		error_set(error, code, "proxy: %s", strerror(-code));
	else
		code = caretaker_create(options->config, shared.upstreams,
					wall_servers(options->wall), &caretaker, error);
	for (uint32_t i = 0; i < threads && code == 0; i++)
		code = worker_create(&shared, i, &workers[i], error);
	for (; running < threads && code == 0; running++) {
		code = -pthread_create(&ids[running], NULL, run_worker, workers[running]);
		if (code < 0) {
			error_set(error, code, "proxy: thread %u: %s", running, strerror(-code));
			break;
		}
	}
	if (code == 0) {
		code = caretaker_start(caretaker);
		if (code < 0)
			error_set(error, code, "proxy: caretaker: %s", strerror(-code));
	}
	if (code == 0) {
		say(options->control, ORDER_READY);
		follow_orders(options, workers, &shared);
	}
	atomic_store(&shared.draining, true);
	for (uint32_t i = 0; i < running; i++)
		worker_wake(workers[i]);
	caretaker_free(caretaker);
	for (uint32_t i = 0; i < running; i++)
		pthread_join(ids[i], NULL);
	for (uint32_t i = 0; workers && i < threads; i++)
		worker_free(workers[i]);
	if (shared.options)
		stop_sharing(&shared);
	free(workers);
	free(ids);
	return code;
}
