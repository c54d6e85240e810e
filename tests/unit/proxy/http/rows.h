/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of payloads and what must become of them. Each row is given whole, cut in two at every
 * place, and byte by byte; the result must be the same each time.
 */
#ifndef TEST_PROXY_HTTP_ROWS_H
#define TEST_PROXY_HTTP_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include "../../../fuzz/common/http_feed.h"

struct row {
	const char *what;
	const char *data;
	size_t length;
	int expected; /* 0: taken; else the verdict */
	size_t taken; /* bytes after which the verdict was clear; 0: not said */
};

#define ROW(what, expected, text)                                                                  \
	{                                                                                          \
		what, text, sizeof(text) - 1, expected, 0                                          \
	}
#define EARLY(what, expected, n, text)                                                             \
	{                                                                                          \
		what, text, sizeof(text) - 1, expected, n                                          \
	}
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct http_limits row_limits = {.target = 8192, .header = 65536, .fields = 100};

static const char *const verdict_names[] = {
	"taken",
#define FW_VERDICT(id, label, action, status, fault, text) label,
#include "verdicts.def"
#undef FW_VERDICT
};

/* "partial", "taken", or the verdict's label. */
static inline const char *result_name(int64_t result)
{
	return result == 0 ? "partial" : result > 0 ? "taken" : verdict_names[-result];
}

static inline void row_check_one(const struct row *row, const struct http_limits *limits,
				 size_t first, size_t step)
{
	static struct http_request whole, pieces;
	size_t taken;
	int one = feed_request(&whole, row->data, row->length, limits, row->length, 1, &taken);
	int other = feed_request(&pieces, row->data, row->length, limits, first, step, &taken);

	if (row->expected ? one != -row->expected : one != (int)row->length)
		fail_msg("%s: %s, expected %s", row->what, result_name(one),
			 verdict_names[row->expected]);
	if (one != other)
		fail_msg("%s: %s whole, but %s when cut at %zu, then each %zu", row->what,
			 result_name(one), result_name(other), first, step);
	if (one > 0 && !request_same(&whole, &pieces))
		fail_msg("%s: understood differently when cut at %zu", row->what, first);
	if (row->taken && step == 1 && taken != row->taken)
		fail_msg("%s: clear after %zu bytes, expected %zu", row->what, taken, row->taken);
}

static inline void rows_check(const struct row *rows, size_t count,
			      const struct http_limits *limits)
{
	size_t i, cut;

	for (i = 0; i < count; i++) {
		for (cut = 0; cut < rows[i].length; cut++)
			row_check_one(&rows[i], limits, cut, rows[i].length);
		row_check_one(&rows[i], limits, 0, 1);
	}
}

#endif
