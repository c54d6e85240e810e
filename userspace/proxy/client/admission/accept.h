/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where connections come in: a listening socket of one thread, and in which order they are judged.
 * Whoever may not stay is reset: it costs no memory, no time-wait, and the peer knows at once.
 */
#ifndef PROXY_CLIENT_ADMISSION_ACCEPT_H
#define PROXY_CLIENT_ADMISSION_ACCEPT_H

#include "proxy/client/admission/arrivals.h"
#include "proxy/client/worker.h"

/* Where those wait who are not let in at once. Each lane is first come, first served. */
enum lane {
	LANE_LATE, /* whose source has had more than its part of the thread */
	LANE_BACK, /* who comes back after an overload, or has another one and would take a place */
	LANES,
};

struct acceptor {
	struct source source;
	struct listener *listener;
	struct arrivals lane[LANES];
	struct timer resume; /* armed: accepting is paused */
};

/* Starts to accept from @fd, which belongs to the acceptor from now on. 0 or −errno:
 * acceptor_close() closes it in either case. */
int acceptor_open(struct acceptor *acceptor, struct listener *listener, int fd);
/* Accepts who waits already, as nobody else will. */
void acceptor_empty(struct acceptor *acceptor);
/* Accepts no more. Connections that wait at the socket are left to its other holders. */
void acceptor_close(struct acceptor *acceptor);

#endif
