// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/care/resolve_set.h"
#include <string.h>

static bool is_at(const struct server *place, const struct fw_addr *address)
{
	struct fw_addr own;
	uint16_t port;

	return server_address(place, &own, &port) && !memcmp(&own, address, sizeof(own));
}

static bool has(const struct fw_addr *addresses, uint32_t count, const struct server *place)
{
	for (uint32_t i = 0; i < count; i++)
		if (is_at(place, &addresses[i]))
			return true;
	return false;
}

static bool is_placed(const struct server *places, uint32_t count, const struct fw_addr *address)
{
	for (uint32_t i = 0; i < count; i++)
		if (is_at(&places[i], address))
			return true;
	return false;
}

/* NULL: all are taken. */
static struct server *free_place(struct server *places, uint32_t count)
{
	struct server *free = NULL;

	for (uint32_t i = 0; i < count; i++) {
		if (server_is_there(&places[i]))
			continue;
		if (!atomic_load_explicit(&places[i].open, memory_order_relaxed))
			return &places[i];
		if (!free)
			free = &places[i];
	}
	return free;
}

struct resolve_change resolve_assign(struct server *places, uint32_t place_count,
				     const struct fw_addr *addresses, uint32_t address_count,
				     void (*arrived)(struct server *server, uint64_t now_ns),
				     uint64_t now_ns)
{
	struct resolve_change change = {0};

	for (uint32_t i = 0; i < place_count; i++) {
		if (!server_is_there(&places[i]) || has(addresses, address_count, &places[i]))
			continue;
		server_leave(&places[i]);
		change.left++;
	}
	for (uint32_t i = 0; i < address_count; i++) {
		struct server *place;

		if (is_placed(places, place_count, &addresses[i]))
			continue;
		place = free_place(places, place_count);
		if (!place) {
			change.left_out++;
			continue;
		}
		arrived(place, now_ns);
		server_move(place, &addresses[i], place->config->port);
		change.arrived++;
	}
	return change;
}
