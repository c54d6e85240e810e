/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a response, to HEAD and to others: the result is the same however they are cut; what
 * is taken is written for clients of both versions, and its end is found there as it was here.
 */
#include "common/http_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_written(const struct http_response *response, const char *data, bool to_head,
			  const struct http_reply *reply)
{
	static struct http_response again;
	size_t room = http_response_room(response, reply);
	char *out = malloc(room);
	int length, framing = response->head.framing;

	require(out);
	length = http_response_write(out, room, response, data, reply);
	require(length > 0);
	if (length < HTTP_HEAD_MAX && response->head.count <= HTTP_FIELDS_MAX - 8) {
		http_response_init(&again);
		require(http_response_parse(&again, out, (size_t)length, to_head) == length);
		require(again.status == response->status);
		if (framing == HTTP_CHUNKED && reply->minor == 0)
			framing = HTTP_UNTIL_CLOSE;
		require(again.head.framing == framing);
		require(again.head.content_length == response->head.content_length);
		require(response->status < 200 ||
			again.head.keep_alive == (reply->keep_alive &&
						  http_response_delimited(response, reply->minor)));
	}
	free(out);
}

static void check(const char *data, size_t length, bool to_head)
{
	static struct http_response whole, pieces;
	size_t taken, cut = length ? (length * 7 + (uint8_t)data[length / 2]) % length : 0;
	int one = feed_response(&whole, data, length, to_head, length, 1, &taken);
	struct http_reply reply;
	int i;

	require(one <= (int)length && (one >= 0 || one == -FW_UPSTREAM_BAD_RESPONSE));
	require(one == feed_response(&pieces, data, length, to_head, cut, length + 1, &taken));
	require(one <= 0 || response_same(&whole, &pieces));
	require(one ==
		feed_response(&pieces, data, length, to_head, 0, length < 600 ? 1 : 97, &taken));
	require(one <= 0 || response_same(&whole, &pieces));
	for (i = 0; one > 0 && i < 4; i++) {
		reply = (struct http_reply){.minor = i & 1, .keep_alive = i & 2};
		check_written(&whole, data, to_head, &reply);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	check((const char *)data, length, false);
	check((const char *)data, length, true);
	return 0;
}
