// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "proxy/client/exchange/body.h"

static struct body begin(enum http_framing framing, uint64_t length)
{
	static struct http_head head;
	struct body body;

	head.framing = (uint8_t)framing;
	head.content_length = length;
	body_init(&body, &head, (struct http_chunk_limits){0});
	return body;
}

static void a_length_ends_where_it_says(void **state)
{
	struct body body = begin(HTTP_LENGTH, 10);
	char data[] = "0123456789GET / HTTP/1.1";
	size_t forward;

	(void)state;
	assert_false(body.done);
	assert_int_equal(body_check(&body, data, 4, &forward), 4);
	assert_int_equal(forward, 4);
	assert_false(body.done);
	assert_int_equal(body_check(&body, data + 4, sizeof(data) - 5, &forward), 6);
	assert_int_equal(forward, 6);
	assert_true(body.done);
	/* What follows belongs to the next message. */
	assert_int_equal(body_check(&body, data + 10, 5, &forward), 0);
	assert_int_equal(forward, 0);
}

static void an_empty_body_is_done_at_once(void **state)
{
	(void)state;
	assert_true(begin(HTTP_LENGTH, 0).done);
	assert_true(begin(HTTP_NO_BODY, 7).done);
	assert_false(begin(HTTP_UNTIL_CLOSE, 0).done);
	assert_false(begin(HTTP_CHUNKED, 0).done);
}

/* Cut at every byte, the same bytes pass and the same rest stays. */
static void chunks_end_where_they_say(void **state)
{
	static const char raw[] = "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n";
	const size_t length = sizeof(raw) - 1;
	size_t forward;

	(void)state;
	for (size_t cut = 0; cut <= length; cut++) {
		struct body body = begin(HTTP_CHUNKED, 0);
		char data[64];

		memcpy(data, raw, length);
		memcpy(data + length, "GET", 3);
		assert_int_equal(body_check(&body, data, cut, &forward), cut);
		assert_int_equal(body_check(&body, data + cut, length + 3 - cut, &forward),
				 length - cut);
		assert_int_equal(forward, length - cut);
		assert_true(body.done);
	}
}

static void unwrapped_chunks_leave_their_content(void **state)
{
	struct body body = begin(HTTP_CHUNKED, 0);
	char data[] = "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n";
	size_t forward;

	(void)state;
	body.unwrap = true;
	assert_int_equal(body_check(&body, data, sizeof(data) - 1, &forward), sizeof(data) - 1);
	assert_int_equal(forward, 6);
	assert_memory_equal(data, "hello!", 6);
	assert_true(body.done);
}

static void a_bad_chunk_is_refused(void **state)
{
	struct body body = begin(HTTP_CHUNKED, 0);
	char data[] = "5;a=b\r\nhello\r\n";
	size_t forward;

	(void)state;
	assert_int_equal(body_check(&body, data, sizeof(data) - 1, &forward), -FW_BAD_CHUNK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_length_ends_where_it_says),
		cmocka_unit_test(an_empty_body_is_done_at_once),
		cmocka_unit_test(chunks_end_where_they_say),
		cmocka_unit_test(unwrapped_chunks_leave_their_content),
		cmocka_unit_test(a_bad_chunk_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
