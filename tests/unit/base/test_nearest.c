/* SPDX-License-Identifier: BSD-2-Clause */
/* Slips of the pen are understood, other words are not taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/nearest.h"

static const char *meant(const char *word)
{
	static const char *const names[] = {"attach", "detach",          "status",          "set",
					    "get",    "source.syn_rate", "source.syn_burst"};
	struct nearest nearest = nearest_to(word);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		nearest_offer(&nearest, names[i]);
	return nearest.name;
}

static void test_slips_are_understood(void **state)
{
	(void)state;
	assert_string_equal(meant("stauts"), "status");
	assert_string_equal(meant("atach"), "attach");
	assert_string_equal(meant("dettach"), "detach");
	assert_string_equal(meant("source.syn_rte"), "source.syn_rate");
	assert_string_equal(meant("source.synburst"), "source.syn_burst");
}

static void test_of_equals_the_first(void **state)
{
	(void)state;
	assert_string_equal(meant("et"), "set");
}

static void test_other_words_are_none(void **state)
{
	char longest[200];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_null(meant("frobnicate"));
	assert_null(meant(""));
	assert_null(meant(longest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slips_are_understood),
		cmocka_unit_test(test_of_equals_the_first),
		cmocka_unit_test(test_other_words_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
