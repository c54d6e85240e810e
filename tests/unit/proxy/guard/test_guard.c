// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "contract/rows.h"
#include "proxy/guard/live.h"
#include "proxy/guard/rate.h"
#include "proxy/guard/reserve.h"
#include "proxy/guard/sampler.h"

/* Lines and suppressed numbers add up to what happened, whatever the rhythm. */
static void every_refusal_is_accounted_for(void **state)
{
	struct sampler sampler = {0};
	uint64_t now_ns = 50 * CLOCK_SEC, lines = 0, suppressed = 0, happened = 0;

	(void)state;
	for (int second = 0; second < 20; second++) {
		for (int i = 0; i < second * 7; i++, happened++)
			lines += sampler_admit(&sampler, FW_DESCRIPTORS, now_ns + (uint64_t)i);
		now_ns += CLOCK_SEC;
		suppressed += sampler_settle(&sampler, FW_DESCRIPTORS, now_ns);
	}
	now_ns += CLOCK_SEC;
	suppressed += sampler_settle(&sampler, FW_DESCRIPTORS, now_ns);
	assert_int_equal(lines + suppressed, happened);
	assert_true(lines <= 20 * SAMPLER_LINES_PER_SECOND);
}

static void the_first_of_a_second_are_told(void **state)
{
	struct sampler sampler = {0};
	uint64_t now_ns = 9 * CLOCK_SEC;

	(void)state;
	for (int i = 0; i < SAMPLER_LINES_PER_SECOND; i++)
		assert_true(sampler_admit(&sampler, FW_MEMORY, now_ns));
	assert_false(sampler_admit(&sampler, FW_MEMORY, now_ns + CLOCK_SEC - 1));
	assert_true(sampler_admit(&sampler, FW_BAD_FIELD, now_ns)); /* another reason */
	assert_int_equal(sampler_settle(&sampler, FW_MEMORY, now_ns + CLOCK_SEC - 1), 0);
	assert_true(sampler_admit(&sampler, FW_MEMORY, now_ns + CLOCK_SEC));
}

static void live_values_are_clamped(void **state)
{
	static uint64_t table[FW_SERVICES_MAX * FW_SETTINGS_MAX];
	struct live live = {0};

	(void)state;
	for (int i = 0; i < FW_SETTING_COUNT; i++) {
		table[fw_setting_index(3, i)] = setting_rows[i].initial;
		table[fw_setting_index(0, i)] = setting_rows[i].initial;
	}
	assert_true(live_refresh(&live, table, 3));
	assert_false(live_refresh(&live, table, 3));
	assert_int_equal(live.value[FW_SET_TIMEOUT_HEADER], 10000);
	/* An edit past the CLI: 0 is below what the row allows. */
	table[fw_setting_index(3, FW_SET_TIMEOUT_HEADER)] = 0;
	assert_true(live_refresh(&live, table, 3));
	assert_int_equal(live.value[FW_SET_TIMEOUT_HEADER], 10);
	table[fw_setting_index(3, FW_SET_TIMEOUT_HEADER)] = UINT64_MAX;
	assert_true(live_refresh(&live, table, 3));
	assert_int_equal(live_ns(&live, FW_SET_TIMEOUT_HEADER), 3600000 * CLOCK_MS);
	/* What concerns the host is read from its row. */
	table[fw_setting_index(3, FW_SET_HOST_MAX_CONNECTIONS)] = 5;
	table[fw_setting_index(0, FW_SET_HOST_MAX_CONNECTIONS)] = 77;
	assert_true(live_refresh(&live, table, 3));
	assert_int_equal(live.value[FW_SET_HOST_MAX_CONNECTIONS], 77);
}

/* Five seconds are granted, then the mean over the time waited counts. */
static void slow_is_slow_after_the_grace(void **state)
{
	struct rate rate = {0};
	uint64_t t = CLOCK_SEC;

	(void)state;
	rate_wait(&rate, true, 1000, t);
	assert_false(rate_is_below(&rate, 500, RATE_GRACE_NS, 1000, t + 5 * CLOCK_SEC));
	assert_true(rate_is_below(&rate, 500, RATE_GRACE_NS, 1000, t + 5 * CLOCK_SEC + 1));
	assert_false(rate_is_below(&rate, 500, RATE_GRACE_NS, 1000 + 3000, t + 6 * CLOCK_SEC));
	assert_true(rate_is_below(&rate, 500, RATE_GRACE_NS, 1000 + 2999, t + 6 * CLOCK_SEC));
	assert_false(rate_is_below(&rate, 0, RATE_GRACE_NS, 1000, t + 60 * CLOCK_SEC));
}

/* Time in which it was not waited for is nobody's fault. */
static void only_waiting_counts(void **state)
{
	struct rate rate = {0};
	uint64_t t = CLOCK_SEC;

	(void)state;
	rate_wait(&rate, true, 0, t);
	rate_wait(&rate, false, 100, t + 4 * CLOCK_SEC);
	assert_false(rate_is_below(&rate, 500, RATE_GRACE_NS, 100, t + 90 * CLOCK_SEC));
	rate_wait(&rate, true, 100, t + 100 * CLOCK_SEC);
	assert_false(rate_is_below(&rate, 500, RATE_GRACE_NS, 100, t + 101 * CLOCK_SEC));
	assert_true(rate_is_below(&rate, 500, RATE_GRACE_NS, 100, t + 102 * CLOCK_SEC));
}

