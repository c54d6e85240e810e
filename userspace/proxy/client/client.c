// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/client.h"
#include <errno.h>
#include <string.h>
#include "proxy/client/admission/balancer.h"
#include "proxy/client/admission/handshake.h"
#include "proxy/client/admission/silence.h"
#include "proxy/client/admission/source_limit.h"
#include "proxy/client/deadline.h"
#include "proxy/client/exchange/exchange.h"
#include "proxy/client/exchange/hedge.h"
#include "proxy/client/front/http2.h"
#include "proxy/client/overload/evict.h"
#include "proxy/client/relay.h"
#include "proxy/client/report.h"
#include "proxy/client/route/route.h"
#include "proxy/net/tls/tls.h"

enum { LINGER_READ = 16384, LINGER_READS_PER_TURN = 4 };

static void arm_deadline(struct client *client);
static void handle_event(struct source *source, uint32_t events);
static void expire(struct timer *timer);
static void release(struct source *source);

/* --- whose turn it is --------------------------------------------------------------------------
 */

unsigned int client_turn_level(const struct client *client)
{
	if (client->exempt || client->phase == CLIENT_PROXY_HEADER)
		return 0;
	return usage_level(client_worker(client)->usage, client->account.source,
			   client_now(client));
}

void client_run_late(struct client *client)
{
	loop_defer(&client_worker(client)->loop, &client->stream.source, client_turn_level(client));
}

/* Whether others are to have their turn first. Who has just said hello is heard: that costs little,
 * and what costs much is put off then (handshake.c). */
static bool waits_his_turn(const struct client *client)
{
	return client->phase != CLIENT_HANDSHAKE && client_turn_level(client) > 0;
}

/* --- beginning ---------------------------------------------------------------------------------
 */

/* From here on the client is served: it speaks in plain text, or its handshake is complete. */
static void begin_service(struct client *client)
{
	if (client->listener->config->protocol == PROTOCOL_TCP)
		relay_begin(client);
	else if (tls_speaks_http2(&client->stream))
		http2_begin(client);
}

/* It is known whose connection this is. */
static void begin(struct client *client)
{
	if (!handshake_begin(client))
		client_reset(client, FW_MEMORY);
	else if (client->phase != CLIENT_HANDSHAKE)
		begin_service(client);
}

static void name_source(struct client *client, const struct fw_addr *source, uint16_t port)
{
	char address[ADDRESS_TEXT_SIZE];

	client->source = *source;
	client->port = port;
	address_format(source, address);
	client->address_length = (uint8_t)strnlen(address, sizeof(client->address) - 1);
	memcpy(client->address, address, client->address_length);
	client->address[client->address_length] = '\0';
	client->trusted = router_trusts(client->listener->router, source);
	client->exempt = source_is_exempt(client->listener->config, source);
}

/* Counts the connection among its source's and prefix's. */
static void count(const struct client *client, int change)
{
	const struct worker *worker = client_worker(client);

	crowd_change(worker->shared->crowd, worker->index, &client->source,
		     client->listener->service, change);
}

static void join_kin(struct client *client)
{
	list_append(kin_of(&client_worker(client)->kin, client->account.source), &client->kin);
}

void client_assign(struct client *client, const struct fw_addr *source, uint16_t port)
{
	client->named = true;
	count(client, -1);
	name_source(client, source, port);
	count(client, 1);
	account_assign(&client->account, crowd_source(client_worker(client)->shared->crowd, source,
						      client->listener->service));
	list_remove(&client->kin);
	join_kin(client);
}

