// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/exchange/exchange.h"
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include "proxy/client/admission/source_limit.h"
#include "proxy/client/back/session.h"
#include "proxy/client/exchange/hedge.h"
#include "proxy/client/exchange/retry.h"
#include "proxy/client/reach.h"
#include "proxy/client/route/route_limit.h"
#include "proxy/guard/quota.h"
#include "proxy/net/tls/tls.h"

enum { STEPS_PER_TURN = 16 };

#define DAWDLE_NS CLOCK_SEC /* that a client may let what a server has said wait */

static void handle_server(struct source *source, uint32_t events);

struct exchange *exchange_create(struct client *client, const struct front *front,
				 struct buffer **incoming)
{
	struct exchange *exchange =
		account_take(&client->account, &client_worker(client)->exchanges);

	if (!exchange)
		return NULL;
	memset(exchange, 0, offsetof(struct exchange, message));
	exchange->front = front;
	exchange->client = client;
	exchange->incoming = incoming;
	exchange->begun_ns = exchange->touched_ns = client_now(client);
	return exchange;
}

void exchange_drop_server(struct exchange *exchange)
{
	if (exchange->attempt.back)
		exchange->attempt.back->drop(exchange);
	exchange->attempt.back = NULL;
}

void exchange_free(struct exchange *exchange)
{
	if (!exchange)
		return;
	hedge_drop(exchange);
	board_add(exchange->client->listener->board, METRIC_REQUESTS_SPARED, exchange->held);
	exchange_drop_server(exchange);
	route_limit_leave(exchange);
	source_limit_leave(exchange);
	if (exchange->pool)
		upstream_wait_no_more(exchange->pool, &exchange->waiter);
	retry_end(exchange);
	buffer_give(&exchange->to_server);
	buffer_give(&exchange->to_client);
	buffer_give(&exchange->attempt.from_server);
	buffer_give(&exchange->request_trailer);
	buffer_give(&exchange->attempt.response_trailer);
	pipes_give(&client_worker(exchange->client)->pipes, &exchange->pipe);
	account_give(&exchange->client->account, &client_worker(exchange->client)->exchanges,
		     exchange);
}

/* --- to the server -----------------------------------------------------------------------------
 */

int exchange_write_refusal(const struct exchange *exchange, char *buffer, size_t capacity,
			   enum fw_verdict verdict, bool keep_alive)
{
	bool to_head = exchange && exchange->method == HTTP_HEAD;
	struct http_excess excess;
	struct quota quota;

	if (verdict_rows[verdict].status != 429 || !exchange)
		return http_error_write(buffer, capacity, verdict, to_head);
	quota = route_limit_gave(verdict) ? route_limit_quota(exchange->route, verdict)
					  : quota_of(&exchange->client->listener->live, verdict);
	excess = (struct http_excess){
		.policy = quota.policy,
		.quota = quota.requests,
		.window_s = quota.seconds,
		.wait_s = exchange->wait_s,
		.keep_alive = keep_alive,
	};
	return http_excess_write(buffer, capacity, verdict, &excess, to_head);
}

enum flow exchange_refuse(struct exchange *exchange, enum fw_verdict verdict)
{
	/* The answer may take its time to be taken: it is in nobody's way meanwhile. */
	if (exchange->pool)
		upstream_wait_no_more(exchange->pool, &exchange->waiter);
	hedge_drop(exchange);
	retry_end(exchange);
	exchange->front->refuse(exchange, verdict);
	return FLOW_OVER;
}

/* --- HTTP/2 or not -----------------------------------------------------------------------------
 */

static struct upstream_link *find_session(const struct upstream_wish *wish,
					  const struct upstream_pool *pool, uint32_t server)
{
	const struct exchange *exchange = wish->borrower;

	return session_find(&client_worker(exchange->client)->sessions, pool, server);
}

/* What leaves HTTP leaves from HTTP/1.1. */
static bool may_be_http2(const struct exchange *exchange)
{
	return upstream_config(exchange->pool)->http2 != UPSTREAM_HTTP2_OFF &&
	       !exchange->asked_protocol;
}

/* Until a server's handshake says otherwise. */
static bool is_taken_for_http2(const struct exchange *exchange, const struct upstream_link *link)
{
	return may_be_http2(exchange) &&
	       (upstream_config(exchange->pool)->http2 == UPSTREAM_HTTP2_ON ||
		!upstream_speaks_http1(link));
}

/* Puts it on the session of its link, which may have to begin. False: no memory. */
static bool begin_stream(struct exchange *exchange)
{
	struct upstream_link *link = exchange->attempt.link;
	struct session *session = link->session;

	exchange->attempt.link = NULL;
	exchange->attempt.back = NULL;
	if (!session)
		session = session_open(&client_worker(exchange->client)->sessions, link);
	if (!session) {
		upstream_reset(link);
		return false;
	}
	return session_stream_open(session, exchange);
}

