/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our client against OpenSSL's server: what is agreed on is carried both ways, by any thread, and
 * resumed; who does not prove himself is refused with the reason; and what a server may send behind
 * the handshake, in whatever records, does no harm.
 */
#include "files.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "proxy/net/credentials.h"
#include "proxy/net/tls_client.h"
#include "proxy/net/tls_state.h"

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
static struct stream stream;
static int far_end;
static SSL_CTX *context;
static SSL *server;
static BIO *to_server, *from_server;
static struct records theirs; /* the server's keys, for what it would not send by itself */

/* --- the world ---------------------------------------------------------------------------------
 */

static void open_thread(struct thread *thread)
{
	thread->budget = (struct pool_budget){.limit = 1 << 22};
	buffers_init(&thread->buffers, &thread->budget);
	thread->engine = tls_engine_create(&thread->budget, &thread->buffers);
	assert_non_null(thread->engine);
}

static int make_world(void **state)
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
	forge = record_engine_create();
	open_thread(&threads[0]);
	open_thread(&threads[1]);
	return 0;
}

static int end_world(void **state)
{
	for (int i = 0; i < 2; i++) {
		tls_engine_free(threads[i].engine);
		buffers_destroy(&threads[i].buffers);
	}
	record_engine_free(forge);
	credentials_free(credentials);
	config_free(config);
	return remove_files(state);
}

/* --- a connection ------------------------------------------------------------------------------
 */

static void ignore(struct source *source, uint32_t events)
{
	(void)source;
	(void)events;
}

static void prepare(const struct suite *suite, const char *certificate)
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

static void carry_in(void)
{
	static uint8_t data[WIRE_MAX];
	int count = BIO_read(from_server, data, sizeof(data));

	if (count > 0) {
		assert_int_equal(send(far_end, data, (size_t)count, MSG_NOSIGNAL), count);
		stream_note(&stream, EPOLLIN);
	}
}

static void carry_out(void)
{
	static uint8_t data[WIRE_MAX];
	ssize_t count;

	while ((count = recv(far_end, data, sizeof(data), MSG_DONTWAIT)) > 0)
		assert_int_equal(BIO_write(to_server, data, (int)count), count);
	stream_note(&stream, EPOLLOUT);
}

static void open_stream(size_t upstream)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	far_end = pair[1];
	assert_int_equal(loop_init(&loop), 0);
	stream = (struct stream){.source.handle = ignore};
	assert_int_equal(stream_open(&stream, &loop, pair[0], false), 0);
	assert_int_equal(
		tls_client_begin(&stream, threads[0].engine,
				 credentials_peer(credentials, &config->upstreams[upstream], 0)),
		0);
	server = SSL_new(context);
	to_server = BIO_new(BIO_s_mem());
	from_server = BIO_new(BIO_s_mem());
	SSL_set_bio(server, to_server, from_server);
	SSL_set_accept_state(server);
}

/* The handshake of a prepared server. What tls_shake() said last. */
static int meet(size_t upstream)
{
	int result = 0;

	open_stream(upstream);
	for (int turn = 0; turn < 100 && result == 0; turn++) {
		stream_note(&stream, EPOLLIN);
		result = tls_shake(&stream);
		carry_out();
		SSL_do_handshake(server);
		if (result == 0)
			carry_in();
	}
	return result;
}

static void part(void)
{
	stream_reset(&stream);
	loop_destroy(&loop);
	close(far_end);
	SSL_set_shutdown(server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(server);
	SSL_CTX_free(context);
	ERR_clear_error();
	assert_int_equal(threads[0].budget.used, 0);
	assert_int_equal(threads[1].budget.used, 0);
}

static void for_suites(int first, int last, void (*story)(void))
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

static void answer(const void *data, size_t size)
{
	assert_int_equal(SSL_write(server, data, (int)size), size);
	carry_in();
}

static void assert_read(const char *text)
{
	char data[1024];

	assert_int_equal(stream_read(&stream, data, sizeof(data)), strlen(text));
	assert_memory_equal(data, text, strlen(text));
}

static void say(const char *text)
{
	const struct iovec part_of = {(void *)text, strlen(text)};
	char heard[1024];

	assert_int_equal(stream_write(&stream, &part_of, 1), strlen(text));
	carry_out();
	assert_int_equal(SSL_read(server, heard, sizeof(heard)), strlen(text));
	assert_memory_equal(heard, text, strlen(text));
}

static void exchange(void)
{
	say("question");
	answer("answer", 6);
	assert_read("answer");
}

static void carry_large(void)
{
	static uint8_t sent[60000], heard[60000];
	size_t got = 0;
	ssize_t count;

	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 31 + (i >> 8));
	exchange();
	answer(sent, sizeof(sent));
	while (got < sizeof(heard)) {
		count = stream_read(&stream, heard + got, 7777);
		assert_true(count > 0);
		got += (size_t)count;
	}
	assert_memory_equal(heard, sent, sizeof(sent));
	assert_null(stream.tls->in);
	exchange();
}

