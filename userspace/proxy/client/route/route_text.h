/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a route writes of its own: texts of the configuration, with facts in the place of their
 * placeholders. Each fact is part of a head that the parser has taken, or ours: none has a byte
 * that could end a line.
 */
#ifndef PROXY_CLIENT_ROUTE_ROUTE_TEXT_H
#define PROXY_CLIENT_ROUTE_ROUTE_TEXT_H

#include "proxy/client/exchange/exchange.h"
#include "proxy/http/out.h"

struct route_facts {
	struct http_slice of[FACT_COUNT]; /* empty: none is known */
};

/* Those that don't depend on where a request is: its client, how it came, its id. */
void route_facts_init(struct route_facts *facts, const struct exchange *exchange);

/* The text with its facts in the place of placeholders. */
void route_put_text(struct http_out *out, const struct config_text *text,
		    const struct route_facts *facts);

/* The rules' lines as complete field lines; in @out, which has room for CONFIG_LINES_MAX. */
struct http_slice route_write_lines(char *out, const struct config_rules *rules,
				    const struct route_facts *facts);

/* What is said in an answer: drops what the rules drop from its head in message.response, at @data,
 * and returns the lines that they add, as above. Only a final answer has rules. */
struct http_slice route_rule_answer(struct exchange *exchange, const char *data, char *out);

#endif
