// SPDX-License-Identifier: BSD-2-Clause
/* What threads do with one another's idle links: first step by step, then all at once. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "contract/address.h"
#include "proxy/upstream/upstream.h"

enum { THREADS = 4, TURNS = 3000, LINKS_AT_ONCE = 8 };

/* What a thread of the proxy has. */
struct hand {
	struct loop loop;
	struct pool_budget budget;
	struct upstream_pool *pool;
};

static struct hand hands[THREADS];
static struct config_server server;
static struct config_upstream config;
static struct upstream_shared *shared;
static int listener;

/* The server really listens: connections to it succeed by themselves. */
static int begin_with(void **state, uint32_t max_connections, uint32_t queue)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);

	(void)state;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 128), 0);
	getsockname(listener, (struct sockaddr *)&address, &size);
	server = (struct config_server){.address = (char *)"server"};
	server.addr = address_from_sockaddr((struct sockaddr *)&address, &server.port);
	config = (struct config_upstream){.name = (char *)"app",
					  .servers = &server,
					  .server_count = 1,
					  .max_connections = max_connections,
					  .queue = queue,
					  .keepalive = 32,
					  .keepalive_ms = 30000};
	shared = upstream_shared_create(&config, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		hands[i] = (struct hand){.budget.limit = 1 << 20};
		assert_int_equal(loop_init(&hands[i].loop), 0);
		hands[i].pool =
			upstream_pool_create(shared, &hands[i].loop, &hands[i].budget, NULL);
		assert_non_null(hands[i].pool);
	}
	return 0;
}

static int begin(void **state)
{
	return begin_with(state, 64, 0);
}

static int begin_with_a_cap(void **state)
{
	return begin_with(state, 2, 64);
}

static int end(void **state)
{
	uint32_t count;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		upstream_pool_close(hands[i].pool);
	assert_int_equal(atomic_load(&upstream_servers(shared, &count)->open), 0);
	assert_int_equal(atomic_load(&upstream_servers(shared, &count)->active), 0);
	for (int i = 0; i < THREADS; i++) {
		loop_destroy(&hands[i].loop);
		upstream_pool_free(hands[i].pool);
		assert_int_equal(hands[i].budget.used, 0);
	}
	upstream_shared_free(shared);
	close(listener);
	return 0;
}

static void hear(struct source *source, uint32_t events)
{
	(void)source;
	(void)events;
}

static struct upstream_link *take(struct hand *hand)
{
	struct upstream_wish wish = {.handle = hear, .borrower = hand};
	struct upstream_link *link = NULL;
	uint32_t failures;

	return upstream_take(hand->pool, &wish, &link, &failures) == 0 ? link : NULL;
}

static void stop(struct loop *loop)
{
	loop_stop(loop);
}

static void run_a_turn(struct hand *hand)
{
	hand->loop.stopped = false;
	hand->loop.turned = stop;
	loop_wake(&hand->loop);
	assert_int_equal(loop_run(&hand->loop), 0);
}

/* --- step by step ------------------------------------------------------------------------------
 */

static void another_thread_uses_an_idle_link(void **state)
{
	struct upstream_link *link = take(&hands[0]);
	int fd = link->stream.source.fd;
	uint32_t count;

	(void)state;
	upstream_give(link);
	link = take(&hands[1]);
	assert_int_equal(link->stream.source.fd, fd);
	assert_true(link->reused);
	assert_ptr_equal(link->pool, hands[1].pool);
	assert_int_equal(upstream_take_steals(hands[1].pool), 1);
	assert_int_equal(upstream_idle(hands[0].pool), 0);
	assert_int_equal(atomic_load(&upstream_servers(shared, &count)->open), 1);
	/* What is left with its thread is still on its account, until it comes by. */
	assert_true(hands[0].budget.used > 0);
	upstream_give(take(&hands[0]));
	run_a_turn(&hands[0]);
	assert_int_equal(hands[0].budget.used, sizeof(struct upstream_link));
	upstream_close(link);
}

static void a_thread_prefers_its_own(void **state)
{
	struct upstream_link *own = take(&hands[0]), *other = take(&hands[1]);

	(void)state;
	upstream_give(own);
	upstream_give(other);
	assert_ptr_equal(take(&hands[1]), other);
	assert_ptr_equal(take(&hands[0]), own);
	upstream_close(own);
	upstream_close(other);
}