/* A link was found. False: no memory. */
static bool begin_back(struct exchange *exchange)
{
	struct upstream_link *link = exchange->attempt.link;

	exchange->attempt.peer = link_server(link);
	exchange->attempt.server = upstream_server_name(link);
	exchange->attempt.link_used = link->reused;
	if (link->session || (link->connecting && is_taken_for_http2(exchange, link)))
		return begin_stream(exchange);
	exchange->attempt.back = &http1_back;
	exchange->attempt.connecting = link->connecting;
	return true;
}

/* --- reaching one ------------------------------------------------------------------------------
 */

static void hear_call(struct waiter *waiter, bool removed);

/* Asks for a link. @called: it waited for it, and it is its turn. */
static enum flow ask(struct exchange *exchange, bool called)
{
	struct client *client = exchange->client;
	struct upstream_wish wish = {
		.tried = exchange->tried,
		.key = exchange->key,
		.fresh = exchange->fresh,
		.called = called,
		.spare = exchange->lead != NULL,
		.borrower = exchange,
		.handle = handle_server,
		.join = may_be_http2(exchange) ? find_session : NULL,
	};
	enum fw_verdict verdict;

	exchange->waiter.called = hear_call;
	verdict = reach_server(client, exchange->pool, &wish, &exchange->waiter,
			       (enum fw_verdict)exchange->nobody, &exchange->attempt.link);
	exchange->tried = wish.tried;
	if (verdict != FW_NONE)
		return exchange_refuse(exchange, verdict);
	if (!called || exchange->attempt.link)
		exchange->attempt.asked_ns = client_now(client);
	if (!exchange->attempt.link)
		return FLOW_STUCK;
	return begin_back(exchange) ? FLOW_MOVED : exchange_refuse(exchange, FW_MEMORY);
}

/* From the beginning, without a server; @nobody is the verdict when none is left to ask. */
static enum flow connect_anew(struct exchange *exchange, bool fresh, enum fw_verdict nobody)
{
	exchange->fresh = fresh;
	exchange->nobody = (uint8_t)nobody;
	exchange->attempt.link = NULL;
	exchange->attempt.back = NULL;
	/* One is asked already. */
	if (exchange->hedge)
		return hedge_take_over(exchange);
	exchange->attempt.head_sent = 0;
	exchange->attempt.request_cut = false;
	exchange->attempt.undone = UNDONE_NOT;
	return ask(exchange, false);
}

enum flow exchange_connect(struct exchange *exchange)
{
	return connect_anew(exchange, false, FW_UPSTREAM_UNREACHABLE);
}

enum flow exchange_try_next(struct exchange *exchange, enum fw_verdict verdict)
{
	if (exchange->attempt.back)
		exchange->attempt.back->fail(exchange);
	exchange->attempt.back = NULL;
	if (exchange->lead) /* one is enough */
		return exchange_refuse(exchange, verdict);
	return connect_anew(exchange, false, verdict);
}

/* In the middle of a response of which the client has taken all there is. */
static bool server_is_silent(const struct exchange *exchange)
{
	return exchange->answered && !exchange->response_body.done &&
	       !exchange->front->waits_for_client(exchange);
}

enum flow exchange_expire(struct exchange *exchange, enum fw_verdict verdict)
{
	if (verdict == FW_CONNECT_TIMEOUT)
		return exchange_try_next(exchange, verdict);
	if (verdict == FW_FIRST_BYTE_TIMEOUT ||
	    (verdict == FW_IDLE_TIMEOUT && server_is_silent(exchange)))
		exchange_note_result(exchange, SERVER_TIMEOUT);
	return exchange_refuse(exchange, verdict);
}

void exchange_note_result(const struct exchange *exchange, enum server_outcome outcome)
{
	if (exchange->attempt.peer)
		server_note_result(exchange->attempt.peer, outcome, exchange->latency_ns,
				   client_now(exchange->client));
}

void exchange_note_response(const struct exchange *exchange, uint16_t status)
{
	if (exchange->attempt.peer)
		exchange_note_result(exchange, server_outcome_of(exchange->attempt.peer, status));
}

/* Whether it is for its client that the server has waited: that it loses patience with him is not
 * held against it, or whoever dawdles could have servers ejected. Others tell whether it is well.
 */
static bool has_kept_waiting(const struct exchange *exchange)
{
	uint64_t now_ns = client_now(exchange->client);

	return rate_is_waiting(&exchange->receive) ||
	       rate_waited_ns(&exchange->send.rate, now_ns) >= DAWDLE_NS;
}

/* Lets go of the server, and of what it has said, of which nothing was passed on. */
static void forget_answer(struct exchange *exchange)
{
	exchange_drop_server(exchange);
	buffer_give(&exchange->attempt.from_server);
	http_response_init(&exchange->message.response);
}

enum flow exchange_lose_link(struct exchange *exchange)
{
	enum fw_verdict verdict = FW_UPSTREAM_BAD_RESPONSE;
	/* Other sessions of HTTP/2 are none the worse; idle links may be. */
	bool fresh = exchange->attempt.link != NULL;

