/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Responses that are ours: to a refusal, made from its row in verdicts.def, and 100 (Continue).
 */
#include "proxy/http/out.h"

#define RETRY_AFTER "5" /* seconds, where trying again makes sense */

const struct http_slice http_continue = {"HTTP/1.1 100 Continue\r\n\r\n", 25};

static const struct row {
	int status;
	struct http_slice label, text;
} rows[FW_VERDICT_COUNT] = {
#define FW_VERDICT(id, label, action, status, fault, text)                                         \
	[FW_##id] = {status, {label, sizeof(label) - 1}, {text, sizeof(text) - 1}},
#include "verdicts.def"
#undef FW_VERDICT
};

const char *http_status_phrase(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 204:
		return "No Content";
	case 301:
		return "Moved Permanently";
	case 302:
		return "Found";
	case 303:
		return "See Other";
	case 307:
		return "Temporary Redirect";
	case 308:
		return "Permanent Redirect";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 410:
		return "Gone";
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 417:
		return "Expectation Failed";
	case 421:
		return "Misdirected Request";
	case 429:
		return "Too Many Requests";
	case 431:
		return "Request Header Fields Too Large";
	case 500:
		return "Internal Server Error";
	case 501:
		return "Not Implemented";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "";
	}
}

static void put_status(struct http_out *out, int status)
{
	const char *phrase = http_status_phrase(status);

	http_put_text(out, "HTTP/1.1 ");
	http_put_number(out, (uint64_t)status);
	http_put_text(out, " ");
	http_put(out, phrase, strlen(phrase));
	http_put_text(out, "\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\n");
}

/* The last fields, and what the row says. */
static void put_text(struct http_out *out, const struct row *row, bool keep_alive, bool to_head)
{
	if (!keep_alive)
		http_put_text(out, "Connection: close\r\n");
	http_put_text(out, "Content-Length: ");
	http_put_number(out, row->label.length + 2 + row->text.length + 1);
	http_put_text(out, "\r\n\r\n");
	if (to_head)
		return;
	http_put_slice(out, row->label);
	http_put_text(out, ": ");
	http_put_slice(out, row->text);
	http_put_text(out, "\n");
}

int http_error_write(char *buffer, size_t capacity, enum fw_verdict verdict, bool to_head)
{
	const struct row *row = &rows[verdict];
	struct http_out out = http_out(buffer, capacity);

	if (!row->status)
		return 0;
	put_status(&out, row->status);
	if (row->status == 503)
		http_put_text(&out, "Retry-After: " RETRY_AFTER "\r\n");
	put_text(&out, row, false, to_head);
	return http_out_length(&out);
}

/* A field that begins with the policy's name as a structured field (RFC 9651). */
static void put_policy(struct http_out *out, const char *field, const char *policy)
{
	http_put(out, field, strlen(field));
	http_put_text(out, ": \"");
	http_put(out, policy, strlen(policy));
	http_put_text(out, "\"");
}

static void put_rate(struct http_out *out, const struct http_excess *excess)
{
	put_policy(out, "RateLimit-Policy", excess->policy);
	http_put_text(out, ";q=");
	http_put_number(out, excess->quota);
	http_put_text(out, ";w=");
	http_put_number(out, excess->window_s);
	http_put_text(out, "\r\n");
	put_policy(out, "RateLimit", excess->policy);
	http_put_text(out, ";r=0;t=");
	http_put_number(out, excess->wait_s);
	http_put_text(out, "\r\n");
}

int http_excess_write(char *buffer, size_t capacity, enum fw_verdict verdict,
		      const struct http_excess *excess, bool to_head)
{
	const struct row *row = &rows[verdict];
	struct http_out out = http_out(buffer, capacity);

	put_status(&out, row->status);
	http_put_text(&out, "Retry-After: ");
	http_put_number(&out, excess->wait_s);
	http_put_text(&out, "\r\n");
	if (excess->policy)
		put_rate(&out, excess);
	put_text(&out, row, excess->keep_alive, to_head);
	return http_out_length(&out);
}
