// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "proxy/guard/access_log.h"

static struct access_line usual(void)
{
	return (struct access_line){
		.listener = "https",
		.source = "2001:db8::1",
		.port = 4711,
		.method = "GET",
		.method_length = 3,
		.target = "/",
		.target_length = 1,
		.status = 200,
		.in = 12,
		.out = 3456,
		.duration_ns = 1234567890,
		.upstream = "127.0.0.1:8000",
	};
}

static void a_line_is_json_and_says_it_all(void **state)
{
	struct access_line line = usual();
	struct access_log log;
	char text[8192];
	int pipes[2];
	ssize_t length;
	json_t *object;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(access_log_init(&log, pipes[1]), 0);
	line.target = "/\"\\\x01\xff<";
	line.target_length = 6;
	line.reason = "done";
	assert_true(access_log_add(&log, &line, clock_now_ns()));
	access_log_flush(&log);
	length = read(pipes[0], text, sizeof(text));
	assert_true(length > 0 && text[length - 1] == '\n');
	object = json_loadb(text, (size_t)length, 0, NULL);
	assert_non_null(object);
	assert_string_equal(json_string_value(json_object_get(object, "listener")), "https");
	assert_string_equal(json_string_value(json_object_get(object, "source")), "2001:db8::1");
	assert_string_equal(json_string_value(json_object_get(object, "method")), "GET");
	/* Bytes, told as the code points of the same value. */
	assert_string_equal(json_string_value(json_object_get(object, "target")),
			    "/\"\\\x01\xc3\xbf<");
	assert_string_equal(json_string_value(json_object_get(object, "reason")), "done");
	assert_int_equal(json_integer_value(json_object_get(object, "status")), 200);
	assert_int_equal(json_integer_value(json_object_get(object, "out")), 3456);
	assert_true(json_real_value(json_object_get(object, "duration_ms")) > 1234.56 &&
		    json_real_value(json_object_get(object, "duration_ms")) < 1234.57);
	assert_int_equal(strlen(json_string_value(json_object_get(object, "time"))), 24);
	json_decref(object);
	access_log_destroy(&log);
	close(pipes[0]);
	close(pipes[1]);
}

/* The longest line fits where a pipe writes in one piece. */
static void the_longest_line_is_whole(void **state)
{
	static char target[32768], id[128];
	struct access_line line = usual();
	struct access_log log;
	char text[8192];
	int pipes[2];
	ssize_t length;
	json_t *object;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(access_log_init(&log, pipes[1]), 0);
	memset(target, '"', sizeof(target));
	line.target = target;
	line.target_length = sizeof(target);
	memset(id, 'i', sizeof(id));
	line.request_id = id;
	line.request_id_length = sizeof(id);
	assert_true(access_log_add(&log, &line, clock_now_ns()));
	assert_true(log.used <= ACCESS_LOG_LINE);
	access_log_flush(&log);
	length = read(pipes[0], text, sizeof(text));
	object = json_loadb(text, (size_t)length, 0, NULL);
	assert_non_null(object);
	assert_int_equal(json_string_length(json_object_get(object, "target")), ACCESS_LOG_TARGET);
	assert_int_equal(json_string_length(json_object_get(object, "request_id")), sizeof(id));
	json_decref(object);
	access_log_destroy(&log);
	close(pipes[0]);
	close(pipes[1]);
}

/* Nobody reads: lines are refused, the caller is not kept waiting, and what was taken is whole. */
static void a_full_pipe_keeps_nobody_waiting(void **state)
{
	struct access_line line = usual();
	struct access_log log;
	unsigned int taken = 0, dropped = 0, read_back = 0;
	static char text[4 << 20];
	size_t length = 0;
	int pipes[2];
	ssize_t count;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(access_log_init(&log, pipes[1]), 0);
	for (int i = 0; i < 5000; i++) {
		if (access_log_add(&log, &line, clock_now_ns()))
			taken++;
		else
			dropped++;
	}
	assert_true(dropped > 0);
	fcntl(pipes[0], F_SETFL, O_NONBLOCK);
	do {
		while ((count = read(pipes[0], text + length, sizeof(text) - length)) > 0)
			length += (size_t)count;
		access_log_flush(&log);
	} while (log.used);
	while ((count = read(pipes[0], text + length, sizeof(text) - length)) > 0)
		length += (size_t)count;
	for (char *at = text, *end; (end = memchr(at, '\n', (size_t)(text + length - at)));
	     at = end + 1) {
		json_t *object = json_loadb(at, (size_t)(end - at), 0, NULL);

		assert_non_null(object);
		json_decref(object);
		read_back++;
	}
	assert_int_equal(read_back, taken);
	access_log_destroy(&log);
	close(pipes[0]);
	close(pipes[1]);
}

static void escapes_are_never_cut(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(json_escape(out, 3, "ab\"", 3), 2);
	assert_int_equal(json_escape(out, 4, "ab\"", 3), 4);
	assert_memory_equal(out, "ab\\\"", 4);
	assert_int_equal(json_escape(out, 5, "\n", 1), 0);
	assert_int_equal(json_escape(out, 6, "\n", 1), 6);
	assert_memory_equal(out, "\\u000a", 6);
}

/* Nothing that a client sends ends a line, or a string, or speaks to a terminal. */
static void every_byte_is_printable(void **state)
{
	char out[8];

	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		char text = (char)byte;
		size_t used = json_escape(out, sizeof(out), &text, 1);
		bool plain = byte >= 0x20 && byte <= 0x7e;

		assert_int_equal(used, !plain ? 6 : byte == '"' || byte == '\\' ? 2 : 1);
		for (size_t i = 0; i < used; i++)
			assert_in_range(out[i], 0x20, 0x7e);
	}
}

static void without_a_log_nothing_is_written(void **state)
{
	struct access_line line = usual();
	struct access_log log;

	(void)state;
	assert_int_equal(access_log_init(&log, -1), 0);
	assert_true(access_log_add(&log, &line, 1));
	access_log_flush(&log);
	access_log_destroy(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_json_and_says_it_all),
		cmocka_unit_test(the_longest_line_is_whole),
		cmocka_unit_test(a_full_pipe_keeps_nobody_waiting),
		cmocka_unit_test(escapes_are_never_cut),
		cmocka_unit_test(every_byte_is_printable),
		cmocka_unit_test(without_a_log_nothing_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
