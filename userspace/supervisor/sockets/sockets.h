/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The listening sockets: one for each binding of each listener and each worker (SO_REUSEPORT), all
 * held by the supervisor for as long as the configuration names the binding.
 *
 * Because it holds them, connections queue in the kernel while the proxy is restarted, and a reload
 * hands the very same queues to the next generation.
 */
#ifndef SUPERVISOR_SOCKETS_SOCKETS_H
#define SUPERVISOR_SOCKETS_SOCKETS_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "config/config.h"

struct listening {
	struct fw_service_key binding;
	int fd;
	uint32_t nth; /* of the binding's sockets */
};

struct sockets {
	struct listening *list;
	size_t count;
};

/*
 * Takes over a listening socket that somebody else opened: systemd, or the supervisor before this
 * one. −errno: it is none of TCP, and still the caller's.
 */
int sockets_adopt(struct sockets *sockets, int fd, struct error *error);

/* How many there are of a binding. */
uint32_t sockets_of(const struct sockets *sockets, const struct fw_service_key *binding);

/*
 * Every socket that @config needs: those of @have where the binding is the same, else new ones,
 * bound and listening. On failure nothing was opened and *@now is empty. @have stays as it is.
 */
int sockets_open(const struct config *config, const struct sockets *have, struct sockets *now,
		 struct error *error);
/* Closes what @old has and @kept does not, and empties @old. */
void sockets_close(struct sockets *old, const struct sockets *kept);

/* A listening socket at "127.0.0.1:9180": that of @have, which is taken out of it, or a new one; or
 * −errno. */
int sockets_open_admin(const char *address, struct sockets *have, struct error *error);

#endif
