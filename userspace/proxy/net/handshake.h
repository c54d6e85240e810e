/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A handshake, conducted by OpenSSL over a BIO that is the stream itself: no buffer in between, no
 * byte read beyond the message that is due. When it is complete its secrets become struct records
 * and the library's objects are freed. Private to this folder.
 */
#ifndef PROXY_NET_HANDSHAKE_H
#define PROXY_NET_HANDSHAKE_H

#include <openssl/ssl.h>
#include "proxy/net/tls_state.h"

struct handshake;

/* Sets what every context for handshakes needs. */
void handshake_prepare(SSL_CTX *context);
/* Whether HTTP/2 is among what this handshake offers. */
bool handshake_offers_http2(const SSL *ssl);

/* NULL: no memory. */
struct handshake *handshake_create(struct stream *stream, SSL_CTX *context);
void handshake_free(struct handshake *handshake); /* NULL is allowed */

/* 1: complete; 0: waits; −enum fw_verdict: failed, the client told so. */
int handshake_step(struct handshake *handshake);

/* Of a complete one: its keys, and what is worth remembering. −enum fw_verdict. */
int handshake_harvest(struct handshake *handshake, struct tls *tls);

#endif