	if (retry_resends(exchange)) {
		exchange_drop_server(exchange);
		exchange->tried = 0;
		return connect_anew(exchange, fresh, FW_UPSTREAM_UNREACHABLE);
	}
	if (!has_kept_waiting(exchange))
		exchange_note_result(exchange, SERVER_BROKE);
	if (exchange->attempt.link)
		verdict = reach_fault(exchange->attempt.link, verdict);
	if (!retry_begins_for_break(exchange))
		return exchange_fail(exchange, verdict);
	board_add(exchange->client->listener->board, METRIC_UPSTREAM_FAILURES, 1);
	forget_answer(exchange);
	return connect_anew(exchange, true, verdict);
}

bool exchange_tries_elsewhere(struct exchange *exchange, uint16_t status, enum flow *flow)
{
	if (!retry_begins_for_status(exchange, status))
		return false;
	exchange_note_response(exchange, status);
	forget_answer(exchange);
	*flow = connect_anew(exchange, true, FW_UPSTREAM_UNREACHABLE);
	return true;
}

enum flow exchange_fail(struct exchange *exchange, enum fw_verdict verdict)
{
	board_add(exchange->client->listener->board, METRIC_UPSTREAM_FAILURES, 1);
	if (!exchange->hedge)
		return exchange_refuse(exchange, verdict);
	exchange_drop_server(exchange);
	return hedge_take_over(exchange);
}

/* Who answers before anything is asked answers something else. */
static void check_quiet(struct exchange *exchange)
{
	if (stream_is_quiet(&exchange->attempt.link->stream))
		return;
	exchange_note_result(exchange, SERVER_BROKE);
	exchange_fail(exchange, reach_fault(exchange->attempt.link, FW_UPSTREAM_BAD_RESPONSE));
}

/* The link is connected, or is not. */
static void begin_link(struct exchange *exchange)
{
	struct upstream_link *link = exchange->attempt.link;
	int result = reach_connected(exchange->client, link);

	if (result == 0)
		return;
	if (result < 0) {
		if (result == -FW_MEMORY) /* no server's fault */
			exchange_refuse(exchange, FW_MEMORY);
		else
			exchange_try_next(exchange, (enum fw_verdict) - result);
		return;
	}
	exchange->attempt.connecting = false;
	if (!tls_speaks_http2(&link->stream))
		check_quiet(exchange);
	else if (!begin_stream(exchange))
		exchange_refuse(exchange, FW_MEMORY);
}

void exchange_go_over(struct exchange *exchange, struct upstream_link *link)
{
	link_lend_alone(link, exchange, handle_server, &exchange->client->listener->links,
			exchange->client->account.source);
	exchange->attempt.link = link;
	exchange->attempt.back = &http1_back;
	exchange->attempt.connecting = exchange->attempt.link_used = false;
	check_quiet(exchange);
}

void exchange_ask_again(struct exchange *exchange, uint32_t server)
{
	exchange->tried &= ~(1ULL << server);
	connect_anew(exchange, exchange->fresh, (enum fw_verdict)exchange->nobody);
}

/* After what came from without: a client with several requests runs those that have something to
 * do. */
static void run(struct client *client, bool many)
{
	if (many)
		client_run_soon(client);
	else
		client_run(client);
}

/* Marks it as one that has something to do. True: its client has several requests. */
static bool wake(struct exchange *exchange)
{
	if (!exchange->front->wake)
		return false;
	exchange->front->wake(exchange);
	return true;
}

static void handle_server(struct source *source, uint32_t events)
{
	struct upstream_link *link = container_of(source, struct upstream_link, stream.source);
	struct exchange *exchange = link->borrower;
	struct client *client = exchange->client;
	bool many = wake(exchange);

	stream_note(&link->stream, events);
	if (link->connecting)
		begin_link(exchange);
	run(client, many);
}

/* It has waited for an upstream at its cap. */
static void hear_call(struct waiter *waiter, bool removed)
{
	struct exchange *exchange = container_of(waiter, struct exchange, waiter);
	struct client *client = exchange->client;
	bool many = wake(exchange);

	if (removed)
		exchange_refuse(exchange, FW_UPSTREAM_QUEUE_FULL);
	else
		ask(exchange, true);
	run(client, many);
}

/* --- both ways ---------------------------------------------------------------------------------
 */

static enum flow step(struct exchange *exchange)
{
	enum flow there, back;

	there = request_forward(exchange);
	if (there == FLOW_OVER)
		return FLOW_OVER;
	back = response_forward(exchange);
	return back == FLOW_STUCK ? there : back;
}

/* Who goes away while he waits gives up his place. Once his request is on its way, one who has only
 * said his last may still be listening. */
static bool has_left(const struct exchange *exchange)
{
	return exchange_waits(exchange) && !exchange->front->wake &&
	       stream_is(&exchange->client->stream, STREAM_ENDING);
}

enum flow exchange_run(struct exchange *exchange)
{
	enum flow flow = FLOW_MOVED;

	if (has_left(exchange)) {
		client_close(exchange->client, FW_CLIENT_CLOSED);
		return FLOW_OVER;
	}
	if (exchange->hedge)
		flow = hedge_run(exchange);
	for (int i = 0; i < STEPS_PER_TURN && flow == FLOW_MOVED; i++)
		flow = step(exchange);
	return flow;
}
