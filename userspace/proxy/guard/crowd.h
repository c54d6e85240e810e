/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What each source and prefix has of the proxy: bytes and requests by source, connections by both.
 * Tables of a fixed size, whatever the number of sources; all threads and listeners share them.
 */
#ifndef PROXY_GUARD_CROWD_H
#define PROXY_GUARD_CROWD_H

#include <stdbool.h>
#include "base/tally.h"
#include "floodwall.h"

struct crowd {
	__u64 seed[2];
	uint32_t threads;
	struct tally *bytes;       /* of each thread, by source and service */
	struct tally *sources;     /* of each thread, connections by source and service */
	struct tally *requests;    /* of each thread, not answered yet, by source and service */
	struct tally *connections; /* of each thread, by prefix and service */
};

struct crowd *crowd_create(uint32_t threads); /* NULL: no memory, or no random numbers */
void crowd_free(struct crowd *crowd);         /* NULL is allowed */

/* Under what a source's bytes with a service are kept. */
static inline uint64_t crowd_source(const struct crowd *crowd, const struct fw_addr *source,
				    uint32_t service)
{
	return fw_hash_at(crowd->seed, source, service, FW_LEVEL_SOURCE);
}

/* A connection of @source with @thread begins (@change 1), or ends (−1). */
static inline void crowd_change(struct crowd *crowd, uint32_t thread, const struct fw_addr *source,
				uint32_t service, int change)
{
	tally_add(&crowd->sources[thread], tally_place(crowd_source(crowd, source, service)),
		  (uint32_t)change);
	tally_add(&crowd->connections[thread],
		  tally_place(fw_hash_at(crowd->seed, source, service, FW_LEVEL_PREFIX)),
		  (uint32_t)change);
}

/* Connections of the prefix that @source is in, with all threads; never too few. */
static inline uint64_t crowd_size(const struct crowd *crowd, const struct fw_addr *source,
				  uint32_t service)
{
	return tally_sum(crowd->connections, crowd->threads,
			 tally_place(fw_hash_at(crowd->seed, source, service, FW_LEVEL_PREFIX)));
}

/* The same of @source itself: also where to the kernel it is a balancer's. */
static inline uint64_t crowd_size_of_source(const struct crowd *crowd, const struct fw_addr *source,
					    uint32_t service)
{
	return tally_sum(crowd->sources, crowd->threads,
			 tally_place(crowd_source(crowd, source, service)));
}

/* Whether a source has @most unanswered requests already. As long as each thread's part is within
 * its share, so is the sum: usually one look is enough. */
static inline bool crowd_asks_enough(const struct crowd *crowd, uint32_t thread,
				     struct tally_place source, uint64_t most)
{
	return tally_sum(&crowd->requests[thread], 1, source) >= most / crowd->threads &&
	       tally_sum(crowd->requests, crowd->threads, source) >= most;
}

#endif