/* Whichever thread had it: what the server says unasked is nobody's answer. */
static void a_link_that_speaks_is_not_taken_over(void **state)
{
	struct upstream_link *link = take(&hands[0]), *fresh;
	int peer = accept(listener, NULL, NULL);

	(void)state;
	upstream_give(link);
	assert_int_equal(write(peer, "HTTP/1.1 200 OK\r\n\r\n", 19), 19);
	fresh = take(&hands[1]);
	assert_false(fresh->reused);
	/* Its own thread's events of it are of no consequence. */
	run_a_turn(&hands[0]);
	upstream_close(fresh);
	close(peer);
}

static struct upstream_link *taken_in_a_handler;

static void take_with_the_other_hand(struct source *source, uint32_t events)
{
	(void)source;
	(void)events;
	taken_in_a_handler = take(&hands[1]);
}

/* An event of the link is in the batch already when another thread takes it, and its descriptor's
 * number means something else when it is dispatched. */
static void a_fetched_event_of_a_link_taken_over_is_ignored(void **state)
{
	static struct source first = {.handle = take_with_the_other_hand};
	struct upstream_link *link = take(&hands[0]);
	int peer = accept(listener, NULL, NULL);

	(void)state;
	run_a_turn(&hands[0]);
	first.fd = eventfd(1, EFD_NONBLOCK);
	assert_int_equal(loop_watch(&hands[0].loop, &first, EPOLLIN), 0);
	upstream_give(link);
	close(peer);
	run_a_turn(&hands[0]);
	assert_non_null(taken_in_a_handler);
	assert_false(taken_in_a_handler->reused);
	assert_int_equal(upstream_idle(hands[0].pool), 0);
	upstream_close(taken_in_a_handler);
	loop_close(&hands[0].loop, &first);
}

/* The cap of idle links is all threads' together: one may have all of them. */
static void one_thread_may_keep_all(void **state)
{
	struct upstream_link *links[33];

	(void)state;
	for (int i = 0; i < 33; i++)
		assert_non_null(links[i] = take(&hands[0]));
	for (int i = 0; i < 33; i++)
		upstream_give(links[i]);
	assert_int_equal(upstream_idle(hands[0].pool), 32);
	for (int i = 0; i < 32; i++)
		assert_true((links[i] = take(&hands[i % THREADS]))->reused);
	for (int i = 0; i < 32; i++)
		upstream_close(links[i]);
}

static void an_old_link_is_not_used_again(void **state)
{
	struct upstream_link *link = take(&hands[0]);

	(void)state;
	config.max_age_ms = 1000;
	upstream_give(link);
	assert_int_equal(upstream_idle(hands[0].pool), 1);
	hands[1].loop.now_ns = link->born_ns + 1000 * CLOCK_MS;
	link = take(&hands[1]);
	assert_false(link->reused);
	hands[1].loop.now_ns += 1000 * CLOCK_MS;
	upstream_give(link);
	assert_int_equal(upstream_idle(hands[1].pool), 0);
}

static void a_link_carries_so_many_requests(void **state)
{
	struct upstream_link *link = take(&hands[0]);

	(void)state;
	config.max_requests = 2;
	upstream_give(link);
	link = take(&hands[1]);
	assert_true(link->reused);
	upstream_give(link);
	assert_int_equal(upstream_idle(hands[1].pool), 0);
}

/* --- all at once -------------------------------------------------------------------------------
 */

static atomic_bool over;

/* Accepts; closes some, says something unasked over others. */
static void *serve(void *argument)
{
	struct pollfd wait = {.fd = listener, .events = POLLIN};
	int peers[64] = {0}, next = 0;

	while (!atomic_load(&over)) {
		int *peer = &peers[next++ % 64];

		if (poll(&wait, 1, 1) == 1) {
			if (*peer > 0)
				close(*peer);
			*peer = accept(listener, NULL, NULL);
		} else if (*peer > 0 && send(*peer, "!", 1, MSG_NOSIGNAL) != 1) {
			close(*peer);
			*peer = 0;
		}
	}
	for (int i = 0; i < 64; i++)
		if (peers[i] > 0)
			close(peers[i]);
	return argument;
}

