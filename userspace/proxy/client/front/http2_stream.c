// SPDX-License-Identifier: BSD-2-Clause
/*
 * A request on a stream of HTTP/2, from its head to its end; its response is in http2_response.c.
 *
 * Its body is taken as far as the stream's window goes, and the window is opened again by what the
 * server has taken: a client sends no faster than that, and can't make us hold more.
 */
#include <errno.h>
#include "proxy/client/deadline.h"
#include "proxy/client/front/http2.h"
#include "proxy/client/exchange/gather.h"
#include "proxy/client/report.h"

#define NOTICE_NS CLOCK_SEC /* for a client to see that its request was answered before its end */

enum {
	FRAME_HEAD = 9,
};

static struct client *client_of(const struct http2_stream *stream)
{
	return stream->http2->client;
}

void http2_stream_wake(struct http2_stream *stream)
{
	if (!list_is_linked(&stream->ready))
		list_append(&stream->http2->ready, &stream->ready);
}

/* --- beginning and end -------------------------------------------------------------------------
 */

static struct http2_stream *create(struct http2 *http2, int32_t id)
{
	struct client *client = http2->client;
	struct http2_engine *engine = &client_worker(client)->http2;
	struct http2_stream *stream = account_take(&client->account, &engine->streams);

	if (!stream)
		return NULL;
	*stream = (struct http2_stream){.http2 = http2, .id = id};
	list_init(&stream->ready);
	stream->exchange = exchange_create(client, &http2_front, &stream->in);
	if (!stream->exchange) {
		account_give(&client->account, &engine->streams, stream);
		return NULL;
	}
	client_charge(client, USAGE_EVENT);
	list_append(&http2->streams, &stream->node);
	http2->stream_count++;
	nghttp2_session_set_stream_user_data(http2->session, id, stream);
	return stream;
}

/* A length that does not end with the request, or the other way round, would be a second request
 * to the server. */
static enum fw_verdict judge_framing(const struct exchange *exchange, bool has_body)
{
	return exchange->request_body.done || has_body ? FW_NONE : FW_BAD_FRAMING;
}

int http2_stream_open(struct http2 *http2, int32_t id, bool has_body)
{
	struct http2_block *block = &http2->block;
	const uint64_t *live = http2->client->listener->live.value;
	int length = http2_block_end(http2, has_body);
	struct http2_stream *stream = NULL;
	enum fw_verdict verdict;

	if (http2->stream_count < live[FW_SET_HTTP2_STREAMS]) {
		stream = create(http2, id);
		if (!stream)
			report_request(http2->client, NULL, 0,
				       client_explain(http2->client, FW_MEMORY));
	}
	if (!stream) {
		/* Nothing was done: the client may try again (RFC 9113 section 8.7). */
		http2_block_drop(http2);
		return nghttp2_submit_rst_stream(http2->session, NGHTTP2_FLAG_NONE, id,
						 NGHTTP2_REFUSED_STREAM);
	}
	stream->exchange->begun_ns = block->begun_ns;
	stream->exchange->takes_trailer = block->takes_trailer;
	stream->exchange->received = block->wire + FRAME_HEAD;
	stream->ended = !has_body;
	http_request_init(&stream->exchange->message.request);
	if (length > 0)
		length = request_parse(stream->exchange, buffer_start(block->text),
				       (uint32_t)length);
	if (length > 0) {
		verdict = request_begin(stream->exchange, buffer_start(block->text));
		stream->chunked = stream->exchange->request_body.framing == HTTP_CHUNKED;
		if (verdict == FW_NONE)
			verdict = judge_framing(stream->exchange, has_body);
	} else {
		verdict = length ? (enum fw_verdict) - length : FW_BAD_REQUEST_LINE;
	}
	http2_block_drop(http2);
	if (verdict != FW_NONE)
		exchange_refuse(stream->exchange, verdict);
	http2_stream_wake(stream);
	return 0;
}

/* The exchange is over; what nghttp2 has of its response goes out yet. */
static void drop_exchange(struct http2_stream *stream)
{
	struct http2 *http2 = stream->http2;

	exchange_free(stream->exchange);
	stream->exchange = NULL;
	list_remove(&stream->ready);
	if (stream->deferred)
		nghttp2_session_resume_data(http2->session, stream->id);
	stream->deferred = false;
}

