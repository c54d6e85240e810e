// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the server says: heads read and judged, the body as far as it has been checked. How it comes
 * from the server is its back's, how it gets to the client its front's.
 */
#include <errno.h>
#include "proxy/client/exchange/exchange.h"
#include "proxy/client/exchange/gather.h"
#include "proxy/client/exchange/hedge.h"
#include "proxy/client/relay.h"
#include "proxy/client/report.h"
#include "proxy/client/exchange/retry.h"

enum { INTERIMS_MAX = 16 }; /* 1xx responses before the final one */

static enum flow refuse(struct exchange *exchange)
{
	return exchange_fail(exchange, FW_UPSTREAM_BAD_RESPONSE);
}

/* The same, where it is no lack of room or memory, but what the server says. */
static enum flow blame(struct exchange *exchange)
{
	exchange_note_result(exchange, SERVER_BROKE);
	return refuse(exchange);
}

static enum flow read_head(struct exchange *exchange);

/* A 1xx: passed on, unless the client is too old for it or has been told already. */
static enum flow pass_interim(struct exchange *exchange, uint32_t length)
{
	uint16_t status = exchange->message.response.status;

	if (++exchange->interims > INTERIMS_MAX)
		return blame(exchange);
	hedge_drop(exchange);
	if (status != 100 && exchange->minor > 0 && !exchange->front->write_head(exchange, length))
		return refuse(exchange);
	buffer_consume(exchange->attempt.from_server, length);
	http_response_init(&exchange->message.response);
	return buffer_length(exchange->attempt.from_server) ? read_head(exchange) : FLOW_MOVED;
}

/* Whether the server goes over to what the client has asked for, and to nothing else (RFC 9110
 * section 7.8). The head that was sent ends with the protocol and CRLF CRLF. */
static bool switches_as_asked(const struct exchange *exchange)
{
	const struct http_field *field =
		http_field_find(&exchange->message.response.head,
				buffer_start(exchange->attempt.from_server), "upgrade");
	uint32_t length = exchange->asked_protocol;
	struct http_slice asked = {buffer_end(exchange->to_server) - 4 - length, length};

	return length && field &&
	       http_slice_equal(asked, http_slice(buffer_start(exchange->attempt.from_server),
						  field->value));
}

/* 101: from here on the connection is no longer HTTP's. */
static enum flow switch_protocol(struct exchange *exchange, uint32_t length)
{
	if (!switches_as_asked(exchange) || !request_is_done(exchange))
		return blame(exchange);
	if (!exchange->front->write_head(exchange, length))
		return refuse(exchange);
	exchange->answered = true;
	exchange->status = 101;
	buffer_consume(exchange->attempt.from_server, length);
	exchange_note_response(exchange, 101);
	return relay_take_over(exchange) ? FLOW_OVER : refuse(exchange);
}

/* Checks @length bytes of the body, the last in from_server. False: refused. */
static bool check_body(struct exchange *exchange, uint32_t length)
{
	struct buffer *in = exchange->attempt.from_server;
	size_t forward;
	int64_t count =
		body_check(&exchange->response_body, buffer_end(in) - length, length, &forward);

	if (count < 0) {
		exchange_note_result(exchange, SERVER_BROKE);
		return false;
	}
	/* More than the response: the server is out of step. */
	if (count < (int64_t)length)
		exchange->link_reusable = false;
	in->end -= length - (uint32_t)forward;
	exchange->answer_ready += (uint32_t)forward;
	return true;
}

/* The final head, @length bytes: it and what has come behind it are the client's. False: no memory,
 * or it is not what it says. */
