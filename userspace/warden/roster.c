/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sequence locks: the writer never waits, a reader that was interrupted by it reads again.
 */
#include <string.h>
#include "warden/roster.h"

/* Writes @size bytes as a whole: @version is odd while that happens, and another one afterwards. */
static void publish(_Atomic uint64_t *version, void *shared, const void *now, size_t size)
{
	atomic_fetch_add(version, 1);
	atomic_thread_fence(memory_order_seq_cst);
	memcpy(shared, now, size);
	atomic_thread_fence(memory_order_seq_cst);
	atomic_fetch_add(version, 1);
}

static void copy(const _Atomic uint64_t *version, const void *shared, void *to, size_t size)
{
	uint64_t before, after;

	do {
		before = atomic_load(version);
		memcpy(to, shared, size);
		atomic_thread_fence(memory_order_seq_cst);
		after = atomic_load(version);
	} while ((before & 1) || before != after);
}

void roster_publish(struct roster *roster, const struct roster_attachment *now)
{
	publish(&roster->attachment_version, &roster->attachment, now, sizeof(*now));
}

void roster_attachment(const struct roster *roster, struct roster_attachment *to)
{
	copy(&roster->attachment_version, &roster->attachment, to, sizeof(*to));
}

void roster_publish_lists(struct roster *roster, const struct roster_lists *now)
{
	publish(&roster->lists_version, &roster->lists, now, sizeof(*now));
}

void roster_lists(const struct roster *roster, struct roster_lists *to)
{
	copy(&roster->lists_version, &roster->lists, to, sizeof(*to));
}
