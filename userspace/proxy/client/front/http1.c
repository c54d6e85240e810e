// SPDX-License-Identifier: BSD-2-Clause
/*
 * HTTP/1 towards the client: one request after the other, heads as text. What has been received and
 * not read stays in the client's buffer, behind a body the next request; what is to be sent goes
 * out head and body together.
 */
#include <errno.h>
#include "proxy/client/exchange/exchange.h"
#include "proxy/client/exchange/gather.h"
#include "proxy/client/overload/load.h"
#include "proxy/client/report.h"
#include "proxy/client/front/http2.h"
#include "proxy/client/route/route_text.h"

enum {
	BODY_PART = 16384, /* of a body that is worth a medium buffer */
	BODY_ROOM = 512,   /* that is worth a read, and there beside what is gathered */
};

/* Whether the client's connection may go on after this request. */
static bool may_outlive(const struct exchange *exchange)
{
	const struct client *client = exchange->client;
	uint64_t allowed = client->listener->live.value[FW_SET_LIMIT_REQUESTS];

	return exchange->keep_alive && !client_worker(client)->draining &&
	       load_spares_idle(client->listener) && (!allowed || client->requests < allowed);
}

/* --- the request's head ------------------------------------------------------------------------
 */

/* Answers a request that came too fast, and keeps the connection: a new one would cost more. False:
 * it can't be kept, or there is no memory. */
static bool answer_excess(struct exchange *exchange, enum fw_verdict verdict)
{
	struct buffer *out;
	int length;

	if (verdict_rows[verdict].status != 429 || exchange->minor == 0 ||
	    !exchange->request_body.done || !may_outlive(exchange))
		return false;
	out = exchange->to_client = buffer_take(&exchange->client->account, BUFFER_SMALL);
	length =
		out ? exchange_write_refusal(exchange, out->data, out->capacity, verdict, true) : 0;
	if (length <= 0)
		return false;
	out->end = (uint32_t)length;
	exchange->status = 429;
	exchange->answered = exchange->response_body.done = exchange->reported = true;
	report_request(exchange->client, exchange, exchange->status, verdict);
	return true;
}

/* The head is complete and in order: the exchange begins. */
static void begin(struct exchange *exchange, uint32_t length)
{
	struct client *client = exchange->client;
	enum fw_verdict verdict;

	client->phase = CLIENT_EXCHANGE;
	verdict = request_begin(exchange, buffer_start(client->in));
	if (verdict != FW_NONE && !answer_excess(exchange, verdict)) {
		client_refuse(client, verdict);
		return;
	}
	buffer_consume(client->in, length);
	if (!buffer_length(client->in))
		buffer_give(&client->in);
	if (exchange->answered)
		client_run_exchange(client);
	else if (request_check_body(exchange, 0) && request_start(exchange) != FLOW_OVER)
		client_run_exchange(client);
}

/* The first bytes of a request are here. False: no memory. */
static bool open_exchange(struct client *client)
{
	client->exchange = exchange_create(client, &http1_front, &client->in);
	if (!client->exchange)
		return false;
	client->exchange->received = buffer_length(client->in);
	http_request_init(&client->exchange->message.request);
	if (client->phase == CLIENT_IDLE) {
		client->phase = CLIENT_HEAD;
		client->since_ns = client_now(client);
	}
	return true;
}

/* Whether a connection that may speak HTTP/2 without TLS does, or may yet turn out to. */
static bool awaits_preface(struct client *client)
{
	int result;

	if (!client->listener->live.value[FW_SET_HTTP2_CLEARTEXT] || client->stream.tls ||
	    client->requests)
		return false;
	result = http2_recognise(buffer_start(client->in), buffer_length(client->in));
	if (result > 0) {
		http2_begin(client);
		client_run(client);
	}
	return result >= 0;
}

/* Looks at what has been received. True: the head is not complete, and more may be read. */
static bool parse(struct client *client)
{
	int result;

	if (!client->exchange && awaits_preface(client))
		return client->phase == CLIENT_HEAD;
	if (!client->exchange && !open_exchange(client)) {
		client_refuse(client, FW_MEMORY);
		return false;
	}
	result = request_parse(client->exchange, buffer_start(client->in),
			       buffer_length(client->in));
	if (result == 0)
		return true;
	if (result < 0)
		client_refuse(client, (enum fw_verdict) - result);
	else
		begin(client->exchange, (uint32_t)result);
	return false;
}

