// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "proxy/client/front/http2.h"

static struct worker worker;
static struct listener listener;
static struct client client;
static struct http2 http2;
static struct pool_budget budget = {.limit = 1 << 24};
static struct buffers buffers;
static struct ledger ledger = {.budget = &budget, .buffers = &buffers};

static int begin(void **state)
{
	const nghttp2_frame frame = {
		.headers = {.hd = {.length = 1000, .stream_id = 1}, .cat = NGHTTP2_HCAT_REQUEST}};

	(void)state;
	memset(&http2, 0, sizeof(http2));
	memset(&client, 0, sizeof(client));
	for (int i = 0; i < FW_SETTING_COUNT; i++)
		listener.live.value[i] = setting_rows[i].initial;
	worker.loop.now_ns = CLOCK_SEC;
	listener.worker = &worker;
	client.listener = &listener;
	buffers_init(&buffers, &budget);
	account_open(&client.account, &ledger, 0);
	http2.client = &client;
	http2_block_begin(&http2, &frame);
	return 0;
}

static int end(void **state)
{
	(void)state;
	http2_block_drop(&http2);
	assert_int_equal(client.account.held, 0);
	buffers_destroy(&buffers);
	return 0;
}

static void begin_anew(void)
{
	end(NULL);
	begin(NULL);
}

static void add(const char *name, const char *value)
{
	http2_block_add(&http2, (struct http_slice){name, (uint32_t)strlen(name)},
			(struct http_slice){value, (uint32_t)strlen(value)});
}

static void add_line(void)
{
	add(":path", "/a?b");
	add(":authority", "web.test");
	add(":scheme", "https");
	add(":method", "GET");
}

static void assert_written(bool has_body, const char *expected)
{
	int length = http2_block_end(&http2, has_body);

	assert_int_equal(length, strlen(expected));
	assert_memory_equal(buffer_start(http2.block.text), expected, strlen(expected));
}

static void assert_refused(enum fw_verdict verdict)
{
	assert_int_equal(http2_block_end(&http2, false), -(int)verdict);
	assert_null(http2.block.text);
}

static void a_head_is_that_of_http_1(void **state)
{
	(void)state;
	add_line();
	add("accept", "*/*");
	assert_written(false, "GET /a?b HTTP/1.1\r\nHost: web.test\r\naccept: */*\r\n\r\n");
}

static void a_body_of_unknown_length_goes_in_chunks(void **state)
{
	(void)state;
	add_line();
	assert_written(true, "GET /a?b HTTP/1.1\r\nHost: web.test\r\n"
			     "Transfer-Encoding: chunked\r\n\r\n");
	begin_anew();
	add_line();
	add("content-length", "5");
	assert_written(true, "GET /a?b HTTP/1.1\r\nHost: web.test\r\ncontent-length: 5\r\n\r\n");
}

static void crumbs_are_joined_where_the_first_one_stands(void **state)
{
	(void)state;
	add_line();
	add("cookie", "a=1");
	add("x", "y");
	add("cookie", "b=2");
	add("cookie", "c=3");
	assert_written(false, "GET /a?b HTTP/1.1\r\nHost: web.test\r\ncookie: a=1; b=2; c=3\r\n"
			      "x: y\r\n\r\n");
}

static void host_goes_if_it_says_the_same(void **state)
{
	(void)state;
	add_line();
	add("host", "WEB.test");
	assert_written(false, "GET /a?b HTTP/1.1\r\nHost: web.test\r\n\r\n");
	begin_anew();
	add_line();
	add("host", "other"); /* for the parser to refuse: a second one */
	assert_written(false, "GET /a?b HTTP/1.1\r\nHost: web.test\r\nhost: other\r\n\r\n");
}

static void what_ends_a_line_or_a_word_is_refused(void **state)
{
	static const char *const fields[][2] = {
		{"a", "b\r\nc"}, {"a", "b\nc"},
		{"a\r\nb", "c"}, {"a b", "c"},
		{"a:", "c"},     {"A", "c"},
		{"", "c"},       {"connection", "close"},
		{"te", "gzip"},  {"transfer-encoding", "chunked"},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		begin(state);
		add_line();
		add(fields[i][0], fields[i][1]);
		add("x", "after");
		assert_refused(FW_BAD_FIELD);
	}
	begin(state);
	add(":path", "/ HTTP/1.1\r\nx: y");
	assert_refused(FW_BAD_REQUEST_LINE);
	begin(state);
	add(":path", "http://other/");
	assert_refused(FW_BAD_REQUEST_LINE);
	begin(state);
	add(":authority", "a b");
	assert_refused(FW_BAD_HOST);
}

static void of_a_bomb_nothing_is_kept(void **state)
{
	static char value[4001];

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	add_line();
	/* An honest head: the table once, and what was spelled out. */
	add("big", value);
	assert_int_equal(http2.block.verdict, FW_NONE);
	add("big", value);
	assert_int_equal(http2.block.verdict, FW_HEADER_TOO_LARGE);
	assert_int_equal(client.account.held, 0);
	assert_true(http2.patience.settled_ns > 0);
	add("big", value);
	assert_refused(FW_HEADER_TOO_LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_head_is_that_of_http_1, begin, end),
		cmocka_unit_test_setup_teardown(a_body_of_unknown_length_goes_in_chunks, begin,
						end),
		cmocka_unit_test_setup_teardown(crumbs_are_joined_where_the_first_one_stands, begin,
						end),
		cmocka_unit_test_setup_teardown(host_goes_if_it_says_the_same, begin, end),
		cmocka_unit_test_setup_teardown(what_ends_a_line_or_a_word_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(of_a_bomb_nothing_is_kept, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
