// SPDX-License-Identifier: BSD-2-Clause
/* Who waits, and whose turn it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "proxy/upstream/capacity/queue.h"

enum { LENGTH = 64, THREADS = 2, MANY = 3 * LENGTH };

static struct queue *queue;
static struct waiter waiters[MANY];
static unsigned int woken[THREADS];

static void wake(void *context, uint32_t thread)
{
	(void)context;
	woken[thread]++;
}

static int begin(void **state)
{
	(void)state;
	memset(waiters, 0, sizeof(waiters));
	memset(woken, 0, sizeof(woken));
	queue = queue_create(LENGTH, THREADS, wake, NULL);
	assert_non_null(queue);
	return 0;
}

static int end(void **state)
{
	(void)state;
	queue_free(queue);
	return 0;
}

static enum queue_place join(int i, uint64_t source)
{
	waiters[i].source = source;
	waiters[i].thread = (uint32_t)i % THREADS;
	return queue_join(queue, &waiters[i], false);
}

/* Index of who was called; −1: nobody. */
static int next_called(void)
{
	struct waiter *waiter = NULL;
	bool removed;

	for (uint32_t thread = 0; thread < THREADS && !waiter; thread++)
		waiter = queue_next_called(queue, thread, &removed);
	if (!waiter)
		return -1;
	assert_false(removed);
	assert_int_equal(waiter->state, WAITER_AWAY);
	return (int)(waiter - waiters);
}

/* The same, when something is freed. */
static int call(void)
{
	queue_call(queue);
	return next_called();
}

static void they_are_called_in_order(void **state)
{
	(void)state;
	assert_false(queue_is_awaited(queue));
	assert_int_equal(join(0, 7), QUEUE_FIRST);
	assert_int_equal(join(1, 7), QUEUE_BEHIND);
	assert_int_equal(join(2, 7), QUEUE_BEHIND);
	assert_true(queue_is_awaited(queue));
	assert_int_equal(queue_waiting(queue, 0), 2);
	for (int i = 0; i < 3; i++)
		assert_int_equal(call(), i);
	assert_int_equal(call(), -1);
	assert_int_equal(woken[0], 2);
	assert_int_equal(woken[1], 1);
	assert_int_equal(queue_waiting(queue, 0), 0);
}

/* Who came with eight requests before the others came with one each has one turn in three. */
static void sources_take_turns(void **state)
{
	static const int order[] = {0, 8, 9, 1, 2, 3, 4, 5, 6, 7};

	(void)state;
	for (int i = 0; i < 8; i++)
		join(i, 1);
	join(8, 2);
	join(9, 3);
	for (int i = 0; i < 10; i++)
		assert_int_equal(call(), order[i]);
}

static void a_source_has_a_part_of_the_queue(void **state)
{
	(void)state;
	for (int i = 0; i < LENGTH / QUEUE_FLOW_SHARE; i++)
		assert_int_not_equal(join(i, 1), QUEUE_FULL);
	assert_int_equal(join(50, 1), QUEUE_FULL);
	assert_int_equal(waiters[50].state, WAITER_AWAY);
	assert_int_equal(join(51, 2), QUEUE_BEHIND);
}

/* Eight sources fill it: the last of one of them goes for somebody new, who goes for nobody. */
static void a_full_queue_locks_nobody_out(void **state)
{
	struct waiter *waiter = NULL;
	bool removed = false;

	(void)state;
	for (int i = 0; i < LENGTH; i++)
		assert_int_not_equal(join(i, (uint64_t)i % 8), QUEUE_FULL);
	assert_int_equal(join(70, 100), QUEUE_BEHIND);
	for (uint32_t thread = 0; thread < THREADS && !waiter; thread++)
		waiter = queue_next_called(queue, thread, &removed);
	assert_non_null(waiter);
	assert_true(removed);
	assert_true(waiter >= &waiters[LENGTH - 8]);
	assert_int_equal(join(71, waiter->source), QUEUE_FULL);
	/* His turn comes after one of each who were there before. */
	for (int i = 0; i < 8; i++)
		assert_int_equal(call(), i);
	assert_int_equal(call(), 70);
}

