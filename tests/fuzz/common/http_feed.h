/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feeding HTTP parsers as a network might: in pieces, and each time from another place in memory
 * whose end is the last byte's, so that AddressSanitizer sees any look beyond it. Unit tests and
 * fuzz targets share it.
 */
#ifndef FUZZ_COMMON_HTTP_FEED_H
#define FUZZ_COMMON_HTTP_FEED_H

#include <stdlib.h>
#include <string.h>
#include "proxy/http/http.h"

/* A copy of exactly @length bytes. */
static inline char *feed_copy(const void *data, size_t length)
{
	char *copy = malloc(length ? length : 1);

	if (!copy)
		abort();
	memcpy(copy, data, length);
	return copy;
}

/* Parses data[0..first), then @step bytes more at a time. @taken: bytes given when the result was
 * clear. */
static inline int feed_request(struct http_request *request, const void *data, size_t length,
			       const struct http_limits *limits, size_t first, size_t step,
			       size_t *taken)
{
	size_t given = first;
	char *copy;
	int result;

	http_request_init(request);
	for (;; given = length - given < step ? length : given + step) {
		copy = feed_copy(data, given);
		result = http_request_parse(request, copy, given, limits);
		free(copy);
		if (result != 0 || given == length)
			break;
	}
	*taken = given;
	return result;
}

static inline int feed_response(struct http_response *response, const void *data, size_t length,
				bool to_head, size_t first, size_t step, size_t *taken)
{
	size_t given = first;
	char *copy;
	int result;

	http_response_init(response);
	for (;; given = length - given < step ? length : given + step) {
		copy = feed_copy(data, given);
		result = http_response_parse(response, copy, given, to_head);
		free(copy);
		if (result != 0 || given == length)
			break;
	}
	*taken = given;
	return result;
}

/* Bytes of the body in data[0..length), or a refusal. Pieces are not repeated: a body is a stream.
 */
static inline int64_t feed_chunks(struct http_chunks *chunks, const void *data, size_t length,
				  struct http_chunk_limits limits, size_t first, size_t step)
{
	size_t from = 0, piece = first;
	int64_t result, sum = 0;
	char *copy;

	http_chunks_init(chunks, limits);
	for (;;) {
		copy = feed_copy((const char *)data + from, piece);
		result = http_chunks_check(chunks, copy, piece);
		free(copy);
		if (result < 0)
			return result;
		sum += result;
		from += piece;
		if (from == length || chunks->done)
			return sum;
		piece = length - from < step ? length - from : step;
	}
}

static inline bool span_same(struct http_span a, struct http_span b)
{
	return a.at == b.at && a.length == b.length;
}

/* Whether two heads were understood alike. */
static inline bool head_same(const struct http_head *a, const struct http_head *b)
{
	uint32_t i;

	if (a->content_length != b->content_length || a->framing != b->framing ||
	    a->minor != b->minor || a->has_content_length != b->has_content_length ||
	    a->keep_alive != b->keep_alive || a->count != b->count ||
	    a->fields_end != b->fields_end)
		return false;
	for (i = 0; i < a->count; i++)
		if (!span_same(a->field[i].name, b->field[i].name) ||
		    !span_same(a->field[i].value, b->field[i].value) ||
		    a->field[i].kind != b->field[i].kind)
			return false;
	return true;
}

static inline bool request_same(const struct http_request *a, const struct http_request *b)
{
	return a->method == b->method && a->expect_continue == b->expect_continue &&
	       a->upgrade == b->upgrade && span_same(a->verb, b->verb) &&
	       span_same(a->target, b->target) && span_same(a->path, b->path) &&
	       span_same(a->host, b->host) && span_same(a->protocol, b->protocol) &&
	       head_same(&a->head, &b->head);
}

static inline bool response_same(const struct http_response *a, const struct http_response *b)
{
	return a->status == b->status && span_same(a->reason, b->reason) &&
	       head_same(&a->head, &b->head);
}

#endif
