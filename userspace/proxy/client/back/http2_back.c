// SPDX-License-Identifier: BSD-2-Clause
/*
 * An exchange on its stream of HTTP/2 to a server. What comes is put behind from_server as HTTP/1
 * would have it, and looked at when the client has taken what came before; what goes is taken from
 * the request's buffer when the server's windows allow.
 */
#include <errno.h>
#include "proxy/client/back/session.h"
#include "proxy/client/reach.h"

enum {
	FIELDS_EXTRA = 32 + CONFIG_LINE_COUNT_MAX, /* that we add to a request */
};

/* --- beginning and end -------------------------------------------------------------------------
 */

bool session_stream_open(struct session *session, struct exchange *exchange)
{
	struct session_stream *stream = pool_take(&session->engine->streams);

	if (!stream) {
		link_return(session->link);
		return false;
	}
	*stream = (struct session_stream){.session = session, .exchange = exchange};
	http_chunks_init(&stream->chunks, (struct http_chunk_limits){0});
	list_append(&session->streams, &stream->node);
	session->stream_count++;
	stream->counted = link_begin_request(session->link);
	exchange->attempt.stream = stream;
	exchange->attempt.back = &http2_back;
	exchange->attempt.connecting = !session->reached;
	session_settle(session);
	return true;
}

static void release(struct session_engine *engine, struct session_stream *stream)
{
	pool_give(&engine->streams, stream);
}

void session_stream_detach(struct session_stream *stream)
{
	struct session *session = stream->session;

	stream->session = NULL;
	list_remove(&stream->node);
	link_end_request(session->link);
	if (--session->stream_count == 0)
		session->idle_ns = session->engine->loop->now_ns;
	session_settle(session);
}

void session_stream_wake(struct session_stream *stream)
{
	struct exchange *exchange = stream->exchange;

	if (!exchange)
		return;
	if (exchange->front->wake)
		exchange->front->wake(exchange);
	client_run_soon(exchange->client);
}

void session_stream_close(struct session_stream *stream, int error)
{
	struct session *session = stream->session;

	if (stream->exchange && !stream->error && (error || !stream->ended))
		stream->error = (int16_t)(error ? error : -ECONNRESET);
	session_stream_detach(stream);
	if (!stream->exchange)
		release(session->engine, stream);
	else
		session_stream_wake(stream);
}

/* The response is complete; that the server says so, too, may still be on its way. */
static bool ends_in_order(const struct session_stream *stream)
{
	const struct exchange *exchange = stream->exchange;

	return exchange->answered && exchange->response_body.done && request_is_done(exchange);
}

static void drop(struct exchange *exchange)
{
	struct session_stream *stream = exchange->attempt.stream;
	struct session_engine *engine = &client_worker(exchange->client)->sessions;
	struct session *session = stream->session;
	bool in_order = session && ends_in_order(stream);

	exchange->attempt.stream = NULL;
	stream->exchange = NULL;
	if (session && session->block.stream == stream)
		session->block.stream = NULL;
	if (session && stream->id) {
		if (in_order && !stream->error)
			session->detach_ns = engine->loop->now_ns;
		else
			nghttp2_submit_rst_stream(session->frames, NGHTTP2_FLAG_NONE, stream->id,
						  NGHTTP2_CANCEL);
		if (!exchange->answered)
			session_doubt(session);
		session_settle(session);
		return; /* released when it is closed */
	}
	if (session)
		session_stream_detach(stream);
	release(engine, stream);
}

/* Not reached in time, and nobody else on this connection will be. */
static void fail(struct exchange *exchange)
{
	struct session *session = exchange->attempt.stream->session;

	board_add(exchange->client->listener->board, METRIC_UPSTREAM_FAILURES, 1);
	if (session && session->end == SESSION_GOES_ON) {
		reach_note_late(exchange->client->listener->board, session->link);
		session->fault = FW_UPSTREAM_UNREACHABLE;
		session_finish(session, SESSION_OVER);
	}
	drop(exchange);
}

/* --- the request -------------------------------------------------------------------------------
 */

static bool has_body(const struct exchange *exchange)
{
	return !exchange->request_body.done || exchange->body_ready;
}

static bool ask(struct exchange *exchange)
{
	const nghttp2_data_provider body = {.read_callback = session_stream_read};
	struct session_stream *stream = exchange->attempt.stream;
	nghttp2_nv fields[HTTP_FIELDS_MAX + FIELDS_EXTRA];
	size_t count = session_request_fields(exchange, fields, sizeof(fields) / sizeof(fields[0]));

	if (count)
		stream->id = nghttp2_submit_request(stream->session->frames, NULL, fields, count,
						    has_body(exchange) ? &body : NULL, stream);
	if (!count || stream->id <= 0) {
		stream->id = 0;
		return false;
	}
	board_add(exchange->client->listener->board, METRIC_UPSTREAM_STREAMS, 1);
	return true;
}

static enum flow send_ready(struct exchange *exchange)
{
	struct session_stream *stream = exchange->attempt.stream;

