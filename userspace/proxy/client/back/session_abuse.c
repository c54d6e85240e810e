// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is borne of a server. Frames that cost us something and bring nobody a response further cost
 * points; RATE of them are forgiven a second, and BURST may be open. Servers are chosen by the
 * operator, so the bounds are wide; they are here for the server that has been taken over.
 */
#include "proxy/client/back/session.h"

enum {
	RATE = 100,
	BURST = 1000,
	POINTS_CONTROL = 1,
	POINTS_EMPTY = 1,
	POINTS_SETTINGS = 5,
	POINTS_CONTINUATION = 5,
	POINTS_ERROR = 5,
	/* For each DATA: WINDOW_UPDATE of its stream and of the connection, and a PING by which its
	 * receiver measures the way; and how many may be owed, however much was sent. */
	ALLOWED_PER_DATA = 3,
	ALLOWED_MOST = 4096,
};

static void charge(struct session *session, uint32_t points)
{
	if (!patience_bear(&session->patience, points, RATE, BURST, session->engine->loop->now_ns))
		session_finish(session, SESSION_FLOODS);
}

void session_abuse_note_frame(struct session *session, const nghttp2_frame_hd *head)
{
	switch (head->type) {
	case NGHTTP2_DATA:
	case NGHTTP2_HEADERS:
		if (!head->length && !(head->flags & NGHTTP2_FLAG_END_STREAM))
			charge(session, POINTS_EMPTY);
		break;
	case NGHTTP2_CONTINUATION:
		charge(session, POINTS_CONTINUATION);
		break;
	case NGHTTP2_SETTINGS:
		if (!(head->flags & NGHTTP2_FLAG_ACK))
			charge(session, POINTS_SETTINGS);
		break;
	case NGHTTP2_WINDOW_UPDATE:
	case NGHTTP2_PING:
		if (session->allowed)
			session->allowed--;
		else if (!(head->type == NGHTTP2_PING && head->flags & NGHTTP2_FLAG_ACK))
			charge(session, POINTS_CONTROL);
		break;
	default: /* RST_STREAM, PRIORITY, GOAWAY, what nobody knows */
		charge(session, POINTS_CONTROL);
	}
}

void session_abuse_note_error(struct session *session)
{
	charge(session, POINTS_ERROR);
}

void session_abuse_note_data(struct session *session)
{
	session->allowed += ALLOWED_PER_DATA;
	if (session->allowed > ALLOWED_MOST)
		session->allowed = ALLOWED_MOST;
}
