// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "proxy/client/exchange/body.h"
#include "proxy/client/http2_wire.h"

static struct pool_budget budget = {.limit = 1 << 20};
static struct buffers buffers;
static struct ledger ledger = {.budget = &budget, .buffers = &buffers, .threads = 1};
static struct account account;

static int begin(void **state)
{
	(void)state;
	buffers_init(&buffers, &budget);
	account_open(&account, &ledger, 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	assert_int_equal(budget.used, 0);
	buffers_destroy(&buffers);
	return 0;
}

static struct http_slice slice(const char *text)
{
	return (struct http_slice){text, (uint32_t)strlen(text)};
}

static void only_fields_of_one_reading_are_sound(void **state)
{
	static const char *const unsound[][2] = {
		{"", "v"},          {"X", "v"},
		{"a b", "v"},       {"a:", "v"},
		{":status", "200"}, {"a", "v\r\nb: w"},
		{"a", "v\nw"},      {"a", "v\x01"},
		{"connection", ""}, {"transfer-encoding", "chunked"},
		{"upgrade", "x"},   {"keep-alive", "1"},
		{"te", "gzip"},     {"proxy-connection", ""},
	};

	(void)state;
	assert_true(http2_field_is_sound(slice("x-a"), slice("b: \tc\x80")));
	assert_true(http2_field_is_sound(slice("te"), slice("trailers")));
	for (size_t i = 0; i < sizeof(unsound) / sizeof(unsound[0]); i++)
		assert_false(http2_field_is_sound(slice(unsound[i][0]), slice(unsound[i][1])));
	assert_true(http2_field_may_trail(slice("grpc-status")));
	assert_false(http2_field_may_trail(slice("content-length")));
	assert_false(http2_field_may_trail(slice("host")));
	/* Nor what servers are told of a client by us alone. */
	assert_false(http2_field_may_trail(slice("x-client-cert-subject")));
	assert_false(http2_field_may_trail(slice("x-request-id")));
}

/* However a body comes, what it is made into reads as chunks, and as the same body. */
static void bodies_become_chunks(void **state)
{
	static const uint32_t sizes[] = {1, 15, 4096, 65535};
	struct buffer *buffer = NULL;
	struct http_head head = {.framing = HTTP_CHUNKED};
	struct body body;
	size_t content;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_true(http2_make_room(&buffer, &account, HTTP2_CHUNK_HEAD + sizes[i]));
		buffer->end += HTTP2_CHUNK_HEAD;
		memset(buffer_end(buffer), 'a' + (int)i, sizes[i]);
		buffer->end += sizes[i];
		http2_close_chunk(buffer, sizes[i]);
		assert_true(http2_seal_chunks(&buffer, &account));
		body_init(&body, &head, (struct http_chunk_limits){0});
		body.unwrap = true;
		assert_int_equal(
			body_check(&body, buffer_start(buffer), buffer_length(buffer), &content),
			buffer_length(buffer));
		assert_true(body.done);
		assert_int_equal(content, sizes[i]);
		assert_int_equal(buffer_start(buffer)[content - 1], 'a' + (int)i);
		buffer_consume(buffer, buffer_length(buffer));
	}
	assert_false(http2_make_room(&buffer, &account, 1 << 17));
	buffer_give(&buffer);
}

static void lines_become_fields(void **state)
{
	struct buffer *text = buffer_take(&account, BUFFER_SMALL);
	nghttp2_nv fields[HTTP2_TRAILER_MOST];
	const struct http_slice sum = slice("x-sum");

	(void)state;
	assert_int_equal(http2_trailer_fields(NULL, NULL, 0, fields), 0);
	http2_put_line(text, slice("Grpc-Status"), slice("0"));
	http2_put_line(text, slice("x-sum"), slice("a: b"));
	assert_int_equal(http2_trailer_fields(text, &sum, 1, fields), 1);
	assert_memory_equal(fields[0].name, "grpc-status", fields[0].namelen);
	assert_int_equal(http2_trailer_fields(text, NULL, 0, fields), 2);
	assert_memory_equal(fields[0].name, "grpc-status", fields[0].namelen);
	assert_int_equal(fields[1].valuelen, 4);
	while (buffer_length(text) < HTTP2_TRAILER_MOST * 6)
		http2_put_line(text, slice("a"), slice(""));
	for (int i = 0; i < HTTP2_TRAILER_MOST; i++)
		http2_put_line(text, slice("a"), slice(""));
	assert_int_equal(http2_trailer_fields(text, NULL, 0, fields), 0);
	buffer_give(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_fields_of_one_reading_are_sound, begin, end),
		cmocka_unit_test_setup_teardown(bodies_become_chunks, begin, end),
		cmocka_unit_test_setup_teardown(lines_become_fields, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
