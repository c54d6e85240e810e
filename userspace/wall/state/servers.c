/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The servers of upstreams, as the proxy last saw them: rows that one thread writes without a lock,
 * read by anybody who cares.
 */
#include <stdatomic.h>
#include <string.h>
#include "wall/internal.h"

volatile struct fw_server *wall_servers(struct wall *wall)
{
	return wall->servers;
}

/* False: the row is free, or is just being taken over. */
static bool copy_row(struct wall *wall, uint32_t row, struct fw_server *copy)
{
	const volatile struct fw_server *server = &wall->servers[row];
	uint64_t generation = server->generation;

	atomic_thread_fence(memory_order_acquire);
	memcpy(copy, (const void *)server, sizeof(*copy));
	atomic_thread_fence(memory_order_acquire);
	copy->upstream[sizeof(copy->upstream) - 1] = '\0';
	copy->server[sizeof(copy->server) - 1] = '\0';
	return generation && copy->generation == generation && server->generation == generation;
}

static bool is_same(const struct fw_server *a, const struct fw_server *b)
{
	return !strcmp(a->upstream, b->upstream) && !strcmp(a->server, b->server);
}

/* Of a name's places, list[first..count), leaves those that have an address, but one at least. What
 * only the first of them tells is the name's. */
static size_t close_name(struct fw_server *list, size_t first, size_t count)
{
	struct fw_server name = list[first];
	size_t kept = first;

	for (size_t i = first; i < count; i++) {
		if (list[i].state == FW_SERVER_NOWHERE)
			continue;
		list[kept] = list[i];
		list[kept].lookups_failed = name.lookups_failed;
		list[kept++].addresses_left_out = name.addresses_left_out;
	}
	return kept > first ? kept : first + 1;
}

size_t wall_server_list(struct wall *wall, struct fw_server list[FW_SERVERS_MAX])
{
	size_t count = 0, first = 0;

	for (uint32_t row = 0; row < FW_SERVERS_MAX; row++) {
		if (!copy_row(wall, row, &list[count]))
			continue;
		if (count > first && !(list[count].named && is_same(&list[first], &list[count]))) {
			struct fw_server next = list[count];

			first = close_name(list, first, count);
			count = first;
			list[count] = next;
		}
		count++;
	}
	return count > first ? close_name(list, first, count) : count;
}
