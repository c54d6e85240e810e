/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Heads as they are forwarded: end-to-end fields as they came, in runs; what concerns one
 * connection only (RFC 9110 section 7.6.1) left out and written anew.
 */
#include "proxy/http/head.h"
#include "proxy/http/out.h"

#define KIND(kind) HTTP_KIND(kind)

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

/* --- who the client is -------------------------------------------------------------------------
 */

/* The client's values of a list-valued field, each followed by a comma. */
static void put_list(struct http_out *out, const struct http_head *head, const char *data,
		     enum http_kind kind)
{
	uint32_t i = head->first[kind];

	for (i = i ? i - 1 : head->count; i < head->count; i++) {
		if (head->field[i].kind != kind || !head->field[i].value.length)
			continue;
		http_put_slice(out, http_slice(data, head->field[i].value));
		http_put_text(out, ", ");
	}
}

/* RFC 7239: what has a colon is quoted, and an IPv6 address in brackets, too. */
static void put_forwarded(struct http_out *out, const struct http_forward *forward,
			  struct http_slice host)
{
	if (memchr(forward->address.at, ':', forward->address.length)) {
		http_put_text(out, "for=\"[");
		http_put_slice(out, forward->address);
		http_put_text(out, "]\"");
	} else {
		http_put_text(out, "for=");
		http_put_slice(out, forward->address);
	}
	http_put_text(out, ";host=\"");
	http_put_slice(out, host);
	if (forward->tls)
		http_put_text(out, "\";proto=https");
	else
		http_put_text(out, "\";proto=http");
}

/* One field: the client's list goes on, or ends here. */
static void put_field(struct http_out *out, const char *name, struct http_slice value)
{
	http_put(out, name, strlen(name));
	http_put_slice(out, value);
	http_put_text(out, "\r\n");
}

/* Those fields that hardly any listener has us say. */
static void put_rare(struct http_out *out, const struct http_head *head, const char *data,
		     const struct http_forward *forward, struct http_slice host, uint32_t say)
{
	if (say & KIND(HTTP_X_FORWARDED_HOST))
		put_field(out, "X-Forwarded-Host: ", host);
	if (say & KIND(HTTP_FORWARDED)) {
		http_put_text(out, "Forwarded: ");
		if (forward->policy.keep & KIND(HTTP_FORWARDED))
			put_list(out, head, data, HTTP_FORWARDED);
		put_forwarded(out, forward, host);
		http_put_text(out, "\r\n");
	}
	if (say & KIND(HTTP_X_REQUEST_ID))
		put_field(out, "X-Request-Id: ", forward->request_id);
	if (say & KIND(HTTP_TRACEPARENT))
		put_field(out, "traceparent: ", forward->traceparent);
}

#define COMMON (KIND(HTTP_X_FORWARDED_FOR) | KIND(HTTP_X_FORWARDED_PROTO))

static void put_client(struct http_out *out, const struct http_head *head, const char *data,
		       const struct http_forward *forward, struct http_slice host, uint32_t say)
{
	if (say & KIND(HTTP_X_FORWARDED_FOR)) {
		http_put_text(out, "X-Forwarded-For: ");
		if (forward->policy.keep & KIND(HTTP_X_FORWARDED_FOR))
			put_list(out, head, data, HTTP_X_FORWARDED_FOR);
		http_put_slice(out, forward->address);
		http_put_text(out, "\r\n");
	}
	if (say & KIND(HTTP_X_FORWARDED_PROTO)) {
		if (forward->tls)
			http_put_text(out, "X-Forwarded-Proto: https\r\n");
		else
			http_put_text(out, "X-Forwarded-Proto: http\r\n");
	}
	if (say & ~COMMON)
		put_rare(out, head, data, forward, host, say);
}

