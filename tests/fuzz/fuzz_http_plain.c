/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parser and a slow, obvious reader of the same grammar: they take the same heads, whatever the
 * bytes, and understand the same by them.
 */
#include <strings.h>
#include "common/http_feed.h"
#include "common/http_plain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static bool same(struct http_slice one, struct plain_text other)
{
	return one.length == other.length && (!one.length || !memcmp(one.at, other.at, one.length));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	static const struct http_limits none = {
		.target = HTTP_HEAD_MAX, .header = HTTP_HEAD_MAX, .fields = HTTP_FIELDS_MAX};
	static struct http_request request;
	struct plain_request plain;
	char *copy = feed_copy(data, length);
	int result;

	http_request_init(&request);
	result = http_request_parse(&request, copy, length, &none);
	plain = plain_read(copy, length);
	if (result != -FW_TOO_MANY_FIELDS && result != -FW_HEADER_TOO_LARGE)
		require((result > 0) == plain.taken);
	if (result > 0) {
		require((size_t)result == plain.length);
		require(same(http_method_token(request.method), plain.method));
		require(same(http_slice(copy, request.path), plain.path));
		require(same(http_slice(copy, request.host), plain.host));
		require(request.head.minor == plain.minor && request.head.count == plain.fields);
		require(request.head.keep_alive == plain.keep_alive);
		require((request.head.framing == HTTP_CHUNKED) == plain.chunked);
		require(request.head.has_content_length == plain.has_length);
		require(!plain.has_length || request.head.content_length == plain.content_length);
	}
	free(copy);
	return 0;
}
