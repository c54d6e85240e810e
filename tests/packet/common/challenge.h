/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where tests of cookies start: two services that challenge everybody. At the port of the first a
 * real listener waits; at the other's nobody, unless a test lets somebody listen there.
 */
#ifndef PACKET_CHALLENGE_H
#define PACKET_CHALLENGE_H

#include "cookie.h"
#include "family.h"
#include "filter.h"
#include "server.h"

enum { SERVICE = 1, OTHER_SERVICE = 2, LISTENER_PORT = 443, OTHER_PORT = 444 };

/* cmocka group fixture. */
int challenge_begin(void **state);

/* For cmocka: *@state becomes a filter of this tier. */
int challenge_setup(void **state, enum fw_tier tier);

/* A SYN of the family's client to the first service. */
struct frame challenge_syn(const struct family *family, unsigned int options);

/* The segment that completes a handshake with that service, from a source that was sent a cookie.
 * @isn: what tells its number from those of others by the same port. */
struct frame challenge_proof(struct filter *filter, const struct family *family, const char *source,
			     uint16_t port, uint32_t isn);

#endif
