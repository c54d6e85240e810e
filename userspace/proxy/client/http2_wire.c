// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/http2_wire.h"
#include "proxy/http/lines.h"
#include "proxy/http/scan.h"

enum {
	ACKS_MOST = 64,     /* of PING and SETTINGS, that the peer has not taken */
	SETTINGS_MOST = 16, /* in one frame */
	CONTINUATIONS_MOST = 8,
};

/* Frames of types that we do not know are to be ignored (RFC 9113 section 5.5); asked to unpack
 * them, we have at least seen them begin. */
static int skip_unknown_frame(nghttp2_session *session, void **payload,
			      const nghttp2_frame_hd *head, void *user)
{
	(void)session;
	(void)payload;
	(void)head;
	(void)user;
	return NGHTTP2_ERR_CANCEL;
}

bool http2_prepare(nghttp2_session_callbacks **callbacks, nghttp2_option **options)
{
	if (nghttp2_session_callbacks_new(callbacks) || nghttp2_option_new(options))
		return false;
	nghttp2_session_callbacks_set_unpack_extension_callback(*callbacks, skip_unknown_frame);
	for (int type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++)
		nghttp2_option_set_user_recv_extension_type(*options, (uint8_t)type);
	nghttp2_option_set_no_auto_window_update(*options, 1);
	nghttp2_option_set_max_outbound_ack(*options, ACKS_MOST);
	nghttp2_option_set_max_settings(*options, SETTINGS_MOST);
	nghttp2_option_set_max_continuations(*options, CONTINUATIONS_MOST);
	/* Resets are ours to count, with everything else. */
	nghttp2_option_set_stream_reset_rate_limit(*options, UINT32_MAX, UINT32_MAX);
	return true;
}

int http2_gather(nghttp2_session *session, struct http2_piece *piece, struct buffer *out)
{
	uint32_t count;
	ssize_t length;

	for (;;) {
		if (!piece->left) {
			length = nghttp2_session_mem_send(session, &piece->at);
			if (length <= 0)
				return (int)length;
			piece->left = (size_t)length;
		}
		count = buffer_room(out);
		if (count > piece->left)
			count = (uint32_t)piece->left;
		buffer_append(out, piece->at, count);
		piece->at += count;
		piece->left -= count;
		if (piece->left)
			return 1;
	}
}

/* --- fields ------------------------------------------------------------------------------------
 */

static bool is_one_of(struct http_slice name, const char *const *names)
{
	for (; *names; names++)
		if (http2_slice_is(name, *names))
			return true;
	return false;
}

/* What only a connection of HTTP/1 has. */
static bool is_forbidden(struct http_slice name, struct http_slice value)
{
	static const char *const names[] = {
		"connection",     "keep-alive", "proxy-connection", "transfer-encoding", "upgrade",
		"http2-settings", NULL,
	};

	return is_one_of(name, names) ||
	       (http2_slice_is(name, "te") && !http2_slice_is(value, "trailers"));
}

/* The parser may be as strict; it must not have to be to see where a field ends. */
bool http2_field_is_sound(struct http_slice name, struct http_slice value)
{
	const char *end = name.at + name.length;

	if (!name.length || http_scan_token(name.at, end) != end)
		return false;
	for (const char *at = name.at; at < end; at++)
		if (*at >= 'A' && *at <= 'Z')
			return false;
	end = value.at + value.length;
	return http_scan_value(value.at, end) == end && !is_forbidden(name, value);
}

bool http2_field_may_trail(struct http_slice name)
{
	static const char *const names[] = {
		"authorization",
		"cache-control",
		"content-encoding",
		"content-length",
		"content-range",
		"content-type",
		"cookie",
		"expect",
		"forwarded",
		"host",
		"max-forwards",
		"proxy-authorization",
		"set-cookie",
		"te",
		"traceparent",
		"tracestate",
		"trailer",
		"x-client-cert-fingerprint",
		"x-client-cert-subject",
		"x-forwarded-for",
		"x-forwarded-host",
		"x-forwarded-proto",
		"x-request-id",
		NULL,
	};

	return !is_one_of(name, names);
}

void http2_lower(struct http_slice name)
{
	char *at = (char *)(uintptr_t)name.at;

	for (uint32_t i = 0; i < name.length; i++)
		if (at[i] >= 'A' && at[i] <= 'Z')
			at[i] |= 0x20;
}

size_t http2_fields_of(struct http_slice lines, nghttp2_nv *fields, size_t most)
{
	const char *at = lines.at, *end = at + lines.length;
	struct http_line line;
	size_t count = 0;

	while (at < end && http_line_next(&at, end, &line)) {
		if (count == most)
			return 0;
		http2_lower(line.name);
		fields[count++] = http2_field(line.name, line.value);
	}
	return count;
}

static bool is_dropped(const nghttp2_nv *field, const struct http_slice *names, size_t count)
{
	const struct http_slice name = {(const char *)field->name, (uint32_t)field->namelen};

	for (size_t i = 0; i < count; i++)
		if (http_name_passes_for(name, names[i]))
			return true;
	return false;
}

size_t http2_trailer_fields(struct buffer *trailer, const struct http_slice *dropped,
			    size_t dropped_count, nghttp2_nv fields[HTTP2_TRAILER_MOST])
{
	struct http_slice lines = {NULL, buffer_length(trailer)};
	size_t count, kept = 0;

	if (!trailer)
		return 0;
	lines.at = buffer_start(trailer);
	count = http2_fields_of(lines, fields, HTTP2_TRAILER_MOST);
	for (size_t i = 0; i < count; i++)
		if (!is_dropped(&fields[i], dropped, dropped_count))
			fields[kept++] = fields[i];
	return kept;
}

bool http2_submit_trailer(nghttp2_session *session, int32_t id, struct buffer *trailer,
			  const struct http_slice *dropped, size_t dropped_count)
{
	nghttp2_nv fields[HTTP2_TRAILER_MOST];
	size_t count = http2_trailer_fields(trailer, dropped, dropped_count, fields);

	return count && nghttp2_submit_trailer(session, id, fields, count) == 0;
}

void http2_put_line(struct buffer *text, struct http_slice name, struct http_slice value)
{
	buffer_append(text, name.at, name.length);
	buffer_append(text, ": ", 2);
	buffer_append(text, value.at, value.length);
	buffer_append(text, "\r\n", 2);
}

/* --- bodies ------------------------------------------------------------------------------------
 */

bool http2_make_room(struct buffer **buffer, struct account *account, uint32_t size)
{
	return buffer_fit(buffer, account, size + HTTP2_CHUNK_EXTRA);
}

void http2_close_chunk(struct buffer *buffer, uint32_t size)
{
	http_chunk_head(buffer_end(buffer) - size - HTTP2_CHUNK_HEAD, size);
	buffer_append(buffer, "\r\n", 2);
}

bool http2_seal_chunks(struct buffer **buffer, struct account *account)
{
	if (!*buffer)
		*buffer = buffer_take(account, BUFFER_SMALL);
	if (!*buffer)
		return false;
	buffer_append(*buffer, "0\r\n\r\n", 5);
	return true;
}
