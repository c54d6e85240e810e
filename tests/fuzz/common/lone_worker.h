/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One thread of the proxy, for fuzz targets that speak with it over sockets: no daemon, no filter,
 * no listening socket; clients are handed to it.
 */
#ifndef FUZZ_LONE_WORKER_H
#define FUZZ_LONE_WORKER_H

#include "proxy/client/client.h"

enum { LONE_MEMORY_MOST = 1 << 20 }; /* of a client */

/* By that configuration, which has one listener and one upstream. Aborts if it can't be made. */
struct worker *lone_worker_start(const char *text);
/* One turn of its loop. */
void lone_worker_turn(struct worker *worker);
/* Its client; NULL: it has none. */
struct client *lone_worker_client(const struct worker *worker);
/* Reads whatever has been said to @fd, and forgets it. */
void lone_worker_ignore(int fd);
/* Aborts if anything of a client is left. */
void lone_worker_check(const struct worker *worker);

#endif