/* Room for more of the head: a buffer, or a larger one. */
static bool make_room(struct client *client)
{
	if (!client->in)
		client->in = buffer_take(&client->account, BUFFER_SMALL);
	else if (!buffer_room(client->in) && client->in->start)
		buffer_compact(client->in);
	else if (!buffer_room(client->in))
		return buffer_grow(&client->in);
	return client->in != NULL;
}

/* The client's last byte came before a complete head. */
static void end_early(struct client *client)
{
	client_close(client, client->exchange ? FW_CLIENT_CLOSED : FW_DONE);
}

void http1_read(struct client *client)
{
	ssize_t count;

	/* Sent ahead, behind the previous request. */
	if (client->in && !client->exchange && !parse(client))
		return;
	for (;;) {
		if (!make_room(client)) {
			client_refuse(client, FW_MEMORY);
			return;
		}
		count = stream_read(&client->stream, buffer_end(client->in),
				    buffer_room(client->in));
		if (count <= 0)
			break;
		client->in->end += (uint32_t)count;
		client_count_received(client, (uint64_t)count);
		if (client->exchange)
			client->exchange->received += (uint64_t)count;
		if (!parse(client))
			return;
	}
	if (count != -EAGAIN)
		end_early(client);
	else if (!buffer_length(client->in))
		buffer_give(&client->in);
}

/* --- the request's body ------------------------------------------------------------------------
 */

/* Room for more of the body, behind what is gathered of it: little for who sends little. */
static bool make_body_room(struct exchange *exchange)
{
	struct client *client = exchange->client;
	uint32_t have = buffer_length(client->in), room = BODY_ROOM;

	if (!exchange->trickles && have < BODY_PART)
		room += BODY_PART - have;
	return buffer_fit(&client->in, &client->account, room);
}

/* Nothing more has come, or so little that the kernel did not tell. */
static enum flow await_body(struct exchange *exchange)
{
	struct client *client = exchange->client;

	if (!buffer_length(client->in))
		buffer_give(&client->in);
	stream_await(&client->stream, gather_wants(exchange));
	return FLOW_STUCK;
}

/* Whatever is left in the buffer when the body is over belongs to the next request. */
static enum flow read_body(struct exchange *exchange)
{
	struct client *client = exchange->client;
	uint32_t at = buffer_length(client->in);
	ssize_t count;

	if (stream_awaits_more(&client->stream) && !gather_waits(exchange))
		stream_note(&client->stream, EPOLLIN);
	if (!stream_is(&client->stream, STREAM_READABLE))
		return await_body(exchange);
	if (!make_body_room(exchange))
		return exchange_refuse(exchange, FW_MEMORY);
	count = stream_read(&client->stream, buffer_end(client->in),
			    buffer_room(client->in) - HTTP_CHUNK_EXTRA);
	if (count == -EAGAIN)
		return await_body(exchange);
	if (count <= 0) {
		client_close(client, FW_CLIENT_CLOSED);
		return FLOW_OVER;
	}
	client->in->end += (uint32_t)count;
	exchange->touched_ns = client_now(client);
	exchange_count_received(exchange, (uint64_t)count);
	gather_note_read(exchange, (size_t)count);
	if (!request_check_body(exchange, at))
		return FLOW_OVER;
	if (exchange->request_body.done)
		stream_await(&client->stream, 1);
	return FLOW_MOVED;
}

/* Who has sent some of the body already does not wait. */
static void send_continue(struct exchange *exchange)
{
	struct client *client = exchange->client;

	if (client->in || exchange->request_body.done || exchange->to_client)
		return;
	exchange->to_client = buffer_take(&client->account, BUFFER_SMALL);
	if (exchange->to_client)
		buffer_append(exchange->to_client, http_continue.at, http_continue.length);
}

/* --- the response ------------------------------------------------------------------------------
 */

/* Whether the client's connection outlives this response. */
static bool may_keep_alive(const struct exchange *exchange)
{
	return may_outlive(exchange) && request_is_done(exchange) &&
	       http_response_delimited(&exchange->message.response, exchange->minor);
}

