// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <limits.h>
#include <stdlib.h>
#include "proxy/loop/wheel.h"

#define MS 1000000ULL

struct probe {
	struct timer timer;
	uint64_t due_ms;
	unsigned int fired;
};

static struct wheel wheel;
static uint64_t now_ms;
static unsigned int fired_early, fired_late;

static void fire(struct timer *timer)
{
	struct probe *probe = container_of(timer, struct probe, timer);

	probe->fired++;
	if (now_ms < probe->due_ms)
		fired_early++;
	if (now_ms > probe->due_ms)
		fired_late++;
}

static void begin(uint64_t at_ms)
{
	now_ms = at_ms;
	fired_early = fired_late = 0;
	wheel_init(&wheel, at_ms * MS);
}

static void arm(struct probe *probe, uint64_t due_ms)
{
	probe->timer.fire = fire;
	probe->due_ms = due_ms;
	timer_arm(&wheel, &probe->timer, due_ms * MS);
}

/* Goes to the moments at which the wheel says that it has something to do, up to @until_ms. */
static unsigned int run(uint64_t until_ms)
{
	unsigned int visits = 0;

	while (wheel_next_ns(&wheel) <= until_ms * MS) {
		now_ms = wheel_next_ns(&wheel) / MS;
		wheel_advance(&wheel, now_ms * MS, UINT_MAX);
		visits++;
	}
	now_ms = until_ms;
	wheel_advance(&wheel, now_ms * MS, UINT_MAX);
	return visits;
}

/* Years ahead the wheel has no place: such a timer fires early, but not at once, nor again and
 * again. */
static void the_farthest_fires_early(void **state)
{
	const uint64_t range_ms = 1ULL << (WHEEL_LEVELS * WHEEL_BITS);
	struct probe probe = {0};

	(void)state;
	begin(12345);
	arm(&probe, 12345 + 2 * range_ms);
	assert_true(wheel_next_ns(&wheel) > (12345 + range_ms / 4) * MS);
	run(12345 + range_ms);
	assert_int_equal(probe.fired, 1);
	assert_int_equal(fired_early, 1);
}

/* Every distance from a millisecond to days, from awkward beginnings, fires on the millisecond. */
static void fires_on_time(void **state)
{
	static const uint64_t begins[] = {1, 63, 64, 4095, 123456789, (1ULL << 36) - 5};
	static struct probe probe[40];

	(void)state;
	for (size_t b = 0; b < sizeof(begins) / sizeof(*begins); b++) {
		begin(begins[b]);
		for (int i = 0; i < 30; i++) {
			probe[i] = (struct probe){0};
			arm(&probe[i], begins[b] + (1ULL << i) + (i > 3 ? 3 : 0));
		}
		run(begins[b] + (1ULL << 30));
		for (int i = 0; i < 30; i++)
			assert_int_equal(probe[i].fired, 1);
		assert_int_equal(fired_early, 0);
		assert_int_equal(fired_late, 0);
		assert_int_equal(wheel_next_ns(&wheel), WHEEL_NEVER);
	}
}

/* However coarsely time is looked at, none is forgotten and none is early. */
static void survives_late_visits(void **state)
{
	static struct probe probe[2000];
	unsigned int fired = 0;

	(void)state;
	srandom(7);
	begin(1000);
	for (size_t i = 0; i < 2000; i++) {
		probe[i] = (struct probe){0};
		arm(&probe[i], 1001 + (uint64_t)random() % 100000);
	}
	for (now_ms = 1000; now_ms < 102000; now_ms += 1 + (uint64_t)random() % 500)
		wheel_advance(&wheel, now_ms * MS, UINT_MAX);
	wheel_advance(&wheel, now_ms * MS, UINT_MAX);
	for (size_t i = 0; i < 2000; i++)
		fired += probe[i].fired;
	assert_int_equal(fired, 2000);
	assert_int_equal(fired_early, 0);
}

static void cancelled_never_fires(void **state)
{
	static struct probe probe[100];

	(void)state;
	begin(50);
	for (int i = 0; i < 100; i++) {
		probe[i] = (struct probe){0};
		arm(&probe[i], 60 + (uint64_t)i / 2 * 100);
	}
	for (int i = 0; i < 100; i += 2)
		timer_cancel(&wheel, &probe[i].timer);
	for (int i = 0; i < 100; i += 2)
		timer_cancel(&wheel, &probe[i].timer); /* harmless */
	run(100000);
	for (int i = 0; i < 100; i++)
		assert_int_equal(probe[i].fired, i % 2);
	assert_int_equal(fired_late, 0);
}

