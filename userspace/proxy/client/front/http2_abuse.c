// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is borne of an HTTP/2 connection. Every frame that costs us something and brings its sender
 * no request further costs points; http2.abuse_rate of them are forgiven a second, and
 * http2.abuse_burst may be open. The reason that is given at the end is that of the last straw.
 *
 * Points are set so that no client known comes near: a browser that leaves a page resets a hundred
 * streams, and pings a few times a minute.
 */
#include "proxy/client/front/http2.h"

enum {
	POINTS_RESET = 2,
	POINTS_ERROR = 5,
	POINTS_EMPTY = 1,
	POINTS_CONTINUATION = 5,
	POINTS_SETTINGS = 5,
	POINTS_CONTROL = 1,
	POINTS_BOMB = 100,
	/* For each DATA: WINDOW_UPDATE of its stream and of the connection, and a PING by which its
	 * receiver measures the way, as gRPC's do all the time; and how many may be owed, however
	 * much was sent. */
	ALLOWED_PER_DATA = 3,
	ALLOWED_MOST = 1536,
};

static bool charge(struct http2 *http2, uint32_t points, enum fw_verdict reason)
{
	const struct client *client = http2->client;
	const uint64_t *live = client->listener->live.value;

	if (patience_bear(&http2->patience, points, live[FW_SET_HTTP2_ABUSE_RATE],
			  live[FW_SET_HTTP2_ABUSE_BURST], client_now(client)))
		return true;
	if (http2->verdict == FW_NONE)
		http2->verdict = (uint8_t)reason;
	return false;
}

bool http2_abuse_note_frame(struct http2 *http2, const nghttp2_frame_hd *head)
{
	switch (head->type) {
	case NGHTTP2_DATA:
	case NGHTTP2_HEADERS:
		if (head->length || (head->flags & NGHTTP2_FLAG_END_STREAM))
			return true;
		return charge(http2, POINTS_EMPTY, FW_HTTP2_EMPTY);
	case NGHTTP2_CONTINUATION:
		return charge(http2, POINTS_CONTINUATION, FW_HTTP2_EMPTY);
	case NGHTTP2_RST_STREAM:
		return charge(http2, POINTS_CONTROL, FW_HTTP2_RESETS);
	case NGHTTP2_SETTINGS:
		if (head->flags & NGHTTP2_FLAG_ACK)
			return true;
		return charge(http2, POINTS_SETTINGS, FW_HTTP2_CONTROL);
	case NGHTTP2_WINDOW_UPDATE:
	case NGHTTP2_PING:
		if (!http2->allowed)
			return charge(http2, POINTS_CONTROL, FW_HTTP2_CONTROL);
		http2->allowed--;
		return true;
	default: /* PRIORITY, GOAWAY, what nobody knows */
		return charge(http2, POINTS_CONTROL, FW_HTTP2_CONTROL);
	}
}

bool http2_abuse_note_reset(struct http2 *http2)
{
	return charge(http2, POINTS_RESET, FW_HTTP2_RESETS);
}

bool http2_abuse_note_error(struct http2 *http2)
{
	return charge(http2, POINTS_ERROR, FW_HTTP2_ERRORS);
}

bool http2_abuse_note_bomb(struct http2 *http2)
{
	return charge(http2, POINTS_BOMB, FW_HTTP2_BOMB);
}

void http2_abuse_note_data(struct http2 *http2)
{
	http2->allowed += ALLOWED_PER_DATA;
	if (http2->allowed > ALLOWED_MOST)
		http2->allowed = ALLOWED_MOST;
}
