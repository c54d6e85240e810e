// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/proxy.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "proxy/client/worker.h"

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
	if (!shared->listener_connections || !shared->upstreams || !shared->gate ||
	    !shared->crowd || !shared->requests)
		return -ENOMEM;
	for (size_t i = 0; i < config->upstream_count; i++) {
		shared->upstreams[i] =
			upstream_shared_create(&config->upstreams[i], config->threads);
		if (!shared->upstreams[i])
			return -ENOMEM;
	}
	return 0;
}

static void stop_sharing(struct proxy_shared *shared)
{
	for (size_t i = 0; shared->upstreams && i < shared->options->config->upstream_count; i++)
		upstream_shared_free(shared->upstreams[i]);
	free(shared->upstreams);
	gate_free(shared->gate);
	pacer_free(shared->requests);
	crowd_free(shared->crowd);
	free(shared->listener_connections);
}

static void *run_worker(void *argument)
{
	struct worker *worker = argument;
	int code = worker_run(worker);

	if (code < 0) {
		/* Its clients are lost; a new process serves better than one that is lame. */
		log_error("thread %u: event loop: %s", worker->index, strerror(-code));
		_exit(EXIT_FAILURE);
	}
	return NULL;
}

/* Returns when the supervisor says 'd', or is no more. */
static void await_drain(int control)
{
	struct pollfd wait = {.fd = control, .events = POLLIN};
	char word = 0;
	ssize_t count;

	do {
		poll(&wait, 1, -1);
		count = read(control, &word, 1);
	} while (count == 1 ? word != 'd' : count < 0 && (errno == EINTR || errno == EAGAIN));
}

int proxy_run(const struct proxy_options *options, struct error *error)
{
	uint32_t threads = options->config->threads, running = 0;
	struct proxy_shared shared = {0};
	struct worker **workers = calloc(threads, sizeof(*workers));
	pthread_t *ids = calloc(threads, sizeof(*ids));
	int code = workers && ids ? start_sharing(&shared, options) : -ENOMEM;

	signal(SIGPIPE, SIG_IGN); /* a reader of the log may go away */
	if (code < 0)
		error_set(error, code, "proxy: %s", strerror(-code));
	for (uint32_t i = 0; i < threads && code == 0; i++)
		code = worker_create(&shared, i, &workers[i], error);
	for (; running < threads && code == 0; running++) {
		code = -pthread_create(&ids[running], NULL, run_worker, workers[running]);
		if (code < 0) {
			error_set(error, code, "proxy: thread %u: %s", running, strerror(-code));
			break;
		}
	}
	if (code == 0)
		await_drain(options->control);
	atomic_store(&shared.draining, true);
	for (uint32_t i = 0; i < running; i++)
		worker_wake(workers[i]);
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
