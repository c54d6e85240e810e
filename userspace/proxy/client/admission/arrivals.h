/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections that have been accepted and not been judged yet.
 *
 * The kernel's queue is first come, first served: in it a newcomer stands behind all who came back
 * a moment before him. So it is emptied quickly, and those whose source has had more than its part
 * of the thread (guard/usage.h) wait here instead, while he is let in; and so do those who come
 * back, in a lane of their own.
 */
#ifndef PROXY_CLIENT_ADMISSION_ARRIVALS_H
#define PROXY_CLIENT_ADMISSION_ARRIVALS_H

#include <stdbool.h>
#include <stdint.h>
#include "floodwall.h"
#include "proxy/loop/loop.h"

/* Of a lane of a socket of a thread. */
enum { ARRIVALS_MOST = 512 };

struct arrival {
	struct fw_addr source;
	int fd;
	uint16_t port;
};

struct acceptor;

struct arrivals {
	struct acceptor *acceptor;
	struct source turn; /* put off while there are any and they may come in */
	struct timer place; /* armed: none of them may come in yet */
	uint32_t first, count;
	struct arrival ring[ARRIVALS_MOST];
};

/* False: there are @most, of at most ARRIVALS_MOST, already. */
static inline bool arrivals_put(struct arrivals *arrivals, const struct arrival *arrival,
				uint32_t most)
{
	if (arrivals->count >= most)
		return false;
	arrivals->ring[(arrivals->first + arrivals->count++) % ARRIVALS_MOST] = *arrival;
	return true;
}

/* Any one of them, of whom there is at least one. */
static inline struct arrival *arrivals_at(struct arrivals *arrivals, uint32_t number)
{
	return &arrivals->ring[(arrivals->first + number % arrivals->count) % ARRIVALS_MOST];
}

/* Who has waited longest; NULL: nobody waits. */
static inline const struct arrival *arrivals_first(const struct arrivals *arrivals)
{
	return arrivals->count ? &arrivals->ring[arrivals->first % ARRIVALS_MOST] : NULL;
}

/* False: nobody waits. */
static inline bool arrivals_take(struct arrivals *arrivals, struct arrival *arrival)
{
	if (!arrivals->count)
		return false;
	*arrival = *arrivals_first(arrivals);
	arrivals->first = (arrivals->first + 1) % ARRIVALS_MOST;
	arrivals->count--;
	return true;
}

#endif
