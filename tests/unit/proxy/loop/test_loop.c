// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "proxy/loop/loop.h"

/* A source that counts what happens to it. */
struct counted {
	struct source source;
	unsigned int called, requeued, released;
	unsigned int requeues; /* how often it asks to be called again */
	struct counted *victim;
};

static struct loop loop;

static void release(struct source *source)
{
	container_of(source, struct counted, source)->released++;
}

static void count(struct source *source, uint32_t events)
{
	struct counted *counted = container_of(source, struct counted, source);

	counted->called++;
	if (events == 0)
		counted->requeued++;
	if (counted->requeues > 0) {
		counted->requeues--;
		loop_requeue(&loop, source);
	}
	if (counted->victim) {
		loop_close(&loop, &counted->victim->source);
		counted->victim->victim = NULL;
		counted->victim = NULL;
	}
}

static void stop(struct timer *timer)
{
	(void)timer;
	loop_stop(&loop);
}

static void run_for(uint64_t ms)
{
	struct timer end = {.fire = stop};

	loop.stopped = false;
	timer_arm(&loop.wheel, &end, clock_now_ns() + ms * CLOCK_MS);
	assert_int_equal(loop_run(&loop), 0);
}

/* A pipe with something in it, its read end watched. */
static void watch_full_pipe(struct counted *counted, int pipes[2])
{
	assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
	assert_int_equal(write(pipes[1], "x", 1), 1);
	counted->source = (struct source){.fd = pipes[0], .handle = count, .release = release};
	assert_int_equal(loop_watch(&loop, &counted->source, EPOLLIN), 0);
}

/* Edge-triggered: what nobody reads is told once, and does not keep the loop busy. */
static void an_edge_is_told_once(void **state)
{
	struct counted one = {0};
	int pipes[2];

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	watch_full_pipe(&one, pipes);
	run_for(30);
	assert_int_equal(one.called, 1);
	assert_true(loop.turns < 8);
	loop_close(&loop, &one.source);
	loop_destroy(&loop);
	assert_int_equal(one.released, 1);
	close(pipes[1]);
}

/* One that requeues itself is called once a turn, and others get their turns in between. */
static void requeued_sources_take_turns(void **state)
{
	struct counted greedy = {.requeues = 5}, modest = {.requeues = 1};
	int a[2], b[2];

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	watch_full_pipe(&greedy, a);
	watch_full_pipe(&modest, b);
	run_for(20);
	assert_int_equal(greedy.called, 6);
	assert_int_equal(greedy.requeued, 5);
	assert_int_equal(modest.called, 2);
	/* Five further turns, each with a call, none of them waiting. */
	assert_true(loop.turns >= 5);
	loop_close(&loop, &greedy.source);
	loop_close(&loop, &modest.source);
	loop_destroy(&loop);
	close(a[1]);
	close(b[1]);
}

/* Two events of one batch, the first handler closes the second's source: no call, one release. */
static void closed_sources_hear_nothing_more(void **state)
{
	struct counted one = {0}, two = {0};
	int a[2], b[2];

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	watch_full_pipe(&one, a);
	watch_full_pipe(&two, b);
	one.victim = &two;
	two.victim = &one;
	run_for(20);
	assert_int_equal(one.called + two.called, 1);
	assert_int_equal(one.released + two.released, 1);
	loop_close(&loop, one.called ? &one.source : &two.source);
	loop_destroy(&loop);
	assert_int_equal(one.released + two.released, 2);
	close(a[1]);
	close(b[1]);
}

/* Closed while it waits on the ready list: gone from it too. */
static void closed_sources_leave_the_ready_list(void **state)
{
	struct counted one = {0};
	int pipes[2];

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	watch_full_pipe(&one, pipes);
	loop_requeue(&loop, &one.source);
	loop_requeue(&loop, &one.source); /* twice is once */
	loop_close(&loop, &one.source);
	run_for(10);
	assert_int_equal(one.called, 0);
	assert_int_equal(one.released, 1);
	loop_destroy(&loop);
	close(pipes[1]);
}

/* --- what is put off ------------------------------------------------------------------------- */

enum { MANY = 8 };

