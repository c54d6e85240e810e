/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Heads as they are forwarded: end-to-end fields as they came, in runs; what concerns one
 * connection only (RFC 9110 section 7.6.1) left out and written anew.
 */
#include "proxy/http/head.h"
#include "proxy/http/out.h"

#define KIND(kind) (1u << (kind))

/* Copies the field lines whose kind is not in the set @without, neighbours in one go. */
static void put_fields(struct http_out *out, const struct http_head *head, const char *data,
		       unsigned int without)
{
	uint32_t from, to = 0, line;

	while (to < head->count) {
		for (from = to; from < head->count; from++)
			if (!(without & KIND(head->field[from].kind)))
				break;
		for (to = from; to < head->count; to++)
			if (without & KIND(head->field[to].kind))
				break;
		if (from == to)
			break;
		line = head->field[from].name.at;
		http_put(out, data + line,
			 (to < head->count ? head->field[to].name.at : head->fields_end) - line);
	}
}

static void put_upgrade(struct http_out *out, struct http_slice protocol)
{
	http_put_text(out, "Connection: upgrade\r\nUpgrade: ");
	http_put_slice(out, protocol);
	http_put_text(out, "\r\n");
}

/* Every X-Forwarded-For of the client in one line, then the client itself. */
static void put_forwarded_for(struct http_out *out, const struct http_head *head, const char *data,
			      struct http_slice address)
{
	uint32_t i = head->first[HTTP_X_FORWARDED_FOR];

	http_put_text(out, "X-Forwarded-For: ");
	for (i = i ? i - 1 : head->count; i < head->count; i++) {
		if (head->field[i].kind != HTTP_X_FORWARDED_FOR || !head->field[i].value.length)
			continue;
		http_put_slice(out, http_slice(data, head->field[i].value));
		http_put_text(out, ", ");
	}
	http_put_slice(out, address);
	http_put_text(out, "\r\n");
}

static void put_client_certificate(struct http_out *out, const struct http_forward *forward)
{
	http_put_text(out, "X-Client-Cert-Subject: ");
	http_put_slice(out, forward->subject);
	http_put_text(out, "\r\nX-Client-Cert-Fingerprint: ");
	http_put_slice(out, forward->fingerprint);
	http_put_text(out, "\r\n");
}

int http_request_write(char *buffer, size_t capacity, const struct http_request *request,
		       const char *data, const struct http_forward *forward)
{
	const unsigned int without = KIND(HTTP_HOST) | KIND(HTTP_CONTENT_LENGTH) |
				     KIND(HTTP_TRANSFER_ENCODING) | KIND(HTTP_CONNECTION) |
				     KIND(HTTP_UPGRADE) | KIND(HTTP_EXPECT) | KIND(HTTP_HOP) |
				     KIND(HTTP_X_FORWARDED_FOR) | KIND(HTTP_X_FORWARDED_PROTO) |
				     KIND(HTTP_X_CLIENT_CERT);
	const struct http_head *head = &request->head;
	struct http_out out = http_out(buffer, capacity);

	http_put_slice(&out, http_slice(data, request->verb));
	http_put_text(&out, " ");
	http_put_slice(&out, http_slice(data, request->path));
	http_put_text(&out, " HTTP/1.1\r\nHost: ");
	http_put_slice(&out,
		       request->host.length ? http_slice(data, request->host) : forward->host);
	http_put_text(&out, "\r\n");
	put_fields(&out, head, data, without);
	if (head->framing == HTTP_CHUNKED) {
		http_put_text(&out, "Transfer-Encoding: chunked\r\n");
	} else if (head->has_content_length) {
		http_put_text(&out, "Content-Length: ");
		http_put_number(&out, head->content_length);
		http_put_text(&out, "\r\n");
	}
	put_forwarded_for(&out, head, data, forward->address);
	if (forward->tls)
		http_put_text(&out, "X-Forwarded-Proto: https\r\n");
	else
		http_put_text(&out, "X-Forwarded-Proto: http\r\n");
	if (forward->fingerprint.length)
		put_client_certificate(&out, forward);
	if (request->upgrade)
		put_upgrade(&out, http_slice(data, request->protocol));
	else if (forward->close)
		http_put_text(&out, "Connection: close\r\n");
	http_put_text(&out, "\r\n");
	return http_out_length(&out);
}

/* Whether and how the connection goes on; a client of HTTP/1.0 must be told that it does. */
static void put_persistence(struct http_out *out, const struct http_response *response,
			    const struct http_reply *reply)
{
	if (!reply->keep_alive || !http_response_delimited(response, reply->minor))
		http_put_text(out, "Connection: close\r\n");
	else if (reply->minor == 0)
		http_put_text(out, "Connection: keep-alive\r\n");
}

int http_response_write(char *buffer, size_t capacity, const struct http_response *response,
			const char *data, const struct http_reply *reply)
{
	const unsigned int without = KIND(HTTP_CONTENT_LENGTH) | KIND(HTTP_TRANSFER_ENCODING) |
				     KIND(HTTP_CONNECTION) | KIND(HTTP_UPGRADE) | KIND(HTTP_HOP);
	const struct http_head *head = &response->head;
	const struct http_field *upgrade = http_head_first(head, HTTP_UPGRADE);
	struct http_out out = http_out(buffer, capacity);

	http_put_text(&out, "HTTP/1.1 ");
	http_put_number(&out, response->status);
	http_put_text(&out, " ");
	http_put_slice(&out, http_slice(data, response->reason));
	http_put_text(&out, "\r\n");
	put_fields(&out, head, data, without);
	if (head->framing == HTTP_CHUNKED && reply->minor >= 1) {
		http_put_text(&out, "Transfer-Encoding: chunked\r\n");
	} else if (head->has_content_length) {
		http_put_text(&out, "Content-Length: ");
		http_put_number(&out, head->content_length);
		http_put_text(&out, "\r\n");
	}
	if (response->status == 101 && upgrade)
		put_upgrade(&out, http_slice(data, upgrade->value));
	else if (response->status >= 200)
		put_persistence(&out, response, reply);
	http_put_text(&out, "\r\n");
	return http_out_length(&out);
}