static void test_content_of_every_suite(void **state)
{
	(void)state;
	for_suites(0, SUITES, carry_large);
}

static void test_a_server_without_tls_has_no_peer(void **state)
{
	(void)state;
	assert_null(credentials_peer(credentials, &config->upstreams[3], 0));
}

/* --- sessions ----------------------------------------------------------------------------------
 */

static int meet_again(size_t upstream)
{
	int result = meet(upstream);

	if (result > 0) {
		answer("x", 1);
		assert_read("x");
		assert_null(stream.tls->handshake); /* it has seen what it was kept for */
	}
	return result;
}

/* The context stays, as the server's ticket keys are in it. */
static void test_sessions_are_resumed_by_every_suite(void **state)
{
	(void)state;
	for (int i = 0; i < SUITES; i++) {
		prepare(&suites[i], "web");
		for (int turn = 0; turn < 3; turn++) {
			SSL_CTX_up_ref(context);
			assert_int_equal(meet_again(0), 1);
			assert_int_equal(stream.tls->resumed, turn > 0);
			assert_int_equal(SSL_session_reused(server), turn > 0);
			exchange();
			part();
		}
		SSL_CTX_free(context);
	}
}

/* --- from thread to thread ---------------------------------------------------------------------
 */

static void move(void)
{
	for (int i = 1; i < 6; i++) {
		exchange();
		assert_true(tls_client_leave(&stream));
		assert_int_equal(threads[0].budget.used, 0);
		assert_int_equal(threads[1].budget.used, 0);
		assert_true(tls_client_join(&stream, threads[i % 2].engine));
		assert_int_equal(threads[i % 2].budget.used, sizeof(struct tls));
	}
	/* In the middle of a record it stays where it is. */
	assert_int_equal(SSL_write(server, "late", 4), 4);
	assert_int_equal(send(far_end, "\x17", 1, 0), 1);
	stream_note(&stream, EPOLLIN);
	assert_int_equal(stream_read(&stream, (char[16]){0}, 16), -EAGAIN);
	assert_false(tls_client_leave(&stream));
}

static void test_any_thread_goes_on(void **state)
{
	(void)state;
	for_suites(0, SUITES, move);
	assert_true(sizeof(struct tls) <= 512); /* what an idle link costs */
}

static void leave(void)
{
	exchange();
	assert_true(tls_client_leave(&stream));
}

static void test_a_link_ends_between_threads(void **state)
{
	(void)state;
	for_suites(0, SUITES, leave);
}

/* --- who is refused ----------------------------------------------------------------------------
 */

static void test_each_reason_is_its_own(void **state)
{
	static const struct {
		const char *certificate;
		size_t upstream;
		enum fw_verdict verdict;
	} cases[] = {
		{"other", 1, FW_UPSTREAM_NAME}, /* trusted, but an address was asked for */
		{"other", 0, FW_UPSTREAM_CERTIFICATE},
		{"unknown", 0, FW_UPSTREAM_CERTIFICATE},
		{"old", 2, FW_UPSTREAM_EXPIRED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int suite = 0; suite <= SUITES_13; suite += SUITES_13) {
			prepare(&suites[suite], cases[i].certificate);
			assert_int_equal(meet(cases[i].upstream), -(int)cases[i].verdict);
			part();
		}
	}
}

