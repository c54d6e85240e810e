/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread's complaints to the supervisor, who may have the filter shut a source out: a ring that
 * it alone writes (struct fw_complaint). Nobody waits: of what is not read in time the oldest is
 * lost, and whoever is not shut out yet comes again and is complained of again.
 *
 * The supervisor has to be woken only by the first complaint that it has not read: it looks again
 * soon after each look that found something, so those that come meanwhile are found without.
 */
#ifndef PROXY_GUARD_COMPLAINTS_H
#define PROXY_GUARD_COMPLAINTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include "floodwall.h"

/* Whether the supervisor is to be woken. */
static inline bool complaints_add(volatile struct fw_complaints *complaints,
				  const struct fw_addr *source, uint32_t service, uint64_t until_ns)
{
	uint64_t written = complaints->written;
	volatile struct fw_complaint *place = &complaints->ring[written % FW_COMPLAINTS];

	for (int i = 0; i < 4; i++)
		place->source.word[i] = source->word[i];
	place->until_ns = until_ns;
	place->service = service;
	atomic_thread_fence(memory_order_release);
	complaints->written = written + 1;
	atomic_thread_fence(memory_order_seq_cst);
	return complaints->read == written;
}

#endif
