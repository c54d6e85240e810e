/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading the ring of sampled events through its mapping.
 *
 * A writer takes the next number from meta.events, clears the slot's sequence, fills the slot and
 * stores the sequence. So a slot is whole if it shows the expected number before and after it was
 * copied; a later number means it was overwritten, an earlier one or none that it is being filled.
 */
#include <string.h>
#include "wall/internal.h"

enum slot_state { SLOT_TAKEN, SLOT_OVERWRITTEN, SLOT_PENDING };

static enum slot_state take(volatile struct fw_event *slot, uint64_t sequence,
			    struct fw_event *event)
{
	uint64_t before = __atomic_load_n(&slot->sequence, __ATOMIC_ACQUIRE), after;

	if (before > sequence)
		return SLOT_OVERWRITTEN;
	if (before != sequence)
		return SLOT_PENDING;
	memcpy(event, (const void *)slot, sizeof(*event));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	after = __atomic_load_n(&slot->sequence, __ATOMIC_RELAXED);
	if (after != sequence)
		return SLOT_OVERWRITTEN; /* only a later event would have cleared it */
	event->sequence = sequence;
	return SLOT_TAKEN;
}

size_t wall_events(struct wall *wall, uint64_t *sequence, struct fw_event *events, size_t max,
		   uint64_t *lost)
{
	uint64_t newest = __atomic_load_n(&wall->meta->events, __ATOMIC_ACQUIRE);
	uint64_t oldest = newest > FW_EVENTS_MAX ? newest - FW_EVENTS_MAX + 1 : 1;
	uint64_t next = *sequence ? *sequence : oldest;
	size_t taken = 0;

	if (next < oldest) {
		*lost += oldest - next;
		next = oldest;
	}
	for (; next <= newest && taken < max; next++) {
		enum slot_state state =
			take(&wall->events[next % FW_EVENTS_MAX], next, &events[taken]);

		if (state == SLOT_PENDING)
			break; /* the next call finds it done, or overwritten */
		if (state == SLOT_TAKEN)
			taken++;
		else
			++*lost;
	}
	*sequence = next;
	return taken;
}
