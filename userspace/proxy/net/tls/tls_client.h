/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TLS with a server: the same as tls.h, with the parts exchanged. Put on when the stream is
 * connected, then tls_shake() until it is complete.
 *
 *     tls_client_begin ──→ tls_shake … ──→ stream_read, stream_write ──→ tls_client_leave,
 *     tls_client_join (another thread) ──→ …
 *
 * The handshake is OpenSSL's, the records are our own, for the reason that clients' are: an idle
 * connection is two keys and two counters, and no object of a library that belongs to one thread.
 * So it may go to another thread between two exchanges. The end of the server's bytes counts as an
 * end only if it said so (close_notify); else reading fails, as after a reset.
 */
#ifndef PROXY_NET_TLS_TLS_CLIENT_H
#define PROXY_NET_TLS_TLS_CLIENT_H

#include "proxy/net/tls/tls.h"

/* A server as TLS sees it: what it has to prove, what we prove to it, and the session that the next
 * handshake resumes. Of the credentials (credentials.h); for all threads. */
struct tls_peer;

/*
 * From now on the stream, which is connected, speaks TLS. What it needs is on @account, which
 * outlives it; NULL: nobody's but the engine's. Why tls_shake() or reading fails is logged, with
 * the server's name. 0 or −ENOMEM.
 */
int tls_client_begin(struct stream *stream, struct tls_engine *engine, struct account *account,
		     struct tls_peer *peer);

/*
 * Between two exchanges: off the books of this thread, so that any may take it over by
 * tls_client_join(). Nothing else but closing is allowed meanwhile. False: something has been read
 * or written in part, and the connection is good for nothing but to be closed. A stream without TLS
 * has nothing to leave.
 */
bool tls_client_leave(struct stream *stream);
/* On @account from now on; NULL: the engine's. False: no memory, and nothing has changed. */
bool tls_client_join(struct stream *stream, struct tls_engine *engine, struct account *account);

#endif
