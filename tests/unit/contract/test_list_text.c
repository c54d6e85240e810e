/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of prefixes as text: what a line may be, and what is said of one that may not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "contract/address.h"
#include "contract/list_text.h"

#define NOW 1000

static struct fw_listed *entries;
static size_t count;
static struct error error;

static int read_bytes(const char *bytes, size_t size, uint64_t seconds)
{
	struct list_text text = {.name = "list.txt", .now_s = NOW, .seconds = seconds};
	FILE *file = fmemopen((void *)bytes, size, "r");
	int result;

	assert_non_null(file);
	free(entries);
	result = list_text_read(&text, file, &entries, &count, &error);
	fclose(file);
	return result;
}

static int read_text(const char *text)
{
	return read_bytes(text, strlen(text), 0);
}

static void assert_entry(size_t i, const char *text, uint32_t expires_s)
{
	struct fw_prefix prefix = {entries[i].length, entries[i].addr};
	char buffer[ADDRESS_TEXT_SIZE];

	assert_string_equal(prefix_format(&prefix, buffer), text);
	assert_int_equal(entries[i].expires_s, expires_s);
}

static void addresses_and_blocks_a_line_each(void **state)
{
	(void)state;
	assert_int_equal(read_text("192.0.2.1\n10.0.0.0/8\n2001:db8::/32\n::1\n0.0.0.0/0"), 0);
	assert_int_equal(count, 5);
	assert_entry(0, "192.0.2.1", 0);
	assert_entry(1, "10.0.0.0/8", 0);
	assert_entry(2, "2001:db8::/32", 0);
	assert_entry(3, "::1", 0);
	assert_entry(4, "0.0.0.0/0", 0);
}

static void comments_and_space_are_nothing(void **state)
{
	(void)state;
	assert_int_equal(read_text("# a list\n\n; of Spamhaus's kind\n1.10.16.0/20 ; SBL256894\r\n"
				   "\t 192.0.2.1#x\n   \n"),
			 0);
	assert_int_equal(count, 2);
	assert_entry(0, "1.10.16.0/20", 0);
	assert_entry(1, "192.0.2.1", 0);
	assert_int_equal(read_text("# nothing\n"), 0);
	assert_int_equal(count, 0);
}

static void a_line_may_say_for_how_long(void **state)
{
	const char *text = "192.0.2.1 10m\n192.0.2.2\n192.0.2.3\t1500ms # rounded up\n";

	(void)state;
	assert_int_equal(read_text(text), 0);
	assert_entry(0, "192.0.2.1", NOW + 600);
	assert_entry(1, "192.0.2.2", 0);
	assert_entry(2, "192.0.2.3", NOW + 2);
	assert_int_equal(read_bytes(text, strlen(text), 3600), 0);
	assert_entry(0, "192.0.2.1", NOW + 600);
	assert_entry(1, "192.0.2.2", NOW + 3600);
}

static void every_bad_line_is_named_and_nothing_is_given(void **state)
{
	(void)state;
	assert_int_equal(read_text("192.0.2.1\nfoo\n192.0.2.1/24\n\n192.0.2.1 10\n192.0.2.1 1h x\n"
				   "::/0\n192.0.2.1 0s\n10.0.0.0/33\n"),
			 -EINVAL);
	assert_null(entries);
	assert_int_equal(count, 0);
	assert_non_null(strstr(error.text, "list.txt:2: \"foo\""));
	assert_non_null(strstr(error.text, "\nlist.txt:3: "));
	assert_non_null(strstr(error.text, "did you mean 192.0.2.0/24?"));
	for (int line = 5; line <= 9; line++) {
		char name[32];

		snprintf(name, sizeof(name), "\nlist.txt:%d: ", line);
		assert_non_null(strstr(error.text, name));
	}
	assert_null(strstr(error.text, "list.txt:1:"));
	assert_null(strstr(error.text, "list.txt:4:"));
}

static void many_bad_lines_are_counted(void **state)
{
	char text[15 * 4 + 1] = "";

	(void)state;
	for (int i = 0; i < 15; i++)
		strcat(text, "bad\n");
	assert_int_equal(read_text(text), -EINVAL);
	assert_non_null(strstr(error.text, "list.txt:10: "));
	assert_null(strstr(error.text, "list.txt:11: "));
	assert_non_null(strstr(error.text, "and 5 more bad lines"));
}

static void bytes_that_are_no_text_are_refused(void **state)
{
	static const char nul[] = "192.0.2.1\0/8\n";
	char text[5000];

	(void)state;
	assert_int_equal(read_bytes(nul, sizeof(nul) - 1, 0), -EINVAL);
	assert_non_null(strstr(error.text, "list.txt:1: there is a NUL byte"));
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(read_text(text), -EINVAL);
	assert_true(strlen(error.text) < 400);
}

static void many_lines_keep_their_order(void **state)
{
	char *text = malloc(20000 * 16), *end = text;
	char expected[32];

	(void)state;
	assert_non_null(text);
	for (int i = 0; i < 20000; i++)
		end += sprintf(end, "10.0.%d.%d\n", i / 256, i % 256);
	assert_int_equal(read_text(text), 0);
	free(text);
	assert_int_equal(count, 20000);
	for (int i = 0; i < 20000; i += 999) {
		snprintf(expected, sizeof(expected), "10.0.%d.%d", i / 256, i % 256);
		assert_entry((size_t)i, expected, 0);
	}
}

static int end(void **state)
{
	(void)state;
	free(entries);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_and_blocks_a_line_each),
		cmocka_unit_test(comments_and_space_are_nothing),
		cmocka_unit_test(a_line_may_say_for_how_long),
		cmocka_unit_test(every_bad_line_is_named_and_nothing_is_given),
		cmocka_unit_test(many_bad_lines_are_counted),
		cmocka_unit_test(bytes_that_are_no_text_are_refused),
		cmocka_unit_test(many_lines_keep_their_order),
	};

	return cmocka_run_group_tests_name("list_text", tests, NULL, end);
}
