// SPDX-License-Identifier: BSD-2-Clause
/* Which requests are sent again: as a matter of course, as retries, or not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "proxy/client/exchange/retry.h"

enum { SERVERS = 4 };

static uint64_t board[FW_SERVICES_MAX * (FW_VERDICTS_MAX + FW_METRICS_MAX)];
static struct loop loop;
static struct pool_budget budget = {.limit = 1 << 20};
static struct config_server servers[SERVERS];
static struct config_upstream upstream = {
	.name = (char *)"app", .servers = servers, .server_count = SERVERS};
static struct upstream_shared *shared;
static struct upstream_pool *pool;
static struct listener listener;
static struct client client = {.listener = &listener};
static struct exchange exchange;

static int begin(void **state)
{
	(void)state;
	for (int i = 0; i < SERVERS; i++)
		servers[i] = (struct config_server){.address = (char *)"192.0.2.1:80", .port = 80};
	upstream.retry = (struct config_retry){
		.attempts = 3, .on = RETRY_BROKEN | RETRY_503, .minimum = 1000};
	shared = upstream_shared_create(&upstream, NULL, 1);
	pool = upstream_pool_create(shared, &loop, &budget, NULL);
	memset(board, 0, sizeof(board));
	listener.board = board_row(board, 0, 1);
	exchange = (struct exchange){.client = &client,
				     .pool = pool,
				     .method = HTTP_GET,
				     .attempt.head_sent = true,
				     .tried = 1};
	return pool ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	retry_end(&exchange);
	upstream_pool_free(pool);
	upstream_shared_free(shared);
	return 0;
}

static uint64_t counted(enum fw_metric metric)
{
	return listener.board.cell[FW_VERDICTS_MAX + metric];
}

static void as_many_attempts_as_are_configured(void **state)
{
	(void)state;
	assert_true(retry_begins_for_break(&exchange));
	assert_true(retry_begins_for_status(&exchange, 503));
	assert_false(retry_begins_for_break(&exchange)); /* the first was the first of three */
	assert_int_equal(counted(METRIC_UPSTREAM_RETRIES), 2);
	assert_int_equal(counted(METRIC_UPSTREAM_RETRIES_DENIED), 0);
}

static void only_for_reasons_that_are_configured(void **state)
{
	static const uint16_t others[] = {200, 404, 500, 502, 504};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(retry_begins_for_status(&exchange, others[i]));
	upstream.retry.on = RETRY_502 | RETRY_504;
	assert_false(retry_begins_for_break(&exchange));
	assert_false(retry_begins_for_status(&exchange, 503));
	assert_true(retry_begins_for_status(&exchange, 502));
	assert_true(retry_begins_for_status(&exchange, 504));
}

static void never_to_a_server_that_was_tried(void **state)
{
	(void)state;
	exchange.tried = (1 << SERVERS) - 1;
	assert_false(retry_begins_for_break(&exchange));
	exchange.tried &= ~(1ULL << 2);
	assert_true(retry_begins_for_break(&exchange));
}

/* RFC 9110 section 9.2.2: what was begun may only be begun again if that makes no difference. */
static void what_may_not_be_done_twice_is_not(void **state)
{
	static const enum http_method once[] = {HTTP_POST, HTTP_PATCH};
	static const enum http_method twice[] = {HTTP_GET, HTTP_HEAD, HTTP_PUT, HTTP_DELETE};

	(void)state;
	for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
		exchange.method = once[i];
		exchange.attempt.head_sent = true;
		assert_false(retry_begins_for_break(&exchange));
		exchange.attempt.head_sent = false; /* the server has not heard of it */
		exchange.retries = 0;
		assert_true(retry_begins_for_break(&exchange));
	}
	exchange.attempt.head_sent = true;
	for (size_t i = 0; i < sizeof(twice) / sizeof(twice[0]); i++) {
		exchange.method = twice[i];
		exchange.retries = 0;
		assert_true(retry_begins_for_break(&exchange));
	}
	/* What is not all here any more can't be sent again. */
	exchange.retries = 0;
	exchange.body_sent = 1;
	assert_false(retry_begins_for_break(&exchange));
	exchange.body_sent = 0;
	exchange.answered = true;
	assert_false(retry_begins_for_break(&exchange));
}

