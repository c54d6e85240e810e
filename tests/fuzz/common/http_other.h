/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How another parser, http_parser, cuts the same bytes.
 */
#ifndef FUZZ_COMMON_HTTP_OTHER_H
#define FUZZ_COMMON_HTTP_OTHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_other { OTHER_TAKEN, OTHER_PARTIAL, OTHER_REFUSED, OTHER_UNKNOWN_METHOD };

struct http_other_reading {
	enum http_other result;
	size_t length; /* of the head */
	size_t fields;
	uint64_t content_length; /* UINT64_MAX: none */
	bool chunked;
};

struct http_other_reading http_other_read(const char *data, size_t length, bool is_response);

/* A stream of requests: how many are complete, and all their targets and bodies, each followed by a
 * line feed, in text[0..*@written), at most @room bytes. *@refused: it stopped at a request with
 * something like two framings. */
size_t http_other_read_stream(const char *data, size_t length, char *text, size_t room,
			      size_t *written, bool *refused);

#endif