/* However alike their hashes are. */
static void nobody_is_taken_for_another(void **state)
{
	(void)state;
	for (int i = 0; i < LENGTH; i++)
		assert_int_not_equal(join(i, (uint64_t)i % 8), QUEUE_FULL);
	for (int i = 0; i < 16; i++)
		assert_int_equal(join(LENGTH + i, (uint64_t)i << 32),
				 i ? QUEUE_BEHIND : QUEUE_FULL);
}

/* Who was called and waits again has room always, be it in another's flow. */
static void more_may_wait_again_than_there_is_room_for(void **state)
{
	bool seen[MANY] = {false};
	int i;

	(void)state;
	for (int round = 0; round < 2; round++)
		for (int phase = 0; phase < 2; phase++)
			for (i = round * LENGTH; i < (round + 1) * LENGTH; i++)
				if (phase)
					assert_int_equal(call(), i);
				else
					assert_int_not_equal(join(i, (uint64_t)i), QUEUE_FULL);
	for (i = 2 * LENGTH; i < MANY; i++)
		assert_int_not_equal(join(i, (uint64_t)i), QUEUE_FULL);
	for (i = 0; i < 2 * LENGTH; i++)
		assert_int_equal(queue_join(queue, &waiters[i], true), QUEUE_FIRST);
	for (int count = 0; count < MANY; count++) {
		i = call();
		assert_true(i >= 0 && !seen[i]);
		seen[i] = true;
	}
	assert_int_equal(call(), -1);
}

static void who_leaves_is_not_called(void **state)
{
	(void)state;
	join(0, 1);
	join(1, 1);
	join(2, 2);
	assert_false(queue_leave(queue, &waiters[0]));
	assert_false(queue_leave(queue, &waiters[0]));
	assert_false(queue_leave(queue, &waiters[2]));
	assert_int_equal(call(), 1);
	assert_false(queue_is_awaited(queue));
}

/* His turn must not be lost with him. */
static void who_was_called_and_leaves_says_so(void **state)
{
	(void)state;
	join(0, 1);
	queue_call(queue);
	assert_false(queue_is_awaited(queue));
	assert_int_equal(queue_waiting(queue, 0), 1);
	assert_true(queue_leave(queue, &waiters[0]));
	assert_int_equal(queue_waiting(queue, 0), 0);
}

/* He was in the way of those behind him, for whom there may have been something. */
static void who_found_nothing_and_leaves_says_so(void **state)
{
	(void)state;
	join(0, 1);
	join(1, 2);
	assert_int_equal(call(), 0);
	assert_int_equal(queue_join(queue, &waiters[0], true), QUEUE_FIRST);
	assert_true(queue_leave(queue, &waiters[0]));
	assert_int_equal(join(0, 1), QUEUE_BEHIND);
	assert_false(queue_leave(queue, &waiters[0]));
}

static void who_found_nothing_is_next_again(void **state)
{
	(void)state;
	join(0, 1);
	join(1, 1);
	join(2, 2);
	assert_int_equal(call(), 0);
	assert_int_equal(queue_join(queue, &waiters[0], true), QUEUE_FIRST);
	assert_int_equal(call(), 0);
	assert_int_equal(call(), 2);
	assert_int_equal(call(), 1);
}

/* What was free is of a server that he has tried: the next who has not is called for it, and once;
 * who comes now may look for himself. */
static void who_can_not_use_it_passes_it_on(void **state)
{
	(void)state;
	join(0, 1);
	join(1, 2);
	join(2, 3);
	waiters[0].tried = waiters[1].tried = 1;
	assert_int_equal(call(), 0);
	assert_int_equal(queue_join(queue, &waiters[0], true), QUEUE_FIRST);
	assert_true(queue_is_claimed(queue));
	queue_pass_on(queue, &waiters[0]);
	assert_int_equal(next_called(), 2);
	assert_int_equal(call(), 0);
	assert_int_equal(call(), 1);
}

/* Two who tried a server each: what is free is of neither, so there is nothing. */
static void a_call_that_nobody_can_use_ends(void **state)
{
	(void)state;
	join(0, 1);
	join(1, 2);
	waiters[0].tried = 1;
	waiters[1].tried = 2;
	assert_int_equal(call(), 0);
	queue_join(queue, &waiters[0], true);
	queue_pass_on(queue, &waiters[0]);
	assert_int_equal(next_called(), 1);
	queue_join(queue, &waiters[1], true);
	queue_pass_on(queue, &waiters[1]);
	assert_int_equal(next_called(), -1);
	/* Both wait, but for nothing that a newcomer would take from them. */
	assert_true(queue_is_awaited(queue));
	assert_false(queue_is_claimed(queue));
	assert_int_equal(join(2, 3), QUEUE_FIRST);
	assert_true(queue_is_claimed(queue));
	assert_false(queue_leave(queue, &waiters[2]));
	assert_false(queue_is_claimed(queue));
}

