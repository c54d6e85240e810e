/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who holds how many connections, and how full the tables are.
 *
 * The connection table is written by the kernel while it is read here. A slot's owner is believed
 * only if it hashes to the slot that it stands in, so a half-written one is passed over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "wall/internal.h"

uint64_t wall_connections(struct wall *wall, const struct fw_addr *addr, uint32_t service,
			  enum fw_level level)
{
	struct fw_addr masked = fw_addr_at_level(*addr, level);
	uint64_t hash = fw_hash_at(wall->seed, &masked, service, level);
	uint32_t index = fw_connection_bucket_index(hash, wall->connection_mask);

	return fw_connection_count((const struct fw_connection_bucket *)&wall->connections[index],
				   hash);
}

/* Whether slot @i of the bucket at @index is held by @owner, whom it names. */
static bool is_held_by(struct wall *wall, uint32_t index, uint64_t word,
		       const struct fw_connection_owner *owner)
{
	uint64_t hash = fw_hash_at(wall->seed, &owner->addr, owner->service, owner->level);

	return fw_connection_bucket_index(hash, wall->connection_mask) == index &&
	       fw_connection_fingerprint(hash) == (word & ~FW_CONNECTION_COUNT_MASK);
}

/* Two slots of a bucket may count the same holder: adds to the one listed since @first. */
static bool add_to_listed(struct wall_holder *list, size_t first, size_t count,
			  const struct wall_holder *holder)
{
	for (size_t i = first; i < count; i++) {
		if (list[i].service == holder->service &&
		    memcmp(&list[i].prefix, &holder->prefix, sizeof(holder->prefix)) == 0) {
			list[i].connections += holder->connections;
			return true;
		}
	}
	return false;
}

static size_t list_bucket(struct wall *wall, uint32_t index, enum fw_level level,
			  struct wall_holder *list)
{
	struct fw_connection_bucket bucket;
	struct wall_holder holder;
	size_t count = 0;

	memcpy(&bucket, (const void *)&wall->connections[index], sizeof(bucket));
	for (int i = 0; i < FW_CONNECTION_SLOTS; i++) {
		const struct fw_connection_owner *owner = &bucket.owner[i];

		if (bucket.slot[i] == 0 || owner->level != level ||
		    !is_held_by(wall, index, bucket.slot[i], owner))
			continue;
		holder = (struct wall_holder){
			.prefix = {.length = fw_level_length(&owner->addr, level),
				   .addr = owner->addr},
			.service = owner->service,
			.level = level,
			.connections = bucket.slot[i] & FW_CONNECTION_COUNT_MASK,
		};
		if (holder.connections && !add_to_listed(list, 0, count, &holder))
			list[count++] = holder;
	}
	return count;
}

static int by_connections(const void *left, const void *right)
{
	const struct wall_holder *a = left, *b = right;

	if (a->connections != b->connections)
		return a->connections < b->connections ? 1 : -1;
	return memcmp(&a->prefix, &b->prefix, sizeof(a->prefix));
}

int wall_holders(struct wall *wall, enum fw_level level, struct wall_holder **list, size_t *count,
		 struct error *error)
{
	struct wall_holder *holders = NULL, *grown;
	size_t used = 0, room = 0;

	for (uint32_t i = 0; i <= wall->connection_mask; i++) {
		if (room - used < FW_CONNECTION_SLOTS) {
			room = room * 2 + 256;
			grown = realloc(holders, room * sizeof(*holders));
			if (!grown) {
				free(holders);
				return error_set(error, -ENOMEM, "out of memory");
			}
			holders = grown;
		}
		used += list_bucket(wall, i, level, holders + used);
	}
	if (used)
		qsort(holders, used, sizeof(*holders), by_connections);
	*list = holders;
	*count = used;
	return 0;
}

static uint64_t slots_used(struct wall *wall)
{
	uint64_t used = 0;

	for (uint32_t i = 0; i <= wall->connection_mask; i++)
		for (int j = 0; j < FW_CONNECTION_SLOTS; j++)
			used += wall->connections[i].slot[j] != 0;
	return used;
}

int wall_usage(struct wall *wall, struct wall_usage list[WALL_USAGE_COUNT], struct error *error)
{
	static const struct {
		enum wall_map map;
		size_t key_size, value_size;
	} tables[] = {
		{MAP_SOURCES, sizeof(struct fw_source_key), sizeof(struct fw_source)},
		{MAP_QUESTIONS, sizeof(struct fw_question), sizeof(struct fw_asked)},
		{MAP_BLOCK_HOSTS, sizeof(struct fw_addr), sizeof(struct fw_list_entry)},
		{MAP_BLOCK_PREFIXES, sizeof(struct fw_prefix), sizeof(struct fw_list_entry)},
		{MAP_ALLOW, sizeof(struct fw_prefix), sizeof(struct fw_list_entry)},
		{MAP_BINDINGS, sizeof(struct fw_service_key), sizeof(uint32_t)},
	};
	struct fw_service service;
	void *keys, *values;
	size_t used = 0, entries;
	int result;

	_Static_assert(sizeof(tables) / sizeof(tables[0]) + 2 == WALL_USAGE_COUNT, "tables");
	list[used++] = (struct wall_usage){wall_map_names[MAP_CONNECTIONS], slots_used(wall),
					   (uint64_t)wall->maps[MAP_CONNECTIONS].entries *
						   FW_CONNECTION_SLOTS};
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		result = wall_map_dump(wall, tables[i].map, tables[i].key_size,
				       tables[i].value_size, &keys, &values, &entries, error);
		if (result < 0)
			return result;
		free(keys);
		free(values);
		list[used++] = (struct wall_usage){wall_map_names[tables[i].map], entries,
						   wall->maps[tables[i].map].entries};
	}
	list[used] = (struct wall_usage){wall_map_names[MAP_SERVICES], 0, FW_SERVICES_MAX - 1};
	for (uint32_t id = 1; id < FW_SERVICES_MAX; id++)
		list[used].used += wall_service(wall, id, &service);
	return 0;
}
