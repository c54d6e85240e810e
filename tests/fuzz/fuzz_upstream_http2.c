/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a server may say once it is spoken to in HTTP/2: any frames, in pieces of any size. Whatever
 * comes, requests are answered or refused and the connection goes on or ends, no more is held than
 * its account and the client's allow, and nothing when both are gone.
 *
 * The first byte is the size of the pieces, the second what was asked; the rest is sent behind
 * SETTINGS.
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/lone_worker.h"
#include "proxy/client/back/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] = "listener web { bind = \"127.0.0.1:80\" upstream = \"up\" }\n"
			   "upstream up { server { address = \"127.0.0.1:%u\" } http2 = \"on\"\n"
			   "	ejection { max_ejected = 0 } retry { attempts = 1 } }\n"
			   "proxy { threads = 1 }\n";

#define HEAD(verb, more) verb " / HTTP/1.1\r\nHost: a\r\n" more "\r\n"

static const char *const requests[] = {
	HEAD("GET", ""),
	(HEAD("HEAD", "") HEAD("GET", "")),
	(HEAD("POST", "Content-Length: 4\r\n") "body" HEAD("GET", "")),
	(HEAD("POST", "Transfer-Encoding: chunked\r\n") "4\r\nbody\r\n0\r\n\r\n"),
	(HEAD("PUT", "Content-Length: 400000\r\n") "body"),
	"GET / HTTP/1.0\r\n\r\n",
};

enum { ROUNDS = 4 };

static struct worker *worker;
static int server = -1; /* listens */

static uint16_t listen_somewhere(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);

	server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (server < 0 || bind(server, (struct sockaddr *)&address, length) < 0 ||
	    listen(server, 16) < 0 || getsockname(server, (struct sockaddr *)&address, &length) < 0)
		abort();
	return ntohs(address.sin_port);
}

static void start(void)
{
	char configuration[sizeof(text) + 8];

	snprintf(configuration, sizeof(configuration), text, listen_somewhere());
	worker = lone_worker_start(configuration);
}

static void turn(int client, int peer)
{
	lone_worker_turn(worker);
	lone_worker_ignore(client);
	if (peer >= 0)
		lone_worker_ignore(peer);
}

static void say(int client, int peer, const uint8_t *data, size_t size, size_t step)
{
	for (size_t at = 0; at < size; at += step) {
		if (send(peer, data + at, size - at < step ? size - at : step,
			 MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			return;
		turn(client, peer);
	}
}

/* The connection that the request led to. */
static int accept_peer(int client)
{
	int peer = -1;

	for (int i = 0; i < ROUNDS && peer < 0; i++) {
		turn(client, -1);
		peer = accept4(server, NULL, NULL, SOCK_NONBLOCK);
	}
	return peer;
}

/* Whatever was left of it: other connections that it tried. */
static void close_peers(int client)
{
	int peer;

	for (int i = 0; i < ROUNDS; i++) {
		turn(client, -1);
		while ((peer = accept4(server, NULL, NULL, SOCK_NONBLOCK)) >= 0)
			close(peer);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t settings[9] = {0, 0, 0, NGHTTP2_SETTINGS};
	const struct fw_addr source = {{0}};
	const char *request;
	struct client *client;
	int pair[2], peer;

	if (size < 2)
		return 0;
	if (!worker)
		start();
	request = requests[data[1] % (sizeof(requests) / sizeof(requests[0]))];
	worker->loop.now_ns = clock_now_ns();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0 ||
	    client_open(&worker->listeners[0], pair[0], &source, 1) != FW_NONE ||
	    send(pair[1], request, strlen(request), MSG_NOSIGNAL) < 0)
		abort();
	peer = accept_peer(pair[1]);
	if (peer >= 0) {
		say(pair[1], peer, settings, sizeof(settings), 9);
		say(pair[1], peer, data + 2, size - 2, 1 + data[0]);
		turn(pair[1], peer);
		close(peer);
	}
	close_peers(pair[1]);
	client = lone_worker_client(worker);
	if (client)
		client_reset(client, FW_DONE);
	close_peers(pair[1]);
	close(pair[1]);
	lone_worker_check(worker);
	if (worker->sessions.open)
		abort();
	return 0;
}
