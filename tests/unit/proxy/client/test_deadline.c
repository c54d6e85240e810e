// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "proxy/client/deadline.h"
#include "proxy/client/exchange/exchange.h"
#include "proxy/client/front/http2.h"
#include "proxy/client/relay.h"

#define BEGUN (100 * CLOCK_SEC)

static struct worker worker;
static struct listener listener;
static struct client client;
static struct exchange exchange;
static struct relay relay;
static struct http2 http2;
static struct upstream_link link;
static struct config_server server = {.address = (char *)"192.0.2.1:80", .port = 80};
static struct config_upstream upstream = {
	.name = (char *)"app", .servers = &server, .server_count = 1};
static struct pool_budget budget = {.limit = 1 << 20};
static struct upstream_shared *shared;
static struct upstream_pool *pool;

static int begin_all(void **state)
{
	(void)state;
	shared = upstream_shared_create(&upstream, NULL, 1);
	pool = upstream_pool_create(shared, &worker.loop, &budget, NULL);
	return pool ? 0 : -1;
}

static int end_all(void **state)
{
	(void)state;
	upstream_pool_free(pool);
	upstream_shared_free(shared);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	memset(&client, 0, sizeof(client));
	memset(&exchange, 0, sizeof(exchange));
	memset(&relay, 0, sizeof(relay));
	memset(&link, 0, sizeof(link));
	memset(&http2, 0, sizeof(http2));
	for (int i = 0; i < FW_SETTING_COUNT; i++)
		listener.live.value[i] = setting_rows[i].initial;
	memset(&listener.overload, 0, sizeof(listener.overload));
	memset(&worker.overload, 0, sizeof(worker.overload));
	worker.draining = false;
	list_init(&worker.loop.deferred[0]);
	listener.worker = &worker;
	client.listener = &listener;
	client.since_ns = BEGUN;
	list_init(&client.stream.source.node);
	exchange.client = &client;
	exchange.front = &http1_front;
	exchange.incoming = &client.in;
	exchange.head_ns = exchange.attempt.asked_ns = exchange.touched_ns = BEGUN;
	exchange.attempt.back = &http1_back;
	exchange.pool = pool;
	upstream.retry.hedge_ms = 0;
	exchange.request_body.done = true;
	relay.client = &client;
	relay.begun_ns = relay.asked_ns = relay.touched_ns = BEGUN;
	relay.link = &link;
	http2.client = &client;
	return 0;
}

/* Not a nanosecond before @after_ms, and for that reason. */
static void assert_due(uint64_t after_ms, enum fw_verdict reason)
{
	uint64_t at_ns = BEGUN + after_ms * CLOCK_MS, next_ns;

	assert_int_equal(deadline_judge(&client, at_ns - 1, &next_ns), FW_NONE);
	assert_true(next_ns <= at_ns);
	assert_int_equal(deadline_judge(&client, at_ns, &next_ns), reason);
}

static void each_phase_has_its_own(void **state)
{
	(void)state;
	client.phase = CLIENT_HANDSHAKE;
	assert_due(5000, FW_HANDSHAKE_TIMEOUT);
	list_append(&worker.loop.deferred[0], &client.stream.source.node);
	assert_due(5000, FW_OVERLOAD); /* it is we who are late */
	list_remove(&client.stream.source.node);
	client.phase = CLIENT_HEAD;
	assert_due(10000, FW_HEADER_TIMEOUT);
	client.phase = CLIENT_IDLE;
	assert_due(60000, FW_KEEPALIVE_TIMEOUT);
	client.phase = CLIENT_LINGER;
	assert_due(2000, FW_DONE);
	client.relay = &relay;
	client.phase = CLIENT_RELAY;
	assert_due(60000, FW_FIRST_WORD_TIMEOUT);
	relay.down.received = 1;
	assert_due(600000, FW_IDLE_TIMEOUT);
}

/* Whoever asks again within ten seconds is answered, whether he has asked before or not. */
static void a_proxy_that_drains_waits_for_one_more_request(void **state)
{
	(void)state;
	worker.draining = true;
	client.phase = CLIENT_HEAD;
	assert_due(10000, FW_DRAINED);
	client.phase = CLIENT_IDLE;
	assert_due(10000, FW_DRAINED);
	worker.drain_ns = client.since_ns + 7 * CLOCK_SEC; /* he was silent before that already */
	assert_due(17000, FW_DRAINED);
	client.exchange = &exchange;
	client.phase = CLIENT_HEAD;
	assert_due(10000, FW_HEADER_TIMEOUT);
}

