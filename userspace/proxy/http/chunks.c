/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bodies in chunks (RFC 9112 section 7.1): a state machine over single bytes, but for the data,
 * which is stepped over whole.
 *
 *     chunk = 1*16HEXDIG CRLF data CRLF     last = 1*16"0" CRLF CRLF
 *
 * Extensions, trailers and any white space are refused: they are where parsers differ, and nobody
 * misses them. A body that was checked can therefore be forwarded as it came. What a chunk costs
 * its receiver is not its bytes but its being a chunk: a body of many tiny ones is bounded by what
 * its framing exceeds its content by.
 */
#include <string.h>
#include "proxy/http/http.h"

enum state { SIZE, SIZE_LF, DATA, DATA_CR, DATA_LF, END_CR, END_LF };

enum { SIZE_DIGITS_MAX = 16, LINE_ENDS = 4 }; /* two CRLF a chunk */

void http_chunks_init(struct http_chunks *chunks, struct http_chunk_limits limits)
{
	*chunks = (struct http_chunks){.limits = limits};
}

static int hex_value(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	if (byte >= 'a' && byte <= 'f')
		return byte - 'a' + 10;
	if (byte >= 'A' && byte <= 'F')
		return byte - 'A' + 10;
	return -1;
}

/* A size was read. */
static enum fw_verdict judge_size(struct http_chunks *chunks)
{
	const struct http_chunk_limits *limits = &chunks->limits;
	uint64_t most = limits->payload ? limits->payload : INT64_MAX;

	if (chunks->left > INT64_MAX)
		return FW_BAD_CHUNK;
	if (chunks->left > most - chunks->payload)
		return FW_BODY_TOO_LARGE;
	chunks->payload += chunks->left;
	chunks->framing += chunks->digits + LINE_ENDS;
	if (limits->overhead && chunks->framing > chunks->payload &&
	    chunks->framing - chunks->payload > limits->overhead)
		return FW_CHUNK_OVERHEAD;
	return FW_NONE;
}

/* A byte of the size line, up to its CR. */
static enum fw_verdict size_byte(struct http_chunks *chunks, char byte)
{
	int digit = hex_value(byte);

	if (digit >= 0) {
		if (chunks->digits++ == SIZE_DIGITS_MAX)
			return FW_BAD_CHUNK;
		chunks->left = chunks->left << 4 | (uint64_t)digit;
		return FW_NONE;
	}
	if (byte != '\r' || chunks->digits == 0)
		return FW_BAD_CHUNK;
	chunks->state = SIZE_LF;
	return judge_size(chunks);
}

/* Any byte but one of data. */
static enum fw_verdict frame_byte(struct http_chunks *chunks, char byte)
{
	/* What each state but SIZE waits for, and what follows. */
	static const struct {
		char byte;
		uint8_t next;
	} expected[] = {
		[DATA_CR] = {'\r', DATA_LF}, [DATA_LF] = {'\n', SIZE}, [END_CR] = {'\r', END_LF},
		[END_LF] = {'\n', END_LF},   [SIZE_LF] = {'\n', DATA},
	};

	if (chunks->state == SIZE)
		return size_byte(chunks, byte);
	if (byte != expected[chunks->state].byte)
		return FW_BAD_CHUNK;
	if (chunks->state == SIZE_LF && chunks->left == 0)
		chunks->state = END_CR;
	else if (chunks->state == END_LF)
		chunks->done = true;
	else
		chunks->state = expected[chunks->state].next;
	chunks->digits = 0;
	return FW_NONE;
}

/* A size line that has come whole, as most have: at once. Its length, 0: it is for frame_byte();
 * −verdict. */
static int64_t size_line(struct http_chunks *chunks, const char *data, size_t length)
{
	size_t digits = 0;
	enum fw_verdict verdict;
	uint64_t size = 0;
	int digit;

	while (digits < length && digits < SIZE_DIGITS_MAX &&
	       (digit = hex_value(data[digits])) >= 0) {
		size = size << 4 | (uint64_t)digit;
		digits++;
	}
	if (!digits || length - digits < 2 || data[digits] != '\r' || data[digits + 1] != '\n')
		return 0;
	chunks->left = size;
	chunks->digits = (uint8_t)digits;
	verdict = judge_size(chunks);
	chunks->digits = 0;
	chunks->state = size ? DATA : END_CR;
	return verdict ? -(int64_t)verdict : (int64_t)digits + 2;
}

/* @content: where to move the data to, or NULL. */
static int64_t chunks_run(struct http_chunks *chunks, const char *data, size_t length,
			  char *content, size_t *content_length)
{
	enum fw_verdict verdict;
	size_t at = 0, run;
	int64_t line;

	while (at < length && !chunks->done) {
		if (chunks->state == SIZE && !chunks->digits) {
			line = size_line(chunks, data + at, length - at);
			if (line < 0)
				return line;
			at += (size_t)line;
			if (line)
				continue;
		}
		if (chunks->state != DATA) {
			verdict = frame_byte(chunks, data[at++]);
			if (verdict)
				return -(int64_t)verdict;
			continue;
		}
		run = length - at < chunks->left ? length - at : (size_t)chunks->left;
		if (content) {
			memmove(content + *content_length, data + at, run);
			*content_length += run;
		}
		at += run;
		chunks->left -= run;
		if (chunks->left)
			continue;
		chunks->state = DATA_CR;
		if (length - at >= 2 && data[at] == '\r' && data[at + 1] == '\n') {
			chunks->state = SIZE;
			at += 2;
		}
	}
	return (int64_t)at;
}

int64_t http_chunks_check(struct http_chunks *chunks, const char *data, size_t length)
{
	return chunks_run(chunks, data, length, NULL, NULL);
}

int64_t http_chunks_unwrap(struct http_chunks *chunks, char *data, size_t length, size_t *content)
{
	*content = 0;
	return chunks_run(chunks, data, length, data, content);
}

uint64_t http_chunks_least(const struct http_chunks *chunks)
{
	/* From each state to the end of an empty last chunk; the data comes on top. */
	static const uint8_t rest[] = {
		[SIZE] = 4,    [SIZE_LF] = 3, [DATA] = 7,   [DATA_CR] = 7,
		[DATA_LF] = 6, [END_CR] = 2,  [END_LF] = 1,
	};

	if (chunks->done)
		return 0;
	return rest[chunks->state] + (chunks->state == DATA ? chunks->left : 0);
}

bool http_chunks_between(const struct http_chunks *chunks)
{
	return chunks->state == SIZE && !chunks->digits;
}

uint64_t http_chunks_content(const struct http_chunks *chunks)
{
	bool inside = chunks->state == SIZE_LF || chunks->state == DATA;

	return inside ? chunks->payload - chunks->left : chunks->payload;
}

void http_chunk_head(char head[HTTP_CHUNK_HEAD], uint32_t size)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 4; i++)
		head[i] = digits[size >> (12 - 4 * i) & 15];
	memcpy(head + 4, "\r\n", 2);
}

size_t http_chunk_wrap(char *data, size_t content, bool last)
{
	size_t length = 0;

	if (content) {
		memmove(data + HTTP_CHUNK_HEAD, data, content);
		http_chunk_head(data, (uint32_t)content);
		length = HTTP_CHUNK_HEAD + content;
		memcpy(data + length, "\r\n", 2);
		length += 2;
	}
	if (last) {
		memcpy(data + length, "0\r\n\r\n", 5);
		length += 5;
	}
	return length;
}
