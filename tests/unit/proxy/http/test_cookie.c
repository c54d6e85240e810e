// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "proxy/http/http.h"

/* Header fields of a request, and what its cookie "id" is then; "": there is none. */
static const struct {
	const char *fields, *id;
} rows[] = {
	{"", ""},
	{"Cookie: id=a\r\n", "a"},
	{"cookie: x=1; id=a; y=2\r\n", "a"},
	{"Cookie: x=1;id=a\r\n", "a"},
	{"Cookie: x=1;\t id = a b \t; y=2\r\n", "a b"},
	{"Cookie: id=a; id=b\r\n", "a"},
	{"Cookie: id=; id=b\r\n", "b"},
	{"Cookie: id=\r\n", ""},
	{"Cookie: id\r\n", ""},
	{"Cookie: ;;=; =a;id=b=c\r\n", "b=c"},
	{"Cookie: ID=a\r\n", ""},
	{"Cookie: xid=a; id2=b\r\n", ""},
	{"Cookie: \"id=a\"\r\n", ""},
	{"X-Cookie: id=a\r\n", ""},
	{"Cookie: x=1\r\nA: b\r\nCookie: id=a\r\nCookie: id=b\r\n", "a"},
};

static void a_cookie_is_found_by_its_name(void **state)
{
	static const struct http_limits limits = {8192, 65536, 0, 100, 0, 0};
	static struct http_request request;
	struct http_slice found;
	char data[256];
	int length;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		length = snprintf(data, sizeof(data), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n",
				  rows[i].fields);
		http_request_init(&request);
		assert_int_equal(http_request_parse(&request, data, (size_t)length, &limits),
				 length);
		found = http_cookie_find(&request.head, data, "id");
		if (found.length != strlen(rows[i].id) ||
		    (found.length && memcmp(found.at, rows[i].id, found.length)))
			fail_msg("row %zu: \"%.*s\"", i, (int)found.length, found.at);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_cookie_is_found_by_its_name)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