static void an_edit_counts_from_then_on(void **state)
{
	(void)state;
	client.phase = CLIENT_HEAD;
	listener.live.value[FW_SET_TIMEOUT_HEADER] = 50;
	assert_due(50, FW_HEADER_TIMEOUT);
}

/* Under overload a quarter: of those that a client can use up at leisure. */
static void overload_shortens_them(void **state)
{
	(void)state;
	listener.overload.stage = OVERLOAD_CLOSE;
	client.phase = CLIENT_IDLE;
	assert_due(60000, FW_KEEPALIVE_TIMEOUT);
	listener.overload.stage = OVERLOAD_SHORTEN;
	/* Idle connections are room for others: they may stay while enough are. */
	listener.overload.level[OVERLOAD_CONNECTIONS] = 100;
	listener.active = 10;
	listener.idle = 3;
	assert_due(60000, FW_KEEPALIVE_TIMEOUT);
	listener.idle = 2;
	assert_due(15000, FW_KEEPALIVE_TIMEOUT);
	listener.idle = 10;
	worker.overload.level[OVERLOAD_MEMORY] = 80;
	assert_due(15000, FW_KEEPALIVE_TIMEOUT);
	worker.overload.level[OVERLOAD_MEMORY] = 0;
	client.phase = CLIENT_HEAD;
	assert_due(2500, FW_HEADER_TIMEOUT);
	assert_int_equal(deadline_to_take_ms(&client), 7500);
	client.phase = CLIENT_EXCHANGE;
	client.exchange = &exchange;
	exchange.request_body.done = false;
	listener.live.value[FW_SET_TIMEOUT_FIRST_BYTE] = 3600000;
	assert_due(75000, FW_BODY_TIMEOUT);
	exchange.request_body.done = exchange.answered = true;
	assert_due(150000, FW_IDLE_TIMEOUT);
	/* The thread's stage counts for every listener of it. */
	listener.overload.stage = OVERLOAD_NONE;
	worker.overload.stage = OVERLOAD_EVICT;
	assert_due(150000, FW_IDLE_TIMEOUT);
	/* Everybody has another part, the longest nearly twice as long. */
	client.stream.source.fd = 32;
	assert_due(225000, FW_IDLE_TIMEOUT);
	client.stream.source.fd = 64;
	assert_due(150000, FW_IDLE_TIMEOUT);
	worker.overload.stage = OVERLOAD_NONE;
	assert_due(600000, FW_IDLE_TIMEOUT);
	assert_int_equal(deadline_to_take_ms(&client), 30000);
}

/* Nobody else has anything to do with what sockets hold. */
static void full_sockets_shorten_what_is_for_who_takes_nothing(void **state)
{
	(void)state;
	client.phase = CLIENT_HEAD;
	worker.relief.is_on = true;
	assert_due(10000, FW_HEADER_TIMEOUT);
	assert_int_equal(deadline_to_take_ms(&client), 7500);
	worker.relief.is_on = false;
	assert_int_equal(deadline_to_take_ms(&client), 30000);
}

static void an_exchange_waits_for_one_after_the_other(void **state)
{
	(void)state;
	client.phase = CLIENT_EXCHANGE;
	client.exchange = &exchange;
	exchange.attempt.connecting = true;
	assert_due(5000, FW_CONNECT_TIMEOUT);
	exchange.attempt.connecting = false;
	assert_due(60000, FW_FIRST_BYTE_TIMEOUT);
	exchange.request_body.done = false;
	assert_due(300000, FW_BODY_TIMEOUT);
	exchange.request_body.done = exchange.answered = true;
	assert_due(600000, FW_IDLE_TIMEOUT);
	listener.live.value[FW_SET_TIMEOUT_REQUEST] = 1000;
	assert_due(1000, FW_REQUEST_TIMEOUT);
}

