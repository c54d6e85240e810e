/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP/1 messages (RFC 9110, RFC 9112), read strictly and written anew. Pure: no I/O, no
 * allocation, no clock; everything lives in the caller's buffers.
 *
 * A filtering proxy must never pass on what the server behind it could read differently. So
 * whatever RFC 9112 lets a recipient repair is refused instead, and framing is never forwarded but
 * written anew from what was understood.
 *
 * Parsers return how many bytes the head takes (n > 0), 0 when it is not complete yet, or
 * −enum fw_verdict. They go on where they stopped, so that a head costs one look at each byte
 * however it arrives, and they refuse at the first byte that can't be right: the result does not
 * depend on how the bytes were cut. What they report are offsets, so the buffer may move between
 * calls.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "floodwall.h"

enum {
	HTTP_HEAD_MAX = 65536, /* bytes; limits above are taken for this */
	HTTP_FIELDS_MAX = 256,
	HTTP_OPTIONS_MAX = 16, /* names in Connection besides close, keep-alive and upgrade */
};

/* Part of the buffer that holds the head. */
struct http_span {
	uint16_t at, length;
};

/* Bytes anywhere, not terminated. */
struct http_slice {
	const char *at;
	uint32_t length;
};

static inline struct http_slice http_slice(const char *data, struct http_span span)
{
	return (struct http_slice){data + span.at, span.length};
}

/* Limits of a request: limits.* of settings.def. */
struct http_limits {
	uint32_t target; /* bytes */
	uint32_t header; /* bytes, request line and empty line included */
	uint32_t field;  /* bytes of one field line; 0: none */
	uint32_t fields;
	uint32_t cookies; /* 0: none */
	uint64_t body;    /* bytes; 0: none */
};

enum http_method {
	HTTP_NO_METHOD,
#define HTTP_METHOD(id, token, content) HTTP_##id,
#include "contract/methods.def"
#undef HTTP_METHOD
	HTTP_METHOD_COUNT,
};

/* Fields that mean something to a proxy. */
enum http_kind {
	HTTP_OTHER, /* end to end: forwarded as it is */
	HTTP_HOST,
	HTTP_CONTENT_LENGTH,
	HTTP_TRANSFER_ENCODING,
	HTTP_CONNECTION,
	HTTP_UPGRADE,
	HTTP_EXPECT,
	HTTP_COOKIE, /* end to end, but counted */
	HTTP_X_FORWARDED_FOR,
	HTTP_X_FORWARDED_PROTO,
	HTTP_X_FORWARDED_HOST,
	HTTP_FORWARDED,
	HTTP_X_REQUEST_ID,
	HTTP_TRACEPARENT,
	HTTP_TRACESTATE,
	HTTP_X_CLIENT_CERT, /* X-Client-Cert-*: ours to say */
	HTTP_HOP, /* Keep-Alive, Proxy and Proxy-*, TE, Trailer, and what Connection names */
	HTTP_KIND_COUNT,
};

/* One of them as a set. */
#define HTTP_KIND(kind) (1u << (kind))

struct http_field {
	struct http_span name, value; /* value without the white space around it */
	uint16_t kind;                /* enum http_kind */
};

/* How the end of a body is found (RFC 9112 section 6). */
enum http_framing {
	HTTP_NO_BODY,     /* Content-Length: 0 as well */
	HTTP_LENGTH,      /* content_length bytes, at least one */
	HTTP_CHUNKED,     /* see struct http_chunks */
	HTTP_UNTIL_CLOSE, /* responses only; 101 too: the connection has left HTTP */
};

/* What requests and responses have in common. */
struct http_head {
	/* What was understood; valid once the parser has returned n > 0. */
	uint64_t content_length; /* as announced; a body follows only if HTTP_LENGTH */
	uint8_t framing;         /* enum http_framing */
	uint8_t minor;           /* HTTP/1.minor: 0 or 1 */
	bool has_content_length; /* announced: by HEAD and 304 too, which have no body */
	bool keep_alive;         /* the connection may serve another message after this one */
	uint16_t count;          /* fields */
	uint16_t fields_end;     /* where the empty line after the last one starts */

