/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records that the kernel seals, as OpenSSL opens them: content of every size, alerts between, the
 * end, and what cannot be had. Where the kernel lacks TLS this says so, and shows that nothing is
 * lost by it; scripts/test-kernel has one that does not.
 */
#include "../far_end.h"
#include <fcntl.h>
#include "proxy/net/tls/record/ktls.h"

static uint8_t content[100000];

static int begin(void **state)
{
	(void)state;
	make_world("auto");
	fill(content, sizeof(content));
	return 0;
}

/* The client has received so much that the kernel takes over. */
static void pour(void)
{
	for (int i = 0; i < 12; i++)
		send_out(content, sizeof(content));
	assert_int_equal(stream.tls->sealer, SEALED_BY_KERNEL);
	assert_null(stream.tls->out);
}

/* Calls @story with a connection of each suite that the kernel seals. */
static void for_kernel(int first, int last, void (*story)(void))
{
	if (!ktls_is_there()) {
		print_message("this kernel has no TLS (CONFIG_TLS, module tls)\n");
		skip();
	}
	for (int i = first; i < last; i++) {
		prepare_client(&suites[i]);
		meet(true);
		pour();
		story();
		part();
	}
}

/* --- content -----------------------------------------------------------------------------------
 */

static void say_sizes(void)
{
	static const size_t sizes[] = {1, 16, 1371, 16383, 16384, 16385, sizeof(content)};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		send_out(content, sizes[i]);
		send_in(content, sizes[i], 5000);
	}
	assert_null(stream.tls->out);
}

static void test_content_of_every_size_and_suite(void **state)
{
	(void)state;
	for_kernel(0, SUITES, say_sizes);
}

/* From a pipe, as a relay sends: the bytes never come by here. */
static void splice_out(void)
{
	size_t sent = 0, got = 0;
	int ends[2], read;
	uint8_t heard[4096];
	ssize_t count;

	assert_true(stream_splices_out(&stream) && !stream_splices_in(&stream));
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	assert_int_equal(write(ends[1], content, 50000), 50000);
	for (int turn = 0; turn < 2000 && got < 50000; turn++) {
		count = sent < 50000 ? stream_splice_out(&stream, ends[0], 50000 - sent) : -EAGAIN;
		assert_true(count > 0 || count == -EAGAIN);
		sent += count > 0 ? (size_t)count : 0;
		if (!carry_out())
			usleep(1000);
		while ((read = SSL_read(client, heard, sizeof(heard))) > 0) {
			assert_memory_equal(heard, content + got, read);
			got += (size_t)read;
		}
	}
	assert_int_equal(got, 50000);
	close(ends[0]);
	close(ends[1]);
	send_out(content, 100);
}

static void test_a_pipe_is_sealed_too(void **state)
{
	(void)state;
	for_kernel(0, SUITES, splice_out);
}

/* The client reads nothing until no more is taken; then it reads all of it, and the end last. */
static void end_behind_much(void)
{
	const struct iovec part_of = {content, sizeof(content)};
	static uint8_t heard[1 << 16];
	size_t sent = 0, got = 0;
	bool told = false;
	ssize_t count;
	int read;

	while ((count = stream_write(&stream, &part_of, 1)) > 0)
		sent += (size_t)count;
	assert_int_equal(count, -EAGAIN);
	assert_int_equal(stream_shutdown(&stream), -EAGAIN);
	for (int turn = 0; turn < 5000; turn++) {
		if (!carry_out())
			usleep(1000);
		told = told || stream_shutdown(&stream) == 0;
		while ((read = SSL_read(client, heard, sizeof(heard))) > 0)
			got += (size_t)read;
		if (SSL_get_error(client, read) != SSL_ERROR_WANT_READ)
			break;
	}
	assert_int_equal(SSL_get_error(client, read), SSL_ERROR_ZERO_RETURN);
	assert_true(told);
	assert_int_equal(got, sent);
}

static void test_the_end_comes_behind_all_of_it(void **state)
{
	(void)state;
	for_kernel(0, SUITES, end_behind_much);
}

/* --- what is not content -----------------------------------------------------------------------
 */

static void forge(void)
{
	static uint8_t wire[WIRE_MAX];
	size_t size = seal("hello", 5, wire);

	wire[size - 1] ^= 1;
	arrive(wire, size);
	assert_refused(FW_BAD_RECORD, SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
}

static void test_a_forged_record_is_told(void **state)
{
	(void)state;
	for_kernel(0, SUITES, forge);
}

/* The client's keys change as ever; ours can't, and who demands it is told that this was all. */
static void change_keys(void)
{
	const struct iovec part_of = {"more", 4};
	char data[16];

	assert_int_equal(SSL_key_update(client, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
	send_in(content, 100, 1000);
	send_out(content, 100);
	assert_int_equal(SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED), 1);
	send_in(content, 100, 1000);
	assert_int_equal(stream_write(&stream, &part_of, 1), -EKEYEXPIRED);
	assert_int_equal(stream_splice_out(&stream, 0, 1), -EKEYEXPIRED);
	assert_int_equal(stream_shutdown(&stream), 0);
	await_answer();
	carry_out();
	assert_int_equal(SSL_read(client, data, sizeof(data)), 0);
	assert_int_equal(SSL_get_error(client, 0), SSL_ERROR_ZERO_RETURN);
}

static void test_who_demands_a_new_key_is_parted_from(void **state)
{
	(void)state;
	for_kernel(0, SUITES_13, change_keys);
}

/* --- who is handed over ------------------------------------------------------------------------
 */

static void test_who_receives_little_is_not(void **state)
{
	(void)state;
	prepare_client(&suites[0]);
	meet(true);
	for (int i = 0; i < 30; i++) {
		send_out(content, sizeof(content));
		loop.now_ns += 2 * CLOCK_SEC; /* a pause, and it begins anew */
	}
	assert_int_equal(stream.tls->sealer, SEALED_HERE);
	part();
}

/* No TCP, no kernel TLS: whatever the reason, it goes on as before. */
static void test_a_kernel_that_will_not(void **state)
{
	(void)state;
	prepare_client(&suites[0]);
	meet(false);
	assert_true(ktls_begin(stream.source.fd, &stream.tls->records) < 0);
	for (int i = 0; i < 30; i++)
		send_out(content, sizeof(content));
	assert_int_not_equal(stream.tls->sealer, SEALED_BY_KERNEL);
	assert_false(stream_splices_out(&stream));
	part();
}

/* A client that wants small records gets them from us alone: the kernel knows one size. */
static void test_a_client_with_a_limit_is_not(void **state)
{
	(void)state;
	prepare_client(&suites[0]);
	SSL_CTX_set_tlsext_max_fragment_length(context, TLSEXT_max_fragment_length_4096);
	meet(true);
	for (int i = 0; i < 30; i++)
		send_out(content, sizeof(content));
	assert_int_equal(stream.tls->sealer, SEALED_HERE);
	part();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content_of_every_size_and_suite),
		cmocka_unit_test(test_a_pipe_is_sealed_too),
		cmocka_unit_test(test_the_end_comes_behind_all_of_it),
		cmocka_unit_test(test_a_forged_record_is_told),
		cmocka_unit_test(test_who_demands_a_new_key_is_parted_from),
		cmocka_unit_test(test_who_receives_little_is_not),
		cmocka_unit_test(test_a_kernel_that_will_not),
		cmocka_unit_test(test_a_client_with_a_limit_is_not),
	};

	return cmocka_run_group_tests_name("ktls", tests, begin, end_world);
}
