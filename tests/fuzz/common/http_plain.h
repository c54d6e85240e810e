/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request's head, read slowly and obviously, line by line: what RFC 9112 says and
 * http_request_parse() promises, with none of its states, tables and vectors. For comparison.
 */
#ifndef FUZZ_COMMON_HTTP_PLAIN_H
#define FUZZ_COMMON_HTTP_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plain_text {
	const char *at;
	size_t length;
};

struct plain_request {
	bool taken;
	size_t length; /* of the head */
	struct plain_text method, path, host;
	int minor;
	size_t fields;
	bool chunked, has_length, keep_alive;
	uint64_t content_length;
};

/* Not taken: refused, or not complete. */
struct plain_request plain_read(const char *data, size_t length);

#endif
