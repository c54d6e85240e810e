/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client may say once it speaks HTTP/2: any frames, in pieces of any size. Whatever comes,
 * the connection goes on or ends, no more is held than its account allows, and nothing when it is
 * gone.
 *
 * The first two bytes are the size of the pieces and how much room the client leaves for answers;
 * the rest is sent behind the preface. Requests for /up go to a server that is not there.
 */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "proxy/client/client.h"
#include "proxy/client/http2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] = "listener web { bind = \"127.0.0.1:80\" http2 { cleartext = on }\n"
			   "	route \"/up\" { upstream = \"gone\" } }\n"
			   "upstream gone { server { address = \"127.0.0.1:1\" } }\n"
			   "proxy { threads = 1 }\n";

enum { MEMORY_MOST = 1 << 20, ROUNDS = 4, ROOM = 4608 };

static struct worker *worker;
static struct listener *listener;

static void start(void)
{
	static uint64_t board[FW_SERVICES_MAX * (FW_VERDICTS_MAX + FW_METRICS_MAX)];
	static struct upstream_shared *upstreams[1];
	static struct proxy_options options = {.access_log = -1};
	static struct proxy_shared shared;
	static atomic_uint connections[1];
	static uint64_t settings[FW_SERVICES_MAX * FW_SETTINGS_MAX];
	struct config *config;
	struct credentials *credentials;
	struct error ignored;

	if (worker)
		return;
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	if (config_parse(text, "fuzz", &config, NULL) < 0 ||
	    credentials_load(config, NULL, &credentials, &ignored, &ignored) < 0)
		abort();
	options.config = config;
	options.credentials = credentials;
	upstreams[0] = upstream_shared_create(&config->upstreams[0], NULL, 1);
	shared = (struct proxy_shared){
		.options = &options,
		.settings = settings,
		.board = board,
		.listener_connections = connections,
		.upstreams = upstreams,
		.crowd = crowd_create(1),
	};
	if (!upstreams[0] || !shared.crowd || worker_create(&shared, 0, &worker, NULL) < 0)
		abort();
	listener = &worker->listeners[0];
	listener->board = board_row(board, 0, 0);
	for (int i = 0; i < FW_SETTING_COUNT; i++)
		listener->live.value[i] = config->services[0].settings[i];
	listener->live.value[FW_SET_LIMIT_MEMORY] = MEMORY_MOST;
	listener->ledger.connection_most = MEMORY_MOST;
}

static void stop(struct loop *loop)
{
	loop_stop(loop);
}

/* One turn of the loop; what the proxy says is thrown away. */
static void turn(int peer)
{
	static char unread[1 << 16];

	worker->loop.woken = stop;
	worker->loop.stopped = false;
	loop_wake(&worker->loop);
	loop_run(&worker->loop);
	while (recv(peer, unread, sizeof(unread), MSG_DONTWAIT) > 0)
		;
}

static struct client *find_client(void)
{
	for (int ward = 0; ward < WARDS; ward++)
		if (!list_is_empty(&listener->wards[ward]))
			return container_of(listener->wards[ward].next, struct client, node);
	return NULL;
}

static void say(int peer, const uint8_t *data, size_t size, size_t step)
{
	struct client *client;

	for (size_t at = 0; at < size; at += step) {
		client = find_client();
		if (!client || send(peer, data + at, size - at < step ? size - at : step,
				    MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			return;
		if (client->account.held > MEMORY_MOST)
			abort();
		turn(peer);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t settings[9] = {0, 0, 0, NGHTTP2_SETTINGS};
	const struct fw_addr source = {{0}};
	struct client *client;
	int pair[2], room;

	if (size < 2)
		return 0;
	start();
	room = ROOM + data[1] * 256;
	worker->loop.now_ns = clock_now_ns();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
		abort();
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (client_open(listener, pair[0], &source, 1) != FW_NONE)
		abort();
	say(pair[1], (const uint8_t *)NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN, 24);
	say(pair[1], settings, sizeof(settings), 9);
	say(pair[1], data + 2, size - 2, 1 + data[0]);
	for (int i = 0; i < ROUNDS; i++)
		turn(pair[1]);
	client = find_client();
	if (client)
		client_reset(client, FW_DONE);
	turn(pair[1]);
	close(pair[1]);
	if (find_client() || atomic_load(listener->connections))
		abort();
	return 0;
}
