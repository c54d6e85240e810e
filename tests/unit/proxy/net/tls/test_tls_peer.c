/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our records against OpenSSL's: a client of that library, after a whole handshake, in every suite
 * that is offered; whatever it says is understood, whatever it is told it understands, and what
 * somebody between the two does to the wire is noticed by both.
 */
#include "far_end.h"

static uint8_t content[100000];

static int begin(void **state)
{
	(void)state;
	make_world("off");
	fill(content, sizeof(content));
	return 0;
}

/* --- whole -------------------------------------------------------------------------------------
 */

static void say_sizes(void)
{
	static const size_t sizes[] = {1,    15,    16,    17,    1370,  1371,
				       1372, 13710, 16383, 16384, 16385, sizeof(content)};
	static const size_t steps[] = {WIRE_MAX, 1460, 7};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (size_t j = 0; j < sizeof(steps) / sizeof(steps[0]); j++)
			if (sizes[i] / steps[j] < 3000)
				send_in(content, sizes[i], steps[j]);
		send_out(content, sizes[i]);
	}
	send_in(content, 40, 1);
	assert_null(stream.tls->in);
	assert_null(stream.tls->out);
}

static void test_content_of_every_size_and_suite(void **state)
{
	(void)state;
	for_suites(0, SUITES, say_sizes);
}

/* The library's sends and receives under the new keys (tickets, Finished) are counted right, in
 * whatever pieces they go out. */
static void test_a_socket_that_takes_nothing_at_first(void **state)
{
	(void)state;
	reluctant = true;
	for_suites(0, SUITES, say_sizes);
	reluctant = false;
}

static void test_padding_is_not_content(void **state)
{
	(void)state;
	prepare_client(&suites[0]);
	SSL_CTX_set_block_padding(context, 4096);
	meet(false);
	say_sizes();
	part();
}

static void test_a_client_asked_again_for_its_group(void **state)
{
	(void)state;
	prepare_client(&suites[1]);
	SSL_CTX_set1_groups_list(context, "P-521:P-256");
	meet(false);
	say_sizes();
	part();
}

/* RFC 6066 section 4: no record with more than was agreed, either way. */
static void test_a_client_may_want_small_records(void **state)
{
	static uint8_t wire[WIRE_MAX];
	ssize_t size;

	(void)state;
	for (int i = 0; i < SUITES; i += SUITES_13) {
		for (uint8_t code = 1; code <= 4; code++) {
			struct iovec part_of = {content, sizeof(content)};

			prepare_client(&suites[i]);
			SSL_CTX_set_tlsext_max_fragment_length(context, code);
			meet(false);
			assert_int_equal(stream.tls->most, 256 << code);
			send_in(content, sizeof(content), 1000);
			send_out(content, sizeof(content));
			stream_write(&stream, &part_of, 1);
			size = recv(far_end, wire, sizeof(wire), MSG_DONTWAIT);
			assert_true(size > 256 << code);
			for (ssize_t at = 0; at < size; at += (ssize_t)record_size(wire + at))
				assert_true(record_size(wire + at) <=
					    (256U << code) + RECORD_OVERHEAD_MAX);
			stream.tls->most = 100; /* as if less had been agreed */
			arrive(wire, seal(content, 101, wire));
			assert_int_equal(stream_read(&stream, wire, 1), -EPROTO);
			assert_int_equal(tls_fault(&stream), FW_BAD_RECORD);
			part();
		}
	}
}

/* --- resumed -----------------------------------------------------------------------------------
 */

static SSL_SESSION *ticket;

static int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(ticket);
	ticket = session;
	return 1;
}

/* The next connection of a client that keeps tickets, and comes back with one or without. */
static void come_with_ticket(const struct suite *suite, bool comes_back)
{
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, keep_ticket);
	client = SSL_new(context);
	if (comes_back)
		SSL_set_session(client, ticket);
	meet(false);
	assert_string_equal(SSL_get_cipher(client), suite->name);
	send_out(content, 3000);
	send_in(content, 3000, 500);
}

static void forget_ticket(void)
{
	SSL_SESSION_free(ticket);
	ticket = NULL;
}

/* TLS 1.3 uses each ticket once: that the third is resumed shows that the second got another. */
static void test_a_resumed_session_of_every_suite(void **state)
{
	(void)state;
	for (int i = 0; i < SUITES; i++) {
		for (int turn = 0; turn < 3; turn++) {
			prepare_client(&suites[i]);
			reluctant = turn == 2;
			come_with_ticket(&suites[i], turn > 0);
			assert_int_equal(stream.tls->resumed, turn > 0);
			part();
		}
		forget_ticket();
	}
	reluctant = false;
}

