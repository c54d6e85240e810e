/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our client against OpenSSL's server: what is agreed on is carried both ways, by any thread, and
 * resumed; who does not prove himself is refused with the reason; an end is one only if it is said.
 */
#include "server_end.h"

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
		count = stream_read(stream, heard + got, 7777);
		assert_true(count > 0);
		got += (size_t)count;
	}
	assert_memory_equal(heard, sent, sizeof(sent));
	assert_null(stream->tls->in);
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
		assert_null(stream->tls->handshake); /* it has seen what it was kept for */
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
			assert_int_equal(stream->tls->resumed, turn > 0);
			assert_int_equal(SSL_session_reused(server), turn > 0);
			exchange();
			part();
		}
		SSL_CTX_free(context);
	}
}

/* A server that gives none has the library waiting until there are too many, or it says something.
 */
static void test_few_wait_for_tickets(void **state)
{
	enum { MANY = 70, KEPT = 64 };
	static struct stream streams[MANY];
	struct {
		int far_end;
		SSL *server;
		SSL_CTX *context;
	} ends[MANY];
	int waiting = 0;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		stream = &streams[i];
		prepare(&suites[0], "web");
		SSL_CTX_set_num_tickets(context, 0);
		assert_int_equal(meet(0), 1);
		assert_non_null(stream->tls->handshake);
		ends[i].far_end = far_end;
		ends[i].server = server;
		ends[i].context = context;
	}
	for (int i = 0; i < MANY; i++) {
		waiting += streams[i].tls->handshake != NULL;
		assert_int_equal(streams[i].tls->handshake == NULL, i < MANY - KEPT);
	}
	assert_int_equal(waiting, KEPT);
	for (int i = 0; i < MANY; i++) {
		stream = &streams[i];
		far_end = ends[i].far_end;
		server = ends[i].server;
		context = ends[i].context;
		to_server = SSL_get_rbio(server);
		from_server = SSL_get_wbio(server);
		exchange();
		assert_null(stream->tls->handshake);
		close_ends();
	}
	assert_int_equal(threads[0].budget.used, 0);
	stream = &usual;
}

/* --- from thread to thread ---------------------------------------------------------------------
 */

static void move(void)
{
	for (int i = 1; i < 6; i++) {
		exchange();
		assert_true(tls_client_leave(stream));
		assert_int_equal(threads[0].budget.used, 0);
		assert_int_equal(threads[1].budget.used, 0);
		assert_true(tls_client_join(stream, threads[i % 2].engine, NULL));
		assert_int_equal(threads[i % 2].budget.used, sizeof(struct tls));
	}
	/* In the middle of a record it stays where it is. */
	assert_int_equal(SSL_write(server, "late", 4), 4);
	assert_int_equal(send(far_end, "\x17", 1, 0), 1);
	stream_note(stream, EPOLLIN);
	assert_int_equal(stream_read(stream, (char[16]){0}, 16), -EAGAIN);
	assert_false(tls_client_leave(stream));
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
	assert_true(tls_client_leave(stream));
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
		stream_note(stream, EPOLLIN);
		if (i % 100 == 0)
			result = tls_shake(stream);
	}
	assert_int_equal(result, -FW_UPSTREAM_TLS);
	part();
}

static void test_what_is_no_tls(void **state)
{
	(void)state;
	prepare(&suites[0], "web");
	open_stream(0);
	assert_int_equal(tls_shake(stream), 0);
	assert_int_equal(send(far_end, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, 0), 28);
	stream_note(stream, EPOLLIN);
	assert_int_equal(tls_shake(stream), -FW_UPSTREAM_TLS);
	part();
}

/* --- the end -----------------------------------------------------------------------------------
 */

static void end_well(void)
{
	answer("last", 4);
	SSL_shutdown(server);
	carry_in();
	shutdown(far_end, SHUT_WR);
	stream_note(stream, EPOLLIN | EPOLLRDHUP);
	assert_read("last");
	assert_int_equal(hear(), 0);
	assert_int_equal(hear(), 0);
	assert_false(tls_client_leave(stream));
}

static void end_without_a_word(void)
{
	answer("last", 4);
	shutdown(far_end, SHUT_WR);
	stream_note(stream, EPOLLIN | EPOLLRDHUP);
	assert_read("last");
	assert_int_equal(hear(), -ECONNRESET);
	assert_int_equal(hear(), -ECONNRESET);
}

static void end_with_an_alert(void)
{
	forge_on();
	inject(RECORD_ALERT, "\2\164", 2); /* certificate_required */
	assert_int_equal(hear(), -ECONNRESET);
	assert_int_equal(tls_fault(stream), FW_UPSTREAM_TLS);
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
		cmocka_unit_test(test_few_wait_for_tickets),
		cmocka_unit_test(test_any_thread_goes_on),
		cmocka_unit_test(test_a_link_ends_between_threads),
		cmocka_unit_test(test_each_reason_is_its_own),
		cmocka_unit_test(test_who_asks_for_more_and_more_is_refused),
		cmocka_unit_test(test_what_is_no_tls),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests_name("tls_client", tests, make_world, end_world);
}
