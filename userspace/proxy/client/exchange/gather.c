// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/exchange/gather.h"

enum {
	WRITES_ON_CREDIT = 4,
	TRICKLE = 8, /* a piece is small that is less than such a part of what is enough */
};

static const uint64_t *live_of(const struct exchange *exchange)
{
	return exchange->client->listener->live.value;
}

/* Bytes that need not wait for more; 0: nothing is gathered. */
static uint32_t enough(const struct exchange *exchange)
{
	uint32_t bytes = (uint32_t)live_of(exchange)[FW_SET_GATHER_BYTES], room;

	if (!exchange->front->room)
		return bytes;
	room = exchange->front->room(exchange);
	return room < bytes ? room : bytes;
}

static uint32_t in_hand(const struct exchange *exchange)
{
	return buffer_length(*exchange->incoming);
}

/* What time has to pay for a write of @count bytes. */
static uint64_t price_ns(const struct exchange *exchange, uint32_t count)
{
	uint64_t delay_ns = live_ns(&exchange->client->listener->live, FW_SET_GATHER_DELAY);
	uint32_t full = enough(exchange);

	return count < full ? delay_ns - delay_ns * count / full : 0;
}

static uint64_t held_until_ns(const struct exchange *exchange)
{
	return exchange->head_ns + live_ns(&exchange->client->listener->live, FW_SET_GATHER_HOLD);
}

/* When what is here can be sent, or a server asked, if nothing more comes. */
static uint64_t until_ns(const struct exchange *exchange)
{
	uint64_t credit_ns = WRITES_ON_CREDIT * price_ns(exchange, 0);
	uint64_t paid_ns = exchange->gather_ns + price_ns(exchange, in_hand(exchange));

	if (exchange->held)
		return held_until_ns(exchange);
	return paid_ns > credit_ns ? paid_ns - credit_ns : 0;
}

static bool waits_until(const struct exchange *exchange, uint64_t at_ns)
{
	return !exchange->request_body.done && in_hand(exchange) < enough(exchange) &&
	       client_now(exchange->client) < at_ns;
}

bool gather_holds(const struct exchange *exchange)
{
	/* Who waits to be told to send his body waits for a server. */
	return exchange->request_body.framing == HTTP_LENGTH && !exchange->expects_continue &&
	       waits_until(exchange, held_until_ns(exchange));
}

bool gather_waits(const struct exchange *exchange)
{
	return waits_until(exchange, until_ns(exchange));
}

/* Whether there may be something that waits. */
static bool has_some(const struct exchange *exchange)
{
	return exchange->held || in_hand(exchange) || stream_awaits_more(&exchange->client->stream);
}

bool gather_is_due(const struct exchange *exchange)
{
	return !exchange->request_body.done && has_some(exchange) && !gather_waits(exchange);
}

uint64_t gather_due_ns(const struct exchange *exchange)
{
	uint64_t at_ns = until_ns(exchange);

	return has_some(exchange) && waits_until(exchange, at_ns) ? at_ns : WHEEL_NEVER;
}

uint64_t gather_wants(const struct exchange *exchange)
{
	uint64_t missing, least;

	if (!exchange->trickles || !gather_waits(exchange))
		return 1;
	missing = enough(exchange) - in_hand(exchange);
	least = body_least(&exchange->request_body);
	return least < missing ? least : missing;
}

void gather_note_read(struct exchange *exchange, size_t count)
{
	if (count < enough(exchange) / TRICKLE)
		exchange->trickles = true;
}

void gather_note_sent(struct exchange *exchange, uint32_t count)
{
	uint64_t now_ns = client_now(exchange->client);

	if (exchange->gather_ns < now_ns)
		exchange->gather_ns = now_ns;
	exchange->gather_ns += price_ns(exchange, count);
}

void gather_note_answer(struct exchange *exchange)
{
	exchange->gather_ns = 0;
}