	/* Where the parser stopped: its own business. */
	uint8_t state, part;
	uint16_t start;
	uint32_t scanned;
	uint16_t first[HTTP_KIND_COUNT]; /* field of that kind, plus one */
	uint32_t repeated;               /* set of kinds */
	uint8_t option_count;
	bool close, persist, upgrade; /* said by Connection */
	struct http_span option[HTTP_OPTIONS_MAX];

	struct http_field field[HTTP_FIELDS_MAX];
};

struct http_request {
	uint8_t method;       /* enum http_method */
	bool expect_continue; /* waits for 100 (Continue) before it sends its body */
	bool upgrade;         /* asks to leave HTTP, for `protocol`, in a way that is forwarded */
	bool odd_body; /* a body where its method has no use for one: not every server reads it */
	struct http_span verb;     /* the method as sent */
	struct http_span target;   /* as sent */
	struct http_span path;     /* path and query: begins with '/'; or "*" (OPTIONS) */
	struct http_span host;     /* host[:port], checked; length 0: none (HTTP/1.0 only) */
	struct http_span protocol; /* of Upgrade */
	struct http_head head;
};

struct http_response {
	uint16_t status;         /* 100 to 599 */
	struct http_span reason; /* may be empty */
	struct http_head head;
};

/* Makes ready for a new head. Takes a few dozen bytes of time, not the size of the struct. */
void http_request_init(struct http_request *request);
void http_response_init(struct http_response *response);

/*
 * Reads a request's head from data[0..length): always the same bytes, then more of them. Bytes
 * after the head are not looked at.
 *
 * Strict where RFC 9112 offers a choice: one CRLF may precede the request line, a second one is
 * refused; lines end in CRLF only; a target is printable ASCII without '#', in origin form, "*" for
 * OPTIONS, or http(s)://host/… whose host must equal Host; its path is one that everybody decodes
 * to the same segments (path.c); Host is exactly one (HTTP/1.0: at most
 * one) name of letters, digits, "-._", or [IPv6], with a port or none; Content-Length is one
 * number, and never beside Transfer-Encoding, which is "chunked" and HTTP/1.1 only; a name that a
 * CGI-style server would take for one of enum http_kind ("Content_Length", "Content.Length") is
 * refused.
 */
int http_request_parse(struct http_request *request, const char *data, size_t length,
		       const struct http_limits *limits);

/*
 * Reads a response's head as http_request_parse() does; @to_head: it answers a HEAD. Any refusal is
 * −FW_UPSTREAM_BAD_RESPONSE. After a 1xx other than 101 the final response is yet to come: init and
 * parse again, at most as often as you care to. A 101 names its protocol and leaves HTTP; whether
 * the request asked for that (http_request.upgrade) is for the caller to compare.
 */
int http_response_parse(struct http_response *response, const char *data, size_t length,
			bool to_head);

/* The token: "GET". */
struct http_slice http_method_token(enum http_method method);

/* Equal but for case; both of them ASCII. */
bool http_slice_equal(struct http_slice a, struct http_slice b);

/*
 * A path as whoever compares paths reads it: printable bytes that are encoded without need decoded
 * (RFC 3986 section 6.2.2.2), but for a slash and '%' themselves. Writes what @most bytes of that
 * hold to @out, which may be @path, or NULL: then they are only counted. Returns how many there
 * are, *@used bytes of @path.
 */
uint32_t http_path_read(char *out, uint32_t most, struct http_slice path, uint32_t *used);

/* First field of that name, in lower case ("user-agent"); NULL: none. */
const struct http_field *http_field_find(const struct http_head *head, const char *data,
					 const char *name);

