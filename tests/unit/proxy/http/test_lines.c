// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "proxy/http/lines.h"

static void assert_slice(struct http_slice slice, const char *text)
{
	assert_int_equal(slice.length, strlen(text));
	assert_memory_equal(slice.at, text, slice.length);
}

static void a_head_is_taken_apart(void **state)
{
	static const char head[] = "GET /a?b=c HTTP/1.1\r\n"
				   "Host: example.org\r\n"
				   "X-Tight:v\r\n"
				   "X-Wide: \t v: w \t\r\n"
				   "X-Empty:\r\n"
				   "\r\n"
				   "X-Body: not a field\r\n";
	const char *at = head, *end = head + sizeof(head) - 1;
	struct http_slice verb, target;
	struct http_line line;

	(void)state;
	assert_true(http_line_request(&at, end, &verb, &target));
	assert_slice(verb, "GET");
	assert_slice(target, "/a?b=c");
	static const char *const lines[][2] = {
		{"Host", "example.org"}, {"X-Tight", "v"}, {"X-Wide", "v: w"}, {"X-Empty", ""}};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_true(http_line_next(&at, end, &line));
		assert_slice(line.name, lines[i][0]);
		assert_slice(line.value, lines[i][1]);
	}
	assert_false(http_line_next(&at, end, &line));
	assert_string_equal(at, "X-Body: not a field\r\n");
}

/* Trailers are lines without a head, and without an end but that of the buffer. */
static void lines_may_stand_alone(void **state)
{
	static const char text[] = "a: 1\r\nb: 2\r\nc: cut of";
	const char *at = text;
	struct http_line line;

	(void)state;
	for (const char *end = text + sizeof(text) - 1; http_line_next(&at, end, &line);)
		assert_int_equal(line.value.length, 1);
	assert_string_equal(at, "c: cut of");
	assert_false(http_line_next(&at, at, &line));
}

static void what_is_no_request_is_none(void **state)
{
	static const char *const texts[] = {"", "GET", "GET /\r\n", "GET / HTTP/1.1", "\r\n"};
	struct http_slice verb, target;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *at = texts[i];

		assert_false(http_line_request(&at, at + strlen(at), &verb, &target));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_head_is_taken_apart),
		cmocka_unit_test(lines_may_stand_alone),
		cmocka_unit_test(what_is_no_request_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
