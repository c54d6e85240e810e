// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/route/route_text.h"
#include "proxy/net/tls/tls.h"

void route_facts_init(struct route_facts *facts, const struct exchange *exchange)
{
	const struct client *client = exchange->client;
	struct tls_facts tls;

	*facts = (struct route_facts){0};
	facts->of[FACT_CLIENT] = (struct http_slice){client->address, client->address_length};
	if (client->stream.tls)
		facts->of[FACT_SCHEME] = (struct http_slice){"https", 5};
	else
		facts->of[FACT_SCHEME] = (struct http_slice){"http", 4};
	if (tls_facts(&client->stream, &tls))
		facts->of[FACT_TLS] =
			(struct http_slice){tls.version, (uint32_t)strlen(tls.version)};
	if (exchange->id_length)
		facts->of[FACT_REQUEST_ID] = (struct http_slice){
			exchange->to_server->data + exchange->id_at, exchange->id_length};
}

void route_put_text(struct http_out *out, const struct config_text *text,
		    const struct route_facts *facts)
{
	for (size_t i = 0; i < text->count; i++) {
		const struct config_piece *piece = &text->pieces[i];

		if (piece->fact == FACT_NONE)
			http_put(out, piece->bytes, piece->length);
		else
			http_put_slice(out, facts->of[piece->fact]);
	}
}

struct http_slice route_write_lines(char *buffer, const struct config_rules *rules,
				    const struct route_facts *facts)
{
	struct http_out out = http_out(buffer, CONFIG_LINES_MAX);

	for (size_t i = 0; i < rules->line_count; i++) {
		const struct config_line *line = &rules->lines[i];

		http_put(&out, line->name, strlen(line->name));
		http_put_text(&out, ": ");
		route_put_text(&out, &line->value, facts);
		http_put_text(&out, "\r\n");
	}
	/* The configuration was refused if they could come to more. */
	return (struct http_slice){buffer, (uint32_t)(out.at - out.start)};
}

struct http_slice route_rule_answer(struct exchange *exchange, const char *data, char *out)
{
	const struct route *route = exchange->route;
	struct http_response *response = &exchange->message.response;
	struct route_facts facts;

	if (!route || route->plain_back || response->status < 200)
		return (struct http_slice){0};
	http_head_drop(&response->head, data, route->response_drop.list,
		       route->response_drop.count);
	route_facts_init(&facts, exchange);
	return route_write_lines(out, &route->config->response, &facts);
}
