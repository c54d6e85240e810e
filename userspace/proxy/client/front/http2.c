// SPDX-License-Identifier: BSD-2-Clause
/*
 * A connection of HTTP/2: frames in, requests run, frames out, until nothing moves or the turn is
 * over. What nghttp2 tells us while it reads is noted and acted on afterwards, so that a request
 * that is reset in the same breath costs no server anything.
 */
#include "proxy/client/front/http2.h"
#include <errno.h>
#include <stdlib.h>
#include "proxy/client/admission/silence.h"
#include "proxy/client/deadline.h"
#include "proxy/client/exchange/gather.h"
#include "proxy/client/exchange/hedge.h"
#include "proxy/client/overload/load.h"
#include "proxy/client/report.h"

enum {
	READ_SIZE = 16384,
	BUSY_READ_SIZE = 512,
	FRAMES_PER_TURN = 32, /* no more is read after so many: it is busy */
	ROUNDS_PER_TURN = 4,
	RUNS_PER_ROUND = 128,
	PREFACE_SIZE = NGHTTP2_CLIENT_MAGIC_LEN,
};

/* --- beginning ---------------------------------------------------------------------------------
 */

int http2_recognise(const char *data, size_t length)
{
	size_t count = length < PREFACE_SIZE ? length : PREFACE_SIZE;

	if (memcmp(data, NGHTTP2_CLIENT_MAGIC, count) != 0)
		return -1;
	return count == PREFACE_SIZE;
}

static int submit_settings(const struct http2 *http2)
{
	const uint64_t *live = http2->client->listener->live.value;
	const nghttp2_settings_entry entries[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)live[FW_SET_HTTP2_STREAMS]},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)live[FW_SET_LIMIT_HEADER]},
	};
	int code = nghttp2_submit_settings(http2->session, NGHTTP2_FLAG_NONE, entries,
					   sizeof(entries) / sizeof(entries[0]));

	return code ? code
		    : nghttp2_session_set_local_window_size(http2->session, NGHTTP2_FLAG_NONE, 0,
							    HTTP2_CONNECTION_WINDOW);
}

static struct http2 *create(struct client *client)
{
	nghttp2_mem memory = http2_memory(&client->account);
	struct http2_engine *engine = &client_worker(client)->http2;
	struct http2 *http2 = account_take(&client->account, &engine->sessions);

	if (!http2)
		return NULL;
	*http2 = (struct http2){.client = client, .is_busy = true}; /* for all we know */
	list_init(&http2->streams);
	list_init(&http2->ready);
	if (nghttp2_session_server_new3(&http2->session, engine->callbacks, http2, engine->options,
					&memory) ||
	    submit_settings(http2)) {
		http2_free(http2);
		return NULL;
	}
	return http2;
}

void http2_begin(struct client *client)
{
	client->http2 = create(client);
	if (!client->http2) {
		client_reset(client, FW_MEMORY);
		return;
	}
	client->phase = CLIENT_HTTP2;
	client->since_ns = client_now(client);
}

void http2_free(struct http2 *http2)
{
	struct client *client;

	if (!http2)
		return;
	client = http2->client;
	list_for_each_safe (node, next, &http2->streams)
		http2_stream_close(container_of(node, struct http2_stream, node));
	http2_block_drop(http2);
	nghttp2_session_del(http2->session);
	buffer_give(&http2->out);
	account_give(&client->account, &client_worker(client)->http2.sessions, http2);
}

/* --- frames in ---------------------------------------------------------------------------------
 */

/* Why nghttp2 goes no further. */
static enum fw_verdict explain(const struct http2 *http2, ssize_t code)
{
	if (http2->verdict != FW_NONE)
		return http2->verdict;
	switch (code) {
	case NGHTTP2_ERR_NOMEM:
		return FW_MEMORY;
	case NGHTTP2_ERR_FLOODED:
	case NGHTTP2_ERR_TOO_MANY_SETTINGS:
		return FW_HTTP2_CONTROL;
	case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
		return FW_HTTP2_EMPTY;
	default:
		return FW_HTTP2_PROTOCOL;
	}
}

static void hear(struct http2 *http2, const char *data, size_t length)
{
	ssize_t code = nghttp2_session_mem_recv(http2->session, (const uint8_t *)data, length);

	if (code < 0)
		http2->verdict = (uint8_t)explain(http2, code);
}