	if (!stream->session) {
		/* It takes no more, but may have said why. */
		exchange->attempt.request_cut = true;
		return FLOW_MOVED;
	}
	session_settle(stream->session);
	if (!stream->id) {
		if (!ask(exchange))
			return exchange_refuse(exchange, FW_MEMORY);
		request_note_sent(exchange, buffer_length(exchange->to_server));
		return FLOW_MOVED;
	}
	if (stream->deferred)
		nghttp2_session_resume_data(stream->session->frames, stream->id);
	stream->deferred = false;
	return FLOW_STUCK;
}

/* Copies what is ready of the body, without its framing; at most @most bytes. */
static uint32_t take_body(struct exchange *exchange, uint8_t *data, size_t most)
{
	struct buffer *in = *exchange->incoming;
	uint32_t count = exchange->body_ready < most ? exchange->body_ready : (uint32_t)most;
	size_t content = count;

	if (!count)
		return 0;
	/* It was checked before: there is nothing to refuse in it. */
	if (exchange->request_body.framing == HTTP_CHUNKED)
		http_chunks_unwrap(&exchange->attempt.stream->chunks, buffer_start(in), count,
				   &content);
	memcpy(data, buffer_start(in), content);
	request_note_sent(exchange, count);
	return (uint32_t)content;
}

static void send_trailer(nghttp2_session *frames, int32_t id, const struct exchange *exchange,
			 uint32_t *flags)
{
	const struct route_names *dropped = &exchange->route->request_drop;

	if (http2_submit_trailer(frames, id, exchange->request_trailer, dropped->list,
				 dropped->count))
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
}

ssize_t session_stream_read(nghttp2_session *frames, int32_t id, uint8_t *data, size_t length,
			    uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct session_stream *stream = nghttp2_session_get_stream_user_data(frames, id);
	struct exchange *exchange = stream ? stream->exchange : NULL;
	uint32_t count = 0, more;

	(void)source;
	if (!exchange)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (exchange->body_ready)
		session_stream_wake(stream); /* there will be room for more of it */
	do {
		more = take_body(exchange, data + count, length - count);
		count += more;
	} while (exchange->body_ready && count < length);
	if (count)
		session_abuse_note_data(user);
	if (request_is_done(exchange)) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (exchange->request_trailer)
			send_trailer(frames, id, exchange, flags);
	} else if (!count) {
		stream->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	return (ssize_t)count;
}

/* --- the response ------------------------------------------------------------------------------
 */

void session_stream_receive(struct session_stream *stream, const uint8_t *data, size_t length)
{
	struct exchange *exchange = stream->exchange;
	uint32_t head = stream->chunked && !stream->chunk ? HTTP2_CHUNK_HEAD : 0;

	if (!exchange || stream->error)
		return;
	if (!http2_make_room(&exchange->attempt.from_server, &exchange->client->account,
			     head + (uint32_t)length)) {
		stream->error = -ENOMEM;
		session_stream_wake(stream);
		return;
	}
	exchange->attempt.from_server->end += head;
	buffer_append(exchange->attempt.from_server, data, (uint32_t)length);
	stream->fresh += head + (uint32_t)length;
	stream->content += (uint32_t)length;
	if (stream->chunked)
		stream->chunk += (uint32_t)length;
	session_stream_wake(stream);
}

void session_stream_end(struct session_stream *stream)
{
	stream->ended = true;
	session_stream_wake(stream);
}

/* What was given before has been taken, or it would not be asked for more. */
static void open_window(struct session_stream *stream)
{
	if (stream->given && stream->session) {
		nghttp2_session_consume_stream(stream->session->frames, stream->id, stream->given);
		session_settle(stream->session);
	}
	stream->given = 0;
}

/* Ends what was begun of the framing. False: no memory. */
static bool frame(struct session_stream *stream)
{
	struct exchange *exchange = stream->exchange;

	if (stream->chunk) {
		http2_close_chunk(exchange->attempt.from_server, stream->chunk);
		stream->fresh += 2;
		stream->chunk = 0;
	}
	if (stream->ended && stream->chunked && !stream->sealed) {
		if (!http2_seal_chunks(&exchange->attempt.from_server, &exchange->client->account))
			return false;
		stream->fresh += 5;
		stream->sealed = true;
	}
	return true;
}

/* The response is broken off: by the server, or for what it said. */
static ssize_t tell_error(struct exchange *exchange)
{
	const struct session_stream *stream = exchange->attempt.stream;

	exchange->attempt.undone = stream->undone;
	return stream->error;
}

static ssize_t read_on(struct exchange *exchange)
{
	struct session_stream *stream = exchange->attempt.stream;
	uint32_t fresh;

	open_window(stream);
	if (stream->incomplete)
		return stream->error ? tell_error(exchange) : -EAGAIN;
	if (!frame(stream))
		return -ENOMEM;
	fresh = stream->fresh;
	stream->given = stream->content;
	stream->fresh = stream->content = 0;
	if (fresh)
		return fresh;
	if (stream->error)
		return tell_error(exchange);
	return stream->ended ? 0 : -EAGAIN;
}

/* What ends in good order is whole: nghttp2 sees to that. */
static uint64_t remaining(const struct exchange *exchange)
{
	const struct session_stream *stream = exchange->attempt.stream;

	return stream->error ? stream->fresh : UINT64_MAX;
}

const struct back http2_back = {
	.send = send_ready,
	.read = read_on,
	.remaining = remaining,
	.drop = drop,
	.fail = fail,
};
