// SPDX-License-Identifier: BSD-2-Clause
/*
 * A request's head on its way to the server: what is said of the client, and what the route has
 * changed of it.
 *
 * Behind the head, in the same buffer, is kept what the log tells and the head does not: the path
 * as it came, and the request's id.
 */
#include "proxy/client/route/forward.h"
#include "proxy/client/route/route_text.h"
#include "proxy/client/route/time_left.h"
#include "proxy/net/tls/tls.h"

/* Values that are made for one request. */
struct scratch {
	char id[32];
	char trace[HTTP_TRACEPARENT_LENGTH];
	char lines[CONFIG_LINES_MAX + TIME_LEFT_LINE_MAX];
};

static struct http_slice slice_of(const char *text)
{
	return (struct http_slice){text, text ? (uint32_t)strlen(text) : 0};
}

/* The value of a field that the client has said once, and may. */
static struct http_slice kept(const struct http_request *request, const char *data,
			      const struct http_policy *policy, enum http_kind kind)
{
	const struct http_head *head = &request->head;

	if (!(policy->keep & HTTP_KIND(kind)) || !head->first[kind] ||
	    head->repeated & HTTP_KIND(kind))
		return (struct http_slice){0};
	return http_slice(data, head->field[head->first[kind] - 1].value);
}

static void name_request(const struct exchange *exchange, const char *data,
			 struct http_forward *forward, struct scratch *scratch)
{
	struct worker *worker = client_worker(exchange->client);
	uint8_t bytes[16];

	forward->request_id =
		kept(&exchange->message.request, data, &forward->policy, HTTP_X_REQUEST_ID);
	if (http_request_id_valid(forward->request_id))
		return;
	random_fill(&worker->random, bytes, sizeof(bytes));
	http_put_hex(scratch->id, bytes, sizeof(bytes));
	forward->request_id = (struct http_slice){scratch->id, sizeof(scratch->id)};
}

static void trace_request(const struct exchange *exchange, const char *data,
			  struct http_forward *forward, struct scratch *scratch)
{
	const struct client *client = exchange->client;
	struct worker *worker = client_worker(client);
	uint32_t percent = client->listener->config->forwarding.trace_sample;
	uint8_t bytes[25];

	forward->traceparent =
		kept(&exchange->message.request, data, &forward->policy, HTTP_TRACEPARENT);
	if (http_traceparent_valid(forward->traceparent)) {
		forward->policy.drop &= ~HTTP_KIND(HTTP_TRACESTATE);
		return;
	}
	random_fill(&worker->random, bytes, sizeof(bytes));
	http_traceparent_make(scratch->trace, bytes, bytes[24] * 100u < percent * 256u);
	forward->traceparent = (struct http_slice){scratch->trace, sizeof(scratch->trace)};
}

/* Puts the route's rewrite into its prefix's place. */
static void rewrite(const struct route *route, struct http_slice path, struct http_forward *forward)
{
	const char *lead = route->config->rewrite;

	if (*path.at != '/')
		return;
	forward->lead = (struct http_slice){lead, (uint32_t)strlen(lead)};
	http_path_read(NULL, route->prefix.length, path, &forward->cut);
	/* One slash between them, or a server might take what follows two for a host. */
	if (lead[forward->lead.length - 1] == '/')
		while (forward->cut < path.length && path.at[forward->cut] == '/')
			forward->cut++;
}

static void apply_route(struct exchange *exchange, const char *data, struct http_forward *forward,
			struct scratch *scratch)
{
	struct http_request *request = &exchange->message.request;
	const struct route *route = exchange->route;
	struct route_facts facts;

	if (route->config->rewrite)
		rewrite(route, http_slice(data, request->path), forward);
	time_left_hear(exchange, data);
	http_head_drop(&request->head, data, route->request_drop.list, route->request_drop.count);
	route_facts_init(&facts, exchange);
	facts.of[FACT_HOST] = route_host(request, data);
	facts.of[FACT_REQUEST_ID] = forward->request_id;
	forward->lines = route_write_lines(scratch->lines, &route->config->request, &facts);
	forward->lines.length += time_left_write(exchange, scratch->lines + forward->lines.length);
}

/* What the server is told about the client. */
static struct http_forward describe_client(const struct exchange *exchange)
{
	struct client *client = exchange->client;
	struct http_forward forward = {
		.address = {client->address, client->address_length},
		.host = slice_of(upstream_host(exchange->pool)),
		.policy = *router_policy(client->listener->router, client->trusted),
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

/* Keeps what the log tells behind the head: the target, if it is not the head's own, and the id. */
static void note(struct exchange *exchange, struct http_slice target, struct http_slice id)
{
	struct buffer *buffer = exchange->to_server;
	char *at = buffer_end(buffer);

	if (target.length) {
		memcpy(at, target.at, target.length);
		exchange->target_at = (uint32_t)(at - buffer->data);
		exchange->target_length = (uint16_t)target.length;
		at += target.length;
	}
	if (id.length) {
		memcpy(at, id.at, id.length);
		exchange->id_at = (uint32_t)(at - buffer->data);
		exchange->id_length = (uint16_t)id.length;
	}
}

static enum fw_verdict take_buffer(struct exchange *exchange, size_t need)
{
	if (need > buffer_most())
		return FW_HEADER_TOO_LARGE;
	exchange->to_server = buffer_take_for(&exchange->client->account, need);
	return exchange->to_server ? FW_NONE : FW_MEMORY;
}

enum fw_verdict forward_write_head(struct exchange *exchange, const char *data)
{
	const struct http_request *request = &exchange->message.request;
	struct http_forward forward = describe_client(exchange);
	struct http_slice path = http_slice(data, request->path), target = {0};
	struct scratch scratch;
	enum fw_verdict verdict;
	int written;

	if (forward.policy.say & HTTP_KIND(HTTP_X_REQUEST_ID))
		name_request(exchange, data, &forward, &scratch);
	if (forward.policy.say & HTTP_KIND(HTTP_TRACEPARENT))
		trace_request(exchange, data, &forward, &scratch);
	if (!exchange->route->plain)
		apply_route(exchange, data, &forward, &scratch);
	if (forward.cut)
		target = path;
	verdict = take_buffer(exchange, http_request_room(request, &forward) + target.length +
						forward.request_id.length);
	if (verdict != FW_NONE)
		return verdict;
	written = http_request_write(exchange->to_server->data, exchange->to_server->capacity,
				     request, data, &forward);
	if (written < 0)
		return FW_MEMORY;
	exchange->to_server->end = (uint32_t)written;
	/* The written head begins "METHOD path": that is what the log shows. */
	exchange->target_at = (uint32_t)http_method_token(request->method).length + 1;
	exchange->target_length = (uint16_t)path.length;
	note(exchange, target, forward.request_id);
	return FW_NONE;
}

enum fw_verdict forward_keep_note(struct exchange *exchange, const char *data)
{
	const struct client *client = exchange->client;
	const struct http_slice path = http_slice(data, exchange->message.request.path);
	struct http_forward forward = {
		.policy = *router_policy(client->listener->router, client->trusted)};
	struct scratch scratch;
	enum fw_verdict verdict;

	if (forward.policy.say & HTTP_KIND(HTTP_X_REQUEST_ID))
		name_request(exchange, data, &forward, &scratch);
	verdict = take_buffer(exchange, (size_t)path.length + forward.request_id.length);
	if (verdict == FW_NONE)
		note(exchange, path, forward.request_id);
	return verdict;
}
