/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A response's head: status line (RFC 9112 section 4), fields, and how its body ends.
 *
 * A server is no more trusted to frame its messages well than a client is: a response that two
 * parsers could cut differently would hand one client's answer to another.
 */
#include <string.h>
#include "proxy/http/head.h"
#include "proxy/http/scan.h"

void http_response_init(struct http_response *response)
{
	memset(response, 0, offsetof(struct http_response, head));
	http_head_init(&response->head);
}

/* Whether @byte may be the byte @i of "HTTP/1.1 200". */
static bool status_byte(uint32_t i, char byte)
{
	switch (i) {
	case 7:
		return byte == '0' || byte == '1';
	case 8:
		return byte == ' ';
	case 9:
		return byte >= '1' && byte <= '5';
	case 10:
	case 11:
		return byte >= '0' && byte <= '9';
	default:
		return byte == "HTTP/1."[i];
	}
}

/* Twelve bytes at most, looked at again until they are there. */
static int step_status(struct http_response *response, const char *data, uint32_t end)
{
	struct http_head *head = &response->head;
	uint32_t i;

	for (i = 0; i < 12; i++) {
		if (i == end)
			return HTTP_STEP_MORE;
		if (!status_byte(i, data[i]))
			return -FW_UPSTREAM_BAD_RESPONSE;
	}
	head->minor = data[7] == '1';
	response->status =
		(uint16_t)((data[9] - '0') * 100 + (data[10] - '0') * 10 + (data[11] - '0'));
	head->scanned = i;
	return HTTP_STEP_DONE;
}

/* SP and a reason, which may be empty; some servers then leave out the space as well. */
static int step_space(struct http_response *response, const char *data, uint32_t end)
{
	struct http_head *head = &response->head;

	if (head->scanned == end)
		return HTTP_STEP_MORE;
	if (data[head->scanned] == ' ')
		head->scanned++;
	else if (data[head->scanned] != '\r')
		return -FW_UPSTREAM_BAD_RESPONSE;
	head->start = (uint16_t)head->scanned;
	return HTTP_STEP_DONE;
}

static int step_reason(struct http_response *response, const char *data, uint32_t end)
{
	struct http_head *head = &response->head;
	const char *stop = data + end;
	const char *at = http_scan_value(data + head->scanned, stop);

	head->scanned = (uint32_t)(at - data);
	if (at == stop)
		return HTTP_STEP_MORE;
	if (*at != '\r')
		return -FW_UPSTREAM_BAD_RESPONSE;
	response->reason = http_span(data, data + head->start, at);
	head->scanned++;
	return HTTP_STEP_DONE;
}

static int step_line_feed(struct http_response *response, const char *data, uint32_t end)
{
	struct http_head *head = &response->head;

	if (head->scanned == end)
		return HTTP_STEP_MORE;
	if (data[head->scanned] != '\n')
		return -FW_UPSTREAM_BAD_RESPONSE;
	head->scanned++;
	return HTTP_STEP_DONE;
}

static int step_fields(struct http_response *response, const char *data, uint32_t end)
{
	return http_head_parse_fields(&response->head, data, end, HTTP_FIELDS_MAX, HTTP_HEAD_MAX);
}

/* RFC 9112 section 6.3, in its order. */
static bool judge_framing(struct http_response *response, const char *data, bool to_head)
{
	struct http_head *head = &response->head;
	uint16_t status = response->status;

	if (http_head_judge_framing(head, data))
		return false;
	if (status < 200 || status == 204) {
		/* These must not announce a body. A length of zero is a common slip; we drop it. */
		if (head->framing != HTTP_NO_BODY)
			return false;
		head->has_content_length = false;
	} else if (to_head || status == 304) {
		head->framing = HTTP_NO_BODY;
	} else if (head->framing == HTTP_NO_BODY && !head->has_content_length) {
		head->framing = HTTP_UNTIL_CLOSE;
	}
	return true;
}

/* 101 says which protocol follows (RFC 9110 section 7.8). */
static bool upgrades(const struct http_head *head)
{
	return head->minor == 1 && head->upgrade && head->first[HTTP_UPGRADE] &&
	       !http_head_repeats(head, HTTP_UPGRADE);
}

int http_response_parse(struct http_response *response, const char *data, size_t length,
			bool to_head)
{
	static int (*const steps[])(struct http_response *, const char *, uint32_t) = {
		step_status, step_space, step_reason, step_line_feed, step_fields,
	};
	struct http_head *head = &response->head;
	uint32_t end = length < HTTP_HEAD_MAX ? (uint32_t)length : HTTP_HEAD_MAX;
	int result;

	for (; head->state < sizeof(steps) / sizeof(steps[0]); head->state++) {
		result = steps[head->state](response, data, end);
		if (result == HTTP_STEP_MORE && end < HTTP_HEAD_MAX)
			return 0;
		if (result <= 0)
			return -FW_UPSTREAM_BAD_RESPONSE;
	}
	if (!judge_framing(response, data, to_head) || http_head_judge_connection(head, data))
		return -FW_UPSTREAM_BAD_RESPONSE;
	if (response->status == 101) {
		if (!upgrades(head))
			return -FW_UPSTREAM_BAD_RESPONSE;
		head->framing = HTTP_UNTIL_CLOSE;
	}
	if (head->framing == HTTP_UNTIL_CLOSE)
		head->keep_alive = false;
	return (int)head->scanned;
}

bool http_response_delimited(const struct http_response *response, uint8_t client_minor)
{
	switch (response->head.framing) {
	case HTTP_CHUNKED:
		return client_minor >= 1;
	case HTTP_UNTIL_CLOSE:
		return false;
	default:
		return true;
	}
}