/* Those that come together are fired a few at a time, each once, whoever is cancelled meanwhile. */
static void a_visit_fires_no_more_than_it_may(void **state)
{
	static struct probe probe[10];
	unsigned int fired = 0;

	(void)state;
	begin(10);
	for (int i = 0; i < 10; i++) {
		probe[i] = (struct probe){0};
		arm(&probe[i], i < 7 ? 5000 : 5001);
	}
	now_ms = 6000;
	for (int visit = 1; visit <= 3; visit++) {
		assert_true(wheel_next_ns(&wheel) <= now_ms * MS);
		wheel_advance(&wheel, now_ms * MS, 3);
		fired = 0;
		for (int i = 0; i < 10; i++)
			fired += probe[i].fired;
		assert_int_equal(fired, 3 * visit);
		if (visit == 1)
			timer_cancel(&wheel, &probe[6].timer);
	}
	assert_int_equal(probe[6].fired, 0);
	assert_int_equal(wheel_next_ns(&wheel), WHEEL_NEVER);
	/* It has not lost sight of the time. */
	arm(&probe[0], 6001);
	run(6002);
	assert_int_equal(probe[0].fired, 2);
	assert_int_equal(fired_late, 9);
}

/* The last of a slot cancelled: the wheel has nothing to wake up for. */
static void cancelling_all_leaves_nothing_to_wait_for(void **state)
{
	struct probe one = {0}, two = {0};

	(void)state;
	begin(10);
	arm(&one, 5000);
	arm(&two, 5000);
	timer_cancel(&wheel, &one.timer);
	assert_true(wheel_next_ns(&wheel) <= 5000 * MS);
	timer_cancel(&wheel, &two.timer);
	assert_int_equal(wheel_next_ns(&wheel), WHEEL_NEVER);
}

static struct probe other;

static void cancel_other(struct timer *timer)
{
	struct probe *probe = container_of(timer, struct probe, timer);

	probe->fired++;
	timer_cancel(&wheel, &other.timer);
}

static void arm_again(struct timer *timer)
{
	struct probe *probe = container_of(timer, struct probe, timer);

	if (++probe->fired < 3)
		timer_arm(&wheel, timer, (wheel.now_ms + 10) * MS);
}

/* A callback may cancel what is due in the same slot, or arm itself anew. */
static void callbacks_may_arm_and_cancel(void **state)
{
	struct probe first = {0}, again = {0};

	(void)state;
	begin(1);
	other = (struct probe){0};
	first.timer.fire = cancel_other;
	timer_arm(&wheel, &first.timer, 20 * MS);
	arm(&other, 20);
	again.timer.fire = arm_again;
	timer_arm(&wheel, &again.timer, 20 * MS);
	run(200);
	assert_int_equal(first.fired, 1);
	assert_int_equal(other.fired, 0);
	assert_int_equal(again.fired, 3);
}

/* A deadline that moves later touches nothing; one that moves earlier does. */
static void lazy_arming_only_moves_earlier(void **state)
{
	struct probe probe = {0};

	(void)state;
	begin(1);
	arm(&probe, 100);
	timer_arm_lazily(&wheel, &probe.timer, 500 * MS);
	assert_int_equal(probe.timer.due_ms, 100);
	timer_arm_lazily(&wheel, &probe.timer, 100 * MS);
	assert_int_equal(probe.timer.due_ms, 100);
	timer_arm_lazily(&wheel, &probe.timer, WHEEL_NEVER);
	assert_int_equal(probe.timer.due_ms, 100);
	timer_arm_lazily(&wheel, &probe.timer, 99 * MS);
	assert_int_equal(probe.timer.due_ms, 99);
	timer_cancel(&wheel, &probe.timer);
	timer_arm_lazily(&wheel, &probe.timer, 700 * MS);
	assert_int_equal(probe.timer.due_ms, 700);
}

/* A distant deadline costs a handful of visits, not one per millisecond or slot. */
static void distance_costs_few_visits(void **state)
{
	struct probe probe = {0};

	(void)state;
	begin(12345);
	arm(&probe, 12345 + 86400000);
	assert_true(run(12345 + 86400001) <= WHEEL_LEVELS);
	assert_int_equal(probe.fired, 1);
}

static void past_fires_at_the_next_advance(void **state)
{
	struct probe probe = {0};

	(void)state;
	begin(1000);
	arm(&probe, 10);
	wheel_advance(&wheel, 1001 * MS, UINT_MAX);
	assert_int_equal(probe.fired, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fires_on_time),
		cmocka_unit_test(the_farthest_fires_early),
		cmocka_unit_test(survives_late_visits),
		cmocka_unit_test(cancelled_never_fires),
		cmocka_unit_test(a_visit_fires_no_more_than_it_may),
		cmocka_unit_test(cancelling_all_leaves_nothing_to_wait_for),
		cmocka_unit_test(callbacks_may_arm_and_cancel),
		cmocka_unit_test(lazy_arming_only_moves_earlier),
		cmocka_unit_test(distance_costs_few_visits),
		cmocka_unit_test(past_fires_at_the_next_advance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
