/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The caps on a head: each lets as much pass as it says, and stops as soon as there is more.
 */
#include "rows.h"

#define GET        "GET / HTTP/1.1\r\n"
#define HOST       "Host: a\r\n"
#define END        "\r\n"
#define LINE(text) text HOST END
#define WITH(text) GET HOST text "\r\n" END

/* A limit of n lets n pass and stops at n + 1, as soon as that is clear. */
static void limits(void **state)
{
	static const struct http_limits small = {
		.target = 4, .header = 64, .fields = 2, .body = 10};
	static const struct row rows[] = {
		ROW("target of 4", 0, LINE("GET /abc HTTP/1.1\r\n")),
		EARLY("target of 5", FW_TARGET_TOO_LONG, 9, LINE("GET /abcd HTTP/1.1\r\n")),
		EARLY("long target with garbage", FW_TARGET_TOO_LONG, 9, "GET /abcd\0"),
		EARLY("garbage in the byte over the limit", FW_BAD_REQUEST_LINE, 9, "GET /abc\0"),
		ROW("2 fields", 0, WITH("A: b")),
		EARLY("3 fields", FW_TOO_MANY_FIELDS, 32, WITH("A: b\r\nC: d")),
		ROW("head of 64", 0, WITH("A: 45678901234567890123456789012345")),
		EARLY("head of 65", FW_HEADER_TOO_LARGE, 64,
		      WITH("A: 456789012345678901234567890123456")),
		EARLY("head without end", FW_HEADER_TOO_LARGE, 64,
		      GET HOST "A: 45678901234567890123456789012345678901234567890\0"),
		ROW("body of 10", 0, WITH("Content-Length: 10")),
		ROW("body of 11", FW_BODY_TOO_LARGE, WITH("Content-Length: 11")),
	};

	(void)state;
	rows_check(rows, COUNT(rows), &small);
}

/* The same for a single field. */
static void field_limits(void **state)
{
	static const struct http_limits small = {
		.target = 99, .header = 999, .field = 12, .fields = 9};
	static const struct row rows[] = {
		ROW("field of 12", 0,
		    LINE("GET / HTTP/1.1\r\n"
			 "A: 456789012\r\n")),
		ROW("field of 13", FW_FIELD_TOO_LARGE,
		    LINE("GET / HTTP/1.1\r\n"
			 "A: 4567890123\r\n")),
		EARLY("field of 13, clear at its last byte", FW_FIELD_TOO_LARGE, 29,
		      GET "A: 4567890123\0"),
		EARLY("name of 13", FW_FIELD_TOO_LARGE, 29, GET "ABCDEFGHIJKLM\0"),
		EARLY("white space of 12", FW_FIELD_TOO_LARGE, 29, GET "A:           \0"),
		EARLY("garbage in the byte over the limit", FW_BAD_FIELD, 29, GET "A: 456789012\0"),
	};

	(void)state;
	rows_check(rows, COUNT(rows), &small);
}

static void cookies(void **state)
{
	static const struct http_limits small = {
		.target = 99, .header = 999, .fields = 9, .cookies = 3};
	static const struct row rows[] = {
		ROW("3 cookies in two fields", 0, LINE(GET "Cookie: a;b\r\nCookie: c\r\n")),
		ROW("3 cookies, a semicolon at the end", 0, LINE(GET "Cookie: a;b;c;\r\n")),
		ROW("4 cookies", FW_TOO_MANY_COOKIES, LINE(GET "Cookie: a;b;;d\r\n")),
		ROW("4 cookies in two fields", FW_TOO_MANY_COOKIES,
		    LINE(GET "Cookie: a;b\r\ncookie: c;d\r\n")),
		ROW("empty cookies count", FW_TOO_MANY_COOKIES, LINE(GET "Cookie: ;;;;\r\n")),
	};

	(void)state;
	rows_check(rows, COUNT(rows), &small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits),
		cmocka_unit_test(field_limits),
		cmocka_unit_test(cookies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
