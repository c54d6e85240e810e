/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server of an upstream as all threads see it: words that any of them may read and change at any
 * time, without a lock. Who chooses a server reads them; who uses it, checks its health or resolves
 * its name writes them.
 *
 * Left out: who decides that a server is to be ejected, and which one is chosen.
 */
#ifndef PROXY_UPSTREAM_SERVER_H
#define PROXY_UPSTREAM_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "config/config.h"

struct server {
	const struct config_server *config;

	/* Where it is. A sequence lock: odd while an address is being written, of which there is
	 * one writer; 0: it has none (its name could not be resolved yet). */
	atomic_uint address_version;
	_Atomic uint32_t address[4];
	_Atomic uint16_t port;

	_Atomic bool unhealthy;            /* what the active checks say of it */
	_Atomic uint64_t ejected_until_ns; /* 0: is not. Set by what requests saw of it */
	_Atomic uint64_t up_since_ns;      /* for slow start; 0: from the beginning */

	/* What every request changes, apart from what it only reads. */
	_Alignas(64) atomic_uint active; /* requests that it is busy with */
	atomic_uint open;                /* connections to it, idle ones included */
	_Atomic uint64_t latency_ns; /* to the first byte of a response, moving average; 0: none */
};

/* For a server whose address is known. */
void server_init(struct server *server, const struct config_server *config);

/* Where to connect to. False: nowhere, now. */
bool server_address(const struct server *server, struct fw_addr *address, uint16_t *port);
/* Another address from now on; by one thread only. */
void server_move(struct server *server, const struct fw_addr *address, uint16_t port);

/* A request is sent its way, and is over. */
static inline void server_begin(struct server *server)
{
	atomic_fetch_add_explicit(&server->active, 1, memory_order_relaxed);
}

static inline void server_end(struct server *server)
{
	atomic_fetch_sub_explicit(&server->active, 1, memory_order_relaxed);
}

/* Whether it is to be chosen, as long as there is a choice. */
bool server_is_up(const struct server *server, uint64_t now_ns);
/* Passes it over until then. */
void server_eject(struct server *server, uint64_t until_ns);

#endif
