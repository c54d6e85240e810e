// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the client says, and how it gets to the server: the head read, judged, routed and written
 * anew; then the body, as far as it has been checked. How it comes from the client is its front's,
 * how it gets to the server its back's.
 */
#include <errno.h>
#include "proxy/client/admission/source_limit.h"
#include "proxy/client/exchange/exchange.h"
#include "proxy/client/exchange/gather.h"
#include "proxy/client/route/affinity.h"
#include "proxy/client/route/forward.h"
#include "proxy/client/route/route_answer.h"
#include "proxy/client/route/route_limit.h"
#include "proxy/client/route/time_left.h"

enum { CRUMBS_LEAST = 256 }; /* bytes of a body in chunks, that say how large its chunks are */

/* --- the head ----------------------------------------------------------------------------------
 */

int request_parse(struct exchange *exchange, const char *data, uint32_t length)
{
	const uint64_t *live = exchange->client->listener->live.value;
	const struct http_limits limits = {
		.target = (uint32_t)live[FW_SET_LIMIT_TARGET],
		.header = (uint32_t)live[FW_SET_LIMIT_HEADER],
		.field = (uint32_t)live[FW_SET_LIMIT_FIELD],
		.fields = (uint32_t)live[FW_SET_LIMIT_FIELDS],
		.cookies = (uint32_t)live[FW_SET_LIMIT_COOKIES],
		.body = live[FW_SET_LIMIT_BODY],
	};

	return http_request_parse(&exchange->message.request, data, length, &limits);
}

/* What the body may come to: as the listener has it live, and its route. */
static struct http_chunk_limits body_limits(const struct exchange *exchange)
{
	const uint64_t *live = exchange->client->listener->live.value;
	uint64_t own = exchange->route ? exchange->route->config->limits.body : 0;
	struct http_chunk_limits limits = {
		.payload = live[FW_SET_LIMIT_BODY],
		.overhead = live[FW_SET_LIMIT_CHUNK_OVERHEAD],
	};

	if (own && (!limits.payload || own < limits.payload))
		limits.payload = own;
	return limits;
}

/* What its route makes of it: an answer, or a head for a server. */
static enum fw_verdict follow_route(struct exchange *exchange, const char *data)
{
	const struct route *route = exchange->route;
	enum fw_verdict verdict = FW_NONE;

	if (route->limited)
		verdict = route_limit_judge(exchange);
	if (verdict != FW_NONE)
		return verdict;
	if (!route->config->upstream)
		return route_answer(exchange, data);
	exchange->pool = exchange->client->listener->routes[route->index];
	exchange->key = affinity_key(exchange->client, exchange->pool,
				     &exchange->message.request.head, data);
	verdict = forward_write_head(exchange, data);
	if (verdict == FW_NONE)
		http_response_init(&exchange->message.response);
	return verdict;
}

enum fw_verdict request_begin(struct exchange *exchange, const char *data)
{
	struct client *client = exchange->client;
	struct listener *listener = client->listener;
	const struct http_request *request = &exchange->message.request;
	enum fw_verdict verdict;

	board_add(listener->board, METRIC_REQUESTS, 1);
	client->requests++;
	exchange->head_ns = client_now(client);
	exchange->method = request->method;
	exchange->minor = request->head.minor;
	exchange->keep_alive = request->head.keep_alive;
	exchange->expects_continue = request->expect_continue;
	exchange->asked_protocol = request->upgrade ? request->protocol.length : 0;
	exchange->link_once = request->odd_body;
	exchange->route = router_find(listener->router, request, data);
	body_init(&exchange->request_body, &request->head, body_limits(exchange));
	verdict = source_limit_judge(exchange);
	if (verdict != FW_NONE)
		return verdict;
	return exchange->route ? follow_route(exchange, data) : FW_NO_ROUTE;
}

/* --- the body ----------------------------------------------------------------------------------
 */

/* What a chunk costs a server is not its bytes. Whether those of the @count bytes that were checked
 * are so small that it is to have their content alone, in chunks of our own. HTTP/2's chunks are.
 */
static bool is_crumbs(const struct exchange *exchange, const struct http_chunks *before,
		      int64_t count)
{
	const struct body *body = &exchange->request_body;
	uint64_t content;

	if (body->framing != HTTP_CHUNKED || body->unwrap || exchange->front->bare_bodies)
		return false;
	content = http_chunks_content(&body->chunks) - http_chunks_content(before);
	return count >= CRUMBS_LEAST && 2 * content < (uint64_t)count;
}

