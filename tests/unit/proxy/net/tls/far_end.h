/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OpenSSL as the client of a stream: a whole handshake with certificates and tickets, and a wire
 * between the two that a test can cut, hold, change and send again. What the client would send
 * waits in memory until the test puts it on the socket.
 */
#ifndef TESTS_NET_FAR_END_H
#define TESTS_NET_FAR_END_H

#include "../files.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "proxy/net/tls/credentials/site.h"
#include "proxy/net/tls/tls_state.h"

static const struct suite {
	int version;
	const char *name; /* as OpenSSL calls it */
} suites[] = {
	{TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"},
	{TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384"},
	{TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256"},
	{TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"},
	{TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384"},
	{TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305"},
	{TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256"},
	{TLS1_2_VERSION, "ECDHE-RSA-AES256-GCM-SHA384"},
	{TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305"},
};
enum {
	SUITES = sizeof(suites) / sizeof(suites[0]),
	SUITES_13 = 3,
	WIRE_MAX = 1 << 18,
	TURNS_MAX = 5000
};

static struct loop loop;
static struct pool_budget budget;
static struct buffers buffers;
static struct ledger ledger = {.budget = &budget, .buffers = &buffers};
static struct account account;
static struct tls_engine *engine;
static struct config *config;
static struct credentials *credentials;
static struct ticket_keys *tickets;
static struct error error, warnings;

/* One connection. */
static struct stream stream;
static SSL_CTX *context; /* the client's */
static SSL *client;
static BIO *to_client, *from_client;
static int far_end; /* the client's socket */
static bool is_tcp;
static bool reluctant; /* the stream's socket takes nothing at every first attempt */

/* --- the world ---------------------------------------------------------------------------------
 */

/* @kernel: "auto" or "off". */
static inline void make_world(const char *kernel)
{
	char text[1024], ca[128];

	assert_non_null(mkdtemp(folder));
	snprintf(ca, sizeof(ca), "%s/ca.pem", folder);
	write_pair("web", "DNS:web.test", false, 90 * DAY);
	write_pair("rsa", "DNS:web.test", true, 90 * DAY);
	write_pair("ca", NULL, false, 90 * DAY);
	snprintf(text, sizeof(text),
		 "listener a { bind = \"127.0.0.1:1\" upstream = app tls { ktls = %s\n"
		 "certificate = {\"%s\", \"%s\"}\n key = {\"%s\", \"%s\"}\n"
		 "client_ca = \"%s\" client_certificate = optional } }\n"
		 "upstream app { server { address = \"127.0.0.1:8000\" } }\n",
		 kernel, path_of("web.pem"), path_of("rsa.pem"), path_of("web.key"),
		 path_of("rsa.key"), ca);
	if (config_parse(text, "f", &config, &error) < 0)
		fail_msg("%s", error.text);
	tickets = tickets_create(0, &error);
	if (credentials_load(config, tickets, &credentials, &warnings, &error) < 0)
		fail_msg("%s", error.text);
	budget = (struct pool_budget){.limit = 1 << 22};
	buffers_init(&buffers, &budget);
	account_open(&account, &ledger, 0);
	engine = tls_engine_create(&budget, &buffers);
	assert_non_null(engine);
}

static inline int end_world(void **state)
{
	tls_engine_free(engine);
	buffers_destroy(&buffers);
	credentials_free(credentials);
	tickets_drop(tickets);
	config_free(config);
	return remove_files(state);
}

/* --- the wire ----------------------------------------------------------------------------------
 */

static inline void note_events(struct source *source, uint32_t events)
{
	(void)source;
	stream_note(&stream, events);
}

/* Two ends of a TCP connection over loopback. */
static inline void connect_tcp(int pair[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	getsockname(listener, (struct sockaddr *)&address, &size);
	pair[1] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(pair[1], (struct sockaddr *)&address, size), 0);
	pair[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(pair[0] >= 0);
	close(listener);
}

/* What the client has to say, up to @size bytes. */
static inline size_t take(uint8_t *data, size_t size)
{
	int count = BIO_read(from_client, data, (int)size);

	return count > 0 ? (size_t)count : 0;
}

static inline void arrive(const void *data, size_t size)
{
	int waiting = 1;

	assert_int_equal(send(far_end, data, size, MSG_NOSIGNAL), size);
	while (is_tcp && ioctl(far_end, SIOCOUTQ, &waiting) == 0 && waiting)
		usleep(100);
	stream_note(&stream, EPOLLIN);
}

/* Whatever the client has to say arrives. */
static inline void carry_in(void)
{
	static uint8_t data[WIRE_MAX];
	size_t size;

	while ((size = take(data, sizeof(data))))
		arrive(data, size);
}

/* TCP, and the kernel's TLS, take their time. */
static inline void await_answer(void)
{
	struct pollfd asked = {.fd = far_end, .events = POLLIN};

	assert_int_equal(poll(&asked, 1, 5000), 1);
}

/* Whatever the stream has sent reaches the client. Returns the bytes. */
static inline size_t carry_out(void)
{
	static uint8_t data[WIRE_MAX];
	size_t total = 0;
	ssize_t count;

	while ((count = recv(far_end, data, sizeof(data), MSG_DONTWAIT)) > 0) {
		assert_int_equal(BIO_write(to_client, data, (int)count), count);
		total += (size_t)count;
	}
	stream_note(&stream, EPOLLOUT);
	return total;
}

/* --- a connection ------------------------------------------------------------------------------
 */

/* A client that takes whatever certificate there is. */
static inline void prepare_client(const struct suite *suite)
{
	context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(context, suite->version);
	SSL_CTX_set_max_proto_version(context, suite->version);
	if (suite->version == TLS1_3_VERSION)
		assert_int_equal(SSL_CTX_set_ciphersuites(context, suite->name), 1);
	else
		assert_int_equal(SSL_CTX_set_cipher_list(context, suite->name), 1);
}

/* One step of the stream's handshake; whether it is complete. */
static inline bool shake(int turn)
{
	int result = 1;

	if (reluctant) {
		stream.state &= (uint8_t)~STREAM_WRITABLE;
		if (turn % 2)
			stream_note(&stream, EPOLLOUT);
	}
	if (tls_awaits_hello(&stream))
		result = tls_greet(&stream);
	if (result > 0)
		result = tls_shake(&stream);
	assert_true(result >= 0);
	return result > 0;
}

/* The handshake of a prepared client, over TCP or something quicker. */
static inline void meet(bool tcp)
{
	bool done = false;
	int pair[2], turn;

	is_tcp = tcp;
	if (tcp)
		connect_tcp(pair);
	else
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	far_end = pair[1];
	assert_int_equal(loop_init(&loop), 0);
	loop.now_ns = 100 * CLOCK_SEC;
	stream = (struct stream){.source.handle = note_events};
	assert_int_equal(stream_open(&stream, &loop, pair[0], false), 0);
	assert_int_equal(tls_begin(&stream, engine, &account,
				   credentials_site(credentials, &config->services[0])),
			 0);
	to_client = BIO_new(BIO_s_mem());
	from_client = BIO_new(BIO_s_mem());
	if (!client)
		client = SSL_new(context);
	SSL_set_bio(client, to_client, from_client);
	SSL_set_connect_state(client);
	for (turn = 0; turn < TURNS_MAX && !(done && SSL_is_init_finished(client)); turn++) {
		SSL_do_handshake(client);
		carry_in();
		stream_note(&stream, EPOLLIN);
		done = done || shake(turn);
		if (carry_out() == 0 && tcp)
			usleep(1000);
	}
	if (turn == TURNS_MAX) {
		ERR_print_errors_fp(stderr);
		fail_msg("the handshake does not end");
	}
	stream_note(&stream, EPOLLOUT);
}

static inline void part(void)
{
	stream_reset(&stream);
	loop_destroy(&loop);
	close(far_end);
	SSL_set_shutdown(client, SSL_SENT_SHUTDOWN); /* or its session would be good for nothing */
	SSL_free(client);
	SSL_CTX_free(context);
	client = NULL;
	context = NULL;
	ERR_clear_error();
	assert_int_equal(budget.used, 0); /* nothing is kept of a connection that is gone */
}

/* Calls @story with a connection of each suite from @first on. */
static inline void for_suites(int first, int last, void (*story)(void))
{
	for (int i = first; i < last; i++) {
		prepare_client(&suites[i]);
		meet(false);
		assert_string_equal(SSL_get_cipher(client), suites[i].name);
		story();
		part();
	}
}

/* --- what they say to each other ----------------------------------------------------------------
 */

/* Content that differs at every place, for mistakes to show. */
static inline void fill(uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)(i * 31 + (i >> 8) * 17 + 1);
}

/* The client's content, sealed. Returns the bytes. */
static inline size_t seal(const void *data, size_t size, uint8_t *wire)
{
	assert_int_equal(SSL_write(client, data, (int)size), size);
	return take(wire, WIRE_MAX);
}

/* The client has heard a fatal alert. */
static inline void assert_told(int reason)
{
	char data[16];

	await_answer();
	carry_out();
	assert_true(SSL_read(client, data, sizeof(data)) <= 0);
	assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), reason);
}

/* What the stream refuses, and what the client hears of it. */
static inline void assert_refused(enum fw_verdict verdict, int reason)
{
	char data[16];

	assert_int_equal(stream_read(&stream, data, sizeof(data)), -EPROTO);
	assert_int_equal(tls_fault(&stream), verdict);
	assert_int_equal(stream_read(&stream, data, sizeof(data)), -EPROTO);
	assert_told(reason);
}

static inline void assert_read(const char *text)
{
	char data[1024];

	assert_int_equal(stream_read(&stream, data, sizeof(data)), strlen(text));
	assert_memory_equal(data, text, strlen(text));
}

/* @size bytes from the client arrive in pieces of @step. */
static inline void send_in(const uint8_t *data, size_t size, size_t step)
{
	static uint8_t wire[WIRE_MAX], heard[WIRE_MAX];
	size_t sealed = seal(data, size, wire), got = 0;
	ssize_t count;

	for (size_t at = 0; at < sealed; at += step) {
		arrive(wire + at, sealed - at < step ? sealed - at : step);
		while (stream_is(&stream, STREAM_READABLE)) {
			count = stream_read(&stream, heard + got, sizeof(heard) - got);
			assert_true(count > 0 || count == -EAGAIN);
			got += count > 0 ? (size_t)count : 0;
		}
	}
	assert_int_equal(got, size);
	assert_memory_equal(heard, data, size);
}

/* @size bytes to the client. */
static inline void send_out(const uint8_t *data, size_t size)
{
	static uint8_t heard[1 << 16];
	size_t sent = 0, got = 0;
	ssize_t count;
	int read, idle = 0;

	while (got < size) {
		const struct iovec parts[] = {{(void *)(data + sent), (size - sent) / 3},
					      {(void *)(data + sent + (size - sent) / 3),
					       size - sent - (size - sent) / 3}};

		count = sent < size ? stream_write(&stream, parts, 2) : -EAGAIN;
		assert_true(count > 0 || count == -EAGAIN);
		sent += count > 0 ? (size_t)count : 0;
		idle = carry_out() ? 0 : idle + 1;
		while ((read = SSL_read(client, heard, sizeof(heard))) > 0) {
			assert_true(got + (size_t)read <= size);
			assert_memory_equal(heard, data + got, read);
			got += (size_t)read;
		}
		assert_int_equal(SSL_get_error(client, read), SSL_ERROR_WANT_READ);
		if (idle > 10)
			usleep(1000); /* the kernel seals when it gets round to it */
		assert_true(idle < 2000);
	}
	assert_int_equal(sent, size);
}

#endif
