// SPDX-License-Identifier: BSD-2-Clause
#include "supervisor/duties/complaints.h"
#include <stdatomic.h>
#include "base/log.h"

/* What is asked of the maps once for all complaints of a turn. */
struct turn {
	struct wall *wall;
	uint64_t now_ns;
	bool failed; /* and it was said */
	bool known[FW_SERVICES_MAX];
	uint64_t most_ns[FW_SERVICES_MAX]; /* that a source may be kept out; 0: no listener */
};

static uint64_t most_ns(struct turn *turn, uint32_t id)
{
	struct fw_service service;

	if (id >= FW_SERVICES_MAX)
		return 0;
	if (!turn->known[id]) {
		turn->known[id] = true;
		if (wall_service(turn->wall, id, &service) && service.kind == FW_SERVICE_LISTENER)
			turn->most_ns[id] =
				wall_setting(turn->wall, id, FW_SET_SOURCE_EXCLUSION) * CLOCK_MS;
	}
	return turn->most_ns[id];
}

static void follow(struct turn *turn, const struct fw_complaint *complaint)
{
	uint64_t most = most_ns(turn, complaint->service);
	uint64_t latest_ns = turn->now_ns + most, until_ns = complaint->until_ns;
	struct error error;

	if (!most || until_ns <= turn->now_ns)
		return;
	if (until_ns > latest_ns)
		until_ns = latest_ns;
	if (wall_shut(turn->wall, &complaint->source, complaint->service, until_ns, &error) == 0 ||
	    turn->failed)
		return;
	log_error("sources can't be shut out: %s", error.text);
	turn->failed = true;
}

/* A copy, since the writer may write on. False: it has been overwritten meanwhile. */
static bool copy(const volatile struct fw_complaints *complaints, uint64_t index,
		 struct fw_complaint *copied)
{
	const volatile struct fw_complaint *place = &complaints->ring[index % FW_COMPLAINTS];

	for (int i = 0; i < 4; i++)
		copied->source.word[i] = place->source.word[i];
	copied->until_ns = place->until_ns;
	copied->service = place->service;
	atomic_thread_fence(memory_order_acquire);
	return complaints->written - index < FW_COMPLAINTS;
}

/* Those of one worker. */
static bool follow_all(struct turn *turn, volatile struct fw_complaints *complaints,
		       uint64_t *count)
{
	uint64_t written = complaints->written, i = *count;
	struct fw_complaint complaint;

	if (complaints->read != written)
		complaints->read = written;
	atomic_thread_fence(memory_order_seq_cst);
	if (written == i)
		return false;
	*count = written;
	if (written - i >= FW_COMPLAINTS)
		i = written - FW_COMPLAINTS + 1;
	for (; i != written; i++)
		if (copy(complaints, i, &complaint))
			follow(turn, &complaint);
	return true;
}

bool complaints_follow(struct wall *wall, struct complaints_read *read, uint64_t now_ns)
{
	volatile struct fw_complaints *complaints = wall_complaints(wall);
	struct turn turn = {.wall = wall, .now_ns = now_ns};
	bool any = false;

	for (uint32_t worker = 0; worker < FW_WORKERS_MAX; worker++)
		any |= follow_all(&turn, &complaints[worker], &read->count[worker]);
	return any;
}
