/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where connections come in: a listening socket of one thread, and in which order they are judged.
 * Whoever may not stay is reset: it costs no memory, no time-wait, and the peer knows at once.
 */
#ifndef PROXY_CLIENT_ADMISSION_ACCEPT_H
#define PROXY_CLIENT_ADMISSION_ACCEPT_H

#include "proxy/client/admission/arrivals.h"
#include "proxy/client/worker.h"

struct acceptor {
	struct source source;
	struct listener *listener;
	struct arrivals arrivals;
	struct timer place;  /* armed: none of those takes the place of somebody yet */
	struct timer resume; /* armed: accepting is paused */
};

/* Starts to accept from @fd, which belongs to the acceptor from now on. 0 or −errno. */
int acceptor_open(struct acceptor *acceptor, struct listener *listener, int fd);
/* Accepts who waits already, as nobody else will. */
void acceptor_empty(struct acceptor *acceptor);
/* Accepts no more. Connections that wait at the socket are left to its other holders. */
void acceptor_close(struct acceptor *acceptor);

#endif
