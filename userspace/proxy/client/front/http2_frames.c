// SPDX-License-Identifier: BSD-2-Clause
/*
 * What nghttp2 tells of the frames that it reads and writes. While it reads, things are noted, and
 * acted on when it is done; it goes no further once there is a verdict on the connection.
 */
#include "proxy/client/front/http2.h"

enum {
	SESSIONS_KEPT = 256,
	STREAMS_KEPT = 1024,
};

/* --- what the client says ----------------------------------------------------------------------
 */

static int go_on(const struct http2 *http2)
{
	return http2->verdict == FW_NONE ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* Streams are opened in order of their numbers (RFC 9113 section 5.1.1); of those that were,
 * nghttp2 remembers enough to know a late trailer. */
static bool is_in_order(struct http2 *http2, int32_t id)
{
	if (id <= http2->last_stream)
		return nghttp2_session_find_stream(http2->session, id);
	http2->last_stream = id;
	return true;
}

static int note_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *user)
{
	struct http2 *http2 = user;

	(void)session;
	http2->frames++;
	if (head->type == NGHTTP2_CONTINUATION)
		http2->block.wire += head->length;
	if (head->type == NGHTTP2_HEADERS && !is_in_order(http2, head->stream_id))
		http2->verdict = FW_HTTP2_PROTOCOL;
	http2_abuse_note_frame(http2, head);
	return go_on(http2);
}

static int note_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	(void)session;
	http2_block_begin(user, frame);
	return 0;
}

static int note_field(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
		      nghttp2_rcbuf *value, uint8_t flags, void *user)
{
	(void)session;
	(void)frame;
	(void)flags;
	http2_block_add(user, http2_slice_of(name), http2_slice_of(value));
	return go_on(user);
}

/* nghttp2 would leave the field out and go on. */
static int note_bad_field(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
			  nghttp2_rcbuf *value, uint8_t flags, void *user)
{
	(void)session;
	(void)frame;
	(void)name;
	(void)value;
	(void)flags;
	http2_block_refuse(user, FW_BAD_FIELD);
	return 0;
}

static int note_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
		     size_t length, void *user)
{
	struct http2_stream *stream = http2_stream_find(session, id);

	(void)flags;
	(void)user;
	if (!stream)
		return nghttp2_session_consume_connection(session, length);
	http2_stream_receive(stream, data, length);
	return 0;
}

static int end_request(nghttp2_session *session, const nghttp2_frame *frame)
{
	struct http2_stream *stream = http2_stream_find(session, frame->hd.stream_id);

	if (stream && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		http2_stream_end(stream);
	return 0;
}

static int note_complete_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct http2 *http2 = user;
	struct http2_stream *stream;

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
			return http2_stream_open(http2, frame->hd.stream_id,
						 !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM));
		http2_stream_note_trailer(http2, http2_stream_find(session, frame->hd.stream_id));
		return end_request(session, frame);
	case NGHTTP2_DATA:
		return end_request(session, frame);
	case NGHTTP2_RST_STREAM:
		stream = http2_stream_find(session, frame->hd.stream_id);
		if (stream && stream->exchange)
			http2_abuse_note_reset(http2);
		return go_on(http2);
	case NGHTTP2_GOAWAY:
		http2->heard_last = true;
		return 0;
	default:
		return 0;
	}
}

/* A frame that makes nghttp2 reset its stream. */
static int note_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code,
			      void *user)
{
	(void)session;
	(void)frame;
	(void)code;
	http2_abuse_note_error(user);
	return 0;
}

/* --- what the client is told -------------------------------------------------------------------
 */

static bool is_violation(uint32_t code)
{
	switch (code) {
	case NGHTTP2_PROTOCOL_ERROR:
	case NGHTTP2_FLOW_CONTROL_ERROR:
	case NGHTTP2_STREAM_CLOSED:
	case NGHTTP2_FRAME_SIZE_ERROR:
	case NGHTTP2_REFUSED_STREAM:
		return true;
	default:
		return false;
	}
}

static int note_sent_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct http2_stream *stream;

	if (frame->hd.type == NGHTTP2_RST_STREAM && is_violation(frame->rst_stream.error_code))
		http2_abuse_note_error(user);
	if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
	    !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	stream = http2_stream_find(session, frame->hd.stream_id);
	if (stream)
		http2_stream_note_answered(stream);
	return 0;
}

static int note_closed_stream(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
	struct http2_stream *stream = http2_stream_find(session, id);
	struct http2 *http2 = user;

	(void)code;
	if (http2->block.begun_ns && http2->block.stream == id)
		http2_block_drop(http2);
	if (stream)
		http2_stream_close(stream);
	return 0;
}

/* --- what a thread's connections share ---------------------------------------------------------
 */

bool http2_engine_init(struct http2_engine *engine, struct pool_budget *budget)
{
	nghttp2_session_callbacks *to;

	*engine = (struct http2_engine){0};
	if (!http2_prepare(&engine->callbacks, &engine->options))
		return false;
	to = engine->callbacks;
	nghttp2_session_callbacks_set_on_begin_frame_callback(to, note_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(to, note_headers);
	nghttp2_session_callbacks_set_on_header_callback2(to, note_field);
	nghttp2_session_callbacks_set_on_invalid_header_callback2(to, note_bad_field);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(to, note_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(to, note_complete_frame);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(to, note_invalid_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(to, note_sent_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(to, note_closed_stream);
	nghttp2_session_callbacks_set_send_data_callback(to, http2_response_put);
	pool_init(&engine->sessions, sizeof(struct http2), SESSIONS_KEPT, budget);
	pool_init(&engine->streams, sizeof(struct http2_stream), STREAMS_KEPT, budget);
	return true;
}

void http2_engine_destroy(struct http2_engine *engine)
{
	nghttp2_session_callbacks_del(engine->callbacks);
	nghttp2_option_del(engine->options);
	if (engine->sessions.size)
		pool_destroy(&engine->sessions);
	if (engine->streams.size)
		pool_destroy(&engine->streams);
}
