// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/balance.h"

void balance_init(struct balance *balance, const struct config_upstream *config,
		  const struct server *servers, uint32_t count)
{
	(void)config;
	*balance = (struct balance){.servers = servers, .count = count};
}

/* Whose turn it is: the next untried server that is not down, else the next untried. */
int balance_choose(struct balance *balance, uint64_t tried, uint64_t key, uint64_t now_ns)
{
	int resort = -1;

	(void)key;
	for (uint32_t step = 0; step < balance->count; step++) {
		uint32_t server = (balance->next + step) % balance->count;

		if (tried & 1ULL << server)
			continue;
		if (server_is_up(&balance->servers[server], now_ns)) {
			balance->next = (server + 1) % balance->count;
			return (int)server;
		}
		if (resort < 0 && server_is_there(&balance->servers[server]))
			resort = (int)server;
	}
	return resort;
}
