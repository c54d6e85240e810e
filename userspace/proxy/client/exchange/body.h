/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A message's body as it passes through: where it ends, and that every byte forwarded was
 * understood to belong to it.
 */
#ifndef PROXY_CLIENT_EXCHANGE_BODY_H
#define PROXY_CLIENT_EXCHANGE_BODY_H

#include "proxy/http/http.h"

struct body {
	struct http_chunks chunks;
	uint64_t left; /* HTTP_LENGTH */
	uint8_t framing;
	bool unwrap; /* HTTP_CHUNKED: forward the content alone */
	bool done;
};

/* @limits: of a chunked body. */
static inline void body_init(struct body *body, const struct http_head *head,
			     struct http_chunk_limits limits)
{
	body->framing = head->framing;
	body->left = head->content_length;
	body->unwrap = false;
	body->done = head->framing == HTTP_NO_BODY ||
		     (head->framing == HTTP_LENGTH && head->content_length == 0);
	if (head->framing == HTTP_CHUNKED)
		http_chunks_init(&body->chunks, limits);
}

/*
 * How many of @length new bytes belong to the body; fewer than all only when it has ended.
 * *@forward of them, at the front of @data, are to be forwarded. −enum fw_verdict: refused.
 */
static inline int64_t body_check(struct body *body, char *data, size_t length, size_t *forward)
{
	int64_t count = (int64_t)length;

	if (body->done)
		count = 0;
	*forward = (size_t)count;
	switch (body->framing) {
	case HTTP_LENGTH:
		if ((uint64_t)count > body->left)
			*forward = (size_t)(count = (int64_t)body->left);
		body->left -= (uint64_t)count;
		body->done = body->left == 0;
		break;
	case HTTP_CHUNKED:
		if (body->done)
			break;
		if (body->unwrap) {
			count = http_chunks_unwrap(&body->chunks, data, length, forward);
		} else {
			count = http_chunks_check(&body->chunks, data, length);
			*forward = (size_t)count;
		}
		body->done = body->chunks.done;
		break;
	default:
		break;
	}
	return count;
}

/* The fewest bytes that can be missing from one that is not done. */
static inline uint64_t body_least(const struct body *body)
{
	switch (body->framing) {
	case HTTP_LENGTH:
		return body->left;
	case HTTP_CHUNKED:
		return http_chunks_least(&body->chunks);
	default:
		return 0;
	}
}

#endif
