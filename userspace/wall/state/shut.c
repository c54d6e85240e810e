/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is shut out for a while (struct fw_shut_line), and the proxy's complaints, which may bring
 * somebody there.
 *
 * One process writes, a word at a time, and any may read meanwhile. In a line without room the one
 * goes whose time is over first: he comes in earlier than he should, and nobody else pays for it.
 */
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include "base/clock.h"
#include "wall/internal.h"

enum { SLOTS = sizeof(((struct fw_shut_line *)0)->slot) / sizeof(__u64) };

/* By how much the latest time of all is moved ahead at least: it need not be exact. */
#define LATEST_STEP_NS CLOCK_SEC

static uint64_t hash_of(const struct wall *wall, const struct fw_addr *source, uint32_t service)
{
	return fw_hash_at(wall->seed, source, service, FW_LEVEL_SOURCE);
}

/* A child that is forked later has no such mapping: the proxy may not write here. */
static struct fw_shut_line *lines_for_writing(struct wall *wall, struct error *error)
{
	if (!wall->shut_writing) {
		wall->shut_writing = wall_map_writable(wall, MAP_SHUT, error);
		if (wall->shut_writing)
			madvise(wall->shut_writing, wall->maps[MAP_SHUT].size, MADV_DONTFORK);
	}
	return wall->shut_writing;
}

/* The filter looks at lines at all until then. */
static int extend_latest(struct wall *wall, uint64_t until_ns, struct error *error)
{
	struct fw_meta *meta;

	if (wall->meta->shut_ns >= until_ns)
		return 0;
	meta = wall_map_writable(wall, MAP_META, error);
	if (!meta)
		return -EIO;
	atomic_store((_Atomic uint64_t *)&meta->shut_ns, until_ns + LATEST_STEP_NS);
	munmap(meta, wall->maps[MAP_META].size);
	return 0;
}

/* The source's own slot, or the one whose time is over first. */
static __u64 *slot_for(struct fw_shut_line *line, uint64_t hash)
{
	__u64 *best = &line->slot[0];

	for (int i = 0; i < SLOTS; i++) {
		__u64 *slot = &line->slot[i];

		if (*slot && (*slot ^ hash) >> 32 == 0)
			return slot;
		if ((uint32_t)*slot < (uint32_t)*best)
			best = slot;
	}
	return best;
}

int wall_shut(struct wall *wall, const struct fw_addr *source, uint32_t service, uint64_t until_ns,
	      struct error *error)
{
	struct fw_shut_line *lines = lines_for_writing(wall, error);
	uint64_t hash = hash_of(wall, source, service), ticks = until_ns >> FW_SHUT_TICK_BITS;
	__u64 *slot;

	if (!lines)
		return -EIO;
	slot = slot_for(&lines[fw_shut_line_index(hash)], hash);
	*(volatile __u64 *)slot = hash >> 32 << 32 | (uint32_t)ticks;
	return extend_latest(wall, until_ns, error);
}

uint64_t wall_shut_until(const struct wall *wall, const struct fw_addr *source, uint32_t service)
{
	uint64_t hash = hash_of(wall, source, service);

	return fw_shut_until(&wall->shut[fw_shut_line_index(hash)], hash);
}

uint64_t wall_shut_count(const struct wall *wall, uint64_t now_ns)
{
	uint64_t count = 0;

	if (wall->meta->shut_ns <= now_ns)
		return 0;
	for (int line = 0; line < FW_SHUT_LINES; line++)
		for (int i = 0; i < SLOTS; i++) {
			uint64_t word = *(const volatile __u64 *)&wall->shut[line].slot[i];

			count += (uint64_t)(uint32_t)word << FW_SHUT_TICK_BITS > now_ns;
		}
	return count;
}

volatile struct fw_complaints *wall_complaints(struct wall *wall)
{
	return wall->complaints;
}