/* A certificate of the authority's, good for @seconds, for the client's next connections. */
static void issue_to_client(X509 **certificate, EVP_PKEY **key, long seconds)
{
	FILE *file = fopen(path_of("ca.key"), "r");
	EVP_PKEY *signer = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	X509_NAME *issuer;

	fclose(file);
	*key = EVP_EC_gen("P-256");
	*certificate = X509_new();
	issuer = X509_get_issuer_name(*certificate);
	X509_NAME_add_entry_by_txt(issuer, "CN", MBSTRING_ASC, (const unsigned char *)"ca", -1, -1,
				   0);
	X509_gmtime_adj(X509_getm_notBefore(*certificate), -DAY);
	X509_gmtime_adj(X509_getm_notAfter(*certificate), seconds);
	X509_set_pubkey(*certificate, *key);
	assert_true(X509_sign(*certificate, signer, EVP_sha256()) > 0);
	EVP_PKEY_free(signer);
}

/* While a client's certificate is good its ticket is; not a moment longer. */
static void test_a_ticket_dies_with_its_certificate(void **state)
{
	EVP_PKEY *key;
	X509 *certificate;

	(void)state;
	for (int i = 0; i <= SUITES_13; i += SUITES_13) { /* of TLS 1.3 and of 1.2 */
		issue_to_client(&certificate, &key, 2);
		for (int turn = 0; turn < 2; turn++) {
			prepare_client(&suites[i]);
			SSL_CTX_use_certificate(context, certificate);
			SSL_CTX_use_PrivateKey(context, key);
			come_with_ticket(&suites[i], turn > 0);
			assert_int_equal(stream.tls->resumed, turn > 0);
			part();
		}
		usleep(2100000);
		prepare_client(&suites[i]); /* it shows no certificate, if it is asked anew */
		come_with_ticket(&suites[i], true);
		assert_false(stream.tls->resumed);
		part();
		forget_ticket();
		X509_free(certificate);
		EVP_PKEY_free(key);
	}
}

/* --- keys --------------------------------------------------------------------------------------
 */

static void change_keys(void)
{
	uint64_t before;

	for (int i = 0; i < 30; i++) {
		int kind = i % 3 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED;

		assert_int_equal(SSL_key_update(client, kind), 1);
		send_in(content, 100, i % 2 ? 9 : 1000);
		before = stream.tls->records.out.sequence;
		send_out(content, 2000);
		/* Asked for a new key, the stream has one, and the client has followed. */
		if (kind == SSL_KEY_UPDATE_REQUESTED)
			assert_in_range(stream.tls->records.out.sequence, 1, 2);
		else
			assert_in_range(stream.tls->records.out.sequence, before + 1, before + 2);
	}
}

static void test_keys_change_both_ways(void **state)
{
	(void)state;
	for_suites(0, SUITES_13, change_keys);
}

