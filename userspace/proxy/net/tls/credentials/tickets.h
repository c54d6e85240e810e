/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys of session tickets (RFC 5077, RFC 8446 section 4.6.1).
 *
 * What a session needs to be resumed is sealed and kept by the client; here only keys are kept, the
 * same for every listener and thread and for each generation of the proxy, so that a ticket is good
 * wherever and whenever it comes back. The supervisor makes them in memory that its children
 * inherit, and is the only writer. Each key seals for one period and opens for two more; then it is
 * gone, and with it the secrecy of what it sealed can no longer be broken by taking it.
 */
#ifndef PROXY_NET_TLS_CREDENTIALS_TICKETS_H
#define PROXY_NET_TLS_CREDENTIALS_TICKETS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/clock.h"
#include "base/error.h"

#define TICKET_PERIOD_NS (3600 * CLOCK_SEC)

enum {
	TICKET_KEYS_OPEN = 3,         /* that open: the current one and two before */
	TICKET_LIFETIME_S = 2 * 3600, /* what clients are told: each ticket has that long */
	TICKET_KEY_SLOTS = TICKET_KEYS_OPEN + 1, /* one that is written while others are read */
	TICKET_NAME_SIZE = 16,
	TICKET_CIPHER_KEY_SIZE = 32,
	TICKET_MAC_KEY_SIZE = 32,
};

struct ticket_key {
	uint8_t name[TICKET_NAME_SIZE];
	uint8_t cipher[TICKET_CIPHER_KEY_SIZE];
	uint8_t mac[TICKET_MAC_KEY_SIZE];
};

/* Shared by processes. */
struct ticket_keys;

/* NULL and @error: no memory, or no random numbers. */
struct ticket_keys *tickets_create(uint64_t now_ns, struct error *error);
/* Those of a supervisor before this one, by tickets_descriptor() of it; the descriptor is taken
 * over. NULL and @error: they are of another form, and it is still the caller's. */
struct ticket_keys *tickets_adopt(int fd, struct error *error);
/* The file in memory that holds them; closed with the keys. */
int tickets_descriptor(const struct ticket_keys *keys);
/* Unmaps: this process has the keys no more. NULL is allowed. */
void tickets_drop(struct ticket_keys *keys);

/* A new key, if the current one has served its period. False: there were no random numbers, and the
 * old ones stay. */
bool tickets_rotate(struct ticket_keys *keys, uint64_t now_ns);

/* Copies the key that seals. */
void tickets_current(const struct ticket_keys *keys, struct ticket_key *key);
/* Copies the key of that name. −1: there is none any more; 0: the current one; 1: an older one. */
int tickets_find(const struct ticket_keys *keys, const uint8_t name[TICKET_NAME_SIZE],
		 struct ticket_key *key);

#endif