enum fw_verdict client_open(struct listener *listener, int fd, const struct fw_addr *source,
			    uint16_t port)
{
	struct worker *worker = listener->worker;
	struct client *client = pool_take(&worker->clients);
	bool waits;

	if (!client)
		return FW_MEMORY;
	memset(client, 0, sizeof(*client));
	client->listener = listener;
	client->stream.source.handle = handle_event;
	client->stream.source.release = release;
	client->deadline.fire = expire;
	client->phase = CLIENT_HEAD;
	if (balancer_is_one(listener->config, source))
		client->phase = CLIENT_PROXY_HEADER;
	client->since_ns = worker->loop.now_ns;
	name_source(client, source, port);
	account_open(&client->account, &listener->ledger,
		     crowd_source(worker->shared->crowd, source, listener->service));
	if (stream_open(&client->stream, &worker->loop, fd, false) < 0) {
		pool_give(&worker->clients, client);
		return FW_MEMORY;
	}
	list_init(&client->node);
	evict_place(client);
	join_kin(client);
	worker->clients_open++;
	atomic_fetch_add(&worker->shared->connections, 1);
	atomic_fetch_add(listener->connections, 1);
	board_set(listener->board, METRIC_CONNECTIONS_ACTIVE, ++listener->active);
	count(client, 1);
	if (client->phase != CLIENT_PROXY_HEADER)
		begin(client);
	waits = waits_his_turn(client);
	client_charge(client, USAGE_CONNECTION);
	if (waits) {
		arm_deadline(client);
		client_run_late(client);
	} else {
		client_run(client);
	}
	return FW_NONE;
}

/* --- while it lasts ----------------------------------------------------------------------------
 */

static void linger(struct client *client);

static void drop_requests(struct client *client)
{
	exchange_free(client->exchange);
	client->exchange = NULL;
	http2_free(client->http2);
	client->http2 = NULL;
}

void client_run_exchange(struct client *client)
{
	if (exchange_run(client->exchange) == FLOW_MOVED)
		client_run_soon(client);
}

static void arm_deadline(struct client *client)
{
	struct loop *loop = &client_worker(client)->loop;
	uint64_t next_ns;

	deadline_judge(client, loop->now_ns, &next_ns);
	timer_arm_lazily(&loop->wheel, &client->deadline, next_ns);
}

void client_run(struct client *client)
{
	struct worker *worker = client_worker(client);

	client_charge(client, USAGE_EVENT);
	if (client->phase == CLIENT_PROXY_HEADER && balancer_run(client))
		begin(client);
	if (client->phase == CLIENT_HANDSHAKE && handshake_run(client))
		begin_service(client);
	switch ((enum client_phase)client->phase) {
	case CLIENT_HEAD:
	case CLIENT_IDLE:
		http1_read(client);
		break;
	case CLIENT_EXCHANGE:
		client_run_exchange(client);
		break;
	case CLIENT_HTTP2:
		http2_run(client);
		break;
	case CLIENT_RELAY:
		relay_run(client->relay);
		break;
	case CLIENT_LINGER:
		linger(client);
		break;
	case CLIENT_PROXY_HEADER:
	case CLIENT_HANDSHAKE:
	case CLIENT_CLOSED:
		break;
	}
	if (client->phase == CLIENT_CLOSED)
		return;
	if (client->exchange)
		deadline_note_waits(client->exchange, worker->loop.now_ns);
	if (client->relay)
		relay_note_waits(client->relay, worker->loop.now_ns);
	evict_place(client);
	arm_deadline(client);
}

void client_run_soon(struct client *client)
{
	if (client_turn_level(client) > 0 || (client->http2 && client->http2->is_busy))
		client_run_late(client);
	else
		loop_requeue(&client_worker(client)->loop, &client->stream.source);
}

/* An HTTP/2 client's requests have deadlines of their own: those are looked at, too. */
void client_review(struct client *client)
{
	if (client->http2)
		timer_arm(&client_worker(client)->loop.wheel, &client->deadline,
			  client_now(client));
	else
		arm_deadline(client);
}

static void handle_event(struct source *source, uint32_t events)
{
	struct client *client = container_of(source, struct client, stream.source);

	stream_note(&client->stream, events);
	/* A relay still delivers what was received before the end, and a handshake may hear why;
	 * nobody else has a use for it. */
	if (stream_is(&client->stream, STREAM_BROKEN) && client->phase != CLIENT_RELAY &&
	    client->phase != CLIENT_HANDSHAKE)
		client_close(client, client->exchange ? FW_CLIENT_CLOSED : FW_DONE);
	else if (events && waits_his_turn(client))
		client_run_late(client);
	else if (client->http2 && events)
		client_run_soon(
			client); /* its servers may have something for it in this turn, too */
	else
		client_run(client);
}