/* False: nothing more has come. */
static bool receive(struct http2 *http2)
{
	struct client *client = http2->client;
	char data[READ_SIZE];
	ssize_t count;

	if (client->in) { /* said before it was known to be HTTP/2 */
		hear(http2, buffer_start(client->in), buffer_length(client->in));
		buffer_give(&client->in);
		return true;
	}
	if (!stream_is(&client->stream, STREAM_READABLE))
		return false;
	count = stream_read(&client->stream, data, http2->is_busy ? BUSY_READ_SIZE : sizeof(data));
	if (count == -EAGAIN)
		return false;
	if (count <= 0) {
		http2->verdict = FW_DONE;
		return false;
	}
	client_count_received(client, (uint64_t)count);
	hear(http2, data, (size_t)count);
	return true;
}

/* --- frames out --------------------------------------------------------------------------------
 */

/* Fills `out`. False: there is nothing more to say now. */
static bool gather(struct http2 *http2)
{
	int code;

	if (!http2->out)
		http2->out = buffer_take(&http2->client->account, BUFFER_MEDIUM);
	if (!http2->out) {
		http2->verdict = FW_MEMORY;
		return false;
	}
	code = http2_gather(http2->session, &http2->piece, http2->out);
	if (code < 0)
		http2->verdict = (uint8_t)explain(http2, code);
	return code > 0;
}

/* What waited for `out` to be taken waits for its window now, if at all. */
static void wake_waiting(struct http2 *http2)
{
	list_for_each_safe (node, next, &http2->streams) {
		struct http2_stream *stream = container_of(node, struct http2_stream, node);

		if (stream->exchange && stream->exchange->answer_ready)
			http2_stream_wake(stream);
	}
}

/* False: the client takes no more now, or `out` is empty. */
static bool flush(struct http2 *http2)
{
	struct client *client = http2->client;
	struct iovec part;
	ssize_t count;

	while (buffer_length(http2->out)) {
		part = (struct iovec){buffer_start(http2->out), buffer_length(http2->out)};
		count = stream_write(&client->stream, &part, 1);
		if (count == -EAGAIN) {
			if (!rate_is_waiting(&http2->send.rate))
				uptake_begin(&http2->send,
					     stream_taken(&client->stream, client->sent),
					     client_now(client));
			return false;
		}
		if (count < 0) {
			http2->verdict = FW_DONE;
			return false;
		}
		client_count_sent(client, (uint64_t)count);
		buffer_consume(http2->out, (uint32_t)count);
	}
	if (rate_is_waiting(&http2->send.rate)) {
		uptake_end(&http2->send, client_now(client));
		wake_waiting(http2);
	}
	return true;
}

static void transmit(struct http2 *http2)
{
	bool more = true;

	while (more && flush(http2) && http2->verdict == FW_NONE)
		more = gather(http2) || buffer_length(http2->out);
	if (!buffer_length(http2->out))
		buffer_give(&http2->out);
}

/* --- a turn ------------------------------------------------------------------------------------
 */

static bool run_ready(struct http2 *http2)
{
	struct list ready;
	int runs = 0;

	list_take(&ready, &http2->ready);
	while (!list_is_empty(&ready) && http2->verdict == FW_NONE) {
		struct http2_stream *stream = container_of(ready.next, struct http2_stream, ready);

		list_remove(&stream->ready);
		http2_stream_run(stream);
		if (++runs == RUNS_PER_ROUND)
			break;
	}
	while (!list_is_empty(&ready)) {
		struct list *rest = ready.next;

		list_remove(rest);
		list_append(&http2->ready, rest);
	}
	return runs > 0;
}

/* The connection has come to its end in good order: everything was answered, and it was told that
 * no more would be. */
static enum fw_verdict judge_end(const struct http2 *http2)
{
	const struct client *client = http2->client;
	uint64_t allowed = client->listener->live.value[FW_SET_LIMIT_REQUESTS];

	if (nghttp2_session_want_read(http2->session) ||
	    nghttp2_session_want_write(http2->session) || buffer_length(http2->out))
		return FW_NONE;
	if (client_worker(client)->draining)
		return FW_DRAINED;
	if (!http2->told_last && !http2->heard_last)
		return FW_HTTP2_PROTOCOL; /* nghttp2 has said why */
	return allowed && client->requests >= allowed ? FW_CONNECTION_REQUESTS : FW_DONE;
}

/* The last request that the connection may have has come. */
static void tell_last(struct http2 *http2)
{
	if (http2->told_last)
		return;
	http2->told_last = true;
	nghttp2_submit_goaway(http2->session, NGHTTP2_FLAG_NONE,
			      nghttp2_session_get_last_proc_stream_id(http2->session),
			      NGHTTP2_NO_ERROR, NULL, 0);
}

/* First that no request should follow, then, when those on their way have come, which was the last
 * (RFC 9113 section 6.8). */
