// SPDX-License-Identifier: BSD-2-Clause
/*
 * A response on its way to a client of HTTP/2. nghttp2 asks for as much of the body as the client's
 * windows allow; until that is gone no more is read from the server. A refusal goes the same way,
 * as a response that we make ourselves; to who has shut his windows it is a head alone, so that it
 * is over at once and holds nothing.
 */
#include "proxy/client/front/http2.h"
#include "proxy/client/route/route_text.h"
#include "proxy/http/out.h"

enum {
	FRAME_HEAD = 9,
	DATA_LEAST = 1024, /* room for less is no reason to cut a frame */
};

/* --- the response's head -----------------------------------------------------------------------
 */

/* End to end, and not said by us. */
static bool is_forwarded(const struct http_field *field)
{
	switch (field->kind) {
	case HTTP_CONTENT_LENGTH:
	case HTTP_TRANSFER_ENCODING:
	case HTTP_CONNECTION:
	case HTTP_UPGRADE:
	case HTTP_HOP:
		return false;
	default:
		return true;
	}
}

enum { STATUS_DIGITS = 3, LENGTH_DIGITS = 20 };

static struct http_slice put_digits(char *digits, size_t room, uint64_t number)
{
	struct http_out out = http_out(digits, room);

	http_put_number(&out, number);
	return (struct http_slice){digits, (uint32_t)http_out_length(&out)};
}

/* @digits: room for both numbers. */
static size_t gather_fields(const struct exchange *exchange, nghttp2_nv *fields, char *digits)
{
	const struct http_response *response = &exchange->message.response;
	const struct http_head *head = &response->head;
	char *data = buffer_start(exchange->attempt.from_server);
	size_t count = 0;

	fields[count++] = http2_field(HTTP2_NAME(":status"),
				      put_digits(digits, STATUS_DIGITS, response->status));
	for (uint32_t i = 0; i < head->count; i++) {
		const struct http_field *field = &head->field[i];

		if (!is_forwarded(field))
			continue;
		http2_lower(http_slice(data, field->name));
		fields[count++] =
			http2_field(http_slice(data, field->name), http_slice(data, field->value));
	}
	if (head->has_content_length)
		fields[count++] = http2_field(
			HTTP2_NAME("content-length"),
			put_digits(digits + STATUS_DIGITS, LENGTH_DIGITS, head->content_length));
	return count;
}

/* nghttp2 copies the fields. */
bool http2_response_write_head(struct exchange *exchange, uint32_t length)
{
	const nghttp2_data_provider body = {.read_callback = http2_response_read};
	struct http2_stream *stream = http2_stream_of(exchange);
	nghttp2_session *session = stream->http2->session;
	const struct http_response *response = &exchange->message.response;
	nghttp2_nv fields[HTTP_FIELDS_MAX + 2 + CONFIG_LINE_COUNT_MAX];
	char digits[STATUS_DIGITS + LENGTH_DIGITS], lines[CONFIG_LINES_MAX];
	struct http_slice added =
		route_rule_answer(exchange, buffer_start(exchange->attempt.from_server), lines);
	size_t count = gather_fields(exchange, fields, digits);
	int code;

	(void)length;
	count += http2_fields_of(added, fields + count, CONFIG_LINE_COUNT_MAX);
	if (response->status == 101) /* nobody can have asked for it */
		return false;
	if (response->status < 200)
		return nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, stream->id, NULL, fields,
					      count, NULL) == 0;
	code = nghttp2_submit_response(session, stream->id, fields, count,
				       response->head.framing == HTTP_NO_BODY ? NULL : &body);
	stream->responded = code == 0;
	return stream->responded;
}

void http2_response_send_continue(struct exchange *exchange)
{
	const nghttp2_nv status = http2_field(HTTP2_NAME(":status"), (struct http_slice){"100", 3});
	struct http2_stream *stream = http2_stream_of(exchange);

	if (!stream->in && !stream->ended)
		nghttp2_submit_headers(stream->http2->session, NGHTTP2_FLAG_NONE, stream->id, NULL,
				       &status, 1, NULL);
}

/* --- the response's body -----------------------------------------------------------------------
 */

enum flow http2_response_send(struct exchange *exchange)
{
	struct http2_stream *stream = http2_stream_of(exchange);

	if (stream->deferred)
		nghttp2_session_resume_data(stream->http2->session, stream->id);
	stream->deferred = false;
	return FLOW_STUCK;
}