/* Behind what waits for the client already. */
static bool write_head(struct exchange *exchange, uint32_t length)
{
	struct account *account = &exchange->client->account;
	const struct http_response *response = &exchange->message.response;
	char *data = buffer_start(exchange->attempt.from_server), lines[CONFIG_LINES_MAX];
	struct http_reply reply = {
		.minor = exchange->minor,
		.lines = route_rule_answer(exchange, data, lines),
	};
	size_t need = http_response_room(response, &reply);
	struct buffer *out = exchange->to_client;
	int written;

	(void)length;

	if (!out)
		out = exchange->to_client = buffer_take_for(account, need);
	else
		while (buffer_room(out) < need && buffer_grow(&exchange->to_client))
			out = exchange->to_client;
	if (!out)
		return false;
	if (response->status >= 200)
		reply.keep_alive = exchange->keep_alive = may_keep_alive(exchange);
	written = http_response_write(buffer_end(out), buffer_room(out), response, data, &reply);
	if (written < 0)
		return false;
	out->end += (uint32_t)written;
	return true;
}

/* A small body goes along with its head, and its buffer back. */
static void join_small_body(struct exchange *exchange)
{
	struct buffer *out = exchange->to_client;

	if (!exchange->answer_ready || exchange->answer_ready > buffer_room(out))
		return;
	buffer_append(out, buffer_start(exchange->attempt.from_server), exchange->answer_ready);
	buffer_consume(exchange->attempt.from_server, exchange->answer_ready);
	exchange->answer_ready = 0;
	if (!buffer_length(exchange->attempt.from_server))
		buffer_give(&exchange->attempt.from_server);
}

static int gather(const struct exchange *exchange, struct iovec parts[2])
{
	int count = 0;

	if (buffer_length(exchange->to_client))
		parts[count++] = (struct iovec){buffer_start(exchange->to_client),
						buffer_length(exchange->to_client)};
	if (exchange->answer_ready)
		parts[count++] = (struct iovec){buffer_start(exchange->attempt.from_server),
						exchange->answer_ready};
	return count;
}

/* The client has taken @count bytes of the head, then of the body. */
static void note_sent(struct exchange *exchange, uint32_t count)
{
	uint32_t of_head = buffer_length(exchange->to_client);

	exchange_count_sent(exchange, count);
	exchange->touched_ns = client_now(exchange->client);
	if (of_head > count)
		of_head = count;
	if (of_head)
		buffer_consume(exchange->to_client, of_head);
	if (!buffer_length(exchange->to_client))
		buffer_give(&exchange->to_client);
	if (count > of_head) {
		exchange->answer_ready -= count - of_head;
		buffer_consume(exchange->attempt.from_server, count - of_head);
	}
	if (exchange->attempt.from_server && !buffer_length(exchange->attempt.from_server))
		buffer_give(&exchange->attempt.from_server);
}

static enum flow send_ready(struct exchange *exchange)
{
	struct iovec parts[2];
	ssize_t sent;

	if (exchange->to_client)
		join_small_body(exchange);
	if (!exchange->keep_alive && exchange->response_body.done)
		stream_part(&exchange->client->stream);
	sent = stream_write(&exchange->client->stream, parts, gather(exchange, parts));
	if (sent == -EAGAIN)
		return FLOW_STUCK;
	if (sent < 0) {
		client_close(exchange->client, FW_CLIENT_CLOSED);
		return FLOW_OVER;
	}
	note_sent(exchange, (uint32_t)sent);
	return FLOW_MOVED;
}

static void finish(struct exchange *exchange)
{
	struct client *client = exchange->client;
	uint64_t allowed = client->listener->live.value[FW_SET_LIMIT_REQUESTS];

	if (exchange->keep_alive)
		client_next(client);
	else if (client_worker(client)->draining)
		client_finish(client, FW_DRAINED);
	else
		client_finish(client, allowed && client->requests >= allowed
					      ? FW_CONNECTION_REQUESTS
					      : FW_DONE);
}

static void refuse(struct exchange *exchange, enum fw_verdict verdict)
{
	client_refuse(exchange->client, verdict);
}

/* --- for deadlines -----------------------------------------------------------------------------
 */

static bool waits_for_client(const struct exchange *exchange)
{
	return !stream_is(&exchange->client->stream, STREAM_WRITABLE) &&
	       (buffer_length(exchange->to_client) || exchange->answer_ready || exchange->pipe);
}

static uint64_t taken(const struct exchange *exchange)
{
	return stream_taken(&exchange->client->stream, exchange->client->sent);
}

const struct front http1_front = {
	.protocol = "HTTP/1.1",
	.plain_bodies = true,
	.read_body = read_body,
	.send_continue = send_continue,
	.write_head = write_head,
	.send = send_ready,
	.finish = finish,
	.refuse = refuse,
	.waits_for_client = waits_for_client,
	.taken = taken,
};
