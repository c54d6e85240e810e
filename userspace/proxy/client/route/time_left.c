// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/route/time_left.h"
#include "proxy/client/deadline.h"
#include "proxy/http/lines.h"
#include "proxy/http/out.h"

/* Of the field; empty: there is none. */
static struct http_slice name_of(const struct exchange *exchange)
{
	const char *name = exchange->client->listener->config->forwarding.deadline;

	return (struct http_slice){name, name ? (uint32_t)strlen(name) : 0};
}

/* 0: it is no number of so many digits. */
static uint32_t number_of(struct http_slice text)
{
	uint32_t number = 0;

	if (text.length > TIME_LEFT_DIGITS)
		return 0;
	for (uint32_t i = 0; i < text.length; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return 0;
		number = number * 10 + (uint32_t)(text.at[i] - '0');
	}
	return number;
}

void time_left_hear(struct exchange *exchange, const char *data)
{
	const struct http_head *head = &exchange->message.request.head;
	struct http_slice name = name_of(exchange);
	uint32_t told_ms = 0;
	unsigned int times = 0;

	if (!name.length || !exchange->client->trusted)
		return;
	for (uint32_t i = 0; i < head->count; i++) {
		if (!http_slice_equal(http_slice(data, head->field[i].name), name))
			continue;
		told_ms = number_of(http_slice(data, head->field[i].value));
		times++;
	}
	exchange->granted_ms = times == 1 ? told_ms : 0;
}

uint32_t time_left_write(const struct exchange *exchange, char out[TIME_LEFT_LINE_MAX])
{
	struct http_slice name = name_of(exchange);
	struct http_out to = http_out(out, TIME_LEFT_LINE_MAX);

	if (!name.length)
		return 0;
	http_put_slice(&to, name);
	http_put_text(&to, ": ");
	for (int i = 0; i < TIME_LEFT_DIGITS; i++)
		http_put_text(&to, " ");
	http_put_text(&to, "\r\n");
	return (uint32_t)(to.at - to.start);
}

/* Flush right: what is left of the blank is white space before the value. */
static void put_flush_right(char *end, uint32_t number)
{
	for (int i = 1; i <= TIME_LEFT_DIGITS; i++) {
		end[-i] = number || i == 1 ? (char)('0' + number % 10) : ' ';
		number /= 10;
	}
}

void time_left_tell(struct exchange *exchange)
{
	struct http_slice name = name_of(exchange), verb, target;
	struct buffer *head = exchange->to_server;
	const char *at = buffer_start(head);
	struct http_line line;

	if (!name.length || !http_line_request(&at, buffer_end(head), &verb, &target))
		return;
	while (http_line_next(&at, buffer_end(head), &line)) {
		if (!http_slice_equal(line.name, name))
			continue;
		/* The line ends with it, and CRLF. */
		put_flush_right(head->data + (at - head->data) - 2,
				deadline_left_ms(exchange, client_now(exchange->client)));
		return;
	}
}