static char order[MANY + 3]; /* in which sources were called, by their letters */
static size_t calls_left;

struct lettered {
	struct source source;
	char letter;
	unsigned int requeues;
	uint64_t takes_ns; /* to be called */
};

static void sign(struct source *source, uint32_t events)
{
	struct lettered *lettered = container_of(source, struct lettered, source);
	uint64_t until_ns = clock_now_ns() + lettered->takes_ns;

	assert_int_equal(events, 0);
	assert_false(loop_is_deferred(source));
	order[strlen(order)] = lettered->letter;
	if (lettered->requeues > 0) {
		lettered->requeues--;
		loop_requeue(&loop, source);
	}
	if (--calls_left == 0)
		loop_stop(&loop);
	while (clock_now_ns() < until_ns)
		;
}

static void prepare(struct lettered *lettered, char letter)
{
	lettered->letter = letter;
	lettered->source.handle = sign;
	list_init(&lettered->source.node);
}

static void put_off(struct lettered *lettered, char letter, unsigned int level)
{
	prepare(lettered, letter);
	loop_defer(&loop, &lettered->source, level);
	assert_true(loop_is_deferred(&lettered->source));
}

/* Until there were so many calls, and the turn of the last one is over. */
static void run_calls(size_t calls)
{
	loop.stopped = false;
	calls_left = calls;
	assert_int_equal(loop_run(&loop), 0);
}

/* Who comes later at a lower level is called earlier. */
static void lower_levels_come_first(void **state)
{
	struct lettered low[MANY] = {0}, high = {0}, highest = {0};

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	memset(order, 0, sizeof(order));
	put_off(&highest, 'z', LOOP_LEVELS + 1); /* as high as there is */
	put_off(&high, 'y', 3);
	for (int i = 0; i < MANY; i++)
		put_off(&low[i], (char)('a' + i), 0);
	loop_defer(&loop, &low[0].source, 0); /* twice is once */
	run_calls(MANY + 2);
	assert_string_equal(order, "abcdefghyz");
	loop_destroy(&loop);
}

/* Above the first level one call in four is for another than the lowest. */
static void no_level_starves_another(void **state)
{
	struct lettered low[MANY] = {0}, high = {0}, highest = {0};

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	memset(order, 0, sizeof(order));
	put_off(&highest, 'z', LOOP_LEVELS - 1);
	put_off(&high, 'y', 2);
	for (int i = 0; i < MANY; i++)
		put_off(&low[i], (char)('a' + i), 1);
	run_calls(MANY + 2);
	assert_string_equal(order, "abcdyefgzh");
	loop_destroy(&loop);
}

/* While the first level is busy the others have a part of the time, and pay for what they take. */
static void the_first_level_starves_nobody(void **state)
{
	struct lettered first[MANY] = {0}, long_one = {0}, next = {0};

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	memset(order, 0, sizeof(order));
	for (int i = 0; i < MANY; i++) {
		first[i].takes_ns = CLOCK_MS; /* a turn's */
		put_off(&first[i], (char)('a' + i), 0);
	}
	long_one.takes_ns = 100 * CLOCK_MS;
	put_off(&long_one, 'y', 1);
	put_off(&next, 'z', 1);
	run_calls(MANY + 2);
	assert_string_equal(order, "aybcdefghz");
	loop_destroy(&loop);
}

/* Long work is spread over turns, in each of which others are served. */
static void what_is_put_off_does_not_fill_a_turn(void **state)
{
	struct lettered late[3] = {0}, other = {0};

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	memset(order, 0, sizeof(order));
	prepare(&other, 'o');
	other.requeues = 2;
	loop_requeue(&loop, &other.source);
	for (int i = 0; i < 3; i++) {
		late[i].takes_ns = 60 * CLOCK_MS; /* longer than any pause of this machine */
		put_off(&late[i], (char)('a' + i), 0);
	}
	run_calls(6);
	assert_string_equal(order, "oaoboc");
	loop_destroy(&loop);
}

