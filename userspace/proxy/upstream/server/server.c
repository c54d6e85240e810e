// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/server/health.h"

void server_init(struct server *server, const struct config_server *config, struct health *health)
{
	server->config = config;
	server->health = health;
	if (!config->host)
		server_move(server, &config->addr, config->port);
}

bool server_address(const struct server *server, struct fw_addr *address, uint16_t *port)
{
	unsigned int version;

	do {
		version = atomic_load_explicit(&server->address_version, memory_order_acquire);
		for (int i = 0; i < 4; i++)
			address->word[i] =
				atomic_load_explicit(&server->address[i], memory_order_relaxed);
		*port = atomic_load_explicit(&server->port, memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
	} while (version & 1 ||
		 version != atomic_load_explicit(&server->address_version, memory_order_relaxed));
	return *port != 0;
}

void server_move(struct server *server, const struct fw_addr *address, uint16_t port)
{
	unsigned int version = atomic_load_explicit(&server->address_version, memory_order_relaxed);

	atomic_store_explicit(&server->address_version, version + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	for (int i = 0; i < 4; i++)
		atomic_store_explicit(&server->address[i], address->word[i], memory_order_relaxed);
	atomic_store_explicit(&server->port, port, memory_order_relaxed);
	atomic_store_explicit(&server->address_version, version + 2, memory_order_release);
}

void server_leave(struct server *server)
{
	server_move(server, &(struct fw_addr){0}, 0);
}

bool server_is_up(const struct server *server, uint64_t now_ns)
{
	if (!server_is_there(server))
		return false;
	if (atomic_load_explicit(&server->panic, memory_order_relaxed))
		return true;
	if (atomic_load_explicit(&server->unhealthy, memory_order_relaxed) ||
	    atomic_load_explicit(&server->ejected_until_ns, memory_order_relaxed) > now_ns)
		return false;
	/* On probation: a few requests at a time. */
	return !atomic_load_explicit(&server->probation, memory_order_relaxed) ||
	       atomic_load_explicit(&server->active, memory_order_relaxed) <
		       server->health->policy.trials;
}