/* A thread's turns: takes some links, gives some back, closes some, hears of those that are idle.
 */
static void *work(void *argument)
{
	struct hand *hand = argument;
	struct upstream_link *held[LINKS_AT_ONCE] = {NULL};
	uintptr_t reused = 0;
	unsigned int seed = (unsigned int)(hand - hands) + 1;

	for (int turn = 0; turn < TURNS; turn++) {
		struct upstream_link **link = &held[rand_r(&seed) % LINKS_AT_ONCE];

		if (!*link) {
			*link = take(hand);
			reused += *link && (*link)->reused;
		} else {
			if (rand_r(&seed) % 16)
				upstream_give(*link);
			else
				upstream_reset(*link);
			*link = NULL;
		}
		run_a_turn(hand);
	}
	for (int i = 0; i < LINKS_AT_ONCE; i++)
		if (held[i])
			upstream_close(held[i]);
	return (void *)reused;
}

static void threads_help_themselves_at_once(void **state)
{
	pthread_t workers[THREADS], origin;
	uint64_t steals = 0;
	uintptr_t reused = 0;
	void *result;

	(void)state;
	atomic_store(&over, false);
	assert_int_equal(pthread_create(&origin, NULL, serve, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&workers[i], NULL, work, &hands[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i], &result);
		reused += (uintptr_t)result;
		steals += upstream_take_steals(hands[i].pool);
	}
	atomic_store(&over, true);
	pthread_join(origin, NULL);
	assert_true(reused > 0);
	assert_true(steals > 0);
}

/* --- and wait for one another ------------------------------------------------------------------
 */

enum { ROUNDS = 2000, WAITERS = 3 };

#define PATIENCE_NS (20 * CLOCK_SEC)

/* Who takes a link, keeps it for a turn, and gives it back; again and again. */
struct customer {
	struct waiter waiter;
	struct hand *hand;
	struct upstream_link *link;
	int rounds;
};

static void come(struct customer *customer, bool called);

static void hear_call(struct waiter *waiter, bool removed)
{
	struct customer *customer = container_of(waiter, struct customer, waiter);

	if (!removed)
		come(customer, true);
}

static void come(struct customer *customer, bool called)
{
	struct upstream_wish wish = {.handle = hear, .borrower = customer, .called = called};
	struct upstream_pool *pool = customer->hand->pool;
	uint32_t failures;
	int code = upstream_take(pool, &wish, &customer->link, &failures);

	customer->waiter.called = hear_call;
	customer->waiter.source = (uint64_t)(uintptr_t)customer;
	if (code == -EBUSY)
		code = upstream_wait(pool, &wish, &customer->waiter, &customer->link, &failures);
	if (code < 0)
		customer->link = NULL;
}

static void heed(struct loop *loop)
{
	struct hand *hand = container_of(loop, struct hand, loop);

	upstream_heed_calls(hand->pool);
}

static void give_up(struct timer *timer)
{
	(void)timer;
}

/* Sleeps until somebody else's thread has something to say; for a long time at most. */
static void sleep_a_turn(struct hand *hand)
{
	struct timer patience = {.fire = give_up};

	hand->loop.stopped = false;
	hand->loop.turned = stop;
	timer_arm(&hand->loop.wheel, &patience, clock_now_ns() + PATIENCE_NS);
	assert_int_equal(loop_run(&hand->loop), 0);
	timer_cancel(&hand->loop.wheel, &patience);
}

