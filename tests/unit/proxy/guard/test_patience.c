// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "proxy/guard/patience.h"

enum { RATE = 10, BURST = 100 };

static void what_is_spent_at_once_is_the_burst(void **state)
{
	struct patience patience = {0};

	(void)state;
	for (int i = 0; i < BURST; i++)
		assert_true(patience_bear(&patience, 1, RATE, BURST, CLOCK_SEC));
	assert_false(patience_bear(&patience, 1, RATE, BURST, CLOCK_SEC));
}

static void it_is_forgiven_at_the_rate(void **state)
{
	struct patience patience = {0};

	(void)state;
	assert_true(patience_bear(&patience, BURST, RATE, BURST, CLOCK_SEC));
	assert_true(patience_bear(&patience, RATE, RATE, BURST, 2 * CLOCK_SEC));
	assert_false(patience_bear(&patience, 1, RATE, BURST, 2 * CLOCK_SEC));
	/* Who sends slower than the rate is borne for ever. */
	patience = (struct patience){0};
	for (uint64_t second = 1; second < 1000; second++)
		assert_true(patience_bear(&patience, RATE, RATE, BURST, second * CLOCK_SEC));
}

static void a_price_above_the_burst_is_never_borne(void **state)
{
	struct patience patience = {0};

	(void)state;
	assert_false(patience_bear(&patience, BURST + 1, RATE, BURST, CLOCK_SEC));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_spent_at_once_is_the_burst),
		cmocka_unit_test(it_is_forgiven_at_the_rate),
		cmocka_unit_test(a_price_above_the_burst_is_never_borne),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
