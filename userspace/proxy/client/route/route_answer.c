// SPDX-License-Identifier: BSD-2-Clause
/*
 * The answer is written out as a server would have sent it, and goes the same way: read, changed by
 * the route's rules, and told to the client in its own protocol.
 */
#include "proxy/client/route/route_answer.h"
#include "base/clock.h"
#include "proxy/client/route/forward.h"
#include "proxy/client/route/route_text.h"

enum { HEAD_EXTRA = 256 }; /* what is written besides the location and the type */

static bool has_fact(const struct config_text *text, enum config_fact fact)
{
	for (size_t i = 0; i < text->count; i++)
		if (text->pieces[i].fact == fact)
			return true;
	return false;
}

/* Path and query, and the host. A target that begins with the path must not begin with two slashes:
 * that would lead to a host which the client chose (RFC 3986 section 4.2). */
static void find_facts(struct route_facts *facts, const struct config_text *location,
		       const struct http_request *request, const char *data)
{
	struct http_slice path = http_slice(data, request->path), query = {"", 0};
	const char *mark = memchr(path.at, '?', path.length);

	if (mark) {
		query = (struct http_slice){mark, (uint32_t)(path.at + path.length - mark)};
		path.length -= query.length;
	}
	if (*path.at == '*')
		path = (struct http_slice){"/", 1};
	while (location->count && location->pieces[0].fact == FACT_PATH && path.length > 1 &&
	       path.at[1] == '/') {
		path.at++;
		path.length--;
	}
	facts->of[FACT_PATH] = path;
	facts->of[FACT_QUERY] = query;
	facts->of[FACT_HOST] = route_host(request, data);
}

static void put_number_field(struct http_out *out, const char *name, uint64_t value)
{
	http_put(out, name, strlen(name));
	http_put_number(out, value);
	http_put_text(out, "\r\n");
}

static void write_answer(struct http_out *out, const struct config_answer *answer,
			 const struct route_facts *facts, bool to_head)
{
	const char *phrase = http_status_phrase(answer->status);

	http_put_text(out, "HTTP/1.1 ");
	http_put_number(out, answer->status);
	http_put_text(out, " ");
	http_put(out, phrase, strlen(phrase));
	http_put_text(out, "\r\n");
	if (answer->location.count) {
		http_put_text(out, "Location: ");
		route_put_text(out, &answer->location, facts);
		http_put_text(out, "\r\n");
	}
	if (answer->type) {
		http_put_text(out, "Content-Type: ");
		http_put(out, answer->type, strlen(answer->type));
		http_put_text(out, "\r\n");
	}
	if (answer->retry_after_ms)
		put_number_field(out, "Retry-After: ", (answer->retry_after_ms + 999) / 1000);
	if (answer->status != 204 && answer->status != 304)
		put_number_field(out, "Content-Length: ", answer->length);
	http_put_text(out, "\r\n");
	if (answer->length && !to_head)
		http_put(out, answer->body, answer->length);
}

/* Bytes that are enough for it. */
static size_t room_for(const struct config_answer *answer, const struct http_request *request)
{
	size_t room = HEAD_EXTRA + answer->length;

	if (answer->type)
		room += strlen(answer->type);
	for (size_t i = 0; i < answer->location.count; i++)
		room += answer->location.pieces[i].fact == FACT_NONE
				? answer->location.pieces[i].length
				: (size_t)request->host.length + request->path.length;
	return room;
}

enum fw_verdict route_answer(struct exchange *exchange, const char *data)
{
	const struct config_answer *answer = &exchange->route->config->answer;
	const struct http_request *request = &exchange->message.request;
	struct client *client = exchange->client;
	size_t room = room_for(answer, request);
	struct route_facts facts;
	struct http_out out;
	enum fw_verdict verdict;

	/* HTTP/1.0. */
	if (!request->host.length && has_fact(&answer->location, FACT_HOST))
		return FW_BAD_HOST;
	if (room > buffer_most())
		return FW_TARGET_TOO_LONG;
	verdict = forward_keep_note(exchange, data);
	if (verdict != FW_NONE)
		return verdict;
	exchange->attempt.from_server = buffer_take_for(&client->account, room);
	if (!exchange->attempt.from_server)
		return FW_MEMORY;
	route_facts_init(&facts, exchange);
	find_facts(&facts, &answer->location, request, data);
	out = http_out(exchange->attempt.from_server->data,
		       exchange->attempt.from_server->capacity);
	write_answer(&out, answer, &facts, exchange->method == HTTP_HEAD);
	exchange->attempt.from_server->end = (uint32_t)(out.at - out.start);
	exchange->attempt.request_cut = true;
	exchange->attempt.asked_ns = client_now(client);
	board_add(client->listener->board, METRIC_ROUTE_ANSWERS, 1);
	return response_give(exchange) ? FW_NONE : FW_MEMORY;
}
