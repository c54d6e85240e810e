/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections that have been accepted and not been judged yet.
 *
 * The kernel's queue is first come, first served: in it a newcomer stands behind all who came back
 * a moment before him. So it is emptied quickly, and those whose source has had more than its part
 * of the thread (guard/usage.h) wait here instead, while he is let in; and where somebody would
 * have to go for each, those who have another connection here.
 */
#ifndef PROXY_CLIENT_ADMISSION_ARRIVALS_H
#define PROXY_CLIENT_ADMISSION_ARRIVALS_H

#include <stdbool.h>
#include <stdint.h>
#include "floodwall.h"
#include "proxy/loop/loop.h"

/* Of a socket. Who comes when there are as many is judged at once, or for want of room sent away
 * (judge_crowd()). */
enum { ARRIVALS_MOST = 512 };

struct arrival {
	struct fw_addr source;
	int fd;
	uint16_t port;
};

struct arrivals {
	struct source turn; /* put off as long as there are any */
	uint32_t first, count;
	struct arrival ring[ARRIVALS_MOST];
};

/* False: there is no room. */
static inline bool arrivals_put(struct arrivals *arrivals, const struct arrival *arrival)
{
	if (arrivals->count == ARRIVALS_MOST)
		return false;
	arrivals->ring[(arrivals->first + arrivals->count++) % ARRIVALS_MOST] = *arrival;
	return true;
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
