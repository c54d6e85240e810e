// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/exchange/hedge.h"
#include <errno.h>
#include "proxy/client/back/session.h"
#include "proxy/client/exchange/retry.h"

static void count(const struct exchange *exchange, enum fw_metric metric)
{
	board_add(exchange->client->listener->board, metric, 1);
}

/* --- its front ---------------------------------------------------------------------------------
 *
 * It has no body, and its answer is read here: what it can be told is that it may go on, or that it
 * is over.
 */

static void wake(struct exchange *hedge)
{
	if (hedge->lead->front->wake)
		hedge->lead->front->wake(hedge->lead);
}

static void end(struct exchange *hedge)
{
	hedge->lead->hedge = NULL;
	exchange_free(hedge);
}

static void refuse(struct exchange *hedge, enum fw_verdict verdict)
{
	(void)verdict;
	end(hedge);
}

static const struct front hedge_front = {.wake = wake, .refuse = refuse};

/* --- beginning ---------------------------------------------------------------------------------
 */

/* A server has it, and nothing has come of it yet. */
static bool is_unanswered(const struct exchange *exchange)
{
	return exchange->attempt.back && !exchange->answered && !exchange->interims &&
	       !buffer_length(exchange->attempt.from_server);
}

uint64_t hedge_due_ns(const struct exchange *exchange)
{
	uint64_t after_ms;

	if (!is_unanswered(exchange) || exchange->hedged)
		return WHEEL_NEVER;
	after_ms = upstream_retry_policy(exchange->pool)->hedge_ms;
	if (!after_ms || !retry_is_harmless(exchange))
		return WHEEL_NEVER;
	return exchange->attempt.asked_ns + after_ms * CLOCK_MS;
}

/* All that a server is to know of the request. NULL: no memory. */
static struct exchange *copy(struct exchange *lead)
{
	struct client *client = lead->client;
	uint32_t length = buffer_length(lead->to_server);
	struct exchange *hedge = exchange_create(client, &hedge_front, lead->incoming);

	if (!hedge)
		return NULL;
	hedge->lead = lead;
	hedge->route = lead->route;
	hedge->pool = lead->pool;
	hedge->key = lead->key;
	hedge->tried = lead->tried;
	hedge->method = lead->method;
	hedge->request_body = lead->request_body;
	hedge->takes_trailer = lead->takes_trailer;
	http_response_init(&hedge->message.response);
	hedge->to_server = buffer_take_for(&client->account, length);
	if (!hedge->to_server) {
		exchange_free(hedge);
		return NULL;
	}
	buffer_append(hedge->to_server, buffer_start(lead->to_server), length);
	return hedge;
}

/* False: there is no memory, or no server with room. */
static bool begin(struct exchange *lead)
{
	lead->hedge = copy(lead);
	if (!lead->hedge) {
		upstream_retry_end(lead->pool);
		return false;
	}
	lead->hedge->attempt.retrying = true;
	if (exchange_connect(lead->hedge) == FLOW_OVER)
		return false;
	lead->tried |= lead->hedge->tried;
	lead->retries++;
	return true;
}

void hedge_look(struct exchange *exchange, uint64_t now_ns)
{
	if (now_ns < hedge_due_ns(exchange))
		return;
	exchange->hedged = true;
	if (!upstream_has_others(exchange->pool, exchange->tried))
		return;
	if (!upstream_hedge_begin(exchange->pool) || !begin(exchange)) {
		count(exchange, METRIC_UPSTREAM_HEDGES_DENIED);
		return;
	}
	count(exchange, METRIC_UPSTREAM_HEDGES);
	wake(exchange->hedge);
	client_run_soon(exchange->client);
}

/* --- the end -----------------------------------------------------------------------------------
 */

/* Another server has answered before this one, which was asked in vain until now. */
static void abandon(const struct exchange *exchange)
{
	if (exchange->attempt.back && request_is_done(exchange))
		server_note_abandoned(exchange->attempt.peer,
				      client_now(exchange->client) - exchange->attempt.asked_ns);
}

void hedge_cut(struct exchange *lead)
{
	abandon(lead->hedge);
	end(lead->hedge);
}

/* What a hedge has of its server becomes the lead's. */
static void move(struct exchange *lead, struct exchange *hedge)
{
	struct attempt *won = &lead->attempt;

	*won = hedge->attempt;
	hedge->attempt = (struct attempt){0};
	if (won->link)
		won->link->borrower = lead;
	if (won->stream)
		won->stream->exchange = lead;
	/* The same, but for what each server was told of its time. */
	memcpy(buffer_start(lead->to_server), buffer_start(hedge->to_server),
	       buffer_length(hedge->to_server));
}

enum flow hedge_take_over(struct exchange *lead)
{
	count(lead, METRIC_UPSTREAM_HEDGES_WON);
	buffer_give(&lead->attempt.from_server);
	buffer_give(&lead->attempt.response_trailer);
	retry_end(lead);
	move(lead, lead->hedge);
	end(lead->hedge);
	http_response_init(&lead->message.response);
	return FLOW_MOVED;
}

/* --- its answer --------------------------------------------------------------------------------
 */

/* Nothing more comes. That a kept connection ends is nobody's fault. */
static void lose(struct exchange *hedge, ssize_t result)
{
	if (result != -ENOMEM && !hedge->attempt.link_used && !hedge->attempt.undone)
		exchange_note_result(hedge, SERVER_BROKE);
	end(hedge);
}

/* The head of an answer is there. True: it is one to be taken. */
static bool judge(struct exchange *hedge, int length)
{
	uint16_t status = hedge->message.response.status;

	if (length < 0 || status == 101) /* nobody has asked for that */
		exchange_note_result(hedge, SERVER_BROKE);
	else if (retry_passes_over(hedge, status))
		exchange_note_response(hedge, status);
	else
		return true;
	end(hedge);
	return false;
}

/* True: there is the beginning of an answer. */
static bool read_answer(struct exchange *hedge)
{
	ssize_t count;
	int length = 0;

	if (!hedge->attempt.back || hedge->attempt.connecting)
		return false;
	while (length == 0) {
		count = hedge->attempt.back->read(hedge);
		if (count == -EAGAIN)
			return false;
		if (count <= 0) {
			lose(hedge, count);
			return false;
		}
		length = http_response_parse(
			&hedge->message.response, buffer_start(hedge->attempt.from_server),
			buffer_length(hedge->attempt.from_server), hedge->method == HTTP_HEAD);
	}
	return judge(hedge, length);
}

enum flow hedge_run(struct exchange *lead)
{
	enum flow flow;

	do
		flow = request_forward(lead->hedge);
	while (flow == FLOW_MOVED);
	if (flow == FLOW_OVER || !read_answer(lead->hedge))
		return FLOW_MOVED;
	abandon(lead);
	exchange_drop_server(lead);
	hedge_take_over(lead);
	return response_begin(lead);
}
