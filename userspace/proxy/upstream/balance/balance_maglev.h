/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Consistent hashing by a table (Eisenbud et al., "Maglev: A Fast and Reliable Software Network
 * Load Balancer", NSDI 2016): each place holds a server, as many places each as its weight says.
 *
 * A server's places follow from its address as it is written, not from its position, so that a
 * configuration with one server more or less leaves nearly all keys where they were; every thread,
 * every generation of the proxy and every host of a fleet has the same table.
 *
 * Unlike the paper's, the table does not change when a server is down: a key that leads to one of
 * its places goes on, in steps of its own, to the first place of a server that is up. So its keys
 * move, evenly, and nobody else's; and nothing has to be built or swapped while requests come.
 */
#ifndef PROXY_UPSTREAM_BALANCE_BALANCE_MAGLEV_H
#define PROXY_UPSTREAM_BALANCE_BALANCE_MAGLEV_H

#include <stdint.h>
#include "config/config.h"

/* Places; a byte each. Prime, so that any step visits all of them; a thousand for each server of a
 * full upstream, so that shares are right to a thousandth. */
enum { MAGLEV_SIZE = 65537 };

/* NULL: no memory. To be freed with free(). */
uint8_t *maglev_create(const struct config_server *servers, const uint32_t *weights,
		       uint32_t count);

/* The server for @key, one of @candidates (a bit each, at least one). */
uint32_t maglev_find(const uint8_t *table, uint64_t key, uint64_t candidates);

#endif