/* Who is asked sooner is asked for the same. */
static void a_shorter_grace_is_sooner_over(void **state)
{
	const uint64_t t = CLOCK_SEC, grace_ns = 2 * CLOCK_SEC;
	struct rate rate = {0};

	(void)state;
	rate_wait(&rate, true, 1000, t);
	assert_false(rate_is_below(&rate, 500, grace_ns, 1000, t + grace_ns));
	assert_true(rate_is_below(&rate, 500, grace_ns, 1000, t + grace_ns + 1));
	assert_false(rate_is_below(&rate, 500, RATE_GRACE_NS, 1000, t + grace_ns + 1));
	assert_true(rate_is_below(&rate, 500, grace_ns, 1000 + 1499, t + 3 * CLOCK_SEC));
	assert_false(rate_is_below(&rate, 500, grace_ns, 1000 + 1500, t + 3 * CLOCK_SEC));
	assert_false(rate_is_below(&rate, 0, grace_ns, 1000, t + 3 * CLOCK_SEC));
	rate_wait(&rate, false, 1000, t + 3 * CLOCK_SEC);
	assert_false(rate_is_below(&rate, 500, grace_ns, 1000, t + 60 * CLOCK_SEC));
}

/* At the moment at which the grace is over, which time that nobody waits for it does not use up;
 * from then on each second. */
static void a_rate_is_looked_at_when_its_grace_is_over(void **state)
{
	const uint64_t t = CLOCK_SEC, grace_ns = 2 * CLOCK_SEC;
	struct rate rate = {0};
	uint64_t next_ns;

	(void)state;
	rate_wait(&rate, true, 0, t);
	next_ns = rate_next_look_ns(&rate, grace_ns, t);
	assert_int_equal(next_ns, t + grace_ns + 1);
	assert_true(rate_is_below(&rate, 1, grace_ns, 0, next_ns));
	assert_false(rate_is_below(&rate, 1, grace_ns, 0, next_ns - 1));
	assert_int_equal(rate_next_look_ns(&rate, grace_ns, t + grace_ns - 1), next_ns);
	assert_int_equal(rate_next_look_ns(&rate, RATE_GRACE_NS, t + CLOCK_SEC),
			 t + RATE_GRACE_NS + 1);
	assert_int_equal(rate_next_look_ns(&rate, grace_ns, next_ns), next_ns + CLOCK_SEC);
	rate_wait(&rate, false, 0, t + CLOCK_SEC);
	rate_wait(&rate, true, 0, t + 10 * CLOCK_SEC);
	assert_int_equal(rate_next_look_ns(&rate, grace_ns, t + 10 * CLOCK_SEC),
			 t + 11 * CLOCK_SEC + 1);
}

static void a_reserve_is_kept_of_any_limit(void **state)
{
	struct reserve reserve = {.limit = 1024, .spare = -1};

	(void)state;
	assert_true(reserve_permits(&reserve, 959, 64));
	assert_false(reserve_permits(&reserve, 960, 64));
	/* Asking for more than half leaves half. */
	assert_true(reserve_permits(&reserve, 511, 65536));
	assert_false(reserve_permits(&reserve, 512, 65536));
}

static void a_lower_descriptor_is_taken_when_there_is_one(void **state)
{
	struct reserve reserve;
	int low, high, moved;

	(void)state;
	assert_int_equal(reserve_init(&reserve), 0);
	low = dup(0);
	high = dup(0);
	assert_true(reserve_used(&reserve) > (uint64_t)high);
	assert_int_equal(reserve_lower(high), high); /* nothing below it is free */
	close(low);
	assert_int_equal(reserve_used(&reserve), low);
	moved = reserve_lower(high);
	assert_int_equal(moved, low);
	assert_int_equal(fcntl(high, F_GETFD), -1);
	close(moved);
	reserve_destroy(&reserve);
}

static void the_spare_frees_a_descriptor(void **state)
{
	struct reserve reserve;
	int number;

	(void)state;
	assert_int_equal(reserve_init(&reserve), 0);
	number = reserve.spare;
	assert_true(number >= 0);
	reserve_lend(&reserve);
	assert_int_equal(fcntl(number, F_GETFD), -1);
	reserve_restore(&reserve);
	assert_true(fcntl(reserve.spare, F_GETFD) >= 0);
	reserve_destroy(&reserve);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_refusal_is_accounted_for),
		cmocka_unit_test(the_first_of_a_second_are_told),
		cmocka_unit_test(live_values_are_clamped),
		cmocka_unit_test(slow_is_slow_after_the_grace),
		cmocka_unit_test(only_waiting_counts),
		cmocka_unit_test(a_shorter_grace_is_sooner_over),
		cmocka_unit_test(a_rate_is_looked_at_when_its_grace_is_over),
		cmocka_unit_test(a_reserve_is_kept_of_any_limit),
		cmocka_unit_test(a_lower_descriptor_is_taken_when_there_is_one),
		cmocka_unit_test(the_spare_frees_a_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
