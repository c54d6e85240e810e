/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chunked bodies: where they end, what they hold, what stops them. What is refused is mostly told
 * by test_smuggling.c; here are the counts, the limit and the unwrapping.
 */
#include "rows.h"

static const char exact[] = "5\r\nhello\r\n00F\r\n, chunked world\r\n0\r\n\r\n";
static const char content[] = "hello, chunked world";

static const struct http_chunk_limits none;

static struct http_chunk_limits upto(uint64_t payload)
{
	return (struct http_chunk_limits){.payload = payload};
}

static void counts(void **state)
{
	struct http_chunks chunks;
	const char *next = "GET /";
	char stream[128];
	size_t cut, length = sizeof(exact) - 1;
	int total = snprintf(stream, sizeof(stream), "%s%s", exact, next);

	(void)state;
	for (cut = 0; cut <= (size_t)total; cut++) {
		assert_int_equal(feed_chunks(&chunks, stream, (size_t)total, none, cut, 1), length);
		assert_true(chunks.done);
		assert_int_equal(chunks.payload, sizeof(content) - 1);
	}
}

/* Every proper prefix is wanted for more, and each of its bytes may be forwarded. */
static void prefixes(void **state)
{
	struct http_chunks chunks;
	size_t length;

	(void)state;
	for (length = 1; length < sizeof(exact) - 1; length++) {
		assert_int_equal(feed_chunks(&chunks, exact, length, none, length, 1), length);
		assert_false(chunks.done);
	}
}

/* Whatever has come, it never takes fewer bytes to the end than it says, and says when it is there.
 */
static void least(void **state)
{
	static const char *const streams[] = {exact, "0\r\n\r\n", "000\r\n\r\n",
					      "1\r\nx\r\n0\r\n\r\n"};
	struct http_chunks chunks;

	(void)state;
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		size_t length = strlen(streams[i]);

		for (size_t come = 0; come <= length; come++) {
			feed_chunks(&chunks, streams[i], come, none, come, 1);
			assert_true(http_chunks_least(&chunks) <= length - come);
			assert_int_equal(http_chunks_least(&chunks) == 0, come == length);
		}
	}
	/* Inside of data it says exactly where the next thing is. */
	feed_chunks(&chunks, "100\r\nx", 6, none, 6, 1);
	assert_int_equal(http_chunks_least(&chunks), 0xff + 7);
}

/* At every byte: what has come of the content, and whether the next chunk is due. */
static void progress(void **state)
{
	static const char stream[] = "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n";
	static const uint8_t have[] = {0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3, 3, 3, 3};
	static const uint8_t between[] = {1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0};
	struct http_chunks chunks;

	(void)state;
	for (size_t come = 0; come < sizeof(stream); come++) {
		feed_chunks(&chunks, stream, come, none, come, 1);
		assert_int_equal(http_chunks_content(&chunks), have[come]);
		assert_int_equal(http_chunks_between(&chunks), between[come]);
	}
}

/* What was wrapped unwraps to the same. */
static void wrap(void **state)
{
	static const size_t sizes[] = {0, 1, 15, 16, 4096, HTTP_CHUNK_MOST};
	static char data[HTTP_CHUNK_MOST + HTTP_CHUNK_EXTRA];
	struct http_chunks chunks;
	size_t length, got;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int last = 0; last < 2; last++) {
			memset(data, 'x', sizes[i]);
			length = http_chunk_wrap(data, sizes[i], last);
			assert_true(length <= sizes[i] + HTTP_CHUNK_EXTRA);
			http_chunks_init(&chunks, none);
			assert_int_equal(http_chunks_unwrap(&chunks, data, length, &got), length);
			assert_int_equal(got, sizes[i]);
			assert_int_equal(chunks.done, last);
			assert_true(last || http_chunks_between(&chunks));
		}
	}
}

/* A size over the limit is refused before any of its data. */
static void limit(void **state)
{
	struct http_chunks chunks;

	(void)state;
	assert_int_equal(feed_chunks(&chunks, exact, sizeof(exact) - 1, upto(20), 1, 1),
			 sizeof(exact) - 1);
	assert_int_equal(feed_chunks(&chunks, exact, sizeof(exact) - 1, upto(19), 1, 1),
			 -FW_BODY_TOO_LARGE);
	assert_int_equal(feed_chunks(&chunks, "5\r\nhello\r\n00F\r", 14, upto(19), 14, 1),
			 -FW_BODY_TOO_LARGE);
	assert_int_equal(feed_chunks(&chunks, "7fffffffffffffff\r\n", 18, none, 18, 1), 18);
	assert_int_equal(feed_chunks(&chunks, "8000000000000000\r\n", 18, none, 18, 1),
			 -FW_BAD_CHUNK);
}

