/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A sequence lock: the writer never waits, a reader that was interrupted by it reads again.
 */
#include <string.h>
#include "warden/roster.h"

static void copy_values(struct roster_attachment *to, const struct roster_attachment *from)
{
	to->tracking = from->tracking;
	to->count = from->count;
	memcpy(to->interfaces, from->interfaces, sizeof(to->interfaces));
}

void roster_publish(struct roster *roster, const struct roster_attachment *now)
{
	struct roster_attachment *shared = &roster->attachment;

	atomic_fetch_add(&shared->version, 1);
	atomic_thread_fence(memory_order_seq_cst);
	copy_values(shared, now);
	atomic_thread_fence(memory_order_seq_cst);
	atomic_fetch_add(&shared->version, 1);
}

void roster_attachment(const struct roster *roster, struct roster_attachment *copy)
{
	const struct roster_attachment *shared = &roster->attachment;
	uint64_t before, after;

	do {
		before = atomic_load(&shared->version);
		copy_values(copy, shared);
		atomic_thread_fence(memory_order_seq_cst);
		after = atomic_load(&shared->version);
	} while ((before & 1) || before != after);
}