static void test_who_asks_for_more_and_more_is_refused(void **state)
{
	static const uint8_t hello_request[] = {22, 3, 3, 0, 4, 0, 0, 0, 0};
	int result = 0;

	(void)state;
	prepare(&suites[SUITES_13], "web");
	open_stream(0);
	for (size_t i = 0; i < (1 << 18) / sizeof(hello_request) && result == 0; i++) {
		send(far_end, hello_request, sizeof(hello_request), MSG_DONTWAIT);
		stream_note(&stream, EPOLLIN);
		if (i % 100 == 0)
			result = tls_shake(&stream);
	}
	assert_int_equal(result, -FW_UPSTREAM_TLS);
	part();
}

static void test_what_is_no_tls(void **state)
{
	(void)state;
	prepare(&suites[0], "web");
	open_stream(0);
	assert_int_equal(tls_shake(&stream), 0);
	assert_int_equal(send(far_end, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, 0), 28);
	stream_note(&stream, EPOLLIN);
	assert_int_equal(tls_shake(&stream), -FW_UPSTREAM_TLS);
	part();
}

/* --- behind the handshake ----------------------------------------------------------------------
 */

/* From here on the server's records are the test's. */
static void forge_on(void)
{
	answer("x", 1);
	assert_read("x");
	theirs = stream.tls->records;
	theirs.out = stream.tls->records.in;
}

static void inject(enum record_type type, const void *data, size_t size)
{
	static uint8_t wire[RECORD_WIRE_MAX + RECORD_OVERHEAD_MAX];
	const struct iovec part_of = {(void *)data, size};
	size_t sealed = record_seal(forge, &theirs, type, &part_of, 1, wire);

	assert_int_equal(send(far_end, wire, sealed, MSG_NOSIGNAL), sealed);
	stream_note(&stream, EPOLLIN);
}

/* A message's header, and as much of it as follows there. */
static size_t message(uint8_t *out, uint8_t type, uint32_t size, size_t there)
{
	out[0] = type;
	out[1] = (uint8_t)(size >> 16);
	out[2] = (uint8_t)(size >> 8);
	out[3] = (uint8_t)size;
	memset(out + 4, 7, there);
	return 4 + there;
}

static ssize_t hear(void)
{
	char data[64];

	return stream_read(&stream, data, sizeof(data));
}

static void assert_refused(void)
{
	assert_int_equal(hear(), -EPROTO);
	assert_int_equal(tls_fault(&stream), FW_UPSTREAM_TLS);
}

static void take_tickets(void)
{
	uint8_t data[4096];
	size_t size;

	forge_on();
	/* Two in one record, and a key behind them. */
	size = message(data, TICKET, 200, 200);
	size += message(data + size, TICKET, 0, 0);
	size += message(data + size, KEY_UPDATE, 1, 0);
	data[size++] = 0;
	inject(RECORD_HANDSHAKE, data, size);
	assert_int_equal(hear(), -EAGAIN);
	record_update_key(forge, &theirs, &theirs.out);
	/* One in three records. */
	inject(RECORD_HANDSHAKE, data, message(data, TICKET, 3000, 1000));
	inject(RECORD_HANDSHAKE, data, 1000);
	assert_true(stream_is_quiet(&stream));
	inject(RECORD_HANDSHAKE, data, 1000);
	inject(RECORD_DATA, "content", 7);
	assert_read("content");
}

static void interrupt_ticket(void)
{
	uint8_t data[256];

	forge_on();
	inject(RECORD_HANDSHAKE, data, message(data, TICKET, 1000, 100));
	inject(RECORD_DATA, "content", 7);
	assert_refused();
}

static void send_long_ticket(void)
{
	uint8_t data[256];

	forge_on();
	inject(RECORD_HANDSHAKE, data, message(data, TICKET, 1 << 20, 100));
	assert_refused();
}

static void send_tickets_for_ever(void)
{
	uint8_t data[256];
	int sent = 0;

	forge_on();
	for (; sent < 1000 && tls_fault(&stream) == FW_NONE; sent++) {
		inject(RECORD_HANDSHAKE, data, message(data, TICKET, 100, 100));
		assert_true(hear() < 0);
	}
	assert_true(sent <= 65);
	assert_refused();
}

