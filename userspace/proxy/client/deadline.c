// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/deadline.h"
#include "proxy/client/admission/handshake.h"
#include "proxy/client/exchange/exchange.h"
#include "proxy/client/exchange/gather.h"
#include "proxy/client/exchange/hedge.h"
#include "proxy/client/front/http2.h"
#include "proxy/client/overload/load.h"
#include "proxy/client/relay.h"

#define SILENCE_NS (10 * CLOCK_SEC) /* of a client that a draining proxy waits for to ask again */
#define LINGER_NS  (2 * CLOCK_SEC)  /* for a client to read why it was refused */

enum { SPREAD = 64 };

/* Collects deadlines: the first that has passed is the verdict, the earliest else the next look. */
struct judgement {
	uint64_t now_ns, next_ns;
	enum fw_verdict verdict;
};

static void consider(struct judgement *judgement, uint64_t at_ns, enum fw_verdict verdict)
{
	if (at_ns <= judgement->now_ns && judgement->verdict == FW_NONE)
		judgement->verdict = verdict;
	if (at_ns < judgement->next_ns)
		judgement->next_ns = at_ns;
}

/* No deadline, but something to see to. */
static void look_by(struct judgement *judgement, uint64_t at_ns)
{
	if (at_ns < judgement->next_ns)
		judgement->next_ns = at_ns;
}

/* @least_ns, or up to twice as much, to everybody another part: who came together is not to go, and
 * come back, together. */
static uint64_t spread_ns(const struct client *client, uint64_t least_ns)
{
	return least_ns + least_ns / SPREAD * ((unsigned int)client->stream.source.fd % SPREAD);
}

/* Whether what @setting says is asked sooner: of everybody under overload, and where sockets hold
 * too much of who does not take what his is full of. */
static bool is_shortened(const struct client *client, enum fw_setting setting)
{
	bool takes = setting == FW_SET_TIMEOUT_WRITE || setting == FW_SET_MIN_RATE_SEND;

	return listener_stage(client->listener) >= OVERLOAD_SHORTEN ||
	       (takes && client_worker(client)->relief.is_on);
}

/* What is granted of those deadlines that overload shortens. */
static uint64_t granted_ns(const struct client *client, enum fw_setting setting)
{
	uint64_t ns = live_ns(&client->listener->live, setting);

	return is_shortened(client, setting) ? spread_ns(client, ns / OVERLOAD_SHORTEN_DIVISOR)
					     : ns;
}

/* After which it counts how fast he is. Under overload less, but not as little as of deadlines:
 * what is lost on its way comes again after a second or more. */
static uint64_t grace_ns(const struct client *client, enum fw_setting rate)
{
	return is_shortened(client, rate) ? spread_ns(client, RATE_GRACE_NS / 2) : RATE_GRACE_NS;
}

static uint64_t idle_granted_ns(const struct client *client)
{
	return load_spares_idle(client->listener)
		       ? live_ns(&client->listener->live, FW_SET_TIMEOUT_KEEPALIVE)
		       : granted_ns(client, FW_SET_TIMEOUT_KEEPALIVE);
}

/* Whether @client has been as fast as @setting asks, at @count bytes. */
static void consider_rate(struct judgement *judgement, const struct client *client,
			  const struct rate *rate, enum fw_setting setting, uint64_t count,
			  enum fw_verdict verdict)
{
	uint64_t minimum = client->listener->live.value[setting];
	uint64_t grace = grace_ns(client, setting);

	if (!minimum || !rate_is_waiting(rate))
		return;
	if (rate_is_below(rate, minimum, grace, count, judgement->now_ns))
		consider(judgement, judgement->now_ns, verdict);
	else
		look_by(judgement, rate_next_look_ns(rate, grace, judgement->now_ns));
}

/* How @client takes what waits for it. */
static void consider_uptake(struct judgement *judgement, const struct client *client,
			    const struct uptake *send)
{
	if (!rate_is_waiting(&send->rate))
		return;
	consider(judgement, send->taken_ns + granted_ns(client, FW_SET_TIMEOUT_WRITE),
		 FW_WRITE_TIMEOUT);
	consider_rate(judgement, client, &send->rate, FW_SET_MIN_RATE_SEND, send->taken,
		      FW_SEND_RATE);
	look_by(judgement, judgement->now_ns + CLOCK_SEC); /* taken_ns is as old as that, then */
}

/* A proxy that drains does not close a connection on which a request may be on its way: whoever
 * asks that often is never cut off, and told in the answer that he should connect anew. */
static void consider_drain(struct judgement *judgement, const struct client *client)
{
	const struct worker *worker = client_worker(client);
	uint64_t silent_ns = client->since_ns;

	if (!worker->draining || client->exchange)
		return;
	if (worker->drain_ns > silent_ns)
		silent_ns = worker->drain_ns;
	consider(judgement, silent_ns + SILENCE_NS, FW_DRAINED);
}