/* From the next chunk on only content is left. Returns how many bytes at @data come before it. */
static size_t begin_unwrap(struct body *body, const char *data, size_t length)
{
	size_t count = 0;

	while (count < length && !body->chunks.done && !http_chunks_between(&body->chunks))
		http_chunks_check(&body->chunks, data + count++, 1);
	body->unwrap = true;
	return count;
}

/* Of the @count bytes of the body at @data *@forward, their content, are left, which become a
 * chunk; there is room for it. */
static void wrap(struct exchange *exchange, char *data, size_t count, size_t *forward)
{
	struct buffer *in = *exchange->incoming;
	char *next = data + count;
	size_t rest = (size_t)(buffer_end(in) - next), most = *forward + HTTP_CHUNK_EXTRA;

	/* The next request makes room, where framing does not. */
	if (rest && most > count)
		next = memmove(data + most, next, rest);
	*forward = http_chunk_wrap(data, *forward, exchange->request_body.done);
	memmove(data + *forward, next, rest);
	in->end = in->start + (uint32_t)(data + *forward + rest - buffer_start(in));
}

bool request_check_body(struct exchange *exchange, uint32_t at)
{
	struct buffer *in = *exchange->incoming;
	struct body *body = &exchange->request_body, before = *body;
	size_t length, forward, begun = 0;
	int64_t count;
	char *data;

	if (!in)
		return true;
	data = buffer_start(in) + at;
	length = buffer_length(in) - at;
	count = body_check(body, data, length, &forward);
	if (is_crumbs(exchange, &before.chunks, count)) {
		*body = before;
		begun = begin_unwrap(body, data, length);
		data += begun;
		count = body_check(body, data, length - begun, &forward);
	}
	if (count < 0) {
		exchange_refuse(exchange, (enum fw_verdict) - count);
		return false;
	}
	if (body->unwrap && count)
		wrap(exchange, data, (size_t)count, &forward);
	exchange->body_ready += (uint32_t)(begun + forward);
	return true;
}

/* --- on to the server --------------------------------------------------------------------------
 */

bool request_is_done(const struct exchange *exchange)
{
	return exchange->request_body.done && !exchange->body_ready &&
	       exchange->attempt.head_sent == buffer_length(exchange->to_server);
}

void request_note_sent(struct exchange *exchange, uint32_t count)
{
	uint32_t of_head = buffer_length(exchange->to_server) - exchange->attempt.head_sent;

	if (of_head > count)
		of_head = count;
	exchange->attempt.head_sent += of_head;
	count -= of_head;
	exchange->touched_ns = client_now(exchange->client);
	if (count) {
		exchange->body_sent = true;
		gather_note_sent(exchange, count);
		exchange->body_ready -= count;
		buffer_consume(*exchange->incoming, count);
		if (!buffer_length(*exchange->incoming))
			buffer_give(exchange->incoming);
		if (exchange->front->note_taken)
			exchange->front->note_taken(exchange, count);
	}
	if (request_is_done(exchange))
		exchange->attempt.asked_ns = exchange->touched_ns;
}

enum flow request_start(struct exchange *exchange)
{
	exchange->held = gather_holds(exchange);
	return exchange->held ? FLOW_STUCK : exchange_connect(exchange);
}

/* A step of one that is held. */
static enum flow hold(struct exchange *exchange)
{
	if (gather_waits(exchange))
		return exchange->front->read_body(exchange);
	exchange->held = false;
	return exchange_connect(exchange);
}

enum flow request_forward(struct exchange *exchange)
{
	bool has_head = exchange->attempt.head_sent < buffer_length(exchange->to_server);

	if (exchange->held)
		return hold(exchange);
	if (!exchange->attempt.back || exchange->attempt.connecting ||
	    exchange->attempt.request_cut)
		return FLOW_STUCK;
	if (has_head || (exchange->body_ready && !gather_waits(exchange))) {
		if (!exchange->attempt.head_sent && !exchange->route->plain)
			time_left_tell(exchange);
		return exchange->attempt.back->send(exchange);
	}
	if (exchange->request_body.done)
		return FLOW_STUCK;
	/* There is a server to go on to now. */
	if (exchange->expects_continue)
		exchange->front->send_continue(exchange);
	exchange->expects_continue = false;
	return exchange->front->read_body(exchange);
}
