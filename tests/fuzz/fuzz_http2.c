/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client may say once it speaks HTTP/2: any frames, in pieces of any size. Whatever comes,
 * the connection goes on or ends, no more is held than its account allows, and nothing when it is
 * gone.
 *
 * The first two bytes are the size of the pieces and how much room the client leaves for answers;
 * the rest is sent behind the preface. Requests for /up go to a server that is not there.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/lone_worker.h"
#include "proxy/client/front/http2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] = "listener web { bind = \"127.0.0.1:80\" http2 { cleartext = on }\n"
			   "	route \"/up\" { upstream = \"gone\" } }\n"
			   "upstream gone { server { address = \"127.0.0.1:1\" } }\n"
			   "proxy { threads = 1 }\n";

enum { ROUNDS = 4, ROOM = 4608 };

static struct worker *worker;

static void turn(int peer)
{
	lone_worker_turn(worker);
	lone_worker_ignore(peer);
}

static void say(int peer, const uint8_t *data, size_t size, size_t step)
{
	for (size_t at = 0; at < size; at += step) {
		if (!lone_worker_client(worker) ||
		    send(peer, data + at, size - at < step ? size - at : step,
			 MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			return;
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
	if (!worker)
		worker = lone_worker_start(text);
	room = ROOM + data[1] * 256;
	worker->loop.now_ns = clock_now_ns();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
		abort();
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (client_open(&worker->listeners[0], pair[0], &source, 1) != FW_NONE)
		abort();
	say(pair[1], (const uint8_t *)NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN, 24);
	say(pair[1], settings, sizeof(settings), 9);
	say(pair[1], data + 2, size - 2, 1 + data[0]);
	for (int i = 0; i < ROUNDS; i++)
		turn(pair[1]);
	client = lone_worker_client(worker);
	if (client)
		client_reset(client, FW_DONE);
	turn(pair[1]);
	close(pair[1]);
	lone_worker_check(worker);
	return 0;
}
