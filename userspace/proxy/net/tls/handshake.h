/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A handshake, conducted by OpenSSL over a BIO that is the stream itself: no buffer in between, no
 * byte read beyond the message that is due. When it is complete its secrets become struct records
 * and the library's objects are freed: at once on our side of a client, on that of a server as soon
 * as it has had its chance to send a ticket (tls_client.c). Private to this folder.
 */
#ifndef PROXY_NET_TLS_HANDSHAKE_H
#define PROXY_NET_TLS_HANDSHAKE_H

#include <openssl/ssl.h>
#include "base/list.h"
#include "proxy/net/tls/credentials/context.h"
#include "proxy/net/tls/tls_state.h"

struct handshake {
	struct list node; /* among those of the engine that wait for a ticket */
	struct stream *stream;
	SSL *ssl;
	struct context_notes notes;
	uint32_t received; /* bytes */
	/* Once complete: a record for the library, which then reads nothing else. */
	const uint8_t *given;
	size_t given_size;
};

/* Ours is the server's part, or (tls->peer) the client's. NULL: no memory. */
struct handshake *handshake_create(struct stream *stream, SSL_CTX *context);
void handshake_free(struct handshake *handshake); /* NULL is allowed */

/* 1: complete; 0: waits; −enum fw_verdict: failed, the other side told so. */
int handshake_step(struct handshake *handshake);

/* Of a complete one: its keys, and what is worth remembering. −enum fw_verdict. */
int handshake_harvest(struct handshake *handshake, struct tls *tls);

/* Whether it was given more than any needs, and was ended for that. */
bool handshake_overran(const struct handshake *handshake);

#endif
