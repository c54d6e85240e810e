/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server of an upstream as all threads see it: words that any of them may read and change at any
 * time, without a lock. Who chooses a server reads them; who uses it, checks its health or resolves
 * its name writes them. What every choice reads and what every request writes are cache lines of
 * their own.
 *
 * A server that the configuration gives a name has a place for each address that the name may have;
 * those that it does not have now are nowhere.
 *
 * Left out: who decides that a server is to be ejected (health.h), and which one is chosen.
 */
#ifndef PROXY_UPSTREAM_SERVER_SERVER_H
#define PROXY_UPSTREAM_SERVER_SERVER_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "config/config.h"

struct health;
struct tls_peer;

struct server {
	alignas(64) const struct config_server *config;
	struct health *health; /* of its upstream */
	struct tls_peer *tls;  /* NULL: it is spoken with in plain text */

	/* Where it is. A sequence lock: odd while an address is being written, of which there is
	 * one writer; 0: it never had one (its name could not be resolved yet). Port 0: its name
	 * has lost the address. */
	atomic_uint address_version;
	_Atomic uint32_t address[4];
	_Atomic uint16_t port;

	_Atomic bool unhealthy;    /* what the active checks say of it */
	_Atomic bool probation;    /* it was ejected, and has not yet shown that it is well again */
	_Atomic bool panic;        /* too few of its upstream are well: use any of them */
	_Atomic bool speaks_http1; /* though it was offered HTTP/2, in its last handshake */
	_Atomic uint64_t ejected_until_ns; /* 0: is not */
	_Atomic uint64_t up_since_ns;      /* for slow start; 0: from the beginning */

	alignas(64) atomic_uint active; /* requests that it is busy with */
	atomic_uint open;               /* connections to it, idle ones included */
	_Atomic uint64_t requests;      /* that were sent its way */
	_Atomic uint64_t latency_ns; /* to the first byte of a response, moving average; 0: none */
	_Atomic uint32_t responses;  /* about how many there were; wraps */
	_Atomic uint32_t refused, failed; /* in a row: connections, and anything at all */

	/* What seldom changes, for whoever counts. */
	alignas(64) _Atomic uint32_t ejections, checks_failed;
	_Atomic uint32_t ejected_times; /* without a long time in between */
	_Atomic uint32_t trials_passed; /* since it was ejected */
	uint32_t judged_responses;      /* the caretaker's alone: see health_judge_latency() */
	uint32_t slow_looks;
};

/* @server is zeroed. One whose address is not known is nowhere until server_move(). */
void server_init(struct server *server, const struct config_server *config, struct health *health);

/* Where to connect to. False: nowhere, now. */
bool server_address(const struct server *server, struct fw_addr *address, uint16_t *port);
/* Another address from now on; by one thread only. */
void server_move(struct server *server, const struct fw_addr *address, uint16_t port);
/* Nowhere from now on; by the same thread. What is under way may end. */
void server_leave(struct server *server);

/* Changes with the address: a connection that was made under another version leads to where the
 * server no longer is, and is not to be used again. */
static inline unsigned int server_version(const struct server *server)
{
	return atomic_load_explicit(&server->address_version, memory_order_relaxed);
}

/* Whether it can be connected to at all. */
static inline bool server_is_there(const struct server *server)
{
	return atomic_load_explicit(&server->port, memory_order_relaxed) != 0;
}

/* It is busy with a request, that is over, and the request counts as one that was sent its way. */
static inline void server_begin(struct server *server)
{
	atomic_fetch_add_explicit(&server->active, 1, memory_order_relaxed);
}

static inline void server_count(struct server *server)
{
	atomic_fetch_add_explicit(&server->requests, 1, memory_order_relaxed);
}

static inline void server_end(struct server *server)
{
	atomic_fetch_sub_explicit(&server->active, 1, memory_order_relaxed);
}

/* Whether it is to be chosen, as long as there is a choice. */
bool server_is_up(const struct server *server, uint64_t now_ns);

#endif