/* Returns how many rounds were left when nothing had moved for a long time; 0: all were done. */
static void *trade(void *argument)
{
	struct hand *hand = argument;
	struct customer customers[WAITERS] = {0};
	unsigned int seed = (unsigned int)(hand - hands) + 1;
	uint64_t moved_ns = clock_now_ns();
	uintptr_t left = (uintptr_t)WAITERS * ROUNDS;

	hand->loop.woken = heed;
	for (int i = 0; i < WAITERS; i++)
		customers[i].hand = hand;
	while (left && clock_now_ns() - moved_ns < PATIENCE_NS) {
		int waiting = 0;

		for (int i = 0; i < WAITERS; i++) {
			struct customer *customer = &customers[i];

			if (customer->link) {
				if (rand_r(&seed) % 8)
					upstream_give(customer->link);
				else
					upstream_reset(customer->link);
				customer->link = NULL;
				customer->rounds++;
				left--;
				moved_ns = clock_now_ns();
			} else if (customer->waiter.state == WAITER_AWAY &&
				   customer->rounds < ROUNDS) {
				come(customer, false);
			}
			waiting +=
				customer->waiter.state != WAITER_AWAY || customer->rounds == ROUNDS;
		}
		if (waiting < WAITERS)
			run_a_turn(hand);
		else if (left)
			sleep_a_turn(hand);
	}
	for (int i = 0; i < WAITERS; i++)
		upstream_wait_no_more(hand->pool, &customers[i].waiter);
	return (void *)left;
}

/* Another thread hears of what is given back, and finds it. */
static void who_waits_is_called(void **state)
{
	struct customer customer = {.hand = &hands[1]};
	struct upstream_link *first = take(&hands[0]), *second = take(&hands[0]);
	int fd = first->stream.source.fd;

	(void)state;
	hands[1].loop.woken = heed;
	come(&customer, false);
	assert_null(customer.link);
	assert_int_equal(upstream_waiting(hands[1].pool), 1);
	assert_null(take(&hands[2])); /* nobody overtakes him */
	upstream_give(first);
	run_a_turn(&hands[1]);
	assert_non_null(customer.link);
	assert_int_equal(customer.link->stream.source.fd, fd);
	assert_int_equal(upstream_waiting(hands[1].pool), 0);
	upstream_close(customer.link);
	upstream_close(second);
}

/* Between finding nothing and beginning to wait: nobody would call him for it. */
static void what_is_freed_before_he_waits_is_his(void **state)
{
	struct upstream_wish wish = {.handle = hear};
	struct upstream_link *first = take(&hands[0]), *second = take(&hands[0]), *link = NULL;
	struct waiter waiter = {.called = hear_call};
	uint32_t failures;

	(void)state;
	wish.borrower = &wish;
	assert_int_equal(upstream_take(hands[1].pool, &wish, &link, &failures), -EBUSY);
	upstream_give(first);
	assert_int_equal(upstream_wait(hands[1].pool, &wish, &waiter, &link, &failures), 0);
	assert_non_null(link);
	assert_false(upstream_is_awaited(hands[1].pool));
	upstream_close(link);
	upstream_close(second);
}

/* Two connections for twelve: nobody is forgotten, whoever frees what when. */
static void all_who_wait_are_served(void **state)
{
	pthread_t workers[THREADS], origin;
	void *left;

	(void)state;
	atomic_store(&over, false);
	assert_int_equal(pthread_create(&origin, NULL, serve, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&workers[i], NULL, trade, &hands[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i], &left);
		assert_int_equal((uintptr_t)left, 0);
	}
	atomic_store(&over, true);
	pthread_join(origin, NULL);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(upstream_waiting(hands[i].pool), 0);
	assert_false(upstream_is_awaited(hands[0].pool));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(another_thread_uses_an_idle_link, begin, end),
		cmocka_unit_test_setup_teardown(a_thread_prefers_its_own, begin, end),
		cmocka_unit_test_setup_teardown(a_link_that_speaks_is_not_taken_over, begin, end),
		cmocka_unit_test_setup_teardown(a_fetched_event_of_a_link_taken_over_is_ignored,
						begin, end),
		cmocka_unit_test_setup_teardown(one_thread_may_keep_all, begin, end),
		cmocka_unit_test_setup_teardown(an_old_link_is_not_used_again, begin, end),
		cmocka_unit_test_setup_teardown(a_link_carries_so_many_requests, begin, end),
		cmocka_unit_test_setup_teardown(threads_help_themselves_at_once, begin, end),
		cmocka_unit_test_setup_teardown(who_waits_is_called, begin_with_a_cap, end),
		cmocka_unit_test_setup_teardown(what_is_freed_before_he_waits_is_his,
						begin_with_a_cap, end),
		cmocka_unit_test_setup_teardown(all_who_wait_are_served, begin_with_a_cap, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
