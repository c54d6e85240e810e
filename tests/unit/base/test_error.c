/* SPDX-License-Identifier: BSD-2-Clause */
/* Errors: context goes in front, what is too long is cut off at the end, nobody reading is fine. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/error.h"

static void set_replaces_and_returns_the_code(void **state)
{
	struct error error;

	(void)state;
	assert_int_equal(error_set(&error, -EINVAL, "first %d", 1), -EINVAL);
	assert_int_equal(error_set(&error, -ENOENT, "second %s", "x"), -ENOENT);
	assert_string_equal(error.text, "second x");
}

static void wrap_puts_context_in_front(void **state)
{
	struct error error;

	(void)state;
	error_set(&error, -EINVAL, "bad");
	assert_int_equal(error_wrap(&error, -EIO, "line %d", 7), -EIO);
	assert_int_equal(error_wrap(&error, -EIO, "file"), -EIO);
	assert_string_equal(error.text, "file: line 7: bad");
}

static void what_is_too_long_loses_its_end(void **state)
{
	char text[2 * ERROR_TEXT_SIZE];
	struct error error;

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set(&error, -EINVAL, "%s", text);
	assert_int_equal(strlen(error.text), ERROR_TEXT_SIZE - 1);
	error_wrap(&error, -EINVAL, "file");
	assert_int_equal(strlen(error.text), ERROR_TEXT_SIZE - 1);
	assert_memory_equal(error.text, "file: aaa", 9);
	error_wrap(&error, -EINVAL, "%s", text + ERROR_TEXT_SIZE);
	assert_int_equal(strlen(error.text), ERROR_TEXT_SIZE - 1);
}

static void nobody_reading_is_allowed(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, -EINVAL, "x"), -EINVAL);
	assert_int_equal(error_wrap(NULL, -EIO, "x"), -EIO);
}

static void every_line_is_printed_behind_its_prefix(void **state)
{
	char *printed;
	size_t size;
	FILE *file = open_memstream(&printed, &size);

	(void)state;
	assert_non_null(file);
	error_print_lines(file, "warning", "one\ntwo");
	error_print_lines(file, "warning", "three\n");
	error_print_lines(file, "warning", "");
	fclose(file);
	assert_string_equal(printed, "warning: one\nwarning: two\nwarning: three\n");
	free(printed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_replaces_and_returns_the_code),
		cmocka_unit_test(wrap_puts_context_in_front),
		cmocka_unit_test(what_is_too_long_loses_its_end),
		cmocka_unit_test(nobody_reading_is_allowed),
		cmocka_unit_test(every_line_is_printed_behind_its_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
