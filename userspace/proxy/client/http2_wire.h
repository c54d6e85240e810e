/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What both sides of the proxy do with HTTP/2, towards clients and towards servers: memory for
 * nghttp2, its frames into a buffer, fields that HTTP/1 can carry, and bodies without framing into
 * chunks, so that they read as those of HTTP/1.
 */
#ifndef PROXY_CLIENT_HTTP2_WIRE_H
#define PROXY_CLIENT_HTTP2_WIRE_H

#include <nghttp2/nghttp2.h>
#include "base/buffer.h"
#include "proxy/http/http.h"

/* http2_memory.c: where nghttp2 has its memory from. */
nghttp2_mem http2_memory(struct account *account);

/*
 * What all connections of a thread are made with. The caller adds callbacks of its own. Frames of
 * unknown types are seen and skipped, windows open as their bytes go on, and what the peer can make
 * nghttp2 queue has a cap. False: no memory; both are to be deleted all the same, as NULL may be.
 */
bool http2_prepare(nghttp2_session_callbacks **callbacks, nghttp2_option **options);

/* --- frames ------------------------------------------------------------------------------------
 */

/* A frame that nghttp2 has made, as far as it did not fit: its memory, until it is asked for the
 * next. */
struct http2_piece {
	const uint8_t *at;
	size_t left;
};

/* Fills @out with frames. 1: there may be more; 0: there is nothing more to say now; nghttp2's
 * error. */
int http2_gather(nghttp2_session *session, struct http2_piece *piece, struct buffer *out);

/* --- fields ------------------------------------------------------------------------------------
 */

static inline struct http_slice http2_slice_of(nghttp2_rcbuf *buffer)
{
	nghttp2_vec bytes = nghttp2_rcbuf_get_buf(buffer);

	return (struct http_slice){(const char *)bytes.base, (uint32_t)bytes.len};
}

static inline bool http2_slice_is(struct http_slice slice, const char *text)
{
	return slice.length == strlen(text) && !memcmp(slice.at, text, slice.length);
}

/*
 * Whether a field may stand in a head that the parser of HTTP/1 is to read: a name in lower case,
 * no byte that ends a line or a word, and none that only connections of HTTP/1 have (RFC 9113
 * section 8.2.2).
 */
bool http2_field_is_sound(struct http_slice name, struct http_slice value);
/* Whether such a field may come behind a body (RFC 9110 section 6.5.1): nothing that frames the
 * message, or routes it, or says who sends it. */
bool http2_field_may_trail(struct http_slice name);

/* HTTP/2 has names in lower case only: makes them so where they are. */
void http2_lower(struct http_slice name);
static inline nghttp2_nv http2_field(struct http_slice name, struct http_slice value)
{
	return (nghttp2_nv){(uint8_t *)(uintptr_t)name.at, (uint8_t *)(uintptr_t)value.at,
			    name.length, value.length, NGHTTP2_NV_FLAG_NONE};
}
/* Of a string literal. */
#define HTTP2_NAME(text) ((struct http_slice){"" text, sizeof(text) - 1})

/* Field lines as fields, at most @most; 0: there is none, or too many. */
size_t http2_fields_of(struct http_slice lines, nghttp2_nv *fields, size_t most);
/* Those of a trailer, but for names that are @dropped; NULL: there is none. */
enum { HTTP2_TRAILER_MOST = 64 };
size_t http2_trailer_fields(struct buffer *trailer, const struct http_slice *dropped,
			    size_t dropped_count, nghttp2_nv fields[HTTP2_TRAILER_MOST]);
/* Sends it, behind the body of stream @id. False: there is nothing to send. */
bool http2_submit_trailer(nghttp2_session *session, int32_t id, struct buffer *trailer,
			  const struct http_slice *dropped, size_t dropped_count);

/* Another line for such a field, ended by CRLF; what it takes is its lengths + HTTP2_LINE_EXTRA. */
enum { HTTP2_LINE_EXTRA = 4 };
void http2_put_line(struct buffer *text, struct http_slice name, struct http_slice value);

/* --- bodies ------------------------------------------------------------------------------------
 */

enum {
	HTTP2_CHUNK_HEAD = HTTP_CHUNK_HEAD,       /* no window is larger than HTTP_CHUNK_MOST */
	HTTP2_CHUNK_EXTRA = 2 * HTTP2_CHUNK_HEAD, /* behind a chunk: its end, and the body's */
};

/* Room for @size more bytes of a body and what comes behind them, in *@buffer, which may not be
 * there yet. False: no memory. */
bool http2_make_room(struct buffer **buffer, struct account *account, uint32_t size);
/* Makes a chunk of the last @size bytes, which lie behind room for its head. */
void http2_close_chunk(struct buffer *buffer, uint32_t size);
/* Adds the last chunk. False: no memory. */
bool http2_seal_chunks(struct buffer **buffer, struct account *account);

#endif
