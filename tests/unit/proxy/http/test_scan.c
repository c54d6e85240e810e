/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scanners by vector and by table must stop at the same byte: each byte value, at each place of
 * a run, at each alignment, with nothing readable behind.
 */
#include "rows.h"
#include "proxy/http/scan.h"

typedef const char *scanner(const char *at, const char *end);

static void compare(scanner *scan, uint8_t class, char filler)
{
	enum { LENGTH = 40 };
	char *copy;
	const char *one, *other;
	int byte, place, length;

	for (length = 0; length <= LENGTH; length++) {
		for (place = 0; place < length; place++) {
			char text[LENGTH];

			memset(text, filler, sizeof(text));
			for (byte = 0; byte < 256; byte++) {
				text[place] = (char)byte;
				copy = feed_copy(text, (size_t)length);
				one = scan(copy, copy + length);
				other = http_scan_table(copy, copy + length, class);
				if (one != other)
					fail_msg("byte %d at %d of %d: stops at %td, table at %td",
						 byte, place, length, one - copy, other - copy);
				free(copy);
			}
		}
	}
}

static void tokens(void **state)
{
	(void)state;
	compare(http_scan_token, HTTP_BYTE_TOKEN, 'q');
	compare(http_scan_token, HTTP_BYTE_TOKEN, '_');
}

static void targets(void **state)
{
	(void)state;
	compare(http_scan_target, HTTP_BYTE_TARGET, '/');
}

static void values(void **state)
{
	(void)state;
	compare(http_scan_value, HTTP_BYTE_VALUE, ' ');
	compare(http_scan_value, HTTP_BYTE_VALUE, '\t');
}

/* What a path's scanner stops at depends on the byte before, too. */
static void paths(void **state)
{
	static const char seen[] = "/.%\\?x";
	char text[40], *copy;
	const char *one, *other;
	int length, place, before, byte;

	(void)state;
	for (length = 2; length <= (int)sizeof(text); length++)
		for (place = 1; place < length; place++)
			for (before = 0; seen[before]; before++)
				for (byte = 0; seen[byte]; byte++) {
					memset(text, 'x', sizeof(text));
					text[place - 1] = seen[before];
					text[place] = seen[byte];
					copy = feed_copy(text, (size_t)length);
					one = http_scan_path(copy + 1, copy + length);
					other = http_scan_path_table(copy + 1, copy + length);
					if (one != other)
						fail_msg("%.*s: stops at %td, table at %td", length,
							 text, one - copy, other - copy);
					free(copy);
				}
}

/* The table against the grammar. */
static void table(void **state)
{
	int byte;
	bool letter_digit;

	(void)state;
	for (byte = 0; byte < 256; byte++) {
		letter_digit = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
			       (byte >= 'a' && byte <= 'z');
		assert_int_equal(!!(http_bytes[byte] & HTTP_BYTE_TOKEN),
				 letter_digit || (byte && strchr("!#$%&'*+-.^_`|~", byte)));
		assert_int_equal(!!(http_bytes[byte] & HTTP_BYTE_TARGET),
				 byte > 0x20 && byte < 0x7f && byte != '#');
		assert_int_equal(!!(http_bytes[byte] & HTTP_BYTE_VALUE),
				 byte == '\t' || (byte >= 0x20 && byte != 0x7f));
		assert_int_equal(!!(http_bytes[byte] & HTTP_BYTE_HOST),
				 letter_digit || (byte && strchr("-._", byte)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens), cmocka_unit_test(targets), cmocka_unit_test(values),
		cmocka_unit_test(paths),  cmocka_unit_test(table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