/* When somebody is to look at it next; it is no verdict. */
static uint64_t looked_at_ms(void)
{
	uint64_t next_ns;

	assert_int_equal(deadline_judge(&client, BEGUN, &next_ns), FW_NONE);
	return (next_ns - BEGUN) / CLOCK_MS;
}

static void only_what_may_be_sent_twice_is_thought_of_for_a_hedge(void **state)
{
	(void)state;
	client.phase = CLIENT_EXCHANGE;
	client.exchange = &exchange;
	exchange.method = HTTP_GET;
	assert_int_equal(looked_at_ms(), 60000);
	upstream.retry.hedge_ms = 200;
	assert_int_equal(looked_at_ms(), 200);
	exchange.attempt.connecting = true;
	assert_int_equal(looked_at_ms(), 200);
	exchange.attempt.connecting = false;
	exchange.method = HTTP_POST;
	assert_int_equal(looked_at_ms(), 60000);
	exchange.method = HTTP_GET;
	exchange.body_sent = true;
	assert_int_equal(looked_at_ms(), 60000);
	exchange.body_sent = false;
	exchange.asked_protocol = 9;
	assert_int_equal(looked_at_ms(), 60000);
	exchange.asked_protocol = 0;
	exchange.interims = 1;
	assert_int_equal(looked_at_ms(), 60000);
	exchange.interims = 0;
	exchange.hedged = true; /* once */
	assert_int_equal(looked_at_ms(), 60000);
}

/* The first that will be missed; a hedge's begins with its lead's. */
static void a_server_is_told_the_nearest_deadline(void **state)
{
	static struct exchange hedge;

	(void)state;
	assert_int_equal(deadline_left_ms(&exchange, BEGUN), 60000);
	listener.live.value[FW_SET_TIMEOUT_REQUEST] = 50000;
	assert_int_equal(deadline_left_ms(&exchange, BEGUN), 50000);
	assert_int_equal(deadline_left_ms(&exchange, BEGUN + 20 * CLOCK_SEC), 30000);
	exchange.granted_ms = 25000;
	assert_int_equal(deadline_left_ms(&exchange, BEGUN + 20 * CLOCK_SEC), 5000);
	assert_int_equal(deadline_left_ms(&exchange, BEGUN + 25 * CLOCK_SEC), 1);
	assert_int_equal(deadline_left_ms(&exchange, BEGUN + 30 * CLOCK_SEC), 1);
	hedge = (struct exchange){.client = &client, .lead = &exchange};
	assert_int_equal(deadline_left_ms(&hedge, BEGUN + 20 * CLOCK_SEC), 5000);
	exchange.granted_ms = 0;
	listener.live.value[FW_SET_TIMEOUT_FIRST_BYTE] = 30000;
	assert_int_equal(deadline_left_ms(&exchange, BEGUN + 10 * CLOCK_SEC), 30000);
	assert_int_equal(deadline_left_ms(&hedge, BEGUN + 10 * CLOCK_SEC), 20000);
}

static void what_a_trusted_peer_grants_is_kept_to(void **state)
{
	(void)state;
	client.phase = CLIENT_EXCHANGE;
	client.exchange = &exchange;
	exchange.granted_ms = 700;
	assert_due(700, FW_REQUEST_TIMEOUT);
	listener.live.value[FW_SET_TIMEOUT_REQUEST] = 500;
	assert_due(500, FW_REQUEST_TIMEOUT);
}

/* A reader that takes nothing: too slow after the grace, unless no rate is asked; then stopped. */
static void a_reader_is_slow_before_it_has_stopped(void **state)
{
	uint64_t next_ns;

	(void)state;
	client.phase = CLIENT_EXCHANGE;
	client.exchange = &exchange;
	exchange.answered = true;
	uptake_begin(&exchange.send, 0, BEGUN);
	assert_int_equal(deadline_judge(&client, BEGUN + 5 * CLOCK_SEC, &next_ns), FW_NONE);
	assert_int_equal(next_ns, BEGUN + 6 * CLOCK_SEC); /* rates are looked at each second */
	assert_int_equal(deadline_judge(&client, BEGUN + 6 * CLOCK_SEC, &next_ns), FW_SEND_RATE);
	listener.live.value[FW_SET_MIN_RATE_SEND] = 0;
	assert_due(30000, FW_WRITE_TIMEOUT);
}

