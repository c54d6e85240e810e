/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a chunked body: the decoder says what a plain reading of the grammar says, however
 * the bytes are cut, and unwraps the same content.
 */
#include <ctype.h>
#include "common/http_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

static void require(bool condition)
{
	if (!condition)
		abort();
}

struct reading {
	int64_t result; /* bytes of the body, or −verdict */
	bool done;
	size_t content;
};

/* The grammar, on a body that is all there; @content receives what it holds. */
static struct reading read_plainly(const char *data, size_t length, struct http_chunk_limits limits,
				   char *content)
{
	struct reading reading = {(int64_t)length, false, 0};
	uint64_t size, sum = 0, framing = 0;
	size_t at = 0, digits, run;

	for (;;) {
		size = 0;
		for (digits = 0; at < length && isxdigit((unsigned char)data[at]); digits++, at++) {
			if (digits == 16)
				goto bad;
			size = size * 16 + (uint64_t)(isdigit((unsigned char)data[at])
							      ? data[at] - '0'
							      : (data[at] | 32) - 'a' + 10);
		}
		if (at == length)
			return reading;
		if (!digits || data[at++] != '\r' || size >> 63)
			goto bad;
		if (sum + size > (limits.payload ? limits.payload : INT64_MAX)) {
			reading.result = -FW_BODY_TOO_LARGE;
			return reading;
		}
		sum += size;
		framing += digits + 4;
		if (limits.overhead && framing > sum + limits.overhead) {
			reading.result = -FW_CHUNK_OVERHEAD;
			return reading;
		}
		if (at == length)
			return reading;
		if (data[at++] != '\n')
			goto bad;
		run = size < length - at ? (size_t)size : length - at;
		memcpy(content + reading.content, data + at, run);
		reading.content += run;
		at += run;
		if (at == length)
			return reading;
		if (data[at++] != '\r')
			goto bad;
		if (at == length)
			return reading;
		if (data[at++] != '\n')
			goto bad;
		if (!size) {
			reading.done = true;
			reading.result = (int64_t)at;
			return reading;
		}
	}
bad:
	reading.result = -FW_BAD_CHUNK;
	return reading;
}

static void check(const char *data, size_t length, struct http_chunk_limits limits)
{
	size_t cut = length ? (length * 7 + (uint8_t)data[length / 2]) % length : 0, content;
	char *expected = malloc(length + 1), *copy = feed_copy(data, length);
	struct reading reading;
	struct http_chunks chunks;
	const size_t cuts[][2] = {{length, 1}, {cut, length + 1}, {0, 1}, {cut / 2, 3}};
	size_t i;

	require(expected);
	reading = read_plainly(data, length, limits, expected);
	for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		require(feed_chunks(&chunks, data, length, limits, cuts[i][0], cuts[i][1]) ==
			reading.result);
		require(reading.result < 0 || chunks.done == reading.done);
	}
	http_chunks_init(&chunks, limits);
	require(http_chunks_unwrap(&chunks, copy, length, &content) == reading.result);
	require(content == reading.content);
	require(!memcmp(copy, expected, content));
	free(copy);
	free(expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	check((const char *)data, length, (struct http_chunk_limits){0});
	check((const char *)data, length, (struct http_chunk_limits){.payload = 20});
	check((const char *)data, length, (struct http_chunk_limits){.overhead = 16});
	return 0;
}