static void give_notice(struct http2 *http2)
{
	if (http2->notice_ns)
		return;
	http2->notice_ns = client_now(http2->client);
	nghttp2_submit_shutdown_notice(http2->session);
}

/* What a client of HTTP/1 would be told by "Connection: close". */
static void limit_requests(struct http2 *http2)
{
	const struct client *client = http2->client;
	uint64_t allowed = client->listener->live.value[FW_SET_LIMIT_REQUESTS];

	if (client->requests &&
	    ((allowed && client->requests >= allowed) || !load_spares_idle(client->listener)))
		tell_last(http2);
}

void http2_run(struct client *client)
{
	struct http2 *http2 = client->http2;
	bool moved = true;

	/* It began when the proxy was draining already. */
	if (client_worker(client)->draining)
		give_notice(http2);

	http2->frames = 0;
	for (int round = 0; moved && round < ROUNDS_PER_TURN && http2->frames < FRAMES_PER_TURN;
	     round++) {
		moved = receive(http2);
		if (http2->verdict == FW_NONE)
			moved = run_ready(http2) || moved;
		if (http2->verdict == FW_NONE) {
			limit_requests(http2);
			transmit(http2);
		}
		if (http2->verdict == FW_NONE)
			http2->verdict = (uint8_t)judge_end(http2);
		if (http2->verdict != FW_NONE) {
			http2_end(client, http2->verdict);
			return;
		}
	}
	http2->is_busy = http2->frames >= FRAMES_PER_TURN;
	if (moved || !list_is_empty(&http2->ready))
		client_run_soon(client);
}

/* --- the end -----------------------------------------------------------------------------------
 */

/* What a client that is sent away is told (RFC 9113 section 7). */
static uint32_t error_code(enum fw_verdict verdict)
{
	if (verdict_rows[verdict].action == FW_ACTION_CLOSE)
		return NGHTTP2_NO_ERROR;
	switch (verdict) {
	case FW_HTTP2_PROTOCOL:
		return NGHTTP2_PROTOCOL_ERROR;
	case FW_HEADER_TIMEOUT:
		return NGHTTP2_NO_ERROR;
	default:
		return NGHTTP2_ENHANCE_YOUR_CALM;
	}
}

void http2_end(struct client *client, enum fw_verdict verdict)
{
	struct http2 *http2 = client->http2;

	if (verdict == FW_DONE) { /* it left: its requests say whether it should have */
		client_close(client, verdict);
		return;
	}
	if (silence_befits_client(client, verdict)) {
		client_reset(client, verdict);
		return;
	}
	/* What is on its way goes first; then, if there is room, why it ends. */
	nghttp2_session_terminate_session(http2->session, error_code(verdict));
	if (!http2->piece.left)
		gather(http2);
	client->out = http2->out;
	http2->out = NULL;
	client_part(client, client_explain(client, verdict));
}

void http2_drain(struct client *client)
{
	give_notice(client->http2);
	client_run(client);
}

void http2_look(struct http2 *http2, uint64_t now_ns)
{
	const struct client *client = http2->client;

	if (rate_is_waiting(&http2->send.rate))
		uptake_look(&http2->send, stream_taken(&client->stream, client->sent), now_ns);
}

void http2_expire(struct client *client)
{
	struct http2 *http2 = client->http2;
	struct wheel *wheel = &client_worker(client)->loop.wheel;
	uint64_t now_ns = client_now(client), next_ns;
	enum fw_verdict verdict;

	http2_look(http2, now_ns);
	verdict = deadline_judge(client, now_ns, &next_ns);
	if (verdict != FW_NONE) {
		http2_end(client, verdict);
		return;
	}
	if (http2->notice_ns && now_ns >= http2->notice_ns + HTTP2_NOTICE_NS)
		tell_last(http2);
	list_for_each_safe (node, next, &http2->streams) {
		struct http2_stream *stream = container_of(node, struct http2_stream, node);
		struct exchange *exchange = stream->exchange;

		if (!exchange) {
			http2_stream_cut(stream, now_ns);
			continue;
		}
		deadline_look(exchange, now_ns);
		hedge_look(exchange, now_ns);
		deadline_note_waits(exchange, now_ns);
		verdict = deadline_judge_exchange(exchange, now_ns, &next_ns);
		if (gather_is_due(exchange))
			http2_stream_wake(stream);
		if (verdict == FW_NONE) {
			timer_arm_lazily(wheel, &client->deadline, next_ns);
			continue;
		}
		http2_stream_wake(stream); /* it may go on elsewhere, by other deadlines */
		exchange_expire(exchange, verdict);
	}
	client_run(client);
}