/* A chunk of one byte has five of framing: four more than it brings. Larger ones make up for it. */
static void overhead(void **state)
{
	static const struct http_chunk_limits limits = {.overhead = 20};
	static const char ten[] = "A\r\n0123456789\r\n", one[] = "1\r\nx\r\n",
			  padded[] = "0001\r\nx";
	char stream[128] = "";
	struct http_chunks chunks;
	int i;

	(void)state;
	for (i = 0; i < 5; i++)
		strcat(stream, one);
	assert_int_equal(feed_chunks(&chunks, stream, 24, limits, 24, 1), 24);
	assert_int_equal(chunks.framing - chunks.payload, 16);
	assert_int_equal(feed_chunks(&chunks, stream, 30, limits, 30, 1), 30);
	assert_int_equal(
		feed_chunks(&chunks, stream, 30, (struct http_chunk_limits){.overhead = 19}, 0, 1),
		-FW_CHUNK_OVERHEAD);
	strcat(stream, one);
	assert_int_equal(feed_chunks(&chunks, stream, strlen(stream), limits, 0, 1),
			 -FW_CHUNK_OVERHEAD);
	assert_int_equal(feed_chunks(&chunks, stream, strlen(stream), none, 0, 1), strlen(stream));
	strcpy(stream, ten);
	for (i = 0; i < 5; i++)
		strcat(stream, one);
	assert_int_equal(feed_chunks(&chunks, stream, strlen(stream), limits, 0, 1),
			 strlen(stream));
	/* Leading zeros are framing too. */
	assert_int_equal(
		feed_chunks(&chunks, padded, 7, (struct http_chunk_limits){.overhead = 6}, 0, 1),
		-FW_CHUNK_OVERHEAD);
}

static void unwrap(void **state)
{
	struct http_chunks chunks;
	char joined[64], *copy;
	size_t cut, part, length = sizeof(exact) - 1, sum;

	(void)state;
	for (cut = 0; cut <= length; cut++) {
		http_chunks_init(&chunks, none);
		copy = feed_copy(exact, cut);
		assert_int_equal(http_chunks_unwrap(&chunks, copy, cut, &part), cut);
		memcpy(joined, copy, part);
		free(copy);
		sum = part;
		copy = feed_copy(exact + cut, length - cut);
		assert_int_equal(http_chunks_unwrap(&chunks, copy, length - cut, &part),
				 length - cut);
		memcpy(joined + sum, copy, part);
		free(copy);
		sum += part;
		assert_true(chunks.done);
		assert_int_equal(sum, sizeof(content) - 1);
		assert_memory_equal(joined, content, sum);
	}
}

/* Of all 256 bytes, in the place of a size, after one, and in the place of its line's LF, when the
 * line comes whole. */
static void every_byte(void **state)
{
	struct http_chunks chunks;
	char text[] = "?\r\n0123456789abcdef", line[] = "1\r?\n";
	bool hex;
	int byte;

	(void)state;
	for (byte = 0; byte < 256; byte++) {
		hex = byte && strchr("0123456789abcdefABCDEF", byte);
		text[0] = (char)byte;
		assert_int_equal(feed_chunks(&chunks, text, 1, none, 1, 1),
				 hex ? 1 : -FW_BAD_CHUNK);
		text[0] = '1';
		text[1] = (char)byte;
		assert_int_equal(feed_chunks(&chunks, text, 2, none, 2, 1),
				 hex || byte == '\r' ? 2 : -FW_BAD_CHUNK);
		text[1] = '\r';
		line[2] = (char)byte;
		assert_int_equal(feed_chunks(&chunks, line, 4, none, 4, 1),
				 byte == '\n' ? 4 : -FW_BAD_CHUNK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts),     cmocka_unit_test(prefixes),
		cmocka_unit_test(limit),      cmocka_unit_test(overhead),
		cmocka_unit_test(unwrap),     cmocka_unit_test(least),
		cmocka_unit_test(progress),   cmocka_unit_test(wrap),
		cmocka_unit_test(every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