static void replay_across_keys(void)
{
	static uint8_t wire[WIRE_MAX];
	size_t size = seal("before", 6, wire);

	arrive(wire, size);
	assert_read("before");
	assert_int_equal(SSL_key_update(client, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
	send_in(content, 10, 100);
	arrive(wire, size);
	assert_refused(FW_BAD_RECORD, SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
}

static void test_the_old_key_opens_nothing(void **state)
{
	(void)state;
	for_suites(0, SUITES_13, replay_across_keys);
}

static void flood_with_keys(void)
{
	char data[16];
	int asked = 0;

	for (; asked < 1000 && tls_fault(&stream) == FW_NONE; asked++) {
		SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED);
		SSL_do_handshake(client);
		carry_in();
		assert_true(stream_read(&stream, data, sizeof(data)) < 0);
	}
	assert_int_equal(asked, 65);
	assert_int_equal(tls_fault(&stream), FW_IDLE_RECORDS);
	assert_told(SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE);
}

static void test_key_updates_have_a_budget(void **state)
{
	(void)state;
	for_suites(0, SUITES_13, flood_with_keys);
}

/* --- the wire ----------------------------------------------------------------------------------
 */

/* Of every byte of a record, its header too: changed, it is noticed. */
static void test_every_byte_is_authentic(void **state)
{
	static uint8_t wire[WIRE_MAX];
	uint8_t data[64];

	(void)state;
	for (int i = 0; i < 6; i++) {
		for (size_t at = 0, size = 1; at < size; at++) {
			ssize_t count;

			prepare_client(&suites[i]);
			meet(false);
			size = seal("hello", 5, wire);
			wire[at] ^= 0x10;
			arrive(wire, size);
			count = stream_read(&stream, data, sizeof(data));
			/* A header that promises more than there is has to be believed at first. */
			if (at == 3 && count == -EAGAIN) {
				memset(wire, 0, RECORD_WIRE_MAX);
				arrive(wire, RECORD_WIRE_MAX);
				count = stream_read(&stream, data, sizeof(data));
			}
			assert_int_equal(count, -EPROTO);
			assert_int_equal(tls_fault(&stream), FW_BAD_RECORD);
			/* OpenSSL too, when it is its turn to be told: by a fatal alert. */
			carry_out();
			assert_true(SSL_read(client, data, sizeof(data)) <= 0);
			assert_int_equal(SSL_get_shutdown(client) & SSL_RECEIVED_SHUTDOWN,
					 SSL_RECEIVED_SHUTDOWN);
			part();
		}
	}
}

static void replay(void)
{
	static uint8_t wire[WIRE_MAX];
	size_t size = seal("once", 4, wire);

	arrive(wire, size);
	assert_read("once");
	arrive(wire, size);
	assert_refused(FW_BAD_RECORD, SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
}

static void reorder(void)
{
	static uint8_t first[WIRE_MAX], second[WIRE_MAX];
	size_t first_size = seal("one", 3, first), second_size = seal("two", 3, second);

	arrive(second, second_size);
	arrive(first, first_size);
	assert_refused(FW_BAD_RECORD, SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
}

static void cut_off(void)
{
	static uint8_t wire[WIRE_MAX];
	size_t size = seal("all of this or nothing", 22, wire);
	char data[64];

	arrive(wire, size - 1);
	shutdown(far_end, SHUT_WR);
	stream_note(&stream, EPOLLIN | EPOLLRDHUP);
	assert_int_equal(stream_read(&stream, data, sizeof(data)), 0);
	assert_int_equal(stream_read(&stream, data, sizeof(data)), 0);
}

/* Of two records a piece is lost: what follows is not what it seems. */
static void lose(void)
{
	static uint8_t wire[WIRE_MAX];
	size_t size = seal(content, 1000, wire);
	char data[64];

	arrive(wire, size / 2);
	arrive(wire, seal(content, 1000, wire));
	assert_int_equal(stream_read(&stream, data, sizeof(data)), -EPROTO);
	assert_told(SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
}

static void test_records_count_once_and_in_their_turn(void **state)
{
	(void)state;
	for_suites(0, SUITES, replay);
	for_suites(0, SUITES, reorder);
	for_suites(0, SUITES, lose);
	for_suites(0, SUITES, cut_off);
}

/* The other way: what the stream sends is as safe from being sent twice. */
static void replay_ours(void)
{
	static uint8_t wire[4096], data[64];
	const struct iovec part_of = {"secret", 6};
	ssize_t size;

	assert_int_equal(stream_write(&stream, &part_of, 1), 6);
	size = recv(far_end, wire, sizeof(wire), MSG_DONTWAIT);
	BIO_write(to_client, wire, (int)size);
	assert_int_equal(SSL_read(client, data, sizeof(data)), 6);
	BIO_write(to_client, wire, (int)size);
	assert_true(SSL_read(client, data, sizeof(data)) <= 0);
	assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()),
			 SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC);
}

static void test_nothing_of_ours_counts_twice(void **state)
{
	(void)state;
	for_suites(0, SUITES, replay_ours);
}

/* --- what TLS 1.3 no longer knows --------------------------------------------------------------
 */

static void change_cipher_late(void)
{
	arrive("\x14\3\3\0\1\1", 6);
	assert_refused(FW_BAD_RECORD, SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE);
}

static void alert_plainly(void)
{
	arrive("\x15\3\3\0\2\1\0", 7);
	assert_refused(FW_BAD_RECORD, SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE);
}

static void test_nothing_comes_in_plain_text_any_more(void **state)
{
	(void)state;
	for_suites(0, SUITES_13, change_cipher_late);
	for_suites(0, SUITES_13, alert_plainly);
}

static void say_empty(void)
{
	/* A record of nothing but the type would be the least; this has not even a tag. */
	arrive("\x17\3\3\0\0", 5);
	assert_refused(FW_BAD_RECORD, SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
}

static void test_a_record_without_a_tag(void **state)
{
	(void)state;
	for_suites(0, SUITES, say_empty);
}

/* --- ends --------------------------------------------------------------------------------------
 */

static void end_each_alone(void)
{
	char data[16];

	SSL_shutdown(client);
	carry_in();
	assert_int_equal(stream_read(&stream, data, sizeof(data)), 0);
	send_out(content, 20000);
	assert_int_equal(stream_shutdown(&stream), 0);
	carry_out();
	assert_int_equal(SSL_read(client, data, sizeof(data)), 0);
	assert_int_equal(SSL_get_error(client, 0), SSL_ERROR_ZERO_RETURN);
}

static void test_each_side_ends_alone(void **state)
{
	(void)state;
	for_suites(0, SUITES, end_each_alone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content_of_every_size_and_suite),
		cmocka_unit_test(test_a_socket_that_takes_nothing_at_first),
		cmocka_unit_test(test_padding_is_not_content),
		cmocka_unit_test(test_a_client_asked_again_for_its_group),
		cmocka_unit_test(test_a_client_may_want_small_records),
		cmocka_unit_test(test_a_resumed_session_of_every_suite),
		cmocka_unit_test(test_a_ticket_dies_with_its_certificate),
		cmocka_unit_test(test_keys_change_both_ways),
		cmocka_unit_test(test_the_old_key_opens_nothing),
		cmocka_unit_test(test_key_updates_have_a_budget),
		cmocka_unit_test(test_every_byte_is_authentic),
		cmocka_unit_test(test_records_count_once_and_in_their_turn),
		cmocka_unit_test(test_nothing_of_ours_counts_twice),
		cmocka_unit_test(test_nothing_comes_in_plain_text_any_more),
		cmocka_unit_test(test_a_record_without_a_tag),
		cmocka_unit_test(test_each_side_ends_alone),
	};

	return cmocka_run_group_tests_name("tls_peer", tests, begin, end_world);
}
