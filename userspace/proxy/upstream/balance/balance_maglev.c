// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/balance/balance_maglev.h"
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"

enum { FREE = 0xff };

/* A server's own order of all places: from one on, in equal steps. */
struct walk {
	uint32_t at, step;
	uint64_t taken, weight;
};

static struct walk walk_of(const struct config_server *server, uint32_t weight)
{
	/* Places of one name's addresses differ by their number. */
	uint64_t hash = hash_bytes(server->address, strlen(server->address)) ^ server->slot;

	return (struct walk){
		.at = (uint32_t)(hash_mix(hash) % MAGLEV_SIZE),
		.step = (uint32_t)(hash_mix(~hash) % (MAGLEV_SIZE - 1) + 1),
		.weight = weight,
	};
}

/* Takes the next place of its order that is free; there is one. */
static void take_place(uint8_t *table, struct walk *walk, uint32_t server)
{
	while (table[walk->at] != FREE)
		walk->at = (walk->at + walk->step) % MAGLEV_SIZE;
	table[walk->at] = (uint8_t)server;
	walk->taken++;
}

/* In rounds: the heaviest takes a place in each, others in as many as their weights say. */
static void fill(uint8_t *table, struct walk *walks, uint32_t count)
{
	uint64_t heaviest = 0, round = 0;
	uint32_t left = MAGLEV_SIZE;

	for (uint32_t i = 0; i < count; i++)
		heaviest = walks[i].weight > heaviest ? walks[i].weight : heaviest;
	memset(table, FREE, MAGLEV_SIZE);
	while (left) {
		round++;
		for (uint32_t i = 0; i < count && left; i++) {
			if (walks[i].taken * heaviest >= round * walks[i].weight)
				continue;
			take_place(table, &walks[i], i);
			left--;
		}
	}
}

uint8_t *maglev_create(const struct config_server *servers, const uint32_t *weights, uint32_t count)
{
	struct walk walks[CONFIG_SERVERS_MAX];
	uint8_t *table = malloc(MAGLEV_SIZE);

	if (!table)
		return NULL;
	for (uint32_t i = 0; i < count; i++)
		walks[i] = walk_of(&servers[i], weights[i]);
	fill(table, walks, count);
	return table;
}

uint32_t maglev_find(const uint8_t *table, uint64_t key, uint64_t candidates)
{
	uint32_t at = (uint32_t)(key % MAGLEV_SIZE);
	uint32_t step = (uint32_t)((key >> 32) % (MAGLEV_SIZE - 1) + 1);

	while (!(candidates >> table[at] & 1))
		at = (at + step) % MAGLEV_SIZE;
	return table[at];
}
