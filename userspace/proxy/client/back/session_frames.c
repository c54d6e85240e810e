// SPDX-License-Identifier: BSD-2-Clause
/*
 * What nghttp2 tells of the frames that it reads from servers and writes to them. It goes no
 * further once it is decided that the connection ends; that is carried out when it has returned.
 */
#include <errno.h>
#include "proxy/client/back/session.h"
#include "proxy/client/worker.h"

enum {
	SESSIONS_KEPT = 64,
	STREAMS_KEPT = 1024,
	MEMORY_MOST = 1 << 20, /* of a connection, without what its exchanges hold */
};

static struct session_stream *find(nghttp2_session *frames, int32_t id)
{
	return nghttp2_session_get_stream_user_data(frames, id);
}

static int go_on(const struct session *session)
{
	return session->end == SESSION_GOES_ON ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* --- what the server says ----------------------------------------------------------------------
 */

static int note_frame(nghttp2_session *frames, const nghttp2_frame_hd *head, void *user)
{
	(void)frames;
	session_abuse_note_frame(user, head);
	return go_on(user);
}

static int note_headers(nghttp2_session *frames, const nghttp2_frame *frame, void *user)
{
	struct session_stream *stream = find(frames, frame->hd.stream_id);

	session_block_begin(user, stream, stream && stream->headed);
	return 0;
}

static int note_field(nghttp2_session *frames, const nghttp2_frame *frame, nghttp2_rcbuf *name,
		      nghttp2_rcbuf *value, uint8_t flags, void *user)
{
	(void)frames;
	(void)frame;
	(void)flags;
	session_block_add(user, http2_slice_of(name), http2_slice_of(value));
	return go_on(user);
}

/* nghttp2 would leave the field out and go on. */
static int note_bad_field(nghttp2_session *frames, const nghttp2_frame *frame, nghttp2_rcbuf *name,
			  nghttp2_rcbuf *value, uint8_t flags, void *user)
{
	(void)frames;
	(void)frame;
	(void)name;
	(void)value;
	(void)flags;
	session_block_refuse(user);
	return 0;
}

static int note_data(nghttp2_session *frames, uint8_t flags, int32_t id, const uint8_t *data,
		     size_t length, void *user)
{
	struct session_stream *stream = find(frames, id);

	(void)flags;
	(void)user;
	/* One client that is slow must not keep the others' bodies back. */
	nghttp2_session_consume_connection(frames, length);
	if (stream)
		session_stream_receive(stream, data, length);
	return 0;
}

static void note_end(struct session_stream *stream, const nghttp2_frame *frame)
{
	if (stream && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		session_stream_end(stream);
}

static int note_complete_frame(nghttp2_session *frames, const nghttp2_frame *frame, void *user)
{
	struct session_stream *stream = find(frames, frame->hd.stream_id);
	struct session *session = user;

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		session_block_end(session, frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
		if (stream && !stream->error)
			stream->incomplete = false;
		if (stream)
			session_stream_wake(stream);
		note_end(stream, frame);
		break;
	case NGHTTP2_DATA:
		note_end(stream, frame);
		break;
	case NGHTTP2_RST_STREAM:
		if (stream && frame->rst_stream.error_code == NGHTTP2_REFUSED_STREAM)
			stream->undone = UNDONE_BY_REFUSAL;
		if (stream && stream->exchange && !stream->ended)
			board_add(stream->exchange->client->listener->board, METRIC_UPSTREAM_RESETS,
				  1);
		break;
	case NGHTTP2_GOAWAY:
		session->last = true;
		break;
	default:
		break;
	}
	return 0;
}

/* A frame that makes nghttp2 reset its stream. */
static int note_invalid_frame(nghttp2_session *frames, const nghttp2_frame *frame, int code,
			      void *user)
{
	struct session_stream *stream = find(frames, frame->hd.stream_id);

	(void)code;
	if (stream && !stream->error) {
		stream->error = -EPROTO;
		session_stream_wake(stream);
	}
	session_abuse_note_error(user);
	return 0;
}

/* --- what becomes of streams -------------------------------------------------------------------
 */

/* A request that never left, since the server has said meanwhile that it takes no more. */
static int note_unsent_frame(nghttp2_session *frames, const nghttp2_frame *frame, int code,
			     void *user)
{
	struct session_stream *stream = find(frames, frame->hd.stream_id);

	(void)code;
	(void)user;
	if (frame->hd.type == NGHTTP2_HEADERS && stream)
		stream->undone = UNDONE_BY_END;
	return 0;
}

/* REFUSED_STREAM: the server says so, or it was above the last that a GOAWAY names (RFC 9113
 * section 8.7). */
static int note_closed_stream(nghttp2_session *frames, int32_t id, uint32_t code, void *user)
{
	struct session_stream *stream = find(frames, id);

	(void)user;
	if (!stream)
		return 0;
	if (code == NGHTTP2_REFUSED_STREAM && !stream->undone)
		stream->undone = UNDONE_BY_END;
	session_stream_close(stream, stream->ended ? 0 : -ECONNRESET);
	return 0;
}

/* --- what a thread's connections share ---------------------------------------------------------
 */

static void set_callbacks(nghttp2_session_callbacks *to)
{
	nghttp2_session_callbacks_set_on_begin_frame_callback(to, note_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(to, note_headers);
	nghttp2_session_callbacks_set_on_header_callback2(to, note_field);
	nghttp2_session_callbacks_set_on_invalid_header_callback2(to, note_bad_field);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(to, note_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(to, note_complete_frame);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(to, note_invalid_frame);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(to, note_unsent_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(to, note_closed_stream);
}

bool session_engine_init(struct session_engine *engine, struct loop *loop,
			 struct pool_budget *budget, struct buffers *buffers)
{
	*engine = (struct session_engine){
		.loop = loop,
		.ledger = {.budget = budget,
			   .buffers = buffers,
			   .threads = 1,
			   .connection_most = MEMORY_MOST},
	};
	for (int slot = 0; slot < SESSION_SLOTS; slot++)
		list_init(&engine->roomy[slot]);
	list_init(&engine->full);
	list_init(&engine->due);
	pool_init(&engine->sessions, sizeof(struct session), SESSIONS_KEPT, budget);
	pool_init(&engine->streams, sizeof(struct session_stream), STREAMS_KEPT, budget);
	if (!http2_prepare(&engine->callbacks, &engine->options))
		return false;
	set_callbacks(engine->callbacks);
	return true;
}

void session_engine_destroy(struct session_engine *engine)
{
	nghttp2_session_callbacks_del(engine->callbacks);
	nghttp2_option_del(engine->options);
	if (!engine->sessions.size)
		return;
	pool_destroy(&engine->sessions);
	pool_destroy(&engine->streams);
}
