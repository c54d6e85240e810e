/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stream with TLS over a socket whose other end is the test: what arrives in which pieces, what
 * the socket does not take, and records that carry nothing. The handshake is behind it; both ends
 * have the keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "proxy/net/tls/tls_state.h"

enum { KEY_UPDATE = 24 };

static struct loop loop;
static struct pool_budget budget;
static struct buffers buffers;
static struct ledger ledger = {.budget = &budget, .buffers = &buffers};
static struct account account;
static struct tls_engine *engine;
static struct stream stream;
static struct records client;       /* the test's end */
static struct record_engine *other; /* its contexts */
static int far_end;
static uint8_t heard_wire[RECORD_WIRE_MAX]; /* the beginning of a record that the client receives */
static size_t heard_size;

static void ignore(struct source *source, uint32_t events)
{
	stream_note(&stream, events);
	(void)source;
}

static void open_pair(bool is_13)
{
	uint8_t secret[2][48], random[32] = {0};
	int pair[2], small = 4096;

	memset(secret[0], 1, sizeof(secret[0]));
	memset(secret[1], 2, sizeof(secret[1]));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	far_end = pair[1];
	heard_size = 0;
	stream.source.handle = ignore;
	assert_int_equal(stream_open(&stream, &loop, pair[0], false), 0);
	assert_int_equal(tls_begin(&stream, engine, &account, NULL), 0);
	stream.tls->open = true;
	if (is_13)
		assert_true(records_begin_13(other, &stream.tls->records, RECORD_AES_128_GCM,
					     secret[0], secret[1], 32));
	else
		assert_true(records_begin_12(&stream.tls->records, RECORD_AES_128_GCM, false,
					     secret[0], 48, random, random));
	client = stream.tls->records;
	client.in = stream.tls->records.out;
	client.out = stream.tls->records.in;
}

static int begin_version(bool is_13)
{
	budget = (struct pool_budget){.limit = 1 << 22};
	buffers_init(&buffers, &budget);
	account_open(&account, &ledger, 0);
	assert_int_equal(loop_init(&loop), 0);
	loop.now_ns = 100 * CLOCK_SEC;
	engine = tls_engine_create(&budget, &buffers);
	other = record_engine_create();
	open_pair(is_13);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	return begin_version(true);
}

static int begin_12(void **state)
{
	(void)state;
	return begin_version(false);
}

static int end(void **state)
{
	(void)state;
	stream_reset(&stream);
	close(far_end);
	assert_int_equal(budget.used, 0); /* nothing is kept of a connection that is gone */
	tls_engine_free(engine);
	record_engine_free(other);
	loop_destroy(&loop);
	buffers_destroy(&buffers);
	return 0;
}

/* What the client would put on the wire. */
static size_t seal(enum record_type type, const void *data, size_t size, uint8_t *out)
{
	const struct iovec part = {(void *)data, size};

	return record_seal(other, &client, type, &part, 1, out);
}

static void arrive(const void *data, size_t size)
{
	assert_int_equal(write(far_end, data, size), size);
	stream_note(&stream, EPOLLIN);
}

static void say(enum record_type type, const void *data, size_t size)
{
	static uint8_t wire[RECORD_WIRE_MAX];

	arrive(wire, seal(type, data, size, wire));
}

/* The next record that the client receives. Type 0: none is whole yet. */
static struct record_content hear(void)
{
	struct record_content content = {0};
	size_t wanted = heard_size < RECORD_HEADER ? RECORD_HEADER : record_size(heard_wire);
	ssize_t count = 0;

	while (heard_size < wanted && count >= 0) {
		count = recv(far_end, heard_wire + heard_size, wanted - heard_size, 0);
		heard_size += count > 0 ? (size_t)count : 0;
		if (heard_size == RECORD_HEADER)
			wanted = record_size(heard_wire);
	}
	if (heard_size < wanted)
		return content;
	assert_true(record_open(other, &client, heard_wire, heard_size, &content));
	heard_size = 0;
	return content;
}

static void assert_read(const char *text)
{
	char data[32768];
	ssize_t count = stream_read(&stream, data, sizeof(data));

	assert_int_equal(count, strlen(text));
	assert_memory_equal(data, text, strlen(text));
}

/* --- reading --------------------------------------------------------------------------------- */

static void test_several_records_are_read_at_once(void **state)
{
	(void)state;
	say(RECORD_DATA, "one ", 4);
	say(RECORD_DATA, "two ", 4);
	say(RECORD_DATA, "three", 5);
	assert_read("one two three");
	assert_false(stream_is(&stream, STREAM_READABLE));
	assert_null(stream.tls->in);
}