/* A timeout of the exchange's route, where it has one of its own; else its listener's. 0: none. */
static uint64_t timeout_ns(const struct exchange *exchange, enum fw_setting setting)
{
	const struct route *route = exchange->route;
	uint64_t own_ms = 0;

	if (route)
		own_ms = setting == FW_SET_TIMEOUT_REQUEST ? route->config->limits.request_ms
							   : route->config->limits.first_byte_ms;
	return own_ms ? own_ms * CLOCK_MS : live_ns(&exchange->client->listener->live, setting);
}

/* From its head to the end of the response, as we have it or who sent it to us; 0: any time. */
static uint64_t whole_ns(const struct exchange *exchange)
{
	uint64_t own_ns = timeout_ns(exchange, FW_SET_TIMEOUT_REQUEST);
	uint64_t granted_ns = exchange->granted_ms * CLOCK_MS;

	return granted_ns && (!own_ns || granted_ns < own_ns) ? granted_ns : own_ns;
}

static void consider_exchange(struct judgement *judgement, const struct exchange *exchange)
{
	const struct listener *listener = exchange->client->listener;
	const struct live *live = &listener->live;
	bool connecting = exchange->attempt.back && exchange->attempt.connecting;
	uint64_t request_ns = whole_ns(exchange), hedge_ns;

	if (!exchange->request_body.done) {
		if (live->value[FW_SET_TIMEOUT_BODY])
			consider(judgement,
				 exchange->head_ns +
					 granted_ns(exchange->client, FW_SET_TIMEOUT_BODY),
				 FW_BODY_TIMEOUT);
		consider_rate(judgement, exchange->client, &exchange->receive,
			      FW_SET_MIN_RATE_RECEIVE, exchange->received, FW_RECEIVE_RATE);
		look_by(judgement, gather_due_ns(exchange));
	}
	if (request_ns)
		consider(judgement, exchange->head_ns + request_ns, FW_REQUEST_TIMEOUT);
	consider_uptake(judgement, exchange->client, &exchange->send);
	if (exchange_waits(exchange))
		consider(judgement,
			 exchange->attempt.asked_ns + live_ns(live, FW_SET_TIMEOUT_QUEUE),
			 FW_UPSTREAM_QUEUE_TIMEOUT);
	else if (connecting)
		consider(judgement,
			 exchange->attempt.asked_ns + live_ns(live, FW_SET_TIMEOUT_CONNECT),
			 FW_CONNECT_TIMEOUT);
	else if (!exchange->answered && request_is_done(exchange))
		consider(judgement,
			 exchange->attempt.asked_ns +
				 timeout_ns(exchange, FW_SET_TIMEOUT_FIRST_BYTE),
			 FW_FIRST_BYTE_TIMEOUT);
	else
		consider(judgement,
			 exchange->touched_ns + granted_ns(exchange->client, FW_SET_TIMEOUT_IDLE),
			 FW_IDLE_TIMEOUT);
	hedge_ns = hedge_due_ns(exchange);
	/* No verdict, but something to do. */
	if (hedge_ns < judgement->next_ns)
		judgement->next_ns = hedge_ns;
}

static void consider_relay(struct judgement *judgement, const struct relay *relay)
{
	const struct client *client = relay->client;
	const struct live *live = &client->listener->live;

	if (relay_waits(relay))
		consider(judgement, relay->asked_ns + live_ns(live, FW_SET_TIMEOUT_QUEUE),
			 FW_UPSTREAM_QUEUE_TIMEOUT);
	else if (relay->link->connecting)
		consider(judgement, relay->asked_ns + live_ns(live, FW_SET_TIMEOUT_CONNECT),
			 FW_CONNECT_TIMEOUT);
	if (!relay_has_begun(relay) && live->value[FW_SET_TIMEOUT_FIRST_WORD])
		consider(judgement, relay->begun_ns + granted_ns(client, FW_SET_TIMEOUT_FIRST_WORD),
			 FW_FIRST_WORD_TIMEOUT);
	consider_uptake(judgement, client, &relay->send);
	consider_rate(judgement, client, &relay->pace, FW_SET_MIN_RATE_RELAY,
		      relay->up.sent + relay->down.sent, FW_RELAY_RATE);
	/* The client is gone, for the kernel too, which counts it no more; the server has as long
	 * to take its last words as a client has without overload. */
	if (stream_is(&client->stream, STREAM_BROKEN))
		consider(judgement, relay->touched_ns + live_ns(live, FW_SET_TIMEOUT_WRITE),
			 FW_DONE);
	consider(judgement, relay->touched_ns + granted_ns(client, FW_SET_TIMEOUT_IDLE),
		 FW_IDLE_TIMEOUT);
}

