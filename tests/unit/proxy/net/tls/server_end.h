/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OpenSSL as the server of a stream: a whole handshake, and then what it says, or what the test
 * puts into records in its name. Two engines stand for two threads.
 */
#ifndef TESTS_NET_SERVER_END_H
#define TESTS_NET_SERVER_END_H

#include "../files.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "proxy/net/tls/credentials/credentials.h"
#include "proxy/net/tls/tls_client.h"
#include "proxy/net/tls/tls_state.h"

static const struct suite {
	int version;
	const char *name;
} suites[] = {
	{TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"},
	{TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384"},
	{TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256"},
	{TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"},
	{TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384"},
	{TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305"},
};
enum { SUITES = 6, SUITES_13 = 3, WIRE_MAX = 1 << 17, TICKET = 4, KEY_UPDATE = 24 };

/* Two threads, as far as memory goes. */
static struct thread {
	struct pool_budget budget;
	struct buffers buffers;
	struct tls_engine *engine;
} threads[2];
static struct loop loop;
static struct config *config;
static struct credentials *credentials;
static struct record_engine *forge;

/* One connection. */
static struct stream usual, *stream = &usual;
static int far_end;
static SSL_CTX *context;
static SSL *server;
static BIO *to_server, *from_server;
static struct records theirs; /* the server's keys, for what it would not send by itself */

/* --- the world ---------------------------------------------------------------------------------
 */

static inline void open_thread(struct thread *thread)
{
	thread->budget = (struct pool_budget){.limit = 1 << 22};
	buffers_init(&thread->buffers, &thread->budget);
	thread->engine = tls_engine_create(&thread->budget, &thread->buffers);
	assert_non_null(thread->engine);
}

static inline int make_world(void **state)
{
	struct error error, warnings;
	char text[1024];

	(void)state;
	assert_non_null(mkdtemp(folder));
	write_pair("web", "DNS:web.test,IP:127.0.0.1", false, 90 * DAY);
	write_pair("other", "DNS:other.test", false, 90 * DAY);
	write_pair("old", "DNS:web.test", false, -60);
	write_pair("unknown", "DNS:web.test", false, 90 * DAY);
	snprintf(text, sizeof(text),
		 "upstream a { server { address = \"127.0.0.1:1\" } tls { ca = \"%s\" name = "
		 "\"Web.test\" } }\n"
		 "upstream b { server { address = \"127.0.0.1:1\" } tls { ca = \"%s\" } }\n"
		 "upstream c { server { address = \"127.0.0.1:1\" } tls { ca = \"%s\" name = "
		 "\"web.test\" } }\n"
		 "upstream d { server { address = \"127.0.0.1:1\" } }\n",
		 path_of("web.pem"), path_of("other.pem"), path_of("old.pem"));
	if (config_parse(text, "f", &config, &error) < 0 ||
	    credentials_load(config, NULL, &credentials, &warnings, &error) < 0)
		fail_msg("%s", error.text);
	assert_int_equal(loop_init(&loop), 0);
	forge = record_engine_create();
	open_thread(&threads[0]);
	open_thread(&threads[1]);
	return 0;
}

static inline int end_world(void **state)
{
	for (int i = 0; i < 2; i++) {
		tls_engine_free(threads[i].engine);
		buffers_destroy(&threads[i].buffers);
	}
	loop_destroy(&loop);
	record_engine_free(forge);
	credentials_free(credentials);
	config_free(config);
	return remove_files(state);
}

/* --- a connection ------------------------------------------------------------------------------
 */

static inline void ignore(struct source *source, uint32_t events)
{
	(void)source;
	(void)events;
}

static inline void prepare(const struct suite *suite, const char *certificate)
{
	char pem[64], key[64];

	snprintf(pem, sizeof(pem), "%s.pem", certificate);
	snprintf(key, sizeof(key), "%s.key", certificate);
	context = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_min_proto_version(context, suite->version);
	SSL_CTX_set_max_proto_version(context, suite->version);
	if (suite->version == TLS1_3_VERSION)
		SSL_CTX_set_ciphersuites(context, suite->name);
	else
		SSL_CTX_set_cipher_list(context, suite->name);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(context, path_of(key), SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_CTX_use_certificate_file(context, path_of(pem), SSL_FILETYPE_PEM), 1);
}

static inline void carry_in(void)
{
	static uint8_t data[WIRE_MAX];
	int count = BIO_read(from_server, data, sizeof(data));

	if (count > 0) {
		assert_int_equal(send(far_end, data, (size_t)count, MSG_NOSIGNAL), count);
		stream_note(stream, EPOLLIN);
	}
}

static inline void carry_out(void)
{
	static uint8_t data[WIRE_MAX];
	ssize_t count;

	while ((count = recv(far_end, data, sizeof(data), MSG_DONTWAIT)) > 0)
		assert_int_equal(BIO_write(to_server, data, (int)count), count);
	stream_note(stream, EPOLLOUT);
}

static inline void open_stream(size_t upstream)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	far_end = pair[1];
	*stream = (struct stream){.source.handle = ignore};
	assert_int_equal(stream_open(stream, &loop, pair[0], false), 0);
	assert_int_equal(
		tls_client_begin(stream, threads[0].engine, NULL,
				 credentials_peer(credentials, &config->upstreams[upstream], 0)),
		0);
	server = SSL_new(context);
	to_server = BIO_new(BIO_s_mem());
	from_server = BIO_new(BIO_s_mem());
	SSL_set_bio(server, to_server, from_server);
	SSL_set_accept_state(server);
}

/* The handshake of a prepared server. What tls_shake() said last. */
static inline int meet(size_t upstream)
{
	int result = 0;

	open_stream(upstream);
	for (int turn = 0; turn < 100 && result == 0; turn++) {
		stream_note(stream, EPOLLIN);
		result = tls_shake(stream);
		carry_out();
		SSL_do_handshake(server);
		if (result == 0)
			carry_in();
	}
	return result;
}

static inline void close_ends(void)
{
	stream_reset(stream);
	list_init(&loop.closed); /* no turn ends here: nothing would be released */
	close(far_end);
	SSL_set_shutdown(server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(server);
	SSL_CTX_free(context);
	ERR_clear_error();
}

static inline void part(void)
{
	close_ends();
	assert_int_equal(threads[0].budget.used, 0);
	assert_int_equal(threads[1].budget.used, 0);
}

static inline void for_suites(int first, int last, void (*story)(void))
{
	for (int i = first; i < last; i++) {
		prepare(&suites[i], "web");
		assert_int_equal(meet(0), 1);
		assert_string_equal(SSL_get_cipher(server), suites[i].name);
		story();
		part();
	}
}

/* --- what is said ------------------------------------------------------------------------------
 */

static inline void answer(const void *data, size_t size)
{
	assert_int_equal(SSL_write(server, data, (int)size), size);
	carry_in();
}

static inline void assert_read(const char *text)
{
	char data[1024];

	assert_int_equal(stream_read(stream, data, sizeof(data)), strlen(text));
	assert_memory_equal(data, text, strlen(text));
}

static inline void say(const char *text)
{
	const struct iovec part_of = {(void *)text, strlen(text)};
	char heard[1024];

	assert_int_equal(stream_write(stream, &part_of, 1), strlen(text));
	carry_out();
	assert_int_equal(SSL_read(server, heard, sizeof(heard)), strlen(text));
	assert_memory_equal(heard, text, strlen(text));
}

static inline void exchange(void)
{
	say("question");
	answer("answer", 6);
	assert_read("answer");
}

/* --- what it would not say ---------------------------------------------------------------------
 */

/* From here on the server's records are the test's. */
static inline void forge_on(void)
{
	answer("x", 1);
	assert_read("x");
	theirs = stream->tls->records;
	theirs.out = stream->tls->records.in;
}

static inline void inject(enum record_type type, const void *data, size_t size)
{
	static uint8_t wire[RECORD_WIRE_MAX + RECORD_OVERHEAD_MAX];
	const struct iovec part_of = {(void *)data, size};
	size_t sealed = record_seal(forge, &theirs, type, &part_of, 1, wire);

	assert_int_equal(send(far_end, wire, sealed, MSG_NOSIGNAL), sealed);
	stream_note(stream, EPOLLIN);
}

/* A message's header, and as much of it as follows there. */
static inline size_t message(uint8_t *out, uint8_t type, uint32_t size, size_t there)
{
	out[0] = type;
	out[1] = (uint8_t)(size >> 16);
	out[2] = (uint8_t)(size >> 8);
	out[3] = (uint8_t)size;
	memset(out + 4, 7, there);
	return 4 + there;
}

static inline ssize_t hear(void)
{
	char data[64];

	return stream_read(stream, data, sizeof(data));
}

static inline void assert_refused(void)
{
	assert_int_equal(hear(), -EPROTO);
	assert_int_equal(tls_fault(stream), FW_UPSTREAM_TLS);
}

#endif
