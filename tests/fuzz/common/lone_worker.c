/* SPDX-License-Identifier: BSD-2-Clause */
#include "lone_worker.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "base/log.h"
#include "proxy/client/route/route.h"
#include "wall/internal.h"

/* A wall without a kernel: no filter counts or forbids anything. */
static struct wall *empty_wall(void)
{
	static volatile uint64_t modes[FW_VERDICT_COUNT];
	static volatile struct fw_connection_bucket connections[1];
	static volatile struct fw_complaints complaints[1];
	static struct wall wall = {
		.modes = modes,
		.connections = connections,
		.complaints = complaints,
	};

	return &wall;
}

struct worker *lone_worker_start(const char *text)
{
	static uint64_t board[FW_SERVICES_MAX * (FW_VERDICTS_MAX + FW_METRICS_MAX)];
	static uint64_t settings[FW_SERVICES_MAX * FW_SETTINGS_MAX];
	static struct upstream_shared *upstreams[1];
	static struct router *routers[1];
	static struct worker *workers[1];
	static struct proxy_options options = {.access_log = -1};
	static struct proxy_shared shared;
	static atomic_uint connections[1];
	struct credentials *credentials;
	struct listener *listener;
	struct config *config;
	struct worker *worker;
	struct error ignored;

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	if (config_parse(text, "fuzz", &config, NULL) < 0 ||
	    credentials_load(config, NULL, &credentials, &ignored, &ignored) < 0)
		abort();
	options.wall = empty_wall();
	options.config = config;
	options.credentials = credentials;
	upstreams[0] = upstream_shared_create(&config->upstreams[0], credentials, 1);
	routers[0] = router_create(&config->services[0], 0);
	shared = (struct proxy_shared){
		.options = &options,
		.settings = settings,
		.board = board,
		.listener_connections = connections,
		.upstreams = upstreams,
		.routers = routers,
		.requests = pacer_create(),
		.crowd = crowd_create(1),
		.conduct = conduct_create(),
		.workers = workers,
	};
	if (!upstreams[0] || !routers[0] || !shared.crowd || !shared.conduct ||
	    worker_create(&shared, 0, &worker, NULL) < 0)
		abort();
	workers[0] = worker;
	listener = &worker->listeners[0];
	listener->board = board_row(board, 0, 0);
	for (int i = 0; i < FW_SETTING_COUNT; i++)
		listener->live.value[i] = config->services[0].settings[i];
	listener->live.value[FW_SET_LIMIT_MEMORY] = LONE_MEMORY_MOST;
	listener->ledger.connection_most = LONE_MEMORY_MOST;
	return worker;
}

static void stop(struct loop *loop)
{
	loop_stop(loop);
}

void lone_worker_turn(struct worker *worker)
{
	struct client *client;

	worker->loop.woken = stop;
	worker->loop.stopped = false;
	loop_wake(&worker->loop);
	loop_run(&worker->loop);
	client = lone_worker_client(worker);
	if (client && client->account.held > LONE_MEMORY_MOST)
		abort();
}

struct client *lone_worker_client(const struct worker *worker)
{
	const struct listener *listener = &worker->listeners[0];

	for (int ward = 0; ward < WARDS; ward++)
		if (!list_is_empty(&listener->wards[ward]))
			return container_of(listener->wards[ward].next, struct client, node);
	return NULL;
}

void lone_worker_ignore(int fd)
{
	static char unread[1 << 16];

	while (recv(fd, unread, sizeof(unread), MSG_DONTWAIT) > 0)
		;
}

void lone_worker_check(const struct worker *worker)
{
	if (lone_worker_client(worker) || atomic_load(worker->listeners[0].connections))
		abort();
}
