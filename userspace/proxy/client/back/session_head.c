// SPDX-License-Identifier: BSD-2-Clause
/*
 * Heads between HTTP/2 and HTTP/1, towards servers: a response's block becomes text for http/ to
 * judge, a request's text, which we have written ourselves, becomes fields.
 *
 * Trailers are kept as lines of text, until whoever can say them does.
 */
#include <errno.h>
#include "proxy/client/back/session.h"
#include "proxy/http/lines.h"
#include "proxy/http/out.h"

enum {
	FIELD_OVERHEAD = 32, /* RFC 9113 section 6.5.2 */
	TRAILER_MOST = 8192,
	FRAMING_MOST = 64, /* "HTTP/1.1 200 " with its line, and how the body ends */
};

/* --- what the server says ----------------------------------------------------------------------
 */

static struct buffer **text_of(const struct session_block *block)
{
	struct exchange *exchange = block->stream->exchange;

	return block->is_trailer ? &exchange->attempt.response_trailer
				 : &exchange->attempt.from_server;
}

/* What was begun of it is never looked at. */
static void refuse(struct session_block *block, int error)
{
	block->stream->error = (int16_t)error;
	block->stream = NULL;
}

static bool make_room(struct session_block *block, uint32_t size)
{
	struct exchange *exchange = block->stream->exchange;

	if (http2_make_room(text_of(block), &exchange->client->account, size))
		return true;
	refuse(block, -ENOMEM);
	return false;
}

/* What was added since @before is for the exchange to look at, when the block is complete. */
static void put_text(struct session_block *block, const char *text)
{
	buffer_append(*text_of(block), text, (uint32_t)strlen(text));
}

void session_block_begin(struct session *session, struct session_stream *stream, bool is_trailer)
{
	bool wanted = stream && stream->exchange && !stream->error;

	session->block = (struct session_block){
		.stream = wanted ? stream : NULL,
		.is_trailer = is_trailer,
	};
	if (!wanted)
		return;
	/* Body that came before an interim head would have been an error of the frames. */
	stream->incomplete = true;
	if (is_trailer)
		buffer_give(&stream->exchange->attempt.response_trailer);
}

void session_block_refuse(struct session *session)
{
	if (session->block.stream)
		refuse(&session->block, -EPROTO);
}

/* ":status" comes first, and is three digits: nghttp2 sees to that. */
static void add_status(struct session_block *block, struct http_slice value)
{
	uint32_t before = buffer_length(*text_of(block));

	if (value.length != 3 || !make_room(block, FRAMING_MOST))
		return;
	for (uint32_t i = 0; i < value.length; i++)
		block->status = (uint16_t)(block->status * 10 + (value.at[i] - '0'));
	put_text(block, "HTTP/1.1 ");
	buffer_append(*text_of(block), value.at, value.length);
	put_text(block, " ");
	put_text(block, http_status_phrase(block->status));
	put_text(block, "\r\n");
	block->stream->fresh += buffer_length(*text_of(block)) - before;
}

static void add_field(struct session_block *block, struct http_slice name, struct http_slice value)
{
	if (!http2_field_is_sound(name, value)) {
		refuse(block, -EPROTO);
		return;
	}
	if (block->is_trailer && !http2_field_may_trail(name))
		return;
	if (!make_room(block, name.length + value.length + HTTP2_LINE_EXTRA))
		return;
	block->has_length = block->has_length || http2_slice_is(name, "content-length");
	http2_put_line(*text_of(block), name, value);
	if (!block->is_trailer)
		block->stream->fresh += name.length + value.length + HTTP2_LINE_EXTRA;
}

void session_block_add(struct session *session, struct http_slice name, struct http_slice value)
{
	struct session_block *block = &session->block;

	/* nghttp2 would look at every byte of what is still to come: 30 MB in a frame. */
	block->decoded += name.length + value.length + FIELD_OVERHEAD;
	if (block->decoded > HTTP_HEAD_MAX) {
		session_finish(session, SESSION_FLOODS);
		return;
	}
	if (!block->stream)
		return;
	if (!block->stream->exchange) /* he has left meanwhile */
		block->stream = NULL;
	else if (block->is_trailer && block->decoded > TRAILER_MOST)
		refuse(block, -EPROTO);
	else if (http2_slice_is(name, ":status"))
		add_status(block, value);
	else
		add_field(block, name, value);
}

/* Neither a length nor chunks may be announced where no body can follow. */
static bool has_no_body(const struct session_block *block)
{
	return block->status < 200 || block->status == 204 || block->status == 304 ||
	       block->stream->exchange->method == HTTP_HEAD;
}

static void end_head(struct session_block *block, bool ended)
{
	struct session_stream *stream = block->stream;
	uint32_t before;

	if (!make_room(block, FRAMING_MOST))
		return;
	before = buffer_length(stream->exchange->attempt.from_server);
	if (!block->has_length && !has_no_body(block)) {
		stream->chunked = !ended;
		put_text(block, ended ? "Content-Length: 0\r\n" : "Transfer-Encoding: chunked\r\n");
	}
	put_text(block, "\r\n");
	stream->fresh += buffer_length(stream->exchange->attempt.from_server) - before;
	stream->headed = block->status >= 200;
}

void session_block_end(struct session *session, bool ended)
{
	struct session_block *block = &session->block;

	if (block->stream && block->stream->exchange && !block->is_trailer)
		end_head(block, ended);
	block->stream = NULL;
}

/* --- what the server is told -------------------------------------------------------------------
 */

/* What says the same of a connection of HTTP/1: we have written it ourselves. */
static bool is_for_http1(struct http_slice name)
{
	return http2_slice_is(name, "transfer-encoding") || http2_slice_is(name, "connection");
}

size_t session_request_fields(struct exchange *exchange, nghttp2_nv *fields, size_t most)
{
	const char *at = buffer_start(exchange->to_server);
	const char *end = buffer_end(exchange->to_server);
	bool tls = exchange->attempt.stream->session->link->stream.tls;
	struct http_slice verb, target;
	struct http_line line;
	size_t count = 0;

	if (!http_line_request(&at, end, &verb, &target))
		return 0;
	fields[count++] = http2_field(HTTP2_NAME(":method"), verb);
	fields[count++] =
		http2_field(HTTP2_NAME(":scheme"), tls ? HTTP2_NAME("https") : HTTP2_NAME("http"));
	fields[count++] = http2_field(HTTP2_NAME(":path"), target);
	/* Host comes first of the lines, so that :authority comes before all that has no colon. */
	while (http_line_next(&at, end, &line)) {
		if (count == most - 1)
			return 0;
		http2_lower(line.name);
		if (http2_slice_is(line.name, "host"))
			line.name = HTTP2_NAME(":authority");
		if (!is_for_http1(line.name))
			fields[count++] = http2_field(line.name, line.value);
	}
	if (exchange->takes_trailer)
		fields[count++] = http2_field(HTTP2_NAME("te"), HTTP2_NAME("trailers"));
	return count;
}