/* What has come of the body counts before its client is judged, and goes on if it has waited long
 * enough. False: the client is judged already. */
static bool take_stock(struct client *client)
{
	if (stream_awaits_more(&client->stream))
		stream_note(&client->stream, EPOLLIN);
	client_run(client);
	return client->phase == CLIENT_EXCHANGE;
}

static void expire(struct timer *timer)
{
	struct client *client = container_of(timer, struct client, deadline);
	uint64_t now_ns = client_now(client), next_ns;
	enum fw_verdict verdict;

	if (client->http2) {
		http2_expire(client);
		return;
	}
	if (client->phase == CLIENT_EXCHANGE && !client->exchange->request_body.done &&
	    !take_stock(client))
		return;
	if (client->exchange) {
		deadline_look(client->exchange, now_ns);
		hedge_look(client->exchange, now_ns);
	}
	if (client->relay)
		relay_look(client->relay, now_ns);
	verdict = deadline_judge(client, now_ns, &next_ns);
	switch (verdict) {
	case FW_NONE:
		timer_arm_lazily(&client_worker(client)->loop.wheel, timer, next_ns);
		break;
	case FW_DONE:
	case FW_DRAINED:
	case FW_KEEPALIVE_TIMEOUT:
		client_close(client, verdict);
		break;
	default:
		if (client->exchange)
			exchange_expire(client->exchange, verdict);
		else if (verdict == FW_CONNECT_TIMEOUT)
			relay_try_next(client->relay, verdict);
		else
			client_refuse(client, verdict);
		client_run(client);
	}
}

void client_next(struct client *client)
{
	drop_requests(client);
	client->phase = CLIENT_IDLE;
	client->since_ns = client_now(client);
	/* What was sent ahead is read in a turn of its own: pipelining gains nobody an advantage.
	 */
	if (client->in || stream_is(&client->stream, STREAM_READABLE))
		client_run_soon(client);
}

/* --- ending ------------------------------------------------------------------------------------
 */

/*
 * Says that no more follows and waits for the client to see it. Closing at once would answer
 * whatever the client is still sending with a reset, and a reset may overtake the response.
 */
static void begin_linger(struct client *client)
{
	drop_requests(client);
	buffer_give(&client->in);
	stream_await(&client->stream, 1);
	stream_part(&client->stream);
	client->phase = CLIENT_LINGER;
	client->since_ns = client_now(client);
}

static void linger(struct client *client)
{
	char unwanted[LINGER_READ];
	ssize_t count;

	if (client->out) {
		struct iovec part = {buffer_start(client->out), buffer_length(client->out)};

		count = stream_write(&client->stream, &part, 1);
		if (count == -EAGAIN)
			return;
		if (count < 0) {
			client_close(client, FW_DONE);
			return;
		}
		client_count_sent(client, (uint64_t)count);
		buffer_consume(client->out, (uint32_t)count);
		if (buffer_length(client->out))
			return;
		buffer_give(&client->out);
	}
	if (stream_shutdown(&client->stream) == -EAGAIN)
		return;
	for (int i = 0; i < LINGER_READS_PER_TURN; i++) {
		count = stream_read(&client->stream, unwanted, sizeof(unwanted));
		if (count == -EAGAIN)
			return;
		if (count <= 0) {
			client_close(client, FW_DONE);
			return;
		}
		client_count_received(client, (uint64_t)count);
	}
	/* Who talks on and on is not listening. */
	client_reset(client, FW_DONE);
}

