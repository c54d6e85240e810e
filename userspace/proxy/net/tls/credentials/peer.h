/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server as TLS sees it. The servers of one upstream share a library context: whom to trust, what
 * to show. Each has its own name to prove, and its own session: the last that it gave us, of at
 * most an hour ago, which all threads resume until there is a newer one. Private to tls/.
 */
#ifndef PROXY_NET_TLS_CREDENTIALS_PEER_H
#define PROXY_NET_TLS_CREDENTIALS_PEER_H

#include <openssl/ssl.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include "config/diagnostics.h"
#include "config/config.h"
#include "proxy/net/tls/credentials/credentials.h"

/* What the peers of one configuration share: the system's authorities are read once. */
struct peer_trust {
	X509_STORE *system; /* NULL: not needed yet */
};

/* Peers that were made with it keep what they need. */
void peer_trust_drop(struct peer_trust *trust);

/* The servers of an upstream, to @peers, which is zeroed: [0] is its first. Where one is missing
 * that was complained about. */
void peers_create(const struct config_upstream *upstream, struct peer_trust *trust,
		  struct tls_peer **peers, struct diagnostics *faults,
		  struct diagnostics *warnings);
void peer_free(struct tls_peer *peer); /* NULL is allowed */

SSL_CTX *peer_context(const struct tls_peer *peer); /* the peer's own */
/* The name, or address, that the server has to prove. */
const char *peer_name(const struct tls_peer *peer);
bool peer_is_verified(const struct tls_peer *peer); /* by the configuration: else anybody will do */
bool peer_is_resumed(const struct tls_peer *peer);  /* likewise: sessions are kept */

/* Says whom the handshake is with, and offers to resume. False: no memory. */
bool peer_prepare(struct tls_peer *peer, SSL *ssl);
/* The session that the next handshake of any thread offers, until there is a newer one; none. */
void peer_keep_session(struct tls_peer *peer, SSL_SESSION *session);
void peer_forget_session(struct tls_peer *peer);

/* Logs what is wrong with the server, some seconds apart. */
void peer_complain(struct tls_peer *peer, uint64_t now_ns, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
