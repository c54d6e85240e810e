/* SPDX-License-Identifier: BSD-2-Clause */
/* What a request may be called; the traceparents are those of W3C Trace Context's own text. */
#include "rows.h"

#define TRACE  "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"

static bool is_trace(const char *text)
{
	char *exact = feed_copy(text, strlen(text));
	bool valid = http_traceparent_valid((struct http_slice){exact, (uint32_t)strlen(text)});

	free(exact);
	return valid;
}

static void traceparents(void **state)
{
	(void)state;
	assert_true(is_trace("00-" TRACE "-" PARENT "-01"));
	assert_true(is_trace("00-" TRACE "-" PARENT "-ff"));
	assert_true(is_trace("cc-" TRACE "-" PARENT "-01"));
	assert_true(is_trace("cc-" TRACE "-" PARENT "-01-what-the-future-will-be"));
	assert_false(is_trace("00-" TRACE "-" PARENT "-01-what-the-future-will-be"));
	assert_false(is_trace("cc-" TRACE "-" PARENT "-01."));
	assert_false(is_trace("ff-" TRACE "-" PARENT "-01"));
	assert_false(is_trace("00-" TRACE "-0000000000000000-01"));
	assert_false(is_trace("00-00000000000000000000000000000000-" PARENT "-01"));
	assert_false(is_trace("00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01"));
	assert_false(is_trace("00-" TRACE "-" PARENT "-0"));
	assert_false(is_trace("00-" TRACE "-" PARENT "-0x"));
	assert_false(is_trace("00_" TRACE "-" PARENT "-01"));
	assert_false(is_trace(""));
}

static void made_traceparents(void **state)
{
	uint8_t random[24] = {0};
	char text[HTTP_TRACEPARENT_LENGTH + 1] = "";

	(void)state;
	http_traceparent_make(text, random, true);
	assert_string_equal(text, "00-01000000000000000000000000000000-0100000000000000-01");
	assert_true(is_trace(text));
	memset(random, 0xfe, sizeof(random));
	http_traceparent_make(text, random, false);
	assert_string_equal(text, "00-fffefefefefefefefefefefefefefefe-fffefefefefefefe-00");
}

static void request_ids(void **state)
{
	char text[HTTP_REQUEST_ID_MAX + 1];
	int taken = 0;

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_true(http_request_id_valid((struct http_slice){text, HTTP_REQUEST_ID_MAX}));
	assert_false(http_request_id_valid((struct http_slice){text, HTTP_REQUEST_ID_MAX + 1}));
	assert_false(http_request_id_valid((struct http_slice){text, 0}));
	for (int byte = 0; byte < 256; byte++) {
		text[3] = (char)byte;
		taken += http_request_id_valid((struct http_slice){text, 8});
	}
	assert_int_equal(taken, 62 + 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(traceparents),
		cmocka_unit_test(made_traceparents),
		cmocka_unit_test(request_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
