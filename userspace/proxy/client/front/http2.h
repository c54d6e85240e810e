/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP/2 towards the client (RFC 9113): many exchanges at once over one connection, each on a
 * stream. nghttp2 speaks the frames; what they mean is decided here.
 *
 * A request's head is written out as HTTP/1 has it and read by the same parser: what one protocol
 * refuses the other does too, and nothing reaches a server that http/ has not understood. Bodies
 * have their length, or are put into chunks, on their way in; responses lose their framing on the
 * way out.
 *
 * Whatever a connection makes us hold, nghttp2's own memory included, is on its account
 * (limits.memory). Whatever it does beyond what clients do is charged to its patience: when that is
 * over so is the connection (http2_abuse.c).
 */
#ifndef PROXY_CLIENT_FRONT_HTTP2_H
#define PROXY_CLIENT_FRONT_HTTP2_H

#include <nghttp2/nghttp2.h>
#include "base/list.h"
#include "proxy/client/exchange/exchange.h"
#include "proxy/client/http2_wire.h"
#include "proxy/guard/patience.h"

/* For requests that are on their way when the client learns that the connection ends. */
#define HTTP2_NOTICE_NS CLOCK_SEC

/* What a client may send of all bodies together before servers have taken any. */
enum { HTTP2_CONNECTION_WINDOW = 1 << 20 };

/* A header block while it is read; one at a time, as frames of others may not come between. */
struct http2_block {
	struct buffer *text; /* the request's head as HTTP/1 has it, so far */
	uint64_t begun_ns;   /* 0: none is being read */
	int32_t stream;
	uint64_t wire;    /* bytes received … */
	uint64_t decoded; /* … and what they decode to (RFC 9113 section 6.5.2) */
	struct http_span method, path, authority; /* in `text` until its first line is written */
	uint32_t cookies_end;                     /* in `text`: of the Cookie line; 0: none yet */
	uint8_t verdict;                          /* why it is refused; FW_NONE: not yet */
	bool is_trailer;
	bool is_bomb;
	bool has_line, has_length, has_authority;
	bool takes_trailer; /* "TE: trailers" */
};

/* A client's connection. */
struct http2 {
	struct client *client;
	nghttp2_session *session;
	struct list streams; /* open ones */
	struct list ready;   /* those of them that have something to do */
	uint32_t stream_count;
	struct buffer *out;       /* frames that the client has not taken yet */
	struct http2_piece piece; /* behind them */
	struct http2_block block;
	struct uptake send; /* of `out` */
	uint64_t notice_ns; /* when the client was told that it ends (graceful) */
	struct patience patience;
	int32_t last_stream;        /* that was opened */
	uint32_t frames;            /* that came in this turn */
	uint32_t allowed;           /* WINDOW_UPDATEs and PINGs, for the DATA we sent */
	uint8_t verdict;            /* why the connection ends; FW_NONE: it goes on */
	bool is_busy;               /* it had much to say in its last turn: others come first */
	bool told_last, heard_last; /* GOAWAY was said: by us, by the client */
};

/* A request's stream; it outlives its exchange for as long as frames are to be sent. */
struct http2_stream {
	struct list node, ready;
	struct http2 *http2;
	struct exchange *exchange; /* NULL: over */
	struct buffer *in;         /* the request's body */
	uint32_t fresh_at;         /* in `in`: what is not in chunks, nor checked, yet */
	uint64_t answered_ns;      /* all of its response was sent */
	uint32_t owed;             /* bytes of body that the client may not send anew yet … */
	uint32_t batch;            /* … of them before fresh_at, without their framing */
	int32_t id;
	bool begun;     /* its server has been asked for */
	bool chunked;   /* the body's length is not known */
	bool ended;     /* the client has sent everything … */
	bool sealed;    /* … and the last chunk is in `in` */
	bool responded; /* its final head is on its way */
	bool deferred;  /* nghttp2 waits to be told of more to send */
	bool reset;     /* by the client */
};

extern const struct front http2_front;

/* --- http2.c: a connection's life --------------------------------------------------------------
 */

