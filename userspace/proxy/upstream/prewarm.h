/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections opened ahead of who needs them: an upstream's `prewarm`, shared out among threads. A
 * few times a second each thread looks how many idle ones all have together, and opens its part of
 * what is missing; when they are there they are idle links like any others.
 *
 * Where HTTP/2 is spoken no thread can use another's connection, and needs one to a server: each
 * looks after its own part by itself.
 *
 * A server that does not take them is left alone for a while, twice as long each time.
 */
#ifndef PROXY_UPSTREAM_PREWARM_H
#define PROXY_UPSTREAM_PREWARM_H

#include <stdatomic.h>
#include <stdint.h>
#include "base/list.h"

struct upstream_pool;

/* Of one thread. */
struct prewarm {
	struct list links;   /* that connect, the oldest first */
	atomic_uint opening; /* how many; read by other threads */
	uint32_t next;       /* server */
	uint32_t failures;   /* in a row */
	uint64_t not_before_ns;
};

void prewarm_init(struct prewarm *prewarm);
/* Opens what is missing, gives up what takes too long. Returns how many were opened. */
unsigned int prewarm_run(struct upstream_pool *pool);
void prewarm_close(struct upstream_pool *pool);

#endif