void client_finish(struct client *client, enum fw_verdict verdict)
{
	bool talking = client->in || stream_is(&client->stream, STREAM_READABLE) ||
		       !request_is_done(client->exchange);

	/* Without room for TLS to say that this was all, the response would look cut off. */
	if (talking || (client->stream.tls && stream_shutdown(&client->stream) == -EAGAIN)) {
		board_count(client->listener->board, verdict);
		begin_linger(client);
		linger(client);
		return;
	}
	drop_requests(client);
	client_close(client, verdict);
}

enum fw_verdict client_explain(const struct client *client, enum fw_verdict verdict)
{
	static const enum fw_verdict reasons[] = {
		[SHORTAGE_NONE] = FW_MEMORY,
		[SHORTAGE_CONNECTION] = FW_CONNECTION_MEMORY,
		[SHORTAGE_SOURCE] = FW_SOURCE_MEMORY,
		[SHORTAGE_MEMORY] = FW_MEMORY,
	};

	return verdict == FW_MEMORY ? reasons[client->account.ledger->shortage] : verdict;
}

void client_refuse(struct client *client, enum fw_verdict verdict)
{
	struct exchange *exchange = client->exchange;
	int status = verdict_rows[verdict].status, length;
	bool http = client->listener->config->protocol == PROTOCOL_HTTP;
	/* A request that has begun can be answered, and who should have spoken TLS. */
	bool unanswerable =
		!http || (exchange ? exchange->answered || buffer_length(exchange->to_client)
				   : verdict != FW_NOT_TLS);

	/* Under overload an answer to who is still in his first header would be the dearest part of
	 * him. */
	if (verdict == FW_HEADER_TIMEOUT && !client->requests &&
	    listener_stage(client->listener) >= OVERLOAD_SHORTEN)
		unanswerable = true;
	if (status == 0 || unanswerable) {
		client_reset(client, verdict);
		return;
	}
	client->out = buffer_take(&client->account, BUFFER_SMALL);
	length = client->out ? exchange_write_refusal(exchange, client->out->data,
						      client->out->capacity, verdict, false)
			     : 0;
	if (length <= 0) {
		client_reset(client, verdict);
		return;
	}
	client->out->end = (uint32_t)length;
	report_request(client, exchange, status, verdict);
	if (client->phase == CLIENT_HANDSHAKE)
		handshake_count_failure(client);
	begin_linger(client);
	linger(client);
}

void client_part(struct client *client, enum fw_verdict verdict)
{
	report_end(client, verdict);
	begin_linger(client);
	linger(client);
}

static void leave(struct client *client, enum fw_verdict verdict)
{
	struct worker *worker = client_worker(client);

	if (tls_fault(&client->stream) != FW_NONE)
		verdict = tls_fault(&client->stream);
	verdict = client_explain(client, verdict);
	if (client->phase == CLIENT_HANDSHAKE)
		handshake_count_failure(client);
	report_end(client, verdict);
	drop_requests(client);
	relay_free(client->relay);
	client->relay = NULL;
	client->phase = CLIENT_CLOSED;
	buffer_give(&client->in);
	buffer_give(&client->out);
	timer_cancel(&worker->loop.wheel, &client->deadline);
	evict_forget(client);
	list_remove(&client->kin);
	worker->clients_open--;
	atomic_fetch_sub(&worker->shared->connections, 1);
	atomic_fetch_sub(client->listener->connections, 1);
	count(client, -1);
	board_set(client->listener->board, METRIC_CONNECTIONS_ACTIVE, --client->listener->active);
	worker_notice_leave(worker);
}

void client_close(struct client *client, enum fw_verdict verdict)
{
	leave(client, verdict);
	stream_bequeath(&client->stream, deadline_to_take_ms(client));
	stream_close(&client->stream);
}

void client_reset(struct client *client, enum fw_verdict verdict)
{
	if (silence_befits_client(client, verdict))
		silence_keep(client->listener, client->stream.source.fd);
	leave(client, verdict);
	stream_reset(&client->stream);
}

static void release(struct source *source)
{
	struct client *client = container_of(source, struct client, stream.source);

	pool_give(&client_worker(client)->clients, client);
}