static bool tell_client(struct exchange *exchange, uint32_t length)
{
	const struct http_response *response = &exchange->message.response;

	exchange->answered = true;
	exchange->status = response->status;
	exchange->link_reusable = response->head.keep_alive && !exchange->link_once &&
				  response->head.framing != HTTP_UNTIL_CLOSE;
	body_init(&exchange->response_body, &response->head, (struct http_chunk_limits){0});
	exchange->response_body.unwrap = exchange->front->bare_bodies || exchange->minor == 0;
	if (!exchange->front->write_head(exchange, length))
		return false;
	buffer_consume(exchange->attempt.from_server, length);
	if (!check_body(exchange, buffer_length(exchange->attempt.from_server)))
		return false;
	if (!buffer_length(exchange->attempt.from_server))
		buffer_give(&exchange->attempt.from_server);
	return true;
}

/* Whether the server has said its last, and the response, whose head takes @length bytes, will not
 * be whole: it was killed between head and body, say. Nothing was passed on yet, so its client need
 * not be left with a part. */
static bool is_broken_off(const struct exchange *exchange, uint32_t length)
{
	struct buffer *in = exchange->attempt.from_server;
	uint64_t remaining = exchange->attempt.back->remaining(exchange);
	struct body body;
	size_t forward;

	if (remaining == UINT64_MAX)
		return false;
	body_init(&body, &exchange->message.response.head, (struct http_chunk_limits){0});
	body_check(&body, buffer_start(in) + length, buffer_length(in) - length, &forward);
	return !body.done && body_least(&body) > remaining;
}

static enum flow begin_response(struct exchange *exchange, uint32_t length)
{
	uint16_t status = exchange->message.response.status;
	enum flow flow;

	exchange->latency_ns = 0;
	if (request_is_done(exchange))
		exchange->latency_ns = client_now(exchange->client) - exchange->attempt.asked_ns;
	if (exchange_tries_elsewhere(exchange, status, &flow))
		return flow;
	hedge_drop(exchange);
	retry_end(exchange);
	return tell_client(exchange, length) ? FLOW_MOVED : refuse(exchange);
}

static enum flow read_head(struct exchange *exchange)
{
	struct http_response *response = &exchange->message.response;
	int length;

	length = http_response_parse(response, buffer_start(exchange->attempt.from_server),
				     buffer_length(exchange->attempt.from_server),
				     exchange->method == HTTP_HEAD);
	if (length < 0)
		return blame(exchange);
	if (length == 0)
		return FLOW_MOVED;
	if (response->status == 101)
		return switch_protocol(exchange, (uint32_t)length);
	if (response->status < 200)
		return pass_interim(exchange, (uint32_t)length);
	if (is_broken_off(exchange, (uint32_t)length))
		return exchange_lose_link(exchange);
	return begin_response(exchange, (uint32_t)length);
}

enum flow response_begin(struct exchange *exchange)
{
	return buffer_length(exchange->attempt.from_server) ? read_head(exchange) : FLOW_MOVED;
}

bool response_give(struct exchange *exchange)
{
	struct http_response *response = &exchange->message.response;
	int length;

	http_response_init(response);
	length = http_response_parse(response, buffer_start(exchange->attempt.from_server),
				     buffer_length(exchange->attempt.from_server),
				     exchange->method == HTTP_HEAD);
	return length > 0 && tell_client(exchange, (uint32_t)length);
}

/* The server has said its last, or broke off. */
static enum flow end_of_server(struct exchange *exchange, ssize_t result)
{
	bool until_close =
		exchange->answered && exchange->response_body.framing == HTTP_UNTIL_CLOSE;

	exchange->link_reusable = false;
	if (until_close && result == 0) {
		exchange->response_body.done = true;
		return FLOW_MOVED;
	}
	return exchange_lose_link(exchange);
}

static enum flow read_server(struct exchange *exchange)
{
	ssize_t count = exchange->attempt.back->read(exchange);

	if (count == -EAGAIN)
		return FLOW_STUCK;
	if (count == -ENOMEM)
		return refuse(exchange);
	if (count <= 0)
		return end_of_server(exchange, count);
	exchange->busy = count >= WORTH_A_PIPE;
	exchange->touched_ns = client_now(exchange->client);
	gather_note_answer(exchange);
	if (!exchange->answered)
		return read_head(exchange);
	return check_body(exchange, (uint32_t)count) ? FLOW_MOVED : refuse(exchange);
}

