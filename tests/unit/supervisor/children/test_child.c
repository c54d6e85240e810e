/* SPDX-License-Identifier: BSD-2-Clause */
/* Children that leave, crash, and crash again; time is a parameter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "contract/order.h"
#include "supervisor/children/child.h"

/* Leaves at an order or at end of file, and says by its status which of them it was. */
static int wait_for_word(void *context, int control)
{
	struct order order;

	(void)context;
	return read(control, &order, sizeof(order)) == sizeof(order) ? (int)order.ms : 11;
}

/* Says that it serves, and answers a ping. */
static int answer(void *context, int control)
{
	struct order order = {.word = ORDER_READY};

	(void)context;
	if (write(control, &order, sizeof(order)) != sizeof(order))
		return 1;
	while (read(control, &order, sizeof(order)) == sizeof(order) && order.word == ORDER_PING) {
		order.word = ORDER_ALIVE;
		if (write(control, &order, sizeof(order)) != sizeof(order))
			return 1;
	}
	return 0;
}

/* Answers only when it is asked for the second time. */
static int answer_again(void *context, int control)
{
	struct order order = {.word = ORDER_READY};

	(void)context;
	if (write(control, &order, sizeof(order)) != sizeof(order) ||
	    read(control, &order, sizeof(order)) != sizeof(order))
		return 1;
	return answer(context, control);
}

static int say_nothing(void *context, int control)
{
	struct order order;

	(void)context;
	while (read(control, &order, sizeof(order)) > 0)
		;
	return 0;
}

static int crash(void *context, int control)
{
	(void)context;
	(void)control;
	return 3;
}

static int wait_for_end(const struct child *child)
{
	int status;

	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	return status;
}

static void test_a_dismissed_child_is_told_and_not_restarted(void **state)
{
	struct child child = CHILD_INIT("test");
	int status;

	(void)state;
	assert_int_equal(child_start(&child, wait_for_word, NULL, CLOCK_SEC), 0);
	assert_int_equal(child_wait(&child, CLOCK_SEC, 777), 777);
	child_dismiss(&child, ORDER_DRAIN, 10, 5 * CLOCK_SEC);
	assert_int_equal(child_wait(&child, 3 * CLOCK_SEC, 9 * CLOCK_SEC), 2 * CLOCK_SEC);
	status = wait_for_end(&child);
	assert_int_equal(WEXITSTATUS(status), 10);
	assert_false(child_ended(&child, status, 2 * CLOCK_SEC));
	assert_int_equal(child.pid, 0);
	assert_int_equal(child.retry_ns, 0);
}

static void test_a_child_sees_that_the_supervisor_is_gone(void **state)
{
	struct child child = CHILD_INIT("test");

	(void)state;
	assert_int_equal(child_start(&child, wait_for_word, NULL, CLOCK_SEC), 0);
	close(child.control); /* what the kernel does for a supervisor that is killed */
	child.control = -1;
	assert_int_equal(WEXITSTATUS(wait_for_end(&child)), 11);
}

/* Up to a quarter longer, so that hosts do not crash in step. */
static void assert_about(uint64_t ns, uint64_t expected)
{
	assert_in_range(ns, expected, expected + expected / 4);
}

static void test_restarts_wait_longer_each_time_up_to_ten_seconds(void **state)
{
	static const uint64_t waits_ms[] = {100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
	struct child child = CHILD_INIT("test");
	uint64_t now = CLOCK_SEC;

	(void)state;
	for (size_t i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); i++) {
		assert_int_equal(child_start(&child, crash, NULL, now), 0);
		assert_true(child_ended(&child, wait_for_end(&child), now));
		assert_about(child.retry_ns - now, waits_ms[i] * CLOCK_MS);
		now = child.retry_ns;
		assert_int_equal(child_wait(&child, now, CLOCK_SEC), 0);
	}
	/* Who lived for a while is forgiven. */
	assert_int_equal(child_start(&child, crash, NULL, now), 0);
	now += 11 * CLOCK_SEC;
	assert_true(child_ended(&child, wait_for_end(&child), now));
	assert_about(child.retry_ns - now, 100 * CLOCK_MS);
}

