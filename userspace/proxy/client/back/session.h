/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP/2 towards servers (RFC 9113): a connection that carries many exchanges of one thread at
 * once, each on a stream. nghttp2 speaks the frames.
 *
 * A response's head is written out as HTTP/1 has it and read by the same parser, its body is put
 * into chunks unless its length is known: what is refused from a server of HTTP/1 is refused here,
 * too, and a front does not notice the difference. A request's head is taken apart again, and its
 * body freed of chunks, on the way out.
 *
 * A server may send as much of a response as its window allows, and the window is opened again by
 * what the client has taken: a slow client makes us hold that much, and no more. The connection's
 * own window is opened at once, so that he is in nobody's way.
 *
 * Whatever a connection makes us hold, nghttp2's own memory included, is on its account, which has
 * a ceiling. Whatever a server does beyond what servers do is charged to the connection's patience
 * (session_abuse.c). A connection that ends fails the requests on it that can't be sent again.
 */
#ifndef PROXY_CLIENT_BACK_SESSION_H
#define PROXY_CLIENT_BACK_SESSION_H

#include "proxy/client/exchange/exchange.h"
#include "proxy/client/http2_wire.h"
#include "proxy/client/back/session_engine.h"
#include "proxy/guard/patience.h"

/* Why a connection ends. */
enum session_end {
	SESSION_GOES_ON,
	SESSION_OVER,   /* in good order, or the server has left, or it does not speak HTTP/2 */
	SESSION_BROKEN, /* it does not speak HTTP/2 as it should: a fault; and below */
	SESSION_FLOODS, /* it does more than is borne */
	SESSION_MEMORY, /* its account is spent, or there is no memory */
};

/* A header block while it is read; one at a time, as frames of others may not come between. */
struct session_block {
	struct session_stream *stream; /* NULL: nobody wants it */
	uint64_t decoded;              /* bytes so far (RFC 9113 section 6.5.2) */
	uint16_t status;
	bool is_trailer;
	bool has_length;
};

struct session {
	struct session_engine *engine;
	struct upstream_link *link;
	nghttp2_session *frames;
	struct account account;
	struct list node, due; /* of the engine */
	struct list streams;   /* open ones, and those that are not sent yet */
	uint32_t stream_count;
	struct buffer *out;       /* frames that the server has not taken yet */
	struct http2_piece piece; /* behind them */
	struct session_block block;
	struct patience patience;
	uint32_t allowed; /* frames that the server may send for the DATA that it got */
	struct timer timer;
	uint64_t idle_ns;   /* since when there is no stream on it */
	uint64_t heard_ns;  /* the server has said something */
	uint64_t asked_ns;  /* whether it is still there; 0: was not */
	uint64_t detach_ns; /* since when it may end streams that nobody waits for; 0: there are
			       none */
	uint8_t end;        /* enum session_end */
	uint8_t fault;      /* enum fw_verdict: why it was not reached; FW_NONE: nothing is known */
	bool reached;       /* it is connected, and speaks HTTP/2 */
	bool last;          /* no more requests: it is old, or one of us has said so */
};

/* An exchange's stream. Either side may let go of it first. */
struct session_stream {
	struct list node;
	struct session *session;   /* NULL: it is closed, or the connection is */
	struct exchange *exchange; /* NULL: nobody waits for it any more */
	int32_t id;                /* 0: was not asked for yet */
	struct http_chunks chunks; /* of the request's body, to take it out of them */
	/* Bytes at the end of from_server that the exchange has not looked at … */
	uint32_t fresh;
	uint32_t chunk; /* … of them at the end in a chunk that is not closed yet, without head */
	uint32_t content; /* … of them body, as the window counts it */
	uint32_t given;   /* of what it has: the window is to be opened by that when it is taken */
	uint8_t undone;   /* enum undone */
	int16_t error;    /* −errno: how it failed; 0: it has not */
	bool counted;     /* as one that its server was sent */
	bool incomplete;  /* a head is being read into from_server */
	bool headed;      /* the final head is there */
	bool chunked;     /* its body is put into chunks */
	bool ended;       /* the server has said all */
	bool sealed;      /* and so does from_server */
	bool deferred;    /* nghttp2 waits to be told of more of the request */
};

/* --- session.c: a connection's life ------------------------------------------------------------
 */

/* Takes over a link that is connecting or connected, and speaks HTTP/2 on it from now on; the
 * request that it was lent for is to be its first. NULL: no memory, and the link is as it was. */
struct session *session_open(struct session_engine *engine, struct upstream_link *link);
/* A link to that server of @pool with room for one more request; NULL: there is none. */
struct upstream_link *session_find(struct session_engine *engine, const struct upstream_pool *pool,
				   uint32_t server);
/* Whether it has room, has something to say, or is over: done at the end of the turn. */
void session_settle(struct session *session);
/* Its end is decided. Only outside of nghttp2's callbacks is it carried out. */
void session_finish(struct session *session, enum session_end end);
/* Somebody has waited in vain: asks whether the server is still there. */
void session_doubt(struct session *session);

/* --- session_reach.c ---------------------------------------------------------------------------
 */

/* An event of a link that is not connected yet, or in its handshake. */
void session_reach(struct session *session);
/* It ends before it was reached: its exchanges go on without it. The link is closed, or if it is in
 * order theirs. */
void session_give_up(struct session *session);

/* --- session_head.c ----------------------------------------------------------------------------
 */

/* Something in it is not to be borne. */
void session_block_refuse(struct session *session);
void session_block_begin(struct session *session, struct session_stream *stream, bool is_trailer);
void session_block_add(struct session *session, struct http_slice name, struct http_slice value);
/* It is complete; @ended: and nothing follows. */
void session_block_end(struct session *session, bool ended);

/* The request in to_server as fields of HTTP/2, at most @most, some; 0: they don't fit. Names are
 * made lower case where they are. */
size_t session_request_fields(struct exchange *exchange, nghttp2_nv *fields, size_t most);

/* --- http2_back.c: an exchange on its stream ---------------------------------------------------
 */

extern const struct back http2_back;

/* Puts the exchange on @session. False: no memory. */
bool session_stream_open(struct session *session, struct exchange *exchange);
/* Some of the body came; all of the response did. */
void session_stream_receive(struct session_stream *stream, const uint8_t *data, size_t length);
void session_stream_end(struct session_stream *stream);
/* It is closed: @error 0: in good order. */
void session_stream_close(struct session_stream *stream, int error);
/* There is news for its exchange. */
void session_stream_wake(struct session_stream *stream);
/* Takes it off its connection. */
void session_stream_detach(struct session_stream *stream);
/* nghttp2's data source. */
ssize_t session_stream_read(nghttp2_session *frames, int32_t id, uint8_t *data, size_t length,
			    uint32_t *flags, nghttp2_data_source *source, void *user);

/* --- session_abuse.c: what is borne ------------------------------------------------------------
 */

/* A frame begins. */
void session_abuse_note_frame(struct session *session, const nghttp2_frame_hd *head);
/* A frame that nghttp2 refuses. */
void session_abuse_note_error(struct session *session);
/* DATA went out: its receiver opens its windows again, and may measure by PINGs. */
void session_abuse_note_data(struct session *session);

#endif
