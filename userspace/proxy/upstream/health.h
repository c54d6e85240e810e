/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What requests see of a server, told to whoever judges its health by it.
 */
#ifndef PROXY_UPSTREAM_HEALTH_H
#define PROXY_UPSTREAM_HEALTH_H

#include "base/clock.h"
#include "proxy/upstream/server.h"

enum server_outcome {
	SERVER_ANSWERED, /* with a status below 500 */
	SERVER_FAILED,   /* with 500 or above */
	SERVER_BROKE,    /* it closed early, or sent what is no response */
	SERVER_REFUSED,  /* the connection, or did not accept it in time */
	SERVER_TIMEOUT,  /* no response by the deadline */
};

#define SERVER_PASSED_OVER_NS (2 * CLOCK_SEC) /* how long one that refused is */

/* @latency_ns: from the complete request to the first byte of the response; 0: none came. */
static inline void server_note_result(struct server *server, enum server_outcome outcome,
				      uint64_t latency_ns, uint64_t now_ns)
{
	(void)latency_ns;
	if (outcome == SERVER_REFUSED)
		server_eject(server, now_ns + SERVER_PASSED_OVER_NS);
}

#endif