/* Not up to @after_ms; and looked at the moment after that, for that reason. */
static void assert_slow(uint64_t after_ms, enum fw_verdict reason)
{
	uint64_t at_ns = BEGUN + after_ms * CLOCK_MS, next_ns;

	assert_int_equal(deadline_judge(&client, at_ns, &next_ns), FW_NONE);
	assert_int_equal(deadline_judge(&client, at_ns - 1, &next_ns), FW_NONE);
	assert_true(next_ns <= at_ns + 1);
	assert_int_equal(deadline_judge(&client, at_ns + 1, &next_ns), reason);
}

/* Somewhere between. */
static void assert_slow_within(uint64_t after_ms, uint64_t before_ms, enum fw_verdict reason)
{
	uint64_t next_ns;

	assert_int_equal(deadline_judge(&client, BEGUN + after_ms * CLOCK_MS, &next_ns), FW_NONE);
	assert_int_equal(deadline_judge(&client, BEGUN + before_ms * CLOCK_MS, &next_ns), reason);
}

/* Before overload and under it: by how much it is shortened is a matter of the descriptor. */
static void assert_graces(uint64_t after_ms, enum fw_verdict reason)
{
	client.stream.source.fd = 0;
	listener.overload.stage = OVERLOAD_CLOSE;
	assert_slow(5000, reason);
	listener.overload.stage = OVERLOAD_SHORTEN;
	assert_slow(after_ms, reason);
	client.stream.source.fd = 32;
	assert_slow(after_ms * 3 / 2, reason);
	client.stream.source.fd = 64;
	assert_slow(after_ms, reason);
	client.stream.source.fd = 63; /* as much as it gets: not quite twice as much */
	assert_slow_within(after_ms * 2 - after_ms / 32, after_ms * 2, reason);
}

/* The grace of a minimum rate is half of it to the whole, how long a reader may stop a quarter to a
 * half, to everybody another part. */
static void overload_shortens_what_slow_ones_have(void **state)
{
	(void)state;
	client.phase = CLIENT_EXCHANGE;
	client.exchange = &exchange;
	exchange.request_body.done = false;
	rate_wait(&exchange.receive, true, 0, BEGUN);
	assert_graces(2500, FW_RECEIVE_RATE);
	exchange.request_body.done = exchange.answered = true;
	rate_wait(&exchange.receive, false, 0, BEGUN);
	uptake_begin(&exchange.send, 0, BEGUN);
	assert_graces(2500, FW_SEND_RATE);
	listener.live.value[FW_SET_MIN_RATE_SEND] = 0;
	assert_slow_within(7500 * 2 - 150, 7500 * 2, FW_WRITE_TIMEOUT);
	client.stream.source.fd = 32;
	assert_due(11250, FW_WRITE_TIMEOUT);
	client.stream.source.fd = 0;
	assert_due(7500, FW_WRITE_TIMEOUT);
	listener.overload.stage = OVERLOAD_CLOSE;
	assert_due(30000, FW_WRITE_TIMEOUT);
	uptake_end(&exchange.send, BEGUN);
	client.phase = CLIENT_RELAY;
	client.relay = &relay;
	listener.live.value[FW_SET_MIN_RATE_RELAY] = 100;
	rate_wait(&relay.pace, true, 0, BEGUN);
	assert_graces(2500, FW_RELAY_RATE);
	rate_wait(&relay.pace, false, 0, BEGUN);
	/* The connection of HTTP/2 as a whole. */
	client.phase = CLIENT_HTTP2;
	client.http2 = &http2;
	http2.stream_count = 1;
	uptake_begin(&http2.send, 0, BEGUN);
	client.stream.source.fd = 32;
	assert_due(11250, FW_WRITE_TIMEOUT);
}

