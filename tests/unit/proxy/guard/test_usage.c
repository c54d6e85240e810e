// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "base/clock.h"
#include "proxy/guard/usage.h"

#define HASH(n) ((uint64_t)(n)*0x9e3779b97f4a7c15ULL)

static struct usage usage;
static const struct tally_place one = {{4711, 815}}, another = {{4711, 816}};

static int begin(void **state)
{
	(void)state;
	memset(&usage, 0, sizeof(usage));
	return 0;
}

/* Handshakes so far apart that each has @ns of the source's share; how many until @level, at most
 * 10,000. */
static unsigned int handshakes_until(unsigned int level, uint64_t apart_ns)
{
	uint64_t now_ns = CLOCK_SEC;
	unsigned int count = 0;

	for (; count < 10000 && usage_level(&usage, one, now_ns) < level; count++) {
		usage_charge(&usage, one, USAGE_HANDSHAKE, now_ns);
		now_ns += apart_ns;
	}
	return count;
}

static void a_part_is_for_ever(void **state)
{
	(void)state;
	assert_int_equal(handshakes_until(2, USAGE_HANDSHAKE * 2048 * 1050ULL), 10000);
	/* A newcomer's connection, its handshake and a few requests are not beyond it. */
	begin(NULL);
	usage_charge(&usage, one, USAGE_CONNECTION, CLOCK_SEC);
	usage_charge(&usage, one, USAGE_HANDSHAKE, CLOCK_SEC);
	for (int i = 0; i < 20; i++)
		usage_charge(&usage, one, USAGE_EVENT, CLOCK_SEC);
	assert_int_equal(usage_level(&usage, one, CLOCK_SEC), 0);
}

static void what_is_beyond_is_remembered(void **state)
{
	unsigned int counted[USAGE_LEVELS];

	(void)state;
	for (unsigned int level = 1; level < USAGE_LEVELS; level++) {
		begin(NULL);
		counted[level] = handshakes_until(level, 0);
		if (level > 2)
			assert_in_range(counted[level], 2 * counted[level - 1] - 2,
					2 * counted[level - 1] + 1);
	}
	assert_in_range(counted[USAGE_LEVELS - 1], 160, 170);
}

static void it_is_forgotten(void **state)
{
	uint64_t now_ns = 100 * CLOCK_SEC;
	unsigned int before = USAGE_LEVELS - 1;

	(void)state;
	for (int i = 0; i < 100000; i++)
		usage_charge(&usage, one, USAGE_HANDSHAKE, now_ns);
	/* However much it was: there is a most. */
	for (int second = 0; second < 300; second++) {
		unsigned int level =
			usage_level(&usage, one, now_ns + (uint64_t)second * CLOCK_SEC);

		assert_true(level <= before);
		before = level;
	}
	assert_int_equal(before, 0);
	/* Nor does it come back when the table's moments wrap, for weeks. */
	for (uint64_t day = 1; day < 48; day++)
		assert_int_equal(usage_level(&usage, one, now_ns + day * 86400 * CLOCK_SEC), 0);
}

static void others_have_not_had_it(void **state)
{
	unsigned int wronged = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		usage_charge(&usage, one, USAGE_EVENT, CLOCK_SEC);
	assert_true(usage_level(&usage, one, CLOCK_SEC) > 3);
	assert_int_equal(usage_level(&usage, another, CLOCK_SEC), 0);
	/* Five thousand who have had much, and ten thousand others. */
	for (uint64_t n = 1; n <= 5000; n++)
		for (int i = 0; i < 10; i++)
			usage_charge(&usage, tally_place(HASH(n)), USAGE_HANDSHAKE, CLOCK_SEC);
	for (uint64_t n = 100001; n <= 110000; n++)
		wronged += usage_level(&usage, tally_place(HASH(n)), CLOCK_SEC) > 0;
	assert_in_range(wronged, 0, 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_part_is_for_ever, begin),
		cmocka_unit_test_setup(what_is_beyond_is_remembered, begin),
		cmocka_unit_test_setup(it_is_forgotten, begin),
		cmocka_unit_test_setup(others_have_not_had_it, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
