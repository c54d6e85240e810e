// SPDX-License-Identifier: BSD-2-Clause
/* Caps, and retries as a share of live traffic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/clock.h"
#include "proxy/upstream/capacity/breaker.h"

#define NOON (12 * 3600 * CLOCK_SEC)

static const struct config_retry policy = {.budget = 20, .minimum = 3};

static int spend_all(struct retry_budget *budget, const struct config_retry *by, uint32_t threads,
		     uint64_t now_ns)
{
	int spent = 0;

	while (spent < 10000 && retry_budget_spend(budget, by, threads, now_ns))
		spent++;
	return spent;
}

static void a_cap_holds(void **state)
{
	atomic_uint count = 0;

	(void)state;
	assert_true(breaker_enter(&count, 2));
	assert_true(breaker_enter(&count, 2));
	assert_false(breaker_enter(&count, 2));
	assert_true(breaker_enter(&count, 0));
	breaker_leave(&count);
	breaker_leave(&count);
	assert_true(breaker_enter(&count, 2));
}

static void retries_are_a_share_of_the_requests(void **state)
{
	struct retry_budget budget = {0};

	(void)state;
	for (int i = 0; i < 1000; i++)
		retry_budget_earn(&budget, NOON + (uint64_t)i * 9 * CLOCK_MS);
	assert_int_equal(spend_all(&budget, &policy, 1, NOON + 9 * CLOCK_SEC), 200);
}

/* However few requests there are. */
static void a_few_are_always_allowed(void **state)
{
	struct retry_budget budget = {0};

	(void)state;
	assert_int_equal(spend_all(&budget, &policy, 1, NOON), 30);
	assert_int_equal(spend_all(&budget, &policy, 1, NOON + CLOCK_SEC), 0);
	budget = (struct retry_budget){0};
	assert_int_equal(spend_all(&budget, &policy, 2, NOON), 15);
}

static void none_are_allowed_where_none_are_wanted(void **state)
{
	const struct config_retry none = {0};
	struct retry_budget budget = {0};

	(void)state;
	for (int i = 0; i < 1000; i++)
		retry_budget_earn(&budget, NOON);
	assert_int_equal(spend_all(&budget, &none, 1, NOON), 0);
}

/* What was earned and spent counts for ten seconds, to the second. */
static void the_window_moves_on(void **state)
{
	const struct config_retry half = {.budget = 50};
	struct retry_budget budget = {0};

	(void)state;
	for (uint64_t second = 0; second < 10; second++)
		for (int i = 0; i < 10; i++)
			retry_budget_earn(&budget, NOON + second * CLOCK_SEC);
	assert_int_equal(spend_all(&budget, &half, 1, NOON + 9 * CLOCK_SEC), 50);
	/* A second's ten requests are forgotten, none of the retries. */
	assert_int_equal(spend_all(&budget, &half, 1, NOON + 10 * CLOCK_SEC), 0);
	retry_budget_earn(&budget, NOON + 18 * CLOCK_SEC);
	retry_budget_earn(&budget, NOON + 19 * CLOCK_SEC);
	assert_int_equal(spend_all(&budget, &half, 1, NOON + 19 * CLOCK_SEC), 1);
	/* Nothing at all for a long time. */
	assert_int_equal(spend_all(&budget, &half, 1, NOON + 300 * CLOCK_SEC), 0);
	retry_budget_earn(&budget, NOON + 300 * CLOCK_SEC);
	retry_budget_earn(&budget, NOON + 300 * CLOCK_SEC);
	assert_int_equal(spend_all(&budget, &half, 1, NOON + 300 * CLOCK_SEC), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cap_holds),
		cmocka_unit_test(retries_are_a_share_of_the_requests),
		cmocka_unit_test(a_few_are_always_allowed),
		cmocka_unit_test(none_are_allowed_where_none_are_wanted),
		cmocka_unit_test(the_window_moves_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
