// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the client says, and how it gets to the server: the head read, judged, routed and written
 * anew; then the body, as far as it has been checked. How it comes from the client is its front's,
 * how it gets to the server its back's.
 */
#include <errno.h>
#include "proxy/client/affinity.h"
#include "proxy/client/exchange.h"
#include "proxy/guard/quota.h"
#include "proxy/net/tls.h"

/* --- the head ----------------------------------------------------------------------------------
 */

/* Where a target leads: to the longest prefix that it starts with. "*" asks about the server as a
 * whole. */
static struct upstream_pool *find_route(const struct listener *listener, struct http_slice path)
{
	if (path.length == 1 && path.at[0] == '*')
		path.at = "/";
	for (size_t i = 0; i < listener->config->route_count; i++) {
		const char *prefix = listener->config->routes[i].prefix;
		size_t length = strlen(prefix);

		if (length <= path.length && memcmp(prefix, path.at, length) == 0)
			return listener->routes[i];
	}
	return NULL;
}

static struct http_slice slice_of(const char *text)
{
	return (struct http_slice){text, text ? (uint32_t)strlen(text) : 0};
}

/* What the server is told about the client. */
static struct http_forward describe_client(const struct exchange *exchange)
{
	struct client *client = exchange->client;
	struct http_forward forward = {
		.address = {client->address, client->address_length},
		.host = slice_of(upstream_host(exchange->pool)),
		.tls = client->stream.tls != NULL,
		.close = exchange->message.request.odd_body ||
			 upstream_introduction(exchange->pool) != INTRODUCTION_OFF,
	};
	struct tls_facts facts;

	if (tls_facts(&client->stream, &facts)) {
		forward.subject = slice_of(facts.subject);
		forward.fingerprint = slice_of(facts.fingerprint);
	}
	return forward;
}

/* The head for the server, in a buffer of its own: it may have to be sent twice. */
static bool write_head(struct exchange *exchange, const char *data, uint32_t length)
{
	struct client *client = exchange->client;
	const struct http_request *request = &exchange->message.request;
	const struct http_forward forward = describe_client(exchange);
	struct buffer *buffer;
	int written;

	buffer = buffer_take_for(&client->account,
				 length + HTTP_WRITE_EXTRA + forward.subject.length);
	if (!buffer)
		return false;
	exchange->to_server = buffer;
	written = http_request_write(buffer->data, buffer->capacity, request, data, &forward);
	if (written < 0)
		return false;
	buffer->end = (uint32_t)written;
	/* The written head begins "METHOD path": that is what the log shows. */
	exchange->target_at = (uint16_t)(http_method_token(request->method).length + 1);
	exchange->target_length = request->path.length;
	return true;
}

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

/* Whether its source may make one more request. */
static enum fw_verdict judge_rate(struct exchange *exchange)
{
	const struct client *client = exchange->client;
	const struct listener *listener = client->listener;
	const struct proxy_shared *shared = listener->worker->shared;
	uint64_t wait_ns = 0;
	enum fw_verdict verdict = quota_judge(shared->requests, &listener->live, listener->service,
					      &client->source, client_now(client), &wait_ns);

	exchange->wait_s = (uint32_t)((wait_ns + CLOCK_SEC - 1) / CLOCK_SEC);
	return verdict;
}

enum fw_verdict request_begin(struct exchange *exchange, const char *data, uint32_t length)
{
	struct client *client = exchange->client;
	struct listener *listener = client->listener;
	const struct http_request *request = &exchange->message.request;
	const uint64_t *live = listener->live.value;
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
	body_init(&exchange->request_body, &request->head,
		  (struct http_chunk_limits){
			  .payload = live[FW_SET_LIMIT_BODY],
			  .overhead = live[FW_SET_LIMIT_CHUNK_OVERHEAD],
		  });
	verdict = judge_rate(exchange);
	if (verdict != FW_NONE)
		return verdict;
	exchange->pool = find_route(listener, http_slice(data, request->path));
	if (!exchange->pool)
		return FW_NO_ROUTE;
	exchange->key = affinity_key(client, exchange->pool, &request->head, data);
	if (!write_head(exchange, data, length))
		return FW_MEMORY;
	http_response_init(&exchange->message.response);
	return FW_NONE;
}

/* --- the body ----------------------------------------------------------------------------------
 */

bool request_check_body(struct exchange *exchange, uint32_t at)
{
	struct buffer *in = *exchange->incoming;
	size_t forward;
	int64_t count;

	if (!in)
		return true;
	count = body_check(&exchange->request_body, buffer_start(in) + at, buffer_length(in) - at,
			   &forward);
	if (count < 0) {
		exchange_refuse(exchange, (enum fw_verdict) - count);
		return false;
	}
	exchange->body_ready += (uint32_t)forward;
	return true;
}

/* --- on to the server --------------------------------------------------------------------------
 */

bool request_is_done(const struct exchange *exchange)
{
	return exchange->request_body.done && !exchange->body_ready &&
	       exchange->head_sent == buffer_length(exchange->to_server);
}

void request_note_sent(struct exchange *exchange, uint32_t count)
{
	uint32_t of_head = buffer_length(exchange->to_server) - exchange->head_sent;

	if (of_head > count)
		of_head = count;
	exchange->head_sent += of_head;
	count -= of_head;
	exchange->touched_ns = client_now(exchange->client);
	if (count) {
		exchange->body_sent = true;
		exchange->body_ready -= count;
		buffer_consume(*exchange->incoming, count);
		if (!buffer_length(*exchange->incoming))
			buffer_give(exchange->incoming);
		if (exchange->front->note_taken)
			exchange->front->note_taken(exchange, count);
	}
	if (request_is_done(exchange))
		exchange->asked_ns = exchange->touched_ns;
}

enum flow request_forward(struct exchange *exchange)
{
	if (!exchange->back || exchange->connecting || exchange->request_cut)
		return FLOW_STUCK;
	if (exchange->body_ready || exchange->head_sent < buffer_length(exchange->to_server))
		return exchange->back->send(exchange);
	if (exchange->request_body.done)
		return FLOW_STUCK;
	/* There is a server to go on to now. */
	if (exchange->expects_continue)
		exchange->front->send_continue(exchange);
	exchange->expects_continue = false;
	return exchange->front->read_body(exchange);
}