static void a_spent_budget_is_counted(void **state)
{
	(void)state;
	upstream.retry.concurrent = 1;
	assert_true(retry_begins_for_break(&exchange));
	for (int i = 0; i < 3; i++)
		assert_false(upstream_retry_begin(pool));
	retry_end(&exchange);
	assert_true(upstream_retry_begin(pool)); /* another request's */
	assert_false(retry_begins_for_break(&exchange));
	assert_int_equal(counted(METRIC_UPSTREAM_RETRIES_DENIED), 1);
	upstream_retry_end(pool);
}

/* Slow requests leave half of it to those that fail. */
static void hedges_may_have_half_of_the_budget(void **state)
{
	int hedges = 0, retries = 0;

	(void)state;
	upstream.retry.minimum = 2;
	upstream.retry.concurrent = 0;
	while (upstream_hedge_begin(pool))
		hedges++;
	while (upstream_retry_begin(pool))
		retries++;
	assert_int_equal(hedges, 10); /* in ten seconds */
	assert_int_equal(retries, 10);
	while (hedges-- + retries-- > 0)
		upstream_retry_end(pool);
}

/* Another server has the request already: it is left to that, and charged to nobody again. */
static void a_hedge_is_the_retry(void **state)
{
	struct exchange hedge = {0};

	(void)state;
	exchange.hedge = &hedge;
	exchange.attempt.link_used = true;
	assert_false(retry_resends(&exchange));
	for (int i = 0; i < 5; i++) {
		assert_true(retry_begins_for_break(&exchange));
		assert_true(retry_begins_for_status(&exchange, 503));
	}
	assert_false(retry_begins_for_status(&exchange, 502)); /* that is an answer here */
	assert_false(exchange.attempt.retrying);
	assert_int_equal(counted(METRIC_UPSTREAM_RETRIES), 0);
}

/* Its server had closed it: nobody's fault, but once is enough. */
static void over_a_kept_connection_once_more(void **state)
{
	(void)state;
	assert_false(retry_resends(&exchange)); /* over a new one */
	exchange.attempt.link_used = true;
	assert_true(retry_resends(&exchange));
	assert_false(retry_resends(&exchange));
	assert_int_equal(counted(METRIC_UPSTREAM_RESENDS), 1);
}

/* A part of an answer that nobody was told is no answer; but its server has begun to answer. */
static void what_broke_off_untold_is_a_retry(void **state)
{
	struct buffer half = {.end = 1};

	(void)state;
	exchange.attempt.link_used = true;
	exchange.attempt.from_server = &half;
	assert_false(retry_resends(&exchange));
	assert_true(retry_begins_for_break(&exchange));
	exchange.attempt.from_server = NULL;
}

/* A server of HTTP/2 that did nothing with it may be asked again whatever it is; one that refuses
 * it not often. */
static void what_nothing_was_done_with_is_sent_again(void **state)
{
	int ends = 0, refusals = 0;

	(void)state;
	exchange.method = HTTP_POST;
	exchange.attempt.undone = UNDONE_BY_END;
	while (retry_resends(&exchange))
		ends++;
	exchange.resends = 0;
	exchange.attempt.undone = UNDONE_BY_REFUSAL;
	while (retry_resends(&exchange))
		refusals++;
	assert_int_equal(ends, 16);
	assert_int_equal(refusals, 3);
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(as_many_attempts_as_are_configured),
		test(only_for_reasons_that_are_configured),
		test(never_to_a_server_that_was_tried),
		test(what_may_not_be_done_twice_is_not),
		test(a_spent_budget_is_counted),
		test(hedges_may_have_half_of_the_budget),
		test(a_hedge_is_the_retry),
		test(over_a_kept_connection_once_more),
		test(what_broke_off_untold_is_a_retry),
		test(what_nothing_was_done_with_is_sent_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
