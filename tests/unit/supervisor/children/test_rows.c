/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows of the board: as many generations as fit, and never two on one row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "supervisor/children/rows.h"

static void test_as_many_generations_as_fit(void **state)
{
	struct rows rows = {0};
	struct row_range range;

	(void)state;
	for (uint32_t i = 0; i < FW_WORKERS_MAX / 4; i++) {
		assert_true(rows_take(&rows, 4, &range));
		assert_int_equal(range.first, 4 * i);
		assert_int_equal(range.count, 4);
	}
	assert_false(rows_take(&rows, 1, &range));
}

static void test_what_is_given_back_is_taken_again(void **state)
{
	struct rows rows = {0};
	struct row_range first, second, third, again;

	(void)state;
	assert_true(rows_take(&rows, 16, &first));
	assert_true(rows_take(&rows, 2, &second));
	assert_true(rows_take(&rows, 16, &third));
	rows_give(&rows, second);
	assert_true(rows_take(&rows, 3, &again)); /* too many for the gap */
	assert_int_equal(again.first, 34);
	assert_true(rows_take(&rows, 2, &again));
	assert_int_equal(again.first, second.first);
}

/* Whatever else drains, and wherever the serving generation lies: ending those that drain makes
 * room for one of the most threads that the configuration allows. */
static void test_one_that_serves_leaves_room_for_another(void **state)
{
	(void)state;
	for (uint32_t first = 0; first + 16 <= FW_WORKERS_MAX; first++) {
		struct rows rows = {0};
		struct row_range range;

		assert_true(rows_claim(&rows, (struct row_range){first, 16}));
		assert_true(rows_take(&rows, 16, &range));
	}
}

static void test_nonsense_is_refused(void **state)
{
	struct rows rows = {0};
	struct row_range range;

	(void)state;
	assert_false(rows_take(&rows, 0, &range));
	assert_false(rows_take(&rows, FW_WORKERS_MAX + 1, &range));
	assert_false(rows_claim(&rows, (struct row_range){FW_WORKERS_MAX - 1, 2}));
	assert_false(rows_claim(&rows, (struct row_range){UINT32_MAX, 2}));
	assert_int_equal(rows.taken, 0);
	assert_true(rows_take(&rows, FW_WORKERS_MAX, &range));
	assert_false(rows_claim(&rows, (struct row_range){3, 1}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_many_generations_as_fit),
		cmocka_unit_test(test_what_is_given_back_is_taken_again),
		cmocka_unit_test(test_one_that_serves_leaves_room_for_another),
		cmocka_unit_test(test_nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