/* Who could have used anything found nothing because somebody was faster. */
static void who_has_tried_nobody_passes_nothing_on(void **state)
{
	(void)state;
	join(0, 1);
	join(1, 2);
	assert_int_equal(call(), 0);
	queue_join(queue, &waiters[0], true);
	queue_pass_on(queue, &waiters[0]);
	assert_int_equal(next_called(), -1);
	assert_int_equal(call(), 0);
}

static enum queue_place join_late(int i, uint64_t source, bool again)
{
	waiters[i].source = source;
	waiters[i].late = true;
	return queue_join(queue, &waiters[i], again);
}

/* Who has his share is called when nobody else waits, and is in nobody's way. */
static void who_has_his_share_comes_last(void **state)
{
	(void)state;
	assert_int_equal(join_late(0, 1, false), QUEUE_FIRST);
	assert_int_equal(join_late(1, 2, false), QUEUE_FIRST);
	assert_true(queue_is_awaited(queue));
	assert_false(queue_is_claimed(queue));
	assert_int_equal(join(2, 3), QUEUE_FIRST);
	assert_true(queue_is_claimed(queue));
	assert_int_equal(queue_waiting_of(queue, 1), 1);
	assert_int_equal(call(), 2);
	assert_false(queue_is_claimed(queue));
	/* There is more now, but not for him: he waits behind the other one. */
	assert_int_equal(call(), 0);
	assert_int_equal(join_late(0, 1, true), QUEUE_FIRST);
	assert_int_equal(call(), 1);
	assert_int_equal(call(), 0);
	assert_int_equal(queue_waiting_of(queue, 1), 0);
	assert_int_equal(call(), -1);
}

/* It is the source that has it: what it asked before and what it asks now wait alike. */
static void a_source_has_its_share_and_has_not(void **state)
{
	(void)state;
	join(0, 1);
	join(1, 1);
	join_late(2, 1, false);
	assert_false(queue_is_claimed(queue));
	assert_int_equal(join(3, 2), QUEUE_FIRST);
	assert_int_equal(call(), 3);
	join(4, 1);
	assert_true(queue_is_claimed(queue));
	for (int i = 0; i < 4; i++) {
		assert_true(queue_is_claimed(queue));
		assert_int_equal(call(), i < 3 ? i : 4);
	}
	assert_false(queue_is_claimed(queue));
	assert_false(queue_is_awaited(queue));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(they_are_called_in_order, begin, end),
		cmocka_unit_test_setup_teardown(sources_take_turns, begin, end),
		cmocka_unit_test_setup_teardown(a_source_has_a_part_of_the_queue, begin, end),
		cmocka_unit_test_setup_teardown(a_full_queue_locks_nobody_out, begin, end),
		cmocka_unit_test_setup_teardown(nobody_is_taken_for_another, begin, end),
		cmocka_unit_test_setup_teardown(more_may_wait_again_than_there_is_room_for, begin,
						end),
		cmocka_unit_test_setup_teardown(who_leaves_is_not_called, begin, end),
		cmocka_unit_test_setup_teardown(who_was_called_and_leaves_says_so, begin, end),
		cmocka_unit_test_setup_teardown(who_found_nothing_is_next_again, begin, end),
		cmocka_unit_test_setup_teardown(who_found_nothing_and_leaves_says_so, begin, end),
		cmocka_unit_test_setup_teardown(who_can_not_use_it_passes_it_on, begin, end),
		cmocka_unit_test_setup_teardown(a_call_that_nobody_can_use_ends, begin, end),
		cmocka_unit_test_setup_teardown(who_has_tried_nobody_passes_nothing_on, begin, end),
		cmocka_unit_test_setup_teardown(who_has_his_share_comes_last, begin, end),
		cmocka_unit_test_setup_teardown(a_source_has_its_share_and_has_not, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
