/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as all that a client sends. What is forwarded of it, up to the first refusal, is for
 * another parser, http_parser, exactly as many requests, with these targets and these bodies.
 */
#include "common/http_feed.h"
#include "common/http_other.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

enum { ROOM = 1 << 20 };

static void require(bool condition)
{
	if (!condition)
		abort();
}

struct text {
	char *data;
	size_t length;
};

static void add(struct text *text, const char *data, size_t length)
{
	require(length <= ROOM - text->length);
	memcpy(text->data + text->length, data, length);
	text->length += length;
}

/* Forwards one request's body, and notes its content. Bytes it took; *@done: it is complete. */
static size_t forward_body(const struct http_request *request, const char *data, size_t length,
			   struct text *forwarded, struct text *said, bool *done)
{
	struct http_chunks chunks;
	size_t content = length;
	int64_t taken;
	char *copy;

	if (request->head.framing != HTTP_CHUNKED) {
		if (request->head.framing == HTTP_NO_BODY)
			content = 0;
		else if (request->head.content_length < length)
			content = (size_t)request->head.content_length;
		*done = request->head.framing == HTTP_NO_BODY ||
			content == request->head.content_length;
		add(forwarded, data, content);
		add(said, data, content);
		return content;
	}
	http_chunks_init(&chunks, (struct http_chunk_limits){0});
	copy = feed_copy(data, length);
	taken = http_chunks_unwrap(&chunks, copy, length, &content);
	add(said, copy, content);
	free(copy);
	*done = chunks.done;
	if (taken > 0)
		add(forwarded, data, (size_t)taken);
	return taken > 0 ? (size_t)taken : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	static const struct http_limits limits = {.target = 8192, .header = 65536, .fields = 100};
	static const struct http_forward forward = {.address = {"192.0.2.1", 9}, .host = {"up", 2}};
	static struct http_request request;
	static char room[3][ROOM];
	struct text forwarded = {room[0], 0}, said = {room[1], 0}, heard = {room[2], 0};
	const char *data = (const char *)input;
	size_t complete = 0, complete_length = 0, heard_complete;
	bool done = true, refused;
	int head, written;

	while (done && length) {
		http_request_init(&request);
		head = http_request_parse(&request, data, length, &limits);
		/* http_parser knows fewer methods, and leaves HTTP where an upgrade is asked for.
		 */
		if (head <= 0 || request.method > HTTP_PATCH || request.upgrade)
			break;
		written = http_request_write(forwarded.data + forwarded.length,
					     ROOM - forwarded.length, &request, data, &forward);
		require(written > 0);
		forwarded.length += (size_t)written;
		add(&said, data + request.path.at, request.path.length);
		add(&said, "\n", 1);
		data += head;
		length -= (size_t)head;
		head = (int)forward_body(&request, data, length, &forwarded, &said, &done);
		data += head;
		length -= (size_t)head;
		if (done) {
			add(&said, "\n", 1);
			complete++;
			complete_length = said.length;
		}
	}
	heard_complete = http_other_read_stream(forwarded.data, forwarded.length, heard.data, ROOM,
						&heard.length, &refused);
	if (refused)
		return 0;
	require(heard_complete == complete && heard.length >= complete_length);
	require(!memcmp(heard.data, said.data, complete_length));
	return 0;
}