static void test_a_record_may_come_byte_by_byte(void **state)
{
	uint8_t wire[64];
	size_t size = seal(RECORD_DATA, "hello", 5, wire);
	char data[16];

	(void)state;
	for (size_t i = 0; i + 1 < size; i++) {
		arrive(wire + i, 1);
		assert_int_equal(stream_read(&stream, data, sizeof(data)), -EAGAIN);
		assert_false(stream_is(&stream, STREAM_READABLE));
		assert_non_null(stream.tls->in);
	}
	arrive(wire + size - 1, 1);
	assert_read("hello");
	assert_null(stream.tls->in); /* idle, it holds no buffer */
}

static void test_what_was_opened_is_never_left_waiting(void **state)
{
	static char large[RECORD_PLAIN_MAX];
	char data[1000];
	size_t total = 0;

	(void)state;
	memset(large, 'x', sizeof(large));
	say(RECORD_DATA, large, sizeof(large));
	say(RECORD_DATA, "end", 3);
	while (total < sizeof(large) + 3) {
		ssize_t count;

		/* The socket is empty; epoll would say nothing. */
		assert_true(stream_is(&stream, STREAM_READABLE));
		count = stream_read(&stream, data, sizeof(data));
		assert_true(count > 0);
		total += (size_t)count;
	}
	assert_memory_equal(data + (total - 1) % sizeof(data) - 2, "end", 3);
	assert_int_equal(stream_read(&stream, data, sizeof(data)), -EAGAIN);
}

static void test_a_notice_ends_reading_and_not_writing(void **state)
{
	const struct iovec part = {"still here", 10};
	char data[16];

	(void)state;
	say(RECORD_DATA, "last", 4);
	say(RECORD_ALERT, "\x01\x00", 2);
	assert_read("last");
	assert_true(stream_is(&stream, STREAM_READABLE));
	assert_int_equal(stream_read(&stream, data, sizeof(data)), 0);
	assert_int_equal(stream_write(&stream, &part, 1), 10);
	assert_int_equal(hear().type, RECORD_DATA);
}

static void test_a_fatal_alert_is_an_error(void **state)
{
	char data[16];

	(void)state;
	say(RECORD_ALERT, "\x02\x28", 2);
	assert_int_equal(stream_read(&stream, data, sizeof(data)), -ECONNRESET);
}

static void test_a_forged_record_is_told_and_named(void **state)
{
	uint8_t wire[64];
	size_t size = seal(RECORD_DATA, "hello", 5, wire);
	struct record_content told;
	char data[16];

	(void)state;
	wire[size - 1] ^= 1;
	arrive(wire, size);
	assert_int_equal(stream_read(&stream, data, sizeof(data)), -EPROTO);
	assert_int_equal(tls_fault(&stream), FW_BAD_RECORD);
	told = hear();
	assert_int_equal(told.type, RECORD_ALERT);
	assert_memory_equal(told.data, "\x02\x14", 2);
	assert_int_equal(stream_read(&stream, data, sizeof(data)), -EPROTO);
}

/* --- records that carry nothing -------------------------------------------------------------- */

static void test_empty_records_have_a_budget(void **state)
{
	char data[16];
	int sent;

	(void)state;
	for (sent = 0; sent < 1000 && tls_fault(&stream) == FW_NONE; sent++) {
		say(RECORD_DATA, "", 0);
		assert_true(stream_read(&stream, data, sizeof(data)) < 0);
	}
	assert_int_equal(sent, 65);
	assert_int_equal(tls_fault(&stream), FW_IDLE_RECORDS);
}

static void test_content_refills_the_budget(void **state)
{
	static char large[RECORD_PLAIN_MAX], data[RECORD_PLAIN_MAX];

	(void)state;
	for (int turn = 0; turn < 5; turn++) {
		for (int i = 0; i < 60; i++)
			say(RECORD_DATA, "", 0);
		for (int i = 0; i < (1 << 20) / RECORD_PLAIN_MAX; i++) {
			say(RECORD_DATA, large, sizeof(large));
			assert_int_equal(stream_read(&stream, data, sizeof(data)), sizeof(large));
		}
	}
	assert_int_equal(tls_fault(&stream), FW_NONE);
}

static void update_client_key(char asks)
{
	const char message[] = {KEY_UPDATE, 0, 0, 1, asks};

	say(RECORD_HANDSHAKE, message, sizeof(message));
	assert_true(record_update_key(other, &client, &client.out));
}

static void test_one_answer_to_many_key_updates(void **state)
{
	const struct iovec part = {"answer", 6};
	struct record_content heard;
	char data[16];

	(void)state;
	for (int i = 0; i < 20; i++)
		update_client_key(1);
	say(RECORD_DATA, "after", 5);
	assert_read("after");
	assert_int_equal(stream_write(&stream, &part, 1), 6);
	heard = hear();
	assert_int_equal(heard.type, RECORD_HANDSHAKE);
	assert_memory_equal(heard.data, "\x18\0\0\1\0", 5);
	assert_true(record_update_key(other, &client, &client.in));
	heard = hear();
	assert_memory_equal(heard.data, "answer", 6);
	assert_int_equal(hear().type, 0);

	for (int i = 0; i < 50; i++)
		update_client_key(0);
	assert_int_equal(stream_read(&stream, data, sizeof(data)), -EPROTO);
	assert_int_equal(tls_fault(&stream), FW_IDLE_RECORDS);
}