/* The value of the request's first cookie of that name that has one; length 0: there is none. */
struct http_slice http_cookie_find(const struct http_head *head, const char *data,
				   const char *name);

/* --- bodies in chunks (RFC 9112 section 7.1) ---------------------------------------------------
 */

/* 0: none. */
struct http_chunk_limits {
	uint64_t payload;  /* bytes of content */
	uint64_t overhead; /* bytes by which framing may exceed content */
};

/* A decoder, resumable at every byte. It stores no data. */
struct http_chunks {
	uint64_t payload; /* bytes of content so far, those announced by the last size included */
	uint64_t left;    /* of the current chunk's data */
	uint64_t framing; /* bytes so far that are not content */
	struct http_chunk_limits limits;
	uint8_t state, digits;
	bool done; /* the last chunk's final CRLF was read */
};

void http_chunks_init(struct http_chunks *chunks, struct http_chunk_limits limits);

/*
 * Checks raw bytes of the body. Returns how many belong to it: @length, or fewer when the body
 * ended inside (done); each of them is verified and may be forwarded unchanged. −FW_BAD_CHUNK:
 * sizes are 1 to 16 hex digits, lines end in CRLF, extensions and trailers are refused.
 * −FW_BODY_TOO_LARGE, −FW_CHUNK_OVERHEAD: already when a size announces it.
 */
int64_t http_chunks_check(struct http_chunks *chunks, const char *data, size_t length);

/* The same, and moves the content to the front of @data, *@content bytes: for HTTP/1.0 clients. */
int64_t http_chunks_unwrap(struct http_chunks *chunks, char *data, size_t length, size_t *content);

/* The fewest bytes that can be missing from it. */
uint64_t http_chunks_least(const struct http_chunks *chunks);
/* Whether it is between two chunks, and the bytes of content that have come. */
bool http_chunks_between(const struct http_chunks *chunks);
uint64_t http_chunks_content(const struct http_chunks *chunks);

enum {
	HTTP_CHUNK_HEAD = 6,   /* "ffff\r\n" */
	HTTP_CHUNK_EXTRA = 13, /* that, "\r\n", and the last chunk */
	HTTP_CHUNK_MOST = 0xffff,
};
/* Writes the head of a chunk of @size bytes, at most HTTP_CHUNK_MOST. */
void http_chunk_head(char head[HTTP_CHUNK_HEAD], uint32_t size);
/* Makes one chunk of the @content bytes at @data, none of no bytes, and with @last the last one
 * behind it. There is room for HTTP_CHUNK_EXTRA more bytes; returns how many it is now. */
size_t http_chunk_wrap(char *data, size_t content, bool last);

/* --- what names a request (trace.c) --------------------------------------------------------------
 */

enum { HTTP_REQUEST_ID_MAX = 128, HTTP_TRACEPARENT_LENGTH = 55 };

/* An X-Request-Id that can be logged and passed on: letters, digits and "-._~+/=:@". */
bool http_request_id_valid(struct http_slice id);
/* A traceparent by W3C Trace Context, of version 00 or a later one. */
bool http_traceparent_valid(struct http_slice value);
/* A new one, of version 00. */
void http_traceparent_make(char out[HTTP_TRACEPARENT_LENGTH], uint8_t random[24], bool sampled);
/* @count bytes as twice as many digits. */
void http_put_hex(char *out, const uint8_t *bytes, size_t count);

/* --- writers ------------------------------------------------------------------------------------
 *
 * Each writes to out[0..capacity) and returns how many bytes, or −ENOSPC (contents then undefined).
 */

/* Whether some server may take a field of that name for @known: it has other marks for '-', as
 * CGI's variables have '_', or is the same. */
bool http_name_passes_for(struct http_slice name, struct http_slice known);
/* Takes every field that passes for one of these names out of what is written of the head. */
void http_head_drop(struct http_head *head, const char *data, const struct http_slice *names,
		    size_t count);