/* Half a header, nothing at all, and whatever no server says here. */
static void send_what_is_none(void)
{
	static const struct {
		uint8_t data[8], size;
	} cases[] = {{{TICKET, 0, 0}, 3},        {{0}, 0},
		     {{13, 0, 0, 0}, 4},         {{20, 0, 0, 0}, 4},
		     {{KEY_UPDATE, 0, 0, 1}, 4}, {{KEY_UPDATE, 0, 0, 1, 2}, 5},
		     {{KEY_UPDATE, 0, 0, 0}, 4}, {{KEY_UPDATE, 0, 0, 1, 0, 4, 0, 0}, 8}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (i) {
			prepare(&suites[0], "web");
			assert_int_equal(meet(0), 1);
		}
		forge_on();
		inject(RECORD_HANDSHAKE, cases[i].data, cases[i].size);
		assert_refused();
		if (i + 1 < sizeof(cases) / sizeof(cases[0]))
			part();
	}
}

static void test_tickets(void **state)
{
	(void)state;
	for_suites(0, SUITES_13, take_tickets);
	for_suites(0, 1, interrupt_ticket);
	for_suites(0, 1, send_long_ticket);
	for_suites(0, SUITES_13, send_tickets_for_ever);
	for_suites(0, 1, send_what_is_none);
}

static void change_keys(void)
{
	for (int i = 0; i < 20; i++) {
		SSL_key_update(server,
			       i % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
		exchange();
	}
}

static void test_keys_change(void **state)
{
	(void)state;
	for_suites(0, SUITES_13, change_keys);
}

static void ask_for_renegotiation(void)
{
	int asked = 0;

	forge_on();
	for (; asked < 1000 && tls_fault(&stream) == FW_NONE; asked++) {
		inject(RECORD_HANDSHAKE, "\0\0\0\0", 4);
		assert_true(hear() < 0);
	}
	assert_true(asked <= 65);
	assert_refused();
}

static void test_renegotiation_is_declined(void **state)
{
	(void)state;
	for_suites(SUITES_13, SUITES, ask_for_renegotiation);
}

/* --- quiet, and the end ------------------------------------------------------------------------
 */

static void break_the_silence(void)
{
	uint8_t data[64];

	forge_on();
	assert_true(stream_is_quiet(&stream));
	if (theirs.is_13)
		inject(RECORD_HANDSHAKE, data, message(data, TICKET, 10, 10));
	assert_true(stream_is_quiet(&stream));
	assert_true(tls_client_leave(&stream));
	assert_true(tls_client_join(&stream, threads[1].engine));
	inject(RECORD_DATA, "unasked", 7);
	assert_false(stream_is_quiet(&stream));
}

static void test_content_breaks_the_silence(void **state)
{
	(void)state;
	for_suites(0, SUITES, break_the_silence);
}

static void end_well(void)
{
	answer("last", 4);
	SSL_shutdown(server);
	carry_in();
	shutdown(far_end, SHUT_WR);
	stream_note(&stream, EPOLLIN | EPOLLRDHUP);
	assert_read("last");
	assert_int_equal(hear(), 0);
	assert_int_equal(hear(), 0);
	assert_false(tls_client_leave(&stream));
}

static void end_without_a_word(void)
{
	answer("last", 4);
	shutdown(far_end, SHUT_WR);
	stream_note(&stream, EPOLLIN | EPOLLRDHUP);
	assert_read("last");
	assert_int_equal(hear(), -ECONNRESET);
	assert_int_equal(hear(), -ECONNRESET);
}

static void end_with_an_alert(void)
{
	forge_on();
	inject(RECORD_ALERT, "\2\164", 2); /* certificate_required */
	assert_int_equal(hear(), -ECONNRESET);
	assert_int_equal(tls_fault(&stream), FW_UPSTREAM_TLS);
}

static void test_ends(void **state)
{
	(void)state;
	for_suites(0, SUITES, end_well);
	for_suites(0, SUITES, end_without_a_word);
	for_suites(0, SUITES, end_with_an_alert);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content_of_every_suite),
		cmocka_unit_test(test_a_server_without_tls_has_no_peer),
		cmocka_unit_test(test_sessions_are_resumed_by_every_suite),
		cmocka_unit_test(test_any_thread_goes_on),
		cmocka_unit_test(test_a_link_ends_between_threads),
		cmocka_unit_test(test_each_reason_is_its_own),
		cmocka_unit_test(test_who_asks_for_more_and_more_is_refused),
		cmocka_unit_test(test_what_is_no_tls),
		cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_keys_change),
		cmocka_unit_test(test_renegotiation_is_declined),
		cmocka_unit_test(test_content_breaks_the_silence),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests_name("tls_client", tests, make_world, end_world);
}
