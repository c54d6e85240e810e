/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client, or a server, may put into authentic records, and into records that are not: the
 * first byte of each piece says how it is wrapped. Whatever comes, reading ends in content, an end
 * or an error, and no buffer is kept of a connection that is gone.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "proxy/net/tls/credentials/credentials.h"
#include "proxy/net/tls/tls_client.h"
#include "proxy/net/tls/tls_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PIECE_MAX = 64, RAW = 0x80, IS_12 = 1, OF_SERVER = 2 };

static struct loop loop;
static struct pool_budget budget = {.limit = 1 << 22};
static struct buffers buffers;
static struct ledger ledger = {.budget = &budget, .buffers = &buffers};
static struct account account;
static struct tls_engine *engine;
static struct record_engine *other;
static struct tls_peer *peer;

static struct tls_peer *make_peer(void)
{
	static struct config *config;
	static struct credentials *credentials;
	struct error ignored;

	if (config_parse("upstream a { server { address = \"127.0.0.1:1\" } tls { verify = off } }",
			 "f", &config, &ignored) < 0 ||
	    credentials_load(config, NULL, &credentials, &ignored, &ignored) < 0)
		abort();
	return credentials_peer(credentials, config->upstreams, 0);
}

static void ignore(struct source *source, uint32_t events)
{
	(void)source;
	(void)events;
}

static void start(void)
{
	if (engine)
		return;
	buffers_init(&buffers, &budget);
	account_open(&account, &ledger, 0);
	engine = tls_engine_create(&budget, &buffers);
	other = record_engine_create();
	log_set_level(LOG_LEVEL_ERROR);
	peer = make_peer();
	if (!engine || !other || loop_init(&loop) < 0)
		abort();
}

static void open_stream(struct stream *stream, int fd, bool is_13, bool of_server)
{
	static const uint8_t secret[48], random[32];

	stream->source.handle = ignore;
	if (stream_open(stream, &loop, fd, false) < 0 ||
	    (of_server ? tls_client_begin(stream, engine, NULL, peer)
		       : tls_begin(stream, engine, &account, NULL)) < 0)
		abort();
	stream->tls->open = true;
	if (!(is_13 ? records_begin_13(other, &stream->tls->records, RECORD_AES_128_GCM, secret,
				       secret, 32)
		    : records_begin_12(&stream->tls->records, RECORD_AES_128_GCM, false, secret, 48,
				       random, random)))
		abort();
}

static void read_all(struct stream *stream, size_t step)
{
	static char content[RECORD_PLAIN_MAX];

	stream_note(stream, EPOLLIN);
	for (int i = 0; i < 100 && stream_read(stream, content, step) > 0; i++)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream stream = {0};
	struct records client;
	uint8_t wire[PIECE_MAX + RECORD_OVERHEAD_MAX];
	size_t step;
	int pair[2];

	if (size < 2)
		return 0;
	start();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
		abort();
	open_stream(&stream, pair[0], !(data[0] & IS_12), data[0] & OF_SERVER);
	step = 1 + data[1];
	client = stream.tls->records;
	client.out = stream.tls->records.in;
	data += 2;
	size -= 2;
	while (size) {
		size_t length = size - 1 < PIECE_MAX ? size - 1 : PIECE_MAX;
		const struct iovec part = {(void *)(data + 1), length};
		bool raw = data[0] & RAW;
		size_t sealed = raw ? 0 : record_seal(other, &client, data[0], &part, 1, wire);

		if (send(pair[1], raw ? data + 1 : wire, raw ? length : sealed, MSG_NOSIGNAL) < 0)
			break;
		read_all(&stream, step);
		data += 1 + length;
		size -= 1 + length;
	}
	stream_close(&stream);
	list_init(&loop.closed); /* no turn ends here: nothing would be released */
	close(pair[1]);
	if (budget.used)
		abort();
	return 0;
}
