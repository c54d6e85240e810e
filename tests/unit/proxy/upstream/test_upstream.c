// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "contract/address.h"
#include "proxy/upstream/shared.h"
#include "proxy/upstream/upstream.h"

enum { SERVERS = 3 };

static struct loop loop;
static struct pool_budget budget = {.limit = 1 << 20};
static struct config_server servers[SERVERS];
static struct config_upstream config;
static struct upstream_shared *shared;
static struct upstream_pool *pool;
static int listeners[SERVERS];

/* The servers really listen: connections to them succeed by themselves. */
static int begin(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	for (int i = 0; i < SERVERS; i++) {
		address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		address.sin_port = 0;
		listeners[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(bind(listeners[i], (struct sockaddr *)&address, size), 0);
		assert_int_equal(listen(listeners[i], 16), 0);
		getsockname(listeners[i], (struct sockaddr *)&address, &size);
		servers[i].address = (char *)"server";
		servers[i].addr =
			address_from_sockaddr((struct sockaddr *)&address, &servers[i].port);
	}
	config = (struct config_upstream){.name = (char *)"app",
					  .servers = servers,
					  .server_count = SERVERS,
					  .max_connections = 4,
					  .keepalive = 64,
					  .keepalive_ms = 30000,
					  .ejection = {.refusals = 1,
						       .failures = 5,
						       .time_ms = 2000,
						       .max_time_ms = 60000,
						       .trials = 3,
						       .max_ejected = 50,
						       .panic = 25}};
	shared = upstream_shared_create(&config, NULL, 1);
	pool = upstream_pool_create(shared, &loop, &budget, NULL);
	assert_non_null(pool);
	return 0;
}

/* As the configuration is now. */
static void renew(void)
{
	upstream_pool_close(pool);
	upstream_pool_free(pool);
	upstream_shared_free(shared);
	shared = upstream_shared_create(&config, NULL, 1);
	pool = upstream_pool_create(shared, &loop, &budget, NULL);
	assert_non_null(pool);
}

static int end(void **state)
{
	(void)state;
	upstream_pool_close(pool);
	loop_destroy(&loop);
	upstream_pool_free(pool);
	upstream_shared_free(shared);
	for (int i = 0; i < SERVERS; i++)
		close(listeners[i]);
	assert_int_equal(budget.used, 0);
	return 0;
}

static void hear(struct source *source, uint32_t events)
{
	(void)source;
	(void)events;
}

static struct upstream_link *take(struct upstream_wish *wish, int expected)
{
	struct upstream_link *link = NULL;
	uint32_t failures;

	wish->handle = hear;
	assert_int_equal(upstream_take(pool, wish, &link, &failures), expected);
	return link;
}

static struct upstream_link *take_any(void)
{
	struct upstream_wish wish = {0};

	return take(&wish, 0);
}

static void servers_take_turns(void **state)
{
	struct upstream_link *link[SERVERS];

	(void)state;
	for (uint32_t i = 0; i < SERVERS; i++) {
		link[i] = take_any();
		assert_int_equal(link[i]->server, i);
	}
	for (int i = 0; i < SERVERS; i++)
		upstream_close(link[i]);
}

/* Whoever it is lent to; else, and while it is many's, the thread's alone. */
static void a_link_is_on_its_borrowers_account(void **state)
{
	static struct tally tally;
	struct ledger ledger = {.budget = &budget, .tallies = &tally, .threads = 1};
	const struct tally_place source = tally_place(4711);
	struct upstream_wish wish = {
		.tried = 6, .borrower = &wish, .ledger = &ledger, .source = source};
	struct upstream_link *link = take(&wish, 0);

	(void)state;
	assert_int_equal(tally_sum(&tally, 1, source), sizeof(*link));
	assert_int_equal(budget.used, sizeof(*link));
	upstream_give(link);
	assert_int_equal(tally_sum(&tally, 1, source), 0);
	assert_int_equal(budget.used, sizeof(*link));
	wish.tried = 6;
	assert_ptr_equal(take(&wish, 0), link);
	assert_true(account_charge(&link->account, 100)); /* TLS, say */
	assert_int_equal(tally_sum(&tally, 1, source), sizeof(*link) + 100);
	link_begin_request(link); /* of several */
	assert_int_equal(tally_sum(&tally, 1, source), 0);
	account_discharge(&link->account, 100);
	link_end_request(link);
	upstream_reset(link);
}

static void a_link_is_used_again(void **state)
{
	struct upstream_wish wish = {.tried = 6}; /* the first server only */
	struct upstream_link *first = take(&wish, 0), *second;

	(void)state;
	assert_false(first->reused);
	upstream_give(first);
	assert_int_equal(upstream_idle(pool), 1);
	wish = (struct upstream_wish){.tried = 6, .fresh = true};
	second = take(&wish, 0);
	assert_ptr_not_equal(first, second);
	wish = (struct upstream_wish){.tried = 6};
	assert_ptr_equal(take(&wish, 0), first);
	assert_true(first->reused);
	assert_int_equal(upstream_idle(pool), 0);
	upstream_close(first);
	upstream_close(second);
}

/* What can still be read was not asked for: such a link is never lent again. */
static void a_link_with_something_left_is_closed(void **state)
{
	struct upstream_link *link = take_any();

	(void)state;
	link->stream.state |= STREAM_READABLE;
	upstream_give(link);
	assert_int_equal(upstream_idle(pool), 0);
}

/* Nor is one on which the server speaks unasked, before epoll has told anybody. */
static void a_link_that_speaks_is_not_lent(void **state)
{
	struct upstream_wish wish = {.tried = 6};
	struct upstream_link *first = take(&wish, 0), *second;
	int peer = accept(listeners[0], NULL, NULL);

	(void)state;
	assert_true(peer >= 0);
	upstream_give(first);
	assert_int_equal(write(peer, "HTTP/1.1 200 OK\r\n\r\n", 19), 19);
	wish = (struct upstream_wish){.tried = 6};
	second = take(&wish, 0);
	assert_false(second->reused);
	assert_int_equal(upstream_idle(pool), 0);
	/* Nor one that it has closed. */
	close(peer);
	peer = accept(listeners[0], NULL, NULL);
	upstream_give(second);
	close(peer);
	wish = (struct upstream_wish){.tried = 6};
	first = take(&wish, 0);
	assert_false(first->reused);
	upstream_close(first);
}

static void the_cap_holds(void **state)
{
	struct upstream_wish wish = {0};
	struct upstream_link *link[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		link[i] = take_any();
	assert_null(take(&wish, -EBUSY));
	upstream_close(link[0]);
	link[0] = take_any();
	for (int i = 0; i < 4; i++)
		upstream_close(link[i]);
}

/* Who needs a new one does not wait for an idle one that nobody uses. */
static void an_idle_link_makes_room_at_the_cap_of_its_server(void **state)
{
	struct upstream_wish wish = {.tried = 6}; /* the first server only */
	struct upstream_link *link;

	(void)state;
	servers[0].max_connections = 1;
	upstream_give(take(&wish, 0));
	assert_int_equal(upstream_idle(pool), 1);
	wish = (struct upstream_wish){.tried = 6, .fresh = true};
	link = take(&wish, 0);
	assert_false(link->reused);
	assert_int_equal(upstream_idle(pool), 0);
	wish = (struct upstream_wish){.tried = 6, .fresh = true};
	assert_null(take(&wish, -EBUSY));
	upstream_close(link);
	servers[0].max_connections = 0;
}

/* As a connection of HTTP/2 begins: the request for which it was made is one of those on it. */
static void the_first_of_several_requests_counts_once(void **state)
{
	struct upstream_wish wish = {.tried = 6, .borrower = &wish};
	struct upstream_link *link = take(&wish, 0);
	struct server *server = upstream_servers(shared, &(uint32_t){0});

	(void)state;
	assert_true(link_begin_request(link));
	assert_int_equal(server->requests, 1);
	/* Others come before it is connected: they count when it is. */
	assert_false(link_begin_request(link));
	assert_int_equal(server->active, 2);
	assert_int_equal(server->requests, 1);
	link_count_request(link);
	link->connecting = false;
	assert_true(link_begin_request(link));
	assert_int_equal(server->requests, 3);
	assert_int_equal(link->requests, 3);
	link_end_request(link);
	link_end_request(link);
	link_end_request(link);
	assert_int_equal(server->active, 0);
	upstream_close(link);
	assert_int_equal(server->active, 0);
}

static struct upstream_link *join_none(const struct upstream_wish *wish,
				       const struct upstream_pool *of, uint32_t server)
{
	(void)wish;
	(void)of;
	(void)server;
	return NULL;
}

/* Of what the cap allows two threads, one has half for HTTP/2, and goes where it has that; what
 * speaks HTTP/1 any thread can use. */
static void a_thread_has_its_share_of_connections_of_http2(void **state)
{
	struct upstream_wish wish = {.tried = 4, .join = join_none};
	struct upstream_link *link[3];

	(void)state;
	shared->threads = 2;
	link[0] = take(&wish, 0);
	link_share(link[0], (struct session *)link);
	servers[1].max_connections = 2;
	wish.tried = 5;
	link[1] = take(&wish, 0);
	link_share(link[1], (struct session *)link);
	wish.tried = 4;
	assert_null(take(&wish, -EBUSY)); /* the upstream's four, shared */
	config.max_connections = 8;
	wish.tried = 5;
	assert_null(take(&wish, -EBUSY)); /* the server's two */
	wish.tried = 6;
	assert_int_equal((link[2] = take(&wish, 0))->server, 0);
	upstream_close(link[2]);
	wish = (struct upstream_wish){.tried = 5};
	upstream_close(take(&wish, 0));
	for (int i = 0; i < 2; i++) {
		link_share(link[i], NULL);
		upstream_close(link[i]);
	}
	servers[1].max_connections = 0;
}

static void a_server_that_refused_is_passed_over_for_a_while(void **state)
{
	struct upstream_link *link = take_any();
	unsigned int seen = 0;

	(void)state;
	assert_int_equal(link->server, 0);
	upstream_failed(link);
	for (int i = 0; i < 6; i++) {
		link = take_any();
		assert_int_not_equal(link->server, 0);
		upstream_close(link);
	}
	loop.now_ns += 3 * CLOCK_SEC;
	for (int i = 0; i < SERVERS; i++) {
		link = take_any();
		seen |= 1U << link->server;
		upstream_close(link);
	}
	assert_int_equal(seen, 7);
}

/* Everyone refused: they are tried all the same, each once. */
static void when_all_are_down_each_is_tried_once(void **state)
{
	struct upstream_wish wish = {0};

	(void)state;
	for (int i = 0; i < SERVERS; i++)
		upstream_failed(take_any());
	for (int i = 0; i < SERVERS; i++)
		upstream_failed(take(&wish, 0));
	assert_int_equal(wish.tried, 7);
	assert_null(take(&wish, -ECONNREFUSED));
}

static struct waiter *called;

static void note_call(struct waiter *waiter, bool removed)
{
	assert_false(removed);
	called = waiter;
}

static void wait_for(struct upstream_wish *wish, struct waiter *waiter)
{
	struct upstream_link *link = NULL;
	uint32_t failures;

	waiter->called = note_call;
	assert_int_equal(upstream_wait(pool, wish, waiter, &link, &failures), -EINPROGRESS);
}

/* A retry can't use the server that it has tried: neither who waits behind it nor who comes waits
 * for its sake. */
static void a_retry_keeps_nobody_from_a_server_that_it_has_tried(void **state)
{
	struct upstream_wish retry = {.tried = 5}, other = {0}, newcomer = {0};
	struct waiter retrying = {.source = 1}, waiting = {.source = 2};
	struct upstream_link *link[SERVERS], *got;

	(void)state;
	config.queue = 16;
	renew();
	for (int i = 0; i < SERVERS; i++) {
		servers[i].max_connections = 1;
		link[i] = take_any();
	}
	assert_null(take(&retry, -EBUSY));
	wait_for(&retry, &retrying);
	wait_for(&other, &waiting);
	upstream_close(link[0]);
	upstream_heed_calls(pool);
	assert_ptr_equal(called, &retrying);
	retry.called = true;
	assert_null(take(&retry, -EBUSY));
	wait_for(&retry, &retrying);
	upstream_heed_calls(pool);
	assert_ptr_equal(called, &waiting);
	other.called = true;
	link[0] = take(&other, 0);
	assert_int_equal(link[0]->server, 0);
	/* Only the retry waits now, for the other one. */
	upstream_close(link[2]);
	upstream_heed_calls(pool);
	assert_ptr_equal(called, &retrying);
	assert_null(take(&retry, -EBUSY));
	wait_for(&retry, &retrying);
	got = take(&newcomer, 0);
	assert_int_equal(got->server, 2);
	upstream_close(link[1]);
	upstream_heed_calls(pool);
	link[1] = take(&retry, 0);
	assert_int_equal(link[1]->server, 1);
	upstream_close(got);
	upstream_close(link[0]);
	upstream_close(link[1]);
	for (int i = 0; i < SERVERS; i++)
		servers[i].max_connections = 0;
}

/* Of four: who has two while others have one waits, though one is left, until there are more; who
 * has none does not. */
static void something_is_left_for_who_has_nothing(void **state)
{
	struct upstream_wish greedy = {.held = 2}, newcomer = {0}, alone = {.held = 3};
	struct upstream_link *link[4], *got;
	struct waiter waiting = {.source = 1};

	(void)state;
	config.queue = 16;
	renew();
	for (int i = 0; i < 3; i++)
		link[i] = take_any();
	assert_true(upstream_is_crowded(pool));
	assert_null(take(&greedy, -EBUSY));
	assert_true(greedy.late);
	wait_for(&greedy, &waiting);
	assert_int_equal(upstream_waiting_of(pool, 1), 1);
	assert_false(upstream_is_claimed(pool));
	got = take(&newcomer, 0);
	called = NULL;
	upstream_close(got);
	upstream_heed_calls(pool);
	assert_ptr_equal(called, &waiting);
	greedy.called = true;
	assert_null(take(&greedy, -EBUSY));
	wait_for(&greedy, &waiting);
	upstream_give(link[0]); /* idle is as good as closed */
	upstream_heed_calls(pool);
	greedy.tried = 0;
	link[0] = take(&greedy, 0);
	assert_false(upstream_is_awaited(pool));
	link[3] = take(&alone, 0); /* all the others are his */
	for (int i = 0; i < 4; i++)
		upstream_close(link[i]);
	assert_false(upstream_is_crowded(pool));
}

/* He would be refused, though there is a connection. */
static void nobody_has_a_share_where_nobody_can_wait(void **state)
{
	struct upstream_wish greedy = {.held = 2};
	struct upstream_link *link[4];

	(void)state;
	for (int i = 0; i < 3; i++)
		link[i] = take_any();
	link[3] = take(&greedy, 0);
	for (int i = 0; i < 4; i++)
		upstream_close(link[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(servers_take_turns, begin, end),
		cmocka_unit_test_setup_teardown(a_link_is_on_its_borrowers_account, begin, end),
		cmocka_unit_test_setup_teardown(a_link_is_used_again, begin, end),
		cmocka_unit_test_setup_teardown(a_link_with_something_left_is_closed, begin, end),
		cmocka_unit_test_setup_teardown(a_link_that_speaks_is_not_lent, begin, end),
		cmocka_unit_test_setup_teardown(the_cap_holds, begin, end),
		cmocka_unit_test_setup_teardown(an_idle_link_makes_room_at_the_cap_of_its_server,
						begin, end),
		cmocka_unit_test_setup_teardown(the_first_of_several_requests_counts_once, begin,
						end),
		cmocka_unit_test_setup_teardown(a_thread_has_its_share_of_connections_of_http2,
						begin, end),
		cmocka_unit_test_setup_teardown(a_server_that_refused_is_passed_over_for_a_while,
						begin, end),
		cmocka_unit_test_setup_teardown(when_all_are_down_each_is_tried_once, begin, end),
		cmocka_unit_test_setup_teardown(something_is_left_for_who_has_nothing, begin, end),
		cmocka_unit_test_setup_teardown(nobody_has_a_share_where_nobody_can_wait, begin,
						end),
		cmocka_unit_test_setup_teardown(
			a_retry_keeps_nobody_from_a_server_that_it_has_tried, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