/* Who is fast enough is not, however short the grace. */
static void who_is_fast_enough_goes_on_under_overload(void **state)
{
	uint64_t next_ns;

	(void)state;
	client.phase = CLIENT_EXCHANGE;
	client.exchange = &exchange;
	exchange.request_body.done = false;
	listener.overload.stage = OVERLOAD_SHORTEN;
	rate_wait(&exchange.receive, true, 0, BEGUN);
	for (uint64_t second = 1; second < 70; second++) {
		exchange.received = 500 * second;
		assert_int_equal(deadline_judge(&client, BEGUN + second * CLOCK_SEC, &next_ns),
				 FW_NONE);
	}
	assert_int_equal(deadline_judge(&client, BEGUN + 70 * CLOCK_SEC, &next_ns),
			 FW_RECEIVE_RATE);
}

/* Whoever has spoken may fall silent, but not be slow where a pace is asked for. */
static void a_relay_has_its_deadlines(void **state)
{
	uint64_t next_ns;

	(void)state;
	client.phase = CLIENT_RELAY;
	client.relay = &relay;
	link.connecting = true;
	assert_due(5000, FW_CONNECT_TIMEOUT);
	link.connecting = false;
	listener.live.value[FW_SET_TIMEOUT_FIRST_WORD] = 0;
	assert_due(600000, FW_IDLE_TIMEOUT);
	listener.live.value[FW_SET_TIMEOUT_FIRST_WORD] = 1000;
	assert_due(1000, FW_FIRST_WORD_TIMEOUT);
	relay.up.received = relay.up.sent = 599;
	assert_due(600000, FW_IDLE_TIMEOUT);
	listener.live.value[FW_SET_MIN_RATE_RELAY] = 100;
	rate_wait(&relay.pace, true, 0, BEGUN);
	assert_int_equal(deadline_judge(&client, BEGUN + 5 * CLOCK_SEC, &next_ns), FW_NONE);
	assert_int_equal(deadline_judge(&client, BEGUN + 6 * CLOCK_SEC, &next_ns), FW_RELAY_RATE);
	relay.down.sent = 1;
	assert_int_equal(deadline_judge(&client, BEGUN + 6 * CLOCK_SEC, &next_ns), FW_NONE);
	/* The server has as long as a client to take the last words of one that is gone. */
	client.stream.state |= STREAM_BROKEN;
	listener.live.value[FW_SET_MIN_RATE_RELAY] = 0;
	assert_due(30000, FW_DONE);
}

/* A connection's own: what it asks for has those of each exchange. */
static void http2_has_its_deadlines(void **state)
{
	(void)state;
	client.phase = CLIENT_HTTP2;
	client.http2 = &http2;
	assert_due(10000, FW_HEADER_TIMEOUT);
	client.requests = 1;
	assert_due(60000, FW_KEEPALIVE_TIMEOUT);
	http2.stream_count = 1;
	http2.block.begun_ns = BEGUN + 3 * CLOCK_SEC; /* of a request beside those under way */
	assert_due(13000, FW_HEADER_TIMEOUT);
	http2.block.begun_ns = 0;
	uptake_begin(&http2.send, 0, BEGUN);
	listener.live.value[FW_SET_MIN_RATE_SEND] = 0;
	assert_due(30000, FW_WRITE_TIMEOUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_phase_has_its_own, begin),
		cmocka_unit_test_setup(overload_shortens_them, begin),
		cmocka_unit_test_setup(full_sockets_shorten_what_is_for_who_takes_nothing, begin),
		cmocka_unit_test_setup(a_proxy_that_drains_waits_for_one_more_request, begin),
		cmocka_unit_test_setup(an_edit_counts_from_then_on, begin),
		cmocka_unit_test_setup(an_exchange_waits_for_one_after_the_other, begin),
		cmocka_unit_test_setup(a_relay_has_its_deadlines, begin),
		cmocka_unit_test_setup(a_server_is_told_the_nearest_deadline, begin),
		cmocka_unit_test_setup(what_a_trusted_peer_grants_is_kept_to, begin),
		cmocka_unit_test_setup(only_what_may_be_sent_twice_is_thought_of_for_a_hedge,
				       begin),
		cmocka_unit_test_setup(http2_has_its_deadlines, begin),
		cmocka_unit_test_setup(a_reader_is_slow_before_it_has_stopped, begin),
		cmocka_unit_test_setup(overload_shortens_what_slow_ones_have, begin),
		cmocka_unit_test_setup(who_is_fast_enough_goes_on_under_overload, begin),
	};

	return cmocka_run_group_tests(tests, begin_all, end_all);
}
