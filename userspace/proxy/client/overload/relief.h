/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Relief: the machine's TCP sockets hold much of what they may (guard/socket_memory.h). All
 * programs of the machine have that in common, and it may be another one's doing, so it is no stage
 * of overload: whoever comes has nothing to do with it. Who does not take what his socket is full
 * of has less time for it, and in the end goes before his time, one after the other.
 */
#ifndef PROXY_CLIENT_OVERLOAD_RELIEF_H
#define PROXY_CLIENT_OVERLOAD_RELIEF_H

#include <stdbool.h>
#include <stdint.h>
#include "proxy/guard/live.h"
#include "proxy/loop/wheel.h"

struct worker;

/* A thread's part in it. */
struct relief {
	struct timer next; /* eviction */
	uint64_t excess;   /* bytes that are still to be freed */
	uint16_t misses;   /* looks in a row that have found nobody */
	bool is_on;        /* deadlines of who does not take his answer are shortened */
};

void relief_init(struct relief *relief);

/* Looks what sockets hold, and sees to it. A few times a second. @live: of any listener. */
void relief_measure(struct worker *worker, const struct live *live);

#endif
