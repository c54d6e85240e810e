/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Appending to a buffer of fixed size. What no longer fits is left out and remembered: a writer
 * appends everything, then asks once.
 */
#ifndef HTTP_OUT_H
#define HTTP_OUT_H

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include "proxy/http/http.h"

struct http_out {
	char *at, *start, *end;
	bool full;
};

static inline struct http_out http_out(char *buffer, size_t capacity)
{
	return (struct http_out){.at = buffer, .start = buffer, .end = buffer + capacity};
}

static inline void http_put(struct http_out *out, const char *data, size_t length)
{
	if ((size_t)(out->end - out->at) < length) {
		out->full = true;
		return;
	}
	memcpy(out->at, data, length);
	out->at += length;
}

static inline void http_put_slice(struct http_out *out, struct http_slice slice)
{
	http_put(out, slice.at, slice.length);
}

/* A string literal. */
#define http_put_text(out, text) http_put(out, "" text, sizeof(text) - 1)

static inline void http_put_number(struct http_out *out, uint64_t number)
{
	char digits[20], *at = digits + sizeof(digits);

	do
		*--at = (char)('0' + number % 10);
	while (number /= 10);
	http_put(out, at, (size_t)(digits + sizeof(digits) - at));
}

/* What a writer returns. */
static inline int http_out_length(const struct http_out *out)
{
	return out->full ? -ENOSPC : (int)(out->at - out->start);
}

#endif