static void test_a_key_update_is_the_only_message(void **state)
{
	static const char *const messages[] = {"\x18\0\0\1\2", "\x18\0\0\1", "\x01\0\0\1\0",
					       "\x18\0\0\1\0\x18\0\0\1\0", "\x04\0\0\0\0"};
	static const size_t sizes[] = {5, 4, 5, 10, 5};
	char data[16];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		say(RECORD_HANDSHAKE, messages[i], sizes[i]);
		assert_int_equal(stream_read(&stream, data, sizeof(data)), -EPROTO);
		assert_int_equal(tls_fault(&stream), FW_BAD_RECORD);
		end(state);
		begin(state);
	}
}

static void test_nobody_renegotiates(void **state)
{
	struct record_content told;
	char data[16];

	(void)state;
	for (int i = 0; i < 64; i++) {
		say(RECORD_HANDSHAKE, "\x01\0\0\1\0", 5);
		assert_int_equal(stream_read(&stream, data, sizeof(data)), -EAGAIN);
		told = hear();
		assert_int_equal(told.type, RECORD_ALERT);
		assert_memory_equal(told.data, "\x01\x64", 2); /* a warning: no_renegotiation */
	}
	say(RECORD_DATA, "fine", 4);
	assert_read("fine");
	say(RECORD_HANDSHAKE, "\x01\0\0\1\0", 5);
	assert_int_equal(stream_read(&stream, data, sizeof(data)), -EPROTO);
}

/* --- writing --------------------------------------------------------------------------------- */

static void test_what_the_socket_does_not_take_is_not_written(void **state)
{
	static char data[3 << 20], heard[3 << 20];
	size_t sent = 0, got = 0;
	int stuck = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i / 7);
	while (got < sizeof(data)) {
		const struct iovec parts[] = {
			{data + sent, sent < sizeof(data) ? 1 : 0},
			{data + sent + 1, sent + 1 < sizeof(data) ? sizeof(data) - sent - 1 : 0}};
		ssize_t count = sent < sizeof(data) ? stream_write(&stream, parts, 2) : -EAGAIN;
		struct record_content content;

		if (count > 0) {
			sent += (size_t)count;
			continue;
		}
		assert_int_equal(count, -EAGAIN);
		stuck++;
		content = hear();
		stream_note(&stream, EPOLLOUT);
		if (content.type == 0)
			continue;
		memcpy(heard + got, content.data, content.length);
		got += content.length;
		/* What is not counted as sent is in flight at most once. */
		assert_true(got <= sent + TLS_SCRATCH_OUT);
	}
	assert_true(stuck > 10);
	assert_memory_equal(data, heard, sizeof(data));
}

static void test_a_shutdown_waits_for_room(void **state)
{
	static char data[1 << 16];
	const struct iovec part = {data, sizeof(data)};
	struct record_content last = {0}, content;

	(void)state;
	while (stream_write(&stream, &part, 1) > 0)
		;
	assert_int_equal(stream_shutdown(&stream), -EAGAIN);
	for (int i = 0; i < 1000 && last.type != RECORD_ALERT; i++) {
		content = hear();
		if (content.type)
			last = content;
		stream_note(&stream, EPOLLOUT);
		stream_shutdown(&stream);
	}
	assert_int_equal(last.type, RECORD_ALERT);
	assert_memory_equal(last.data, "\x01\x00", 2);
	assert_int_equal(stream_shutdown(&stream), 0);
	assert_int_equal(stream_write(&stream, &part, 1), -EPIPE);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		STORY(test_several_records_are_read_at_once),
		STORY(test_a_record_may_come_byte_by_byte),
		STORY(test_what_was_opened_is_never_left_waiting),
		STORY(test_a_notice_ends_reading_and_not_writing),
		STORY(test_a_fatal_alert_is_an_error),
		STORY(test_a_forged_record_is_told_and_named),
		STORY(test_empty_records_have_a_budget),
		STORY(test_content_refills_the_budget),
		STORY(test_one_answer_to_many_key_updates),
		STORY(test_a_key_update_is_the_only_message),
		cmocka_unit_test_setup_teardown(test_nobody_renegotiates, begin_12, end),
		STORY(test_what_the_socket_does_not_take_is_not_written),
		STORY(test_a_shutdown_waits_for_room),
	};

	return cmocka_run_group_tests_name("tls_stream", tests, NULL, NULL);
}