static void test_a_killed_child_counts_as_crashed(void **state)
{
	struct child child = CHILD_INIT("test");
	int status;

	(void)state;
	assert_int_equal(child_start(&child, wait_for_word, NULL, CLOCK_SEC), 0);
	child_kill(&child);
	status = wait_for_end(&child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_true(child_ended(&child, status, CLOCK_SEC));
	assert_int_not_equal(child.retry_ns, 0);
	child_dismiss(&child, ORDER_DRAIN, 0, 1); /* stopping meanwhile takes the restart back */
	assert_int_equal(child.retry_ns, 0);
}

static void test_a_child_that_serves_says_so_and_answers(void **state)
{
	struct child child = CHILD_INIT("test");

	(void)state;
	assert_int_equal(child_start(&child, answer, NULL, CLOCK_SEC), 0);
	child_ping(&child, 2 * CLOCK_SEC);
	assert_int_equal(child.asked_ns, 0); /* nobody is asked who does not serve yet */
	assert_true(child_await_ready(&child, 5000));
	child_ping(&child, 3 * CLOCK_SEC);
	assert_int_equal(child.asked_ns, 3 * CLOCK_SEC);
	child_ping(&child, 4 * CLOCK_SEC);
	assert_int_equal(child.asked_ns, 3 * CLOCK_SEC); /* since when no answer has come */
	for (int i = 0; child.asked_ns && i < 500; i++) {
		usleep(10000);
		child_hear(&child, 5 * CLOCK_SEC);
	}
	assert_int_equal(child.asked_ns, 0);
	assert_int_equal(child.heard_ns, 5 * CLOCK_SEC);
	child_dismiss(&child, ORDER_DRAIN, 0, 9 * CLOCK_SEC);
	assert_int_equal(WEXITSTATUS(wait_for_end(&child)), 0);
}

/* One answer that failed to come is no reason to kill it. */
static void test_who_does_not_answer_is_asked_again(void **state)
{
	struct child child = CHILD_INIT("test");

	(void)state;
	assert_int_equal(child_start(&child, answer_again, NULL, CLOCK_SEC), 0);
	assert_true(child_await_ready(&child, 5000));
	child_ping(&child, 3 * CLOCK_SEC);
	child_ping(&child, 4 * CLOCK_SEC);
	for (int i = 0; child.asked_ns && i < 500; i++) {
		usleep(10000);
		child_hear(&child, 5 * CLOCK_SEC);
	}
	assert_int_equal(child.asked_ns, 0);
	child_dismiss(&child, ORDER_DRAIN, 0, 9 * CLOCK_SEC);
	assert_int_equal(WEXITSTATUS(wait_for_end(&child)), 0);
}

static void test_a_child_that_does_not_come_up_is_noticed(void **state)
{
	struct child child = CHILD_INIT("test");

	(void)state;
	assert_int_equal(child_start(&child, crash, NULL, CLOCK_SEC), 0);
	assert_false(child_await_ready(&child, 5000)); /* at once: it has gone */
	assert_true(child_ended(&child, wait_for_end(&child), CLOCK_SEC));
	assert_int_equal(child_start(&child, say_nothing, NULL, CLOCK_SEC), 0);
	assert_false(child_await_ready(&child, 50));
	child_end(&child, 2 * CLOCK_SEC);
	assert_int_equal(child.pid, 0);
	assert_int_equal(child.retry_ns, 0); /* it was our wish */
}

static void test_who_crashes_while_he_drains_has_crashed(void **state)
{
	struct child child = CHILD_INIT("test");

	(void)state;
	assert_int_equal(child_start(&child, say_nothing, NULL, CLOCK_SEC), 0);
	child_dismiss(&child, ORDER_DRAIN, 1000, 5 * CLOCK_SEC);
	kill(child.pid, SIGKILL); /* by somebody else: the kernel, for want of memory */
	assert_true(child_ended(&child, wait_for_end(&child), 2 * CLOCK_SEC));
	assert_int_equal(child.retry_ns, 0);
	/* Being killed for taking too long is something else. */
	assert_int_equal(child_start(&child, say_nothing, NULL, CLOCK_SEC), 0);
	child_dismiss(&child, ORDER_DRAIN, 1000, 5 * CLOCK_SEC);
	child_kill(&child);
	assert_false(child_ended(&child, wait_for_end(&child), 5 * CLOCK_SEC));
}

static void test_a_deadline_only_comes_nearer(void **state)
{
	struct child child = CHILD_INIT("test");

	(void)state;
	assert_int_equal(child_start(&child, say_nothing, NULL, CLOCK_SEC), 0);
	child_dismiss(&child, ORDER_DRAIN, 1000, 5 * CLOCK_SEC);
	child_dismiss(&child, ORDER_DRAIN, 9000, 15 * CLOCK_SEC);
	assert_int_equal(child.deadline_ns, 5 * CLOCK_SEC);
	child_dismiss(&child, ORDER_DRAIN, 0, 2 * CLOCK_SEC);
	assert_false(child_is_late(&child, CLOCK_SEC));
	assert_true(child_is_late(&child, 2 * CLOCK_SEC));
	child_end(&child, 2 * CLOCK_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_dismissed_child_is_told_and_not_restarted),
		cmocka_unit_test(test_a_child_sees_that_the_supervisor_is_gone),
		cmocka_unit_test(test_restarts_wait_longer_each_time_up_to_ten_seconds),
		cmocka_unit_test(test_a_killed_child_counts_as_crashed),
		cmocka_unit_test(test_a_child_that_serves_says_so_and_answers),
		cmocka_unit_test(test_who_does_not_answer_is_asked_again),
		cmocka_unit_test(test_a_child_that_does_not_come_up_is_noticed),
		cmocka_unit_test(test_who_crashes_while_he_drains_has_crashed),
		cmocka_unit_test(test_a_deadline_only_comes_nearer),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
