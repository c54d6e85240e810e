/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TLS on a stream, as those above it see it: put on when the connection is accepted, brought to an
 * end of its handshake step by step, and from then on unnoticed. With a server: tls_client.h.
 *
 *     tls_begin ──→ tls_greet: the ClientHello is whole ──→ tls_shake … ──→ stream_read,
 * stream_write
 *
 * OpenSSL conducts the handshake and is then let go; records are protected by record.c. So an idle
 * connection holds struct tls alone. 0-RTT is not offered, renegotiation does not exist.
 */
#ifndef PROXY_NET_TLS_TLS_H
#define PROXY_NET_TLS_TLS_H

#include <stdbool.h>
#include "base/buffer.h"
#include "floodwall.h"
#include "proxy/net/stream.h"
#include "proxy/net/tls/credentials/credentials.h"

/* What the connections of one thread share. */
struct tls_engine;

/* NULL: no memory. @budget and @buffers, the thread's, outlive it. */
struct tls_engine *tls_engine_create(struct pool_budget *budget, struct buffers *buffers);
void tls_engine_free(struct tls_engine *engine); /* NULL is allowed */
/* Those of its thread. */
struct buffers *tls_buffers(const struct tls_engine *engine);

/* From now on the stream speaks TLS. @account, to which what it needs is charged, outlives the
 * stream. 0 or −ENOMEM. */
int tls_begin(struct stream *stream, struct tls_engine *engine, struct account *account,
	      const struct tls_site *site);
/* Takes over *@early, what was received of it before; NULL: nothing. */
void tls_feed(struct stream *stream, struct buffer **early);

/* HTTP/2 is to be offered, too. */
void tls_offer_http2(struct stream *stream);

/*
 * Reads the ClientHello, without answering it. 1: it is whole; 0: more is to come; −enum
 * fw_verdict: refused, the client told by an alert if it understands one; −FW_CLIENT_CLOSED: it
 * left.
 */
int tls_greet(struct stream *stream);
/* Whether tls_greet() has yet to return 1. */
bool tls_awaits_hello(const struct stream *stream);
/* Goes on with the handshake. 1: complete; 0: waits for the client; negative as above. */
int tls_shake(struct stream *stream);

/* The handshake has failed: what is said now, if anything, is said in plain text. */
void tls_abandon(struct stream *stream);

/* Whether the client and we agreed to speak HTTP/2 inside. */
bool tls_speaks_http2(const struct stream *stream);

/* Why reading or writing failed, if that was TLS's own reason; else FW_NONE. */
enum fw_verdict tls_fault(const struct stream *stream);

/* What a handshake came to. */
struct tls_facts {
	const char *version; /* "TLSv1.3" */
	const char *cipher;  /* "TLS_AES_128_GCM_SHA256" */
	const char *name;    /* that the client asked for; NULL: none */
	const char *subject; /* of the client's certificate (RFC 4514); NULL: none, or not … */
	const char *fingerprint; /* … to be told. SHA-256, in hex */
	bool is_12, resumed;
	bool http2; /* is spoken inside (ALPN "h2") */
};

/* Valid for as long as the stream. False: the handshake is not complete, or there is no TLS. */
bool tls_facts(const struct stream *stream, struct tls_facts *facts);

#endif