/* Which fields that tell of the client and the request come from whom. Sets of kinds. */
struct http_policy {
	uint32_t drop; /* the client's goes */
	uint32_t say;  /* ours is written: any of X-Forwarded-*, Forwarded, X-Request-Id and
			  traceparent */
	uint32_t keep; /* of those: the client's X-Forwarded-For and Forwarded are continued, its
			  X-Forwarded-Proto and -Host stand, if it has said them once */
};

/* What the server is told about the client. */
struct http_forward {
	struct http_slice address;                 /* the client's, as text */
	struct http_slice host;                    /* Host for requests without one (HTTP/1.0) */
	struct http_slice lead;                    /* in the place of … */
	uint32_t cut;                              /* … so many bytes of the path */
	struct http_slice request_id, traceparent; /* values, if they are said */
	struct http_slice lines;                   /* complete field lines that are added */
	/* Of the client's certificate: X-Client-Cert-Subject, X-Client-Cert-Fingerprint. Empty:
	 * neither is sent. */
	struct http_slice subject, fingerprint;
	struct http_policy policy;
	bool tls;   /* came by https, else http */
	bool close; /* ask the server to close afterwards */
};

/*
 * A request for the server, as HTTP/1.1 in origin form. Hop-by-hop fields and Expect are gone (who
 * forwards answers 100 itself); Host comes first; the client's X-Client-Cert-* are replaced, and
 * what else it says of itself is as the policy has it. What is written for an upgrade ends with its
 * protocol and CRLF CRLF. @data is the buffer that was parsed.
 */
int http_request_write(char *out, size_t capacity, const struct http_request *request,
		       const char *data, const struct http_forward *forward);
/* Bytes that are enough for it. */
size_t http_request_room(const struct http_request *request, const struct http_forward *forward);

/* What the client's side of a response needs. */
struct http_reply {
	uint8_t minor;           /* of the client's request */
	bool keep_alive;         /* the client's connection stays open afterwards */
	struct http_slice lines; /* complete field lines that are added */
};

/* Whether the client's connection can stay open after this response: its end must be told without
 * closing. A chunked response to an HTTP/1.0 client is to be unwrapped, and ends by closing. */
bool http_response_delimited(const struct http_response *response, uint8_t client_minor);

/*
 * A response for the client: hop-by-hop fields gone, framing and Connection written anew.
 * keep_alive counts only if http_response_delimited(). 101 keeps Upgrade.
 */
int http_response_write(char *out, size_t capacity, const struct http_response *response,
			const char *data, const struct http_reply *reply);
/* Bytes that are enough for it. */
size_t http_response_room(const struct http_response *response, const struct http_reply *reply);

/*
 * The response that a refusal is answered with: status of its row in verdicts.def, the label and
 * text as a small plain body (@to_head: left out, but its length announced), Connection: close.
 * Returns 0 when the row has no status: nothing is to be sent.
 */
int http_error_write(char *out, size_t capacity, enum fw_verdict verdict, bool to_head);

/* By how much a request comes too fast, and what becomes of its connection. */
struct http_excess {
	const char *
		policy; /* a name: letters; NULL: it is about no rate, and nothing is said of one */
	uint64_t quota; /* requests … */
	uint64_t window_s; /* … in so many seconds */
	uint32_t wait_s;   /* until the next one */
	bool keep_alive;
};

/* The same for a status 429, with Retry-After, RateLimit-Policy and RateLimit
 * (draft-ietf-httpapi-ratelimit-headers-10). */
int http_excess_write(char *out, size_t capacity, enum fw_verdict verdict,
		      const struct http_excess *excess, bool to_head);

/* "Internal Server Error", for any status that is ours to give; "" for others. */
const char *http_status_phrase(int status);

/* "HTTP/1.1 100 Continue" with its empty line. */
extern const struct http_slice http_continue;

#endif