/* --- a body that nobody need look at ------------------------------------------------------------
 */

/* Its length is known, so is where it ends, whatever its bytes are. Nothing of it waits. */
static bool may_splice(const struct exchange *exchange)
{
	return exchange->busy && exchange->front->plain_bodies &&
	       exchange->attempt.back->plain_bodies && exchange->answered &&
	       exchange->response_body.framing == HTTP_LENGTH &&
	       exchange->response_body.left >= WORTH_A_PIPE &&
	       stream_splices_in(&exchange->attempt.link->stream) &&
	       stream_splices_out(&exchange->client->stream);
}

static enum flow splice_in(struct exchange *exchange)
{
	struct pipes *pipes = &client_worker(exchange->client)->pipes;
	struct body *body = &exchange->response_body;
	size_t size = exchange->pipe->size;
	size_t most = body->left < size ? (size_t)body->left : size;
	ssize_t count = stream_splice_in(&exchange->attempt.link->stream, exchange->pipe->in, most);

	if (count <= 0) {
		pipes_give(pipes, &exchange->pipe);
		return count == -EAGAIN ? FLOW_STUCK : end_of_server(exchange, count);
	}
	exchange->pipe->held = (uint32_t)count;
	exchange->busy = count >= WORTH_A_PIPE;
	exchange->touched_ns = client_now(exchange->client);
	body->left -= (uint64_t)count;
	body->done = body->left == 0;
	/* Else the link would be taken for one on which somebody goes on talking. */
	if (body->done)
		stream_look(&exchange->attempt.link->stream);
	return FLOW_MOVED;
}

static enum flow splice_out(struct exchange *exchange)
{
	struct client *client = exchange->client;
	struct pipe *pipe = exchange->pipe;
	ssize_t count = stream_splice_out(&client->stream, pipe->out, pipe->held);

	if (count == -EAGAIN)
		return FLOW_STUCK;
	if (count < 0) {
		client_close(client, FW_CLIENT_CLOSED);
		return FLOW_OVER;
	}
	exchange_count_sent(exchange, (uint64_t)count);
	board_add(client->listener->board, METRIC_SPLICED, (uint64_t)count);
	exchange->touched_ns = client_now(client);
	pipe->held -= (uint32_t)count;
	if (!pipe->held)
		pipes_give(&client_worker(client)->pipes, &exchange->pipe);
	return FLOW_MOVED;
}

/* More of the body, or the head. */
static enum flow read_on(struct exchange *exchange)
{
	struct client *client = exchange->client;
	uint64_t kept = client->listener->live.value[FW_SET_HOST_DESCRIPTOR_RESERVE];

	if (may_splice(exchange) && stream_is(&exchange->attempt.link->stream, STREAM_READABLE))
		exchange->pipe = pipes_take(&client_worker(client)->pipes, &client->account, kept);
	return exchange->pipe ? splice_in(exchange) : read_server(exchange);
}

void response_finish(struct exchange *exchange)
{
	/* A request that was not wanted to its end leaves its connections in the middle of it. */
	if (!request_is_done(exchange))
		exchange->link_reusable = exchange->keep_alive = false;
	exchange_note_response(exchange, exchange->status);
	if (!exchange->reported)
		report_request(exchange->client, exchange, exchange->status, FW_NONE);
	exchange->front->finish(exchange);
}

enum flow response_forward(struct exchange *exchange)
{
	if (exchange->answer_ready || buffer_length(exchange->to_client))
		return exchange->front->send(exchange);
	if (exchange->pipe)
		return splice_out(exchange);
	if (exchange->answered && exchange->response_body.done) {
		response_finish(exchange);
		return FLOW_OVER;
	}
	if (!exchange->attempt.back || exchange->attempt.connecting)
		return FLOW_STUCK;
	return read_on(exchange);
}