/* Closed while it is put off: it is not called any more, and the loop sleeps. */
static void closed_sources_are_put_off_no_more(void **state)
{
	struct counted one = {0};
	int pipes[2];

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	watch_full_pipe(&one, pipes);
	loop_defer(&loop, &one.source, 0);
	loop_close(&loop, &one.source);
	run_for(30);
	assert_int_equal(one.called, 0);
	assert_int_equal(one.released, 1);
	assert_true(loop.turns < 8);
	loop_destroy(&loop);
	close(pipes[1]);
}

/* --- timers -------------------------------------------------------------------------------- */

struct dear {
	struct timer timer;
	char letter;
	uint64_t takes_ns;
};

static void fire_dear(struct timer *timer)
{
	struct dear *dear = container_of(timer, struct dear, timer);
	uint64_t until_ns = clock_now_ns() + dear->takes_ns;

	order[strlen(order)] = dear->letter;
	if (--calls_left == 0)
		loop_stop(&loop);
	while (clock_now_ns() < until_ns)
		;
}

/* All of them have come due when the loop runs. */
static void arm_together(struct dear *dear, size_t count, uint64_t takes_ns)
{
	for (size_t i = 0; i < count; i++) {
		dear[i] = (struct dear){.timer = {.fire = fire_dear},
					.letter = (char)('a' + i),
					.takes_ns = takes_ns};
		timer_arm(&loop.wheel, &dear[i].timer, 0);
	}
	usleep(5000);
}

/* What each takes is more than a turn has for all of them: the others wait for the next turns, in
 * each of which whoever else has something to say is heard before. */
static void dear_timers_do_not_fill_a_turn(void **state)
{
	struct lettered other = {0};
	struct dear dear[6];

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	memset(order, 0, sizeof(order));
	prepare(&other, 'o');
	other.requeues = 2;
	loop_requeue(&loop, &other.source);
	arm_together(dear, 6, CLOCK_MS);
	run_calls(9);
	assert_string_equal(order, "oabocdoef");
	/* Nor is any forgotten when there is nothing else to wake up for. */
	memset(order, 0, sizeof(order));
	arm_together(dear, 5, CLOCK_MS);
	run_calls(5);
	assert_string_equal(order, "abcde");
	assert_int_equal(wheel_next_ns(&loop.wheel), WHEEL_NEVER);
	loop_destroy(&loop);
}

/* Where all else takes long they have a part of that. */
static void long_turns_have_time_for_timers(void **state)
{
	struct lettered other = {0};
	struct dear dear[5];

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	memset(order, 0, sizeof(order));
	prepare(&other, 'o');
	other.requeues = 1;
	other.takes_ns =
		500 * CLOCK_MS; /* a part of which is longer than any pause of this machine */
	loop_requeue(&loop, &other.source);
	arm_together(dear, 5, CLOCK_MS);
	run_calls(7);
	assert_string_equal(order, "oabcdeo");
	loop_destroy(&loop);
}

static unsigned int woken;

static void note_wake(struct loop *which)
{
	woken++;
	loop_stop(which);
}

static void *wake(void *argument)
{
	(void)argument;
	usleep(20000);
	loop_wake(&loop);
	return NULL;
}

/* A loop with nothing to do sleeps until another thread wakes it. */
static void another_thread_wakes_it(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	loop.woken = note_wake;
	assert_int_equal(pthread_create(&thread, NULL, wake, NULL), 0);
	assert_int_equal(loop_run(&loop), 0);
	pthread_join(thread, NULL);
	assert_int_equal(woken, 1);
	assert_int_equal(loop.turns, 1);
	loop_destroy(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_edge_is_told_once),
		cmocka_unit_test(requeued_sources_take_turns),
		cmocka_unit_test(closed_sources_hear_nothing_more),
		cmocka_unit_test(closed_sources_leave_the_ready_list),
		cmocka_unit_test(lower_levels_come_first),
		cmocka_unit_test(no_level_starves_another),
		cmocka_unit_test(the_first_level_starves_nobody),
		cmocka_unit_test(what_is_put_off_does_not_fill_a_turn),
		cmocka_unit_test(closed_sources_are_put_off_no_more),
		cmocka_unit_test(dear_timers_do_not_fill_a_turn),
		cmocka_unit_test(long_turns_have_time_for_timers),
		cmocka_unit_test(another_thread_wakes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