/* Fields of one value that the client has said once, and may. */
static uint32_t find_kept(const struct http_head *head, const struct http_policy *policy)
{
	static const enum http_kind kinds[] = {HTTP_X_FORWARDED_PROTO, HTTP_X_FORWARDED_HOST};
	uint32_t kept = 0;

	if (!policy->keep)
		return 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (policy->keep & KIND(kinds[i]) && http_head_first(head, kinds[i]) &&
		    !http_head_repeats(head, kinds[i]))
			kept |= KIND(kinds[i]);
	return kept;
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
				     KIND(HTTP_X_CLIENT_CERT);
	const struct http_head *head = &request->head;
	const struct http_slice host =
		request->host.length ? http_slice(data, request->host) : forward->host;
	struct http_slice path = http_slice(data, request->path);
	const uint32_t kept = find_kept(head, &forward->policy);
	struct http_out out = http_out(buffer, capacity);

	http_put_slice(&out, http_slice(data, request->verb));
	http_put_text(&out, " ");
	if (forward->cut) {
		http_put_slice(&out, forward->lead);
		path.at += forward->cut;
		path.length -= forward->cut;
	}
	http_put_slice(&out, path);
	http_put_text(&out, " HTTP/1.1\r\nHost: ");
	http_put_slice(&out, host);
	http_put_text(&out, "\r\n");
	put_fields(&out, head, data, without | (forward->policy.drop & ~kept));
	if (head->framing == HTTP_CHUNKED) {
		http_put_text(&out, "Transfer-Encoding: chunked\r\n");
	} else if (head->has_content_length) {
		http_put_text(&out, "Content-Length: ");
		http_put_number(&out, head->content_length);
		http_put_text(&out, "\r\n");
	}
	put_client(&out, head, data, forward, host, forward->policy.say & ~kept);
	if (forward->fingerprint.length)
		put_client_certificate(&out, forward);
	if (forward->lines.length)
		http_put_slice(&out, forward->lines);
	if (request->upgrade)
		put_upgrade(&out, http_slice(data, request->protocol));
	else if (forward->close)
		http_put_text(&out, "Connection: close\r\n");
	http_put_text(&out, "\r\n");
	return http_out_length(&out);
}

/* Everything that is ours to write; the rest is shorter than it came. */
#define REQUEST_OWN                                                                                \
	"Host: \r\nTransfer-Encoding: chunked\r\nContent-Length: 18446744073709551615\r\n"         \
	"X-Forwarded-For: \r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: \r\n"                  \
	"Forwarded: for=\"[]\";host=\"\";proto=https\r\nX-Request-Id: \r\ntraceparent: \r\n"       \
	"X-Client-Cert-Subject: \r\nX-Client-Cert-Fingerprint: \r\n"                               \
	"Connection: upgrade\r\nUpgrade: \r\nConnection: close\r\n\r\n"

size_t http_request_room(const struct http_request *request, const struct http_forward *forward)
{
	size_t host = request->host.length ? request->host.length : forward->host.length;

	return request->head.scanned + sizeof(REQUEST_OWN) + 3 * host +
	       2 * forward->address.length + forward->lead.length + forward->request_id.length +
	       forward->traceparent.length + forward->lines.length + forward->subject.length +
	       forward->fingerprint.length;
}

/* --- responses ---------------------------------------------------------------------------------
 */

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
	if (reply->lines.length)
		http_put_slice(&out, reply->lines);
	if (response->status == 101 && upgrade)
		put_upgrade(&out, http_slice(data, upgrade->value));
	else if (response->status >= 200)
		put_persistence(&out, response, reply);
	http_put_text(&out, "\r\n");
	return http_out_length(&out);
}

#define RESPONSE_OWN                                                                               \
	"HTTP/1.1 599 \r\nTransfer-Encoding: chunked\r\nContent-Length: 18446744073709551615\r\n"  \
	"Connection: upgrade\r\nUpgrade: \r\nConnection: keep-alive\r\n\r\n"

size_t http_response_room(const struct http_response *response, const struct http_reply *reply)
{
	return response->head.scanned + sizeof(RESPONSE_OWN) + reply->lines.length;
}
