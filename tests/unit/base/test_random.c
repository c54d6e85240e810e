/* SPDX-License-Identifier: BSD-2-Clause */
/* Random bytes come anew each time, whatever is left of those that were fetched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/random.h"

enum { TIMES = 1000, LENGTH = 24 };

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, LENGTH);
}

static void no_two_are_alike(void **state)
{
	static uint8_t got[TIMES][LENGTH];
	struct random random = {.left = 0};
	uint32_t ones = 0;

	(void)state;
	for (int i = 0; i < TIMES; i++) {
		random_fill(&random, got[i], LENGTH);
		for (int j = 0; j < LENGTH; j++)
			ones += (uint32_t)__builtin_popcount(got[i][j]);
	}
	/* Half of 192,000 bits, and 20 standard deviations. */
	assert_in_range(ones, 96000 - 4400, 96000 + 4400);
	qsort(got, TIMES, LENGTH, compare);
	for (int i = 1; i < TIMES; i++)
		assert_memory_not_equal(got[i - 1], got[i], LENGTH);
}

static void lengths_vary(void **state)
{
	struct random random = {.left = 0};
	uint8_t out[256], zero[256] = {0};

	(void)state;
	for (size_t length = 32; length <= sizeof(out); length++) {
		memset(out, 0, sizeof(out));
		random_fill(&random, out, length);
		assert_memory_not_equal(out, zero, length);
		assert_memory_equal(out + length, zero, sizeof(out) - length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_two_are_alike),
		cmocka_unit_test(lengths_vary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
