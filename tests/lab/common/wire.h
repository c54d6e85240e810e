/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection's bytes: TCP, or TLS over it. Never waits.
 *
 * Whom we talk to is not verified: what is looked at is what he says, and an attacker doesn't care.
 */
#ifndef LAB_WIRE_H
#define LAB_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What all TLS connections of a program have in common. */
struct wire_tls;

/* @protocol: what ALPN offers. NULL when there is no memory. */
struct wire_tls *wire_tls_new(const char *protocol);
void wire_tls_free(struct wire_tls *tls);
/* A ClientHello of it, written to @room; its length, or 0. */
size_t wire_tls_hello(const struct wire_tls *tls, uint8_t *room, size_t size);

struct wire {
	int fd; /* −1: none */
	struct ssl_st *tls;
	bool withholds;
};

/* How much of a handshake there shall be. */
enum wire_cover {
	WIRE_PLAIN,
	WIRE_TLS,
	WIRE_TLS_UNFINISHED, /* without the last bytes of the client's Finished */
};

/* Takes over @fd, which is connected. False: no memory, and @fd is not taken. */
bool wire_open(struct wire *wire, int fd, const struct wire_tls *tls, enum wire_cover cover);
/* Goes on with the handshake: 1 when that is over, 0 when @events must be waited for, −errno. */
int wire_shake(struct wire *wire, uint32_t *events);
/* Bytes sent or received; 0: the end (of receiving); −EAGAIN: wait; another −errno: broken. What
 * could not be sent over TLS must be sent next. */
ssize_t wire_send(struct wire *wire, const void *data, size_t length);
ssize_t wire_receive(struct wire *wire, void *room, size_t size);
/* Lets go of TLS, and keeps the connection: what still comes can't be read any more. */
void wire_forget(struct wire *wire);
/* Ends it at once, without a word of TLS. */
void wire_close(struct wire *wire);

#endif
