/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors that clients may not use, so that upstream connections, logs and the next accept
 * still have one.
 *
 * The kernel always hands out the lowest free descriptor, so the number of a fresh one tells how
 * many are in use below it: no count needs keeping. And should the table be full all the same, a
 * spare is held that is given up for the moment it takes to turn a client away: without it the
 * client would wait unanswered, and accept would report it again and again.
 */
#ifndef PROXY_GUARD_RESERVE_H
#define PROXY_GUARD_RESERVE_H

#include <stdbool.h>
#include <stdint.h>

struct reserve {
	uint64_t limit; /* RLIMIT_NOFILE */
	int spare;
};

/* 0 or −errno. */
int reserve_init(struct reserve *reserve);
void reserve_destroy(struct reserve *reserve);

/* Whether a client may keep the descriptor it was accepted with while @kept are kept back (never
 * more than half of all: a small limit still serves someone). */
bool reserve_permits(const struct reserve *reserve, int fd, uint64_t kept);

/* Descriptors that clients may use while @kept are kept back, and about how many are in use. */
uint64_t reserve_limit(const struct reserve *reserve, uint64_t kept);
uint64_t reserve_used(const struct reserve *reserve);

/* The lowest free descriptor in the place of @fd, which others have just made room below. */
int reserve_lower(int fd);

/* Gives up the spare; the caller turns clients away, then calls reserve_restore(). */
void reserve_lend(struct reserve *reserve);
void reserve_restore(struct reserve *reserve);

#endif