/* Whether a connection begins with HTTP/2's preface: 1, 0: can't be said yet, −1: no. */
int http2_recognise(const char *data, size_t length);
/* From here on the client speaks HTTP/2; client->in has what it said already. */
void http2_begin(struct client *client);
/* Does what can be done now. */
void http2_run(struct client *client);
/* Ends it: what can still be said to the client is. */
void http2_end(struct client *client, enum fw_verdict verdict);
/* No new requests; ends when those under way are over. */
void http2_drain(struct client *client);
/* Time has passed: whatever is late is turned away. */
void http2_expire(struct client *client);
/* Looks at what the client's host has taken of what was sent. */
void http2_look(struct http2 *http2, uint64_t now_ns);
void http2_free(struct http2 *http2); /* NULL is allowed */

/* --- http2_head.c: header blocks ---------------------------------------------------------------
 */

/* A head or a trailer begins; its fields, one by one. */
void http2_block_begin(struct http2 *http2, const nghttp2_frame *frame);
void http2_block_add(struct http2 *http2, struct http_slice name, struct http_slice value);
/* The head is complete: its length, as request_parse() wants it; −enum fw_verdict. */
int http2_block_end(struct http2 *http2, bool has_body);
/* It is a body's trailer, and complete: what of it may pass on, as lines of text; NULL: nothing. */
struct buffer *http2_block_take_trailer(struct http2 *http2);
/* It is not to be served; what else it says is of no interest. */
void http2_block_refuse(struct http2 *http2, enum fw_verdict verdict);
void http2_block_drop(struct http2 *http2); /* what there is of one is forgotten */

/* --- http2_stream.c: a request ----------------------------------------------------------------
 */

/* A request's head was read. −enum nghttp2_error. */
int http2_stream_open(struct http2 *http2, int32_t id, bool has_body);
/* It is closed, for whatever reason. */
void http2_stream_close(struct http2_stream *stream);
void http2_stream_wake(struct http2_stream *stream);
void http2_stream_run(struct http2_stream *stream);
/* Body came; the client has sent all of it. */
int http2_stream_receive(struct http2_stream *stream, const uint8_t *data, size_t length);
void http2_stream_end(struct http2_stream *stream);
/* A trailer was read, which ends the body. @stream NULL: nobody's. */
void http2_stream_note_trailer(struct http2 *http2, struct http2_stream *stream);
/* All of its response is sent; a request that goes on nevertheless has a moment to notice that it
 * is not wanted, then it is cut off. */
void http2_stream_note_answered(struct http2_stream *stream);
void http2_stream_cut(struct http2_stream *stream, uint64_t now_ns);

static inline struct http2_stream *http2_stream_find(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

static inline struct http2_stream *http2_stream_of(const struct exchange *exchange)
{
	return container_of(exchange->incoming, struct http2_stream, in);
}

/* --- http2_response.c --------------------------------------------------------------------------
 */

/* Of struct front. */
bool http2_response_write_head(struct exchange *exchange, uint32_t length);
void http2_response_send_continue(struct exchange *exchange);
enum flow http2_response_send(struct exchange *exchange);
/* The client holds its windows shut. */
bool http2_response_is_shut(const struct exchange *exchange);
/* Ours to a refusal, in the server's place: from here on the exchange is one whose response is
 * complete. False: it can't be answered any more, or there is no memory. */
bool http2_response_make(struct exchange *exchange, enum fw_verdict verdict);
/* nghttp2's data source (nghttp2_data_source_read_callback, nghttp2_send_data_callback). */
ssize_t http2_response_read(nghttp2_session *session, int32_t id, uint8_t *data, size_t length,
			    uint32_t *flags, nghttp2_data_source *source, void *user);
int http2_response_put(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
		       size_t length, nghttp2_data_source *source, void *user);

/* --- http2_abuse.c: what is borne -------------------------------------------------------------
 */

/* A frame begins. False: the connection's patience is over, its verdict set; here and below. */
bool http2_abuse_note_frame(struct http2 *http2, const nghttp2_frame_hd *head);
/* The client reset a stream whose response it had not got. */
bool http2_abuse_note_reset(struct http2 *http2);
/* We had to reset a stream, or to refuse a request. */
bool http2_abuse_note_error(struct http2 *http2);
/* The header block that is being read decodes to far more than was sent. */
bool http2_abuse_note_bomb(struct http2 *http2);
/* DATA went out: its receiver is expected to open its windows again. */
void http2_abuse_note_data(struct http2 *http2);

#endif
