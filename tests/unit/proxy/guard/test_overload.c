// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "proxy/guard/overload.h"

#define START (100 * CLOCK_SEC)

static struct overload overload;
static uint64_t now_ns;

static int begin(void **state)
{
	(void)state;
	memset(&overload, 0, sizeof(overload));
	now_ns = START;
	return 0;
}

/* The level is so much, for so long. */
static void assert_stage(enum overload_input input, uint16_t level, uint64_t after_ns,
			 enum overload_stage expected)
{
	overload.level[input] = level;
	now_ns += after_ns;
	overload_update(&overload, now_ns);
	assert_int_equal(overload.stage, expected);
}

static void a_stage_begins_at_its_threshold_and_at_once(void **state)
{
	(void)state;
	assert_stage(OVERLOAD_CONNECTIONS, 79, 0, OVERLOAD_NONE);
	assert_stage(OVERLOAD_CONNECTIONS, 80, 0, OVERLOAD_CLOSE);
	assert_stage(OVERLOAD_CONNECTIONS, 85, 0, OVERLOAD_SHORTEN);
	assert_stage(OVERLOAD_CONNECTIONS, 95, 0, OVERLOAD_EVICT);
	assert_stage(OVERLOAD_MEMORY, 95, 0, OVERLOAD_REFUSE);
	assert_stage(OVERLOAD_MEMORY, 98, 0, OVERLOAD_PAUSE);
}

/* Whoever likes can hold connections and descriptors: no level of theirs refuses newcomers. */
static void a_hoard_alone_refuses_nobody(void **state)
{
	(void)state;
	assert_stage(OVERLOAD_CONNECTIONS, 100, 0, OVERLOAD_EVICT);
	assert_stage(OVERLOAD_DESCRIPTORS, OVERLOAD_LEVEL_MAX, 0, OVERLOAD_EVICT);
	assert_stage(OVERLOAD_QUEUE, 100, 0, OVERLOAD_EVICT);
}

static void stages_end_one_by_one_and_late(void **state)
{
	(void)state;
	assert_stage(OVERLOAD_MEMORY, 99, 0, OVERLOAD_PAUSE);
	assert_stage(OVERLOAD_MEMORY, 0, OVERLOAD_HOLD_NS - 1, OVERLOAD_PAUSE);
	assert_stage(OVERLOAD_MEMORY, 0, 1, OVERLOAD_REFUSE);
	assert_stage(OVERLOAD_MEMORY, 0, OVERLOAD_HOLD_NS - 1, OVERLOAD_REFUSE);
	assert_stage(OVERLOAD_MEMORY, 0, 1, OVERLOAD_EVICT);
	assert_stage(OVERLOAD_MEMORY, 0, OVERLOAD_HOLD_NS, OVERLOAD_SHORTEN);
	assert_stage(OVERLOAD_MEMORY, 0, OVERLOAD_HOLD_NS, OVERLOAD_CLOSE);
	assert_stage(OVERLOAD_MEMORY, 0, OVERLOAD_HOLD_NS, OVERLOAD_NONE);
}

/* Around a threshold a stage does not come and go: it stays within the margin below … */
static void within_the_margin_a_stage_stays(void **state)
{
	(void)state;
	assert_stage(OVERLOAD_CONNECTIONS, 81, 0, OVERLOAD_CLOSE);
	for (int i = 0; i < 10; i++)
		assert_stage(OVERLOAD_CONNECTIONS, 80 - OVERLOAD_MARGIN, OVERLOAD_HOLD_NS,
			     OVERLOAD_CLOSE);
	assert_stage(OVERLOAD_CONNECTIONS, 80 - OVERLOAD_MARGIN - 1, OVERLOAD_HOLD_NS,
		     OVERLOAD_NONE);
}

/* … and as long as the level comes back within the hold. */
static void a_short_dip_ends_nothing(void **state)
{
	(void)state;
	assert_stage(OVERLOAD_CONNECTIONS, 81, 0, OVERLOAD_CLOSE);
	for (int i = 0; i < 10; i++) {
		assert_stage(OVERLOAD_CONNECTIONS, 10, OVERLOAD_HOLD_NS / 2, OVERLOAD_CLOSE);
		assert_stage(OVERLOAD_CONNECTIONS, 81, OVERLOAD_HOLD_NS / 4, OVERLOAD_CLOSE);
	}
}

static void what_happened_counts_beside_the_levels(void **state)
{
	(void)state;
	overload_raise(&overload, OVERLOAD_REFUSE, now_ns);
	assert_int_equal(overload.stage, OVERLOAD_REFUSE);
	assert_int_equal(overload.measured, OVERLOAD_NONE);
	overload_raise(&overload, OVERLOAD_CLOSE, now_ns); /* less than what is already raised */
	assert_stage(OVERLOAD_CONNECTIONS, 96, OVERLOAD_HOLD_NS - 1, OVERLOAD_REFUSE);
	assert_stage(OVERLOAD_CONNECTIONS, 96, 1, OVERLOAD_EVICT);
}

static void levels_are_percent_of_what_there_is(void **state)
{
	(void)state;
	assert_int_equal(overload_level(0, 100), 0);
	assert_int_equal(overload_level(1999, 2000), 99);
	assert_int_equal(overload_level(UINT64_MAX / 2, UINT64_MAX), 50);
	assert_int_equal(overload_level(5, 0), 0);
	assert_int_equal(overload_level(UINT64_MAX, 1), OVERLOAD_LEVEL_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_stage_begins_at_its_threshold_and_at_once, begin),
		cmocka_unit_test_setup(a_hoard_alone_refuses_nobody, begin),
		cmocka_unit_test_setup(stages_end_one_by_one_and_late, begin),
		cmocka_unit_test_setup(within_the_margin_a_stage_stays, begin),
		cmocka_unit_test_setup(a_short_dip_ends_nothing, begin),
		cmocka_unit_test_setup(what_happened_counts_beside_the_levels, begin),
		cmocka_unit_test(levels_are_percent_of_what_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