/* Bytes of body that nobody will read any more count against no window. */
static void forgive(struct http2_stream *stream)
{
	if (stream->owed)
		nghttp2_session_consume_connection(stream->http2->session, stream->owed);
	stream->owed = stream->batch = 0;
	buffer_give(&stream->in);
}

void http2_stream_close(struct http2_stream *stream)
{
	struct http2 *http2 = stream->http2;
	struct client *client = http2->client;
	struct exchange *exchange = stream->exchange;

	if (exchange && exchange->answered && exchange->response_body.done &&
	    !exchange->answer_ready) {
		response_finish(exchange);
	} else if (exchange) {
		if (!exchange->reported)
			report_request(client, exchange, exchange->status,
				       client_worker(client)->draining ? FW_DRAINED
								       : FW_CLIENT_CLOSED);
		drop_exchange(stream);
	}
	forgive(stream);
	list_remove(&stream->ready);
	list_remove(&stream->node);
	if (--http2->stream_count == 0)
		client->since_ns = client_now(client);
	account_give(&client->account, &client_worker(client)->http2.streams, stream);
}

/* Not at once: to many clients a reset says that what they have not read yet is void, too. */
void http2_stream_note_answered(struct http2_stream *stream)
{
	struct client *client = client_of(stream);

	stream->answered_ns = client_now(client);
	if (!stream->ended)
		timer_arm_lazily(&client_worker(client)->loop.wheel, &client->deadline,
				 stream->answered_ns + NOTICE_NS);
}

void http2_stream_cut(struct http2_stream *stream, uint64_t now_ns)
{
	struct client *client = client_of(stream);

	if (!stream->answered_ns || stream->ended)
		return;
	/* RFC 9113 section 8.1. */
	if (now_ns >= stream->answered_ns + NOTICE_NS)
		nghttp2_submit_rst_stream(stream->http2->session, NGHTTP2_FLAG_NONE, stream->id,
					  NGHTTP2_NO_ERROR);
	else
		timer_arm_lazily(&client_worker(client)->loop.wheel, &client->deadline,
				 stream->answered_ns + NOTICE_NS);
}

void http2_stream_run(struct http2_stream *stream)
{
	struct exchange *exchange = stream->exchange;
	uint64_t now_ns = client_now(client_of(stream)), next_ns;
	enum flow flow = FLOW_MOVED;

	if (!exchange)
		return;
	/* Not before all that was received is looked at: what it resets cost no server anything. */
	if (!stream->begun && !exchange->answered)
		flow = request_start(exchange);
	stream->begun = true;
	if (flow != FLOW_OVER)
		flow = exchange_run(exchange);
	if (flow == FLOW_MOVED)
		http2_stream_wake(stream);
	if (!stream->exchange)
		return;
	deadline_note_waits(exchange, now_ns);
	deadline_judge_exchange(exchange, now_ns, &next_ns);
	timer_arm_lazily(&client_worker(client_of(stream))->loop.wheel,
			 &client_of(stream)->deadline, next_ns);
}

/* --- the request's body ------------------------------------------------------------------------
 *
 * In `in` are bytes that were checked, then from fresh_at on those that came since: bare, behind
 * room for the head of a chunk if the body is in chunks.
 */

int http2_stream_receive(struct http2_stream *stream, const uint8_t *data, size_t length)
{
	struct exchange *exchange = stream->exchange;
	uint32_t head = 0, have = buffer_length(stream->in);

	stream->owed += (uint32_t)length;
	if (!exchange || exchange->attempt.request_cut) {
		forgive(stream);
		return 0;
	}
	exchange_count_received(exchange, length);
	if (stream->chunked && have == stream->fresh_at)
		head = HTTP2_CHUNK_HEAD;
	if (!http2_make_room(&stream->in, &client_of(stream)->account, head + (uint32_t)length)) {
		exchange_refuse(exchange, FW_MEMORY);
		return 0;
	}
	stream->in->end += head;
	buffer_append(stream->in, data, (uint32_t)length);
	http2_stream_wake(stream);
	return 0;
}

void http2_stream_end(struct http2_stream *stream)
{
	stream->ended = true;
	http2_stream_wake(stream);
}

void http2_stream_note_trailer(struct http2 *http2, struct http2_stream *stream)
{
	struct buffer *trailer = http2_block_take_trailer(http2);

	if (stream && stream->exchange && !stream->exchange->request_trailer)
		stream->exchange->request_trailer = trailer;
	else
		buffer_give(&trailer);
}

