// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/overload/score.h"
#include "proxy/client/admission/handshake.h"
#include "proxy/client/deadline.h"
#include "proxy/client/exchange/exchange.h"
#include "proxy/client/front/http2.h"
#include "proxy/client/relay.h"

#define NEWCOMER_MS 50 /* that a newcomer counts as having been waited for */

enum weight { WEIGHT_IDLE = 1, WEIGHT_SLOW = 2, WEIGHT_NEW = 4, WEIGHT_TURNED_AWAY = 8 };

static uint64_t crowding(const struct listener *listener, const struct fw_addr *source)
{
	uint64_t size = crowd_size(listener->worker->shared->crowd, source, listener->service);

	return size ? 64 - (uint64_t)__builtin_clzll(size) : 1;
}

static uint64_t ms_since(uint64_t since_ns, uint64_t now_ns)
{
	return now_ns > since_ns ? (now_ns - since_ns) / CLOCK_MS : 0;
}

/* Milliseconds that a body owes. */
static uint64_t owed_ms(const struct rate *rate, uint64_t count, uint64_t now_ns)
{
	return rate_is_waiting(rate) ? rate_owes_ns(rate, count, now_ns) / CLOCK_MS : 0;
}

static uint64_t exchange_owes_ms(const struct exchange *exchange, uint64_t now_ns)
{
	return owed_ms(&exchange->receive, exchange->received + exchange->unread, now_ns) +
	       owed_ms(&exchange->send.rate, exchange->send.taken, now_ns);
}

/* All requests together; without one it is as idle as another, or has yet to ask anything. */
static uint64_t http2_owes_ms(const struct client *client, uint64_t now_ns)
{
	const struct list *streams = &client->http2->streams;
	const struct uptake *send = &client->http2->send;
	uint64_t sum_ms = owed_ms(&send->rate, send->taken, now_ns);

	if (!client->http2->stream_count)
		return ms_since(client->since_ns, now_ns) *
		       (client->requests ? WEIGHT_IDLE : WEIGHT_NEW);
	for (const struct list *node = streams->next; node != streams; node = node->next) {
		const struct http2_stream *stream = container_of(node, struct http2_stream, node);

		if (stream->exchange)
			sum_ms += exchange_owes_ms(stream->exchange, now_ns);
	}
	return sum_ms * WEIGHT_SLOW;
}

static uint64_t relay_owes_ms(const struct relay *relay, uint64_t now_ns)
{
	uint64_t idle_ms = ms_since(relay->touched_ns, now_ns);

	if (relay_waits(relay))
		return 0;
	return idle_ms * (relay_has_begun(relay) ? WEIGHT_IDLE : WEIGHT_NEW) +
	       owed_ms(&relay->send.rate, relay->send.taken, now_ns) * WEIGHT_SLOW;
}

static uint64_t weighed_ms(const struct client *client, uint64_t now_ns)
{
	uint64_t waited_ms = ms_since(client->since_ns, now_ns);

	switch ((enum client_phase)client->phase) {
	case CLIENT_PROXY_HEADER:
	case CLIENT_HANDSHAKE:
	case CLIENT_HEAD:
		if (client_is_put_off(client))
			return waited_ms * WEIGHT_IDLE; /* for us */
		return waited_ms * (client->requests ? WEIGHT_SLOW : WEIGHT_NEW);
	case CLIENT_IDLE:
		return waited_ms * WEIGHT_IDLE;
	case CLIENT_LINGER:
		return waited_ms * WEIGHT_TURNED_AWAY;
	case CLIENT_EXCHANGE:
		return exchange_owes_ms(client->exchange, now_ns) * WEIGHT_SLOW;
	case CLIENT_HTTP2:
		return http2_owes_ms(client, now_ns);
	case CLIENT_RELAY:
		return relay_owes_ms(client->relay, now_ns);
	case CLIENT_CLOSED:
		break;
	}
	return 0;
}

uint64_t score_client(const struct client *client, uint64_t now_ns)
{
	uint64_t weighed = weighed_ms(client, now_ns);

	return weighed ? weighed * crowding(client->listener, &client->source) : 0;
}

bool score_has_spoken(const struct client *client)
{
	return client->ward != WARD_BUSY && client->phase != CLIENT_LINGER &&
	       (stream_is(&client->stream, STREAM_READABLE) || !stream_is_silent(&client->stream));
}

/* What the kernel knows and we have not seen yet speaks for a client, too. */
uint64_t score_client_in_full(struct client *client, uint64_t now_ns)
{
	if (score_has_spoken(client))
		return 0;
	if (client->exchange)
		deadline_look(client->exchange, now_ns);
	if (client->relay)
		relay_look(client->relay, now_ns);
	if (client->http2)
		http2_look(client->http2, now_ns);
	return score_client(client, now_ns);
}

uint64_t score_least_newcomer(void)
{
	return NEWCOMER_MS * WEIGHT_NEW;
}

uint64_t score_newcomer(const struct listener *listener, const struct fw_addr *source)
{
	return score_least_newcomer() * crowding(listener, source);
}
