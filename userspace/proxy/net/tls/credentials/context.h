/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every library context for handshakes has: the versions and ciphers that record.c speaks, and
 * the callbacks by which the library tells of a handshake what comes of it. They know no more of
 * one than its notes. Private to tls/.
 */
#ifndef PROXY_NET_TLS_CREDENTIALS_CONTEXT_H
#define PROXY_NET_TLS_CREDENTIALS_CONTEXT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "proxy/net/tls/record/record.h"

struct tls_peer;

struct context_secret {
	uint8_t data[RECORD_SECRET_SIZE];
	size_t size; /* 0: not known yet */
};

/* Of one handshake: its SSL's app data. */
struct context_notes {
	/* For the library. */
	struct tls_peer *peer; /* the server that it is with; NULL: we are the server */
	bool offers_http2;
	/* By it. */
	struct context_secret client, server; /* TLS 1.3: of application traffic */
	uint64_t sent;                        /* records under our traffic key */
	int alert_sent, alert_received;       /* −1: none */
};

/* Notes what a handshake in @context comes to. False: the library refuses. */
bool context_prepare(SSL_CTX *context, bool only_13);

/* Those of a handshake. */
struct context_notes *context_notes(const SSL *ssl);
/* Ours is the client's part. */
static inline bool context_is_client(const struct context_notes *notes)
{
	return notes->peer != NULL;
}
/* By which what we send is protected, and what the other side does. */
static inline const struct context_secret *context_our_secret(const struct context_notes *notes)
{
	return context_is_client(notes) ? &notes->client : &notes->server;
}

static inline const struct context_secret *context_their_secret(const struct context_notes *notes)
{
	return context_is_client(notes) ? &notes->server : &notes->client;
}

#endif