static enum flow read_body(struct exchange *exchange)
{
	struct http2_stream *stream = http2_stream_of(exchange);
	uint32_t from = stream->fresh_at, fresh = buffer_length(stream->in) - from;

	/* All that comes until then is one chunk. */
	if (stream->chunked && !stream->ended && gather_waits(exchange))
		return FLOW_STUCK;
	stream->batch += fresh && stream->chunked ? fresh - HTTP2_CHUNK_HEAD : fresh;
	if (fresh && stream->chunked)
		http2_close_chunk(stream->in, fresh - HTTP2_CHUNK_HEAD);
	if (stream->ended && stream->chunked && !stream->sealed) {
		if (!http2_seal_chunks(&stream->in, &client_of(stream)->account))
			return exchange_refuse(exchange, FW_MEMORY);
		stream->sealed = true;
	}
	fresh = buffer_length(stream->in) - from;
	if (fresh) {
		exchange->touched_ns = client_now(exchange->client);
		stream->fresh_at += fresh;
		return request_check_body(exchange, from) ? FLOW_MOVED : FLOW_OVER;
	}
	if (stream->ended) /* before the length it announced */
		return exchange_refuse(exchange, FW_BAD_FRAMING);
	return FLOW_STUCK;
}

/* The client may send as much again, of what it sent: chunks' own bytes are not the window's. */
static void note_taken(struct exchange *exchange, uint32_t count)
{
	struct http2_stream *stream = http2_stream_of(exchange);

	stream->fresh_at -= count;
	if (count > stream->batch)
		count = stream->batch;
	stream->batch -= count;
	stream->owed -= count;
	if (count)
		nghttp2_session_consume(stream->http2->session, stream->id, count);
}

/* Its part of what the client may send of all bodies together: half of that, so that those which
 * wait for more of theirs leave room for it. */
static uint32_t room(const struct exchange *exchange)
{
	return HTTP2_CONNECTION_WINDOW / 2 / http2_stream_of(exchange)->http2->stream_count;
}

/* --- the end -----------------------------------------------------------------------------------
 */

static void finish(struct exchange *exchange)
{
	drop_exchange(http2_stream_of(exchange));
}

/* Whether a refusal is the client's own doing. Too many requests are judged by their rate. */
static bool is_clients_fault(enum fw_verdict verdict)
{
	int status = verdict_rows[verdict].status;

	return status >= 400 && status < 500 && status != 429 && verdict != FW_NO_ROUTE;
}

static void refuse(struct exchange *exchange, enum fw_verdict verdict)
{
	struct http2_stream *stream = http2_stream_of(exchange);
	struct http2 *http2 = stream->http2;
	bool answered = http2_response_make(exchange, verdict);

	verdict = client_explain(exchange->client, verdict);
	report_request(exchange->client, exchange, exchange->status, verdict);
	exchange->reported = true;
	if (is_clients_fault(verdict))
		http2_abuse_note_error(http2);
	if (verdict == FW_REQUEST_FLOOD)
		http2->verdict = (uint8_t)verdict;
	forgive(stream);
	stream->fresh_at = 0;
	if (answered) {
		http2_stream_wake(stream);
		return;
	}
	nghttp2_submit_rst_stream(http2->session, NGHTTP2_FLAG_NONE, stream->id,
				  NGHTTP2_INTERNAL_ERROR);
	stream->deferred = false;
	drop_exchange(stream);
}

static void wake(struct exchange *exchange)
{
	http2_stream_wake(http2_stream_of(exchange));
}

/* --- for deadlines -----------------------------------------------------------------------------
 *
 * A stream's response waits for its windows, or for the connection to take what goes before it:
 * only the first is the stream's own matter.
 */

static bool waits_for_client(const struct exchange *exchange)
{
	return exchange->answer_ready && !buffer_length(http2_stream_of(exchange)->http2->out);
}

static uint64_t taken(const struct exchange *exchange)
{
	return exchange->sent;
}

const struct front http2_front = {
	.protocol = "HTTP/2",
	.bare_bodies = true,
	.read_body = read_body,
	.note_taken = note_taken,
	.send_continue = http2_response_send_continue,
	.write_head = http2_response_write_head,
	.send = http2_response_send,
	.finish = finish,
	.is_shut = http2_response_is_shut,
	.refuse = refuse,
	.wake = wake,
	.room = room,
	.waits_for_client = waits_for_client,
	.taken = taken,
};