/* What the server has said behind the body; so there is a route. */
static void send_trailer(nghttp2_session *session, int32_t id, const struct exchange *exchange,
			 uint32_t *flags)
{
	const struct route_names *dropped = &exchange->route->response_drop;

	if (http2_submit_trailer(session, id, exchange->attempt.response_trailer, dropped->list,
				 dropped->count))
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
}

ssize_t http2_response_read(nghttp2_session *session, int32_t id, uint8_t *data, size_t length,
			    uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct http2_stream *stream = http2_stream_find(session, id);
	const struct exchange *exchange = stream ? stream->exchange : NULL;
	const struct http2 *http2 = user;
	size_t count, room;

	(void)data;
	(void)source;
	if (!exchange) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		return 0;
	}
	count = exchange->answer_ready < length ? exchange->answer_ready : length;
	room = http2->out ? buffer_room(http2->out) : 0;
	room = room > DATA_LEAST + FRAME_HEAD ? room - FRAME_HEAD : DATA_LEAST;
	if (count > room)
		count = room;
	if (count == exchange->answer_ready && exchange->response_body.done) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (exchange->attempt.response_trailer)
			send_trailer(session, id, exchange, flags);
	} else if (!count) {
		stream->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (count)
		*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	return (ssize_t)count;
}

bool http2_response_is_shut(const struct exchange *exchange)
{
	const struct http2_stream *stream = http2_stream_of(exchange);
	nghttp2_session *session = stream->http2->session;

	return nghttp2_session_get_remote_window_size(session) <= 0 ||
	       nghttp2_session_get_stream_remote_window_size(session, stream->id) <= 0;
}

int http2_response_put(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
		       size_t length, nghttp2_data_source *source, void *user)
{
	struct http2_stream *stream = http2_stream_find(session, frame->hd.stream_id);
	struct exchange *exchange = stream ? stream->exchange : NULL;
	struct http2 *http2 = user;

	(void)source;
	if (!exchange || exchange->answer_ready < length)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (buffer_room(http2->out) < FRAME_HEAD + length)
		return NGHTTP2_ERR_WOULDBLOCK;
	buffer_append(http2->out, head, FRAME_HEAD);
	buffer_append(http2->out, buffer_start(exchange->attempt.from_server), (uint32_t)length);
	buffer_consume(exchange->attempt.from_server, (uint32_t)length);
	exchange->answer_ready -= (uint32_t)length;
	if (!buffer_length(exchange->attempt.from_server))
		buffer_give(&exchange->attempt.from_server);
	exchange->sent += length;
	exchange->touched_ns = client_now(exchange->client);
	http2_abuse_note_data(http2);
	http2_stream_wake(stream);
	return 0;
}

/* --- our own -----------------------------------------------------------------------------------
 */

/* A body nobody could take now is left out: @text is @length bytes of head, and what comes behind.
 */
static void shorten(struct exchange *exchange, struct buffer *text, uint32_t length)
{
	struct http_head *head = &exchange->message.response.head;

	if (!http2_response_is_shut(exchange))
		return;
	text->end = text->start + length;
	head->framing = HTTP_NO_BODY;
	head->has_content_length = false;
}

bool http2_response_make(struct exchange *exchange, enum fw_verdict verdict)
{
	struct http2_stream *stream = http2_stream_of(exchange);
	struct http_response *response = &exchange->message.response;
	struct buffer *text;
	int length;

	if (!verdict_rows[verdict].status || stream->responded)
		return false;
	exchange_drop_server(exchange);
	buffer_give(&exchange->attempt.from_server);
	text = exchange->attempt.from_server =
		buffer_take(&exchange->client->account, BUFFER_SMALL);
	if (!text)
		return false;
	length = exchange_write_refusal(exchange, text->data, text->capacity, verdict, true);
	text->end = length > 0 ? (uint32_t)length : 0;
	http_response_init(response);
	length =
		http_response_parse(response, text->data, text->end, exchange->method == HTTP_HEAD);
	if (length <= 0)
		return false;
	shorten(exchange, text, (uint32_t)length);
	if (!http2_response_write_head(exchange, (uint32_t)length))
		return false;
	exchange->status = response->status;
	buffer_consume(text, (uint32_t)length);
	exchange->answer_ready = buffer_length(text);
	if (!exchange->answer_ready)
		buffer_give(&exchange->attempt.from_server);
	exchange->answered = exchange->attempt.request_cut = true;
	exchange->request_body.done = exchange->response_body.done = true;
	exchange->body_ready = 0;
	exchange->head_ns = exchange->head_ns ? exchange->head_ns : client_now(exchange->client);
	return true;
}