/* What concerns the connection as a whole; its requests have deadlines of their own. */
static void consider_http2(struct judgement *judgement, const struct http2 *http2)
{
	const struct client *client = http2->client;

	if (http2->block.begun_ns)
		consider(judgement,
			 http2->block.begun_ns + granted_ns(client, FW_SET_TIMEOUT_HEADER),
			 FW_HEADER_TIMEOUT);
	if (!http2->stream_count && client->requests)
		consider(judgement, client->since_ns + idle_granted_ns(client),
			 FW_KEEPALIVE_TIMEOUT);
	else if (!http2->stream_count)
		consider(judgement, client->since_ns + granted_ns(client, FW_SET_TIMEOUT_HEADER),
			 FW_HEADER_TIMEOUT);
	if (http2->notice_ns && !http2->told_last)
		look_by(judgement, http2->notice_ns + HTTP2_NOTICE_NS);
	consider_uptake(judgement, client, &http2->send);
}

enum fw_verdict deadline_judge_exchange(const struct exchange *exchange, uint64_t now_ns,
					uint64_t *next_ns)
{
	struct judgement judgement = {.now_ns = now_ns, .next_ns = WHEEL_NEVER};

	consider_exchange(&judgement, exchange);
	*next_ns = judgement.next_ns;
	return judgement.verdict;
}

enum fw_verdict deadline_judge(const struct client *client, uint64_t now_ns, uint64_t *next_ns)
{
	struct judgement judgement = {.now_ns = now_ns, .next_ns = WHEEL_NEVER};
	const struct live *live = &client->listener->live;

	switch ((enum client_phase)client->phase) {
	case CLIENT_PROXY_HEADER:
		consider(&judgement, client->since_ns + live_ns(live, FW_SET_TIMEOUT_HANDSHAKE),
			 FW_PROXY_HEADER_TIMEOUT);
		break;
	case CLIENT_HANDSHAKE:
		consider(&judgement, client->since_ns + live_ns(live, FW_SET_TIMEOUT_HANDSHAKE),
			 client_is_put_off(client) ? FW_OVERLOAD : FW_HANDSHAKE_TIMEOUT);
		break;
	case CLIENT_HEAD:
		consider_drain(&judgement, client);
		consider(&judgement, client->since_ns + granted_ns(client, FW_SET_TIMEOUT_HEADER),
			 client_is_put_off(client) ? FW_OVERLOAD : FW_HEADER_TIMEOUT);
		break;
	case CLIENT_IDLE:
		consider_drain(&judgement, client);
		consider(&judgement, client->since_ns + idle_granted_ns(client),
			 FW_KEEPALIVE_TIMEOUT);
		break;
	case CLIENT_EXCHANGE:
		consider_exchange(&judgement, client->exchange);
		break;
	case CLIENT_HTTP2:
		consider_http2(&judgement, client->http2);
		break;
	case CLIENT_RELAY:
		consider_relay(&judgement, client->relay);
		break;
	case CLIENT_LINGER:
		consider(&judgement, client->since_ns + LINGER_NS, FW_DONE);
		break;
	case CLIENT_CLOSED:
		break;
	}
	*next_ns = judgement.next_ns;
	return judgement.verdict;
}

uint32_t deadline_left_ms(const struct exchange *exchange, uint64_t now_ns)
{
	/* A hedge has what is left of its lead's. */
	const struct exchange *whose = exchange->lead ? exchange->lead : exchange;
	uint64_t from_ns = exchange->lead ? whose->attempt.asked_ns : now_ns,
		 whole = whole_ns(whose);
	uint64_t end_ns = from_ns + timeout_ns(whose, FW_SET_TIMEOUT_FIRST_BYTE);

	if (whole && whose->head_ns + whole < end_ns)
		end_ns = whose->head_ns + whole;
	return end_ns < now_ns + CLOCK_MS ? 1 : (uint32_t)((end_ns - now_ns) / CLOCK_MS);
}

uint32_t deadline_to_take_ms(const struct client *client)
{
	return (uint32_t)(granted_ns(client, FW_SET_TIMEOUT_WRITE) / CLOCK_MS);
}

void deadline_look(struct exchange *exchange, uint64_t now_ns)
{
	if (rate_is_waiting(&exchange->send.rate))
		uptake_look(&exchange->send, exchange->front->taken(exchange), now_ns);
	if (stream_awaits_more(&exchange->client->stream))
		exchange->unread = stream_unread(&exchange->client->stream);
}

static bool waits_for_body(const struct exchange *exchange)
{
	return exchange->head_ns && !exchange->request_body.done &&
	       !exchange->attempt.request_cut &&
	       (exchange->held || (exchange->attempt.back && !exchange->attempt.connecting)) &&
	       (!*exchange->incoming || gather_waits(exchange));
}

void deadline_note_waits(struct exchange *exchange, uint64_t now_ns)
{
	bool sending = exchange->front->waits_for_client(exchange);

	rate_wait(&exchange->receive, waits_for_body(exchange), exchange->received, now_ns);
	if (sending && !rate_is_waiting(&exchange->send.rate))
		uptake_begin(&exchange->send, exchange->front->taken(exchange), now_ns);
	else if (!sending)
		uptake_end(&exchange->send, now_ns);
}
