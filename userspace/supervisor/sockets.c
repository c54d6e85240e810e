/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No socket of a binding that stays is ever closed, not even when there are fewer workers than
 * before: connections may wait in its queue. Workers then share the surplus.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "contract/address.h"
#include "supervisor/sockets.h"

#define ADMIN_BACKLOG 64

/* A bound, non-blocking TCP socket, or −errno. */
static int open_bound(const struct fw_service_key *binding, bool shared, struct error *error)
{
	struct sockaddr_storage address;
	socklen_t length = address_to_sockaddr(&binding->addr, ntohs(binding->port), &address);
	int fd, one = 1, result;
	char text[ADDRESS_TEXT_SIZE];

	fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(error, -errno, "%s: socket: %s", binding_format(binding, text),
				 strerror(errno));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0) ||
	    (address.ss_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0) ||
	    bind(fd, (struct sockaddr *)&address, length) < 0) {
		result = error_set(error, -errno, "%s: can't be bound: %s",
				   binding_format(binding, text), strerror(errno));
		close(fd);
		return result;
	}
	return fd;
}

static int listen_at(int fd, uint32_t backlog, const struct fw_service_key *binding,
		     struct error *error)
{
	char text[ADDRESS_TEXT_SIZE];

	if (listen(fd, (int)backlog) < 0)
		return error_set(error, -errno, "%s: can't listen: %s",
				 binding_format(binding, text), strerror(errno));
	return 0;
}

static const struct listening *find(const struct sockets *sockets,
				    const struct fw_service_key *binding, uint32_t nth)
{
	for (size_t i = 0; sockets && i < sockets->count; i++)
		if (sockets->list[i].nth == nth &&
		    !memcmp(&sockets->list[i].binding, binding, sizeof(*binding)))
			return &sockets->list[i];
	return NULL;
}

/* One binding's sockets: all that there are, and enough for every worker. listen() on one that
 * listens already only changes its backlog. */
static int open_binding(const struct config_service *listener, const struct fw_service_key *binding,
			uint32_t workers, const struct sockets *have, struct sockets *now,
			struct error *error)
{
	const struct listening *old;
	struct listening *list;
	int fd, result;

	for (uint32_t nth = 0; (old = find(have, binding, nth)) || nth < workers; nth++) {
		list = reallocarray(now->list, now->count + 1, sizeof(*list));
		if (!list)
			return error_set(error, -ENOMEM, "out of memory");
		now->list = list;
		fd = old ? old->fd : open_bound(binding, true, error);
		if (fd < 0)
			return fd;
		list[now->count++] = (struct listening){*binding, fd, nth};
		result = listen_at(fd, listener->backlog, binding, error);
		if (result < 0)
			return result;
	}
	return 0;
}

int sockets_open(const struct config *config, const struct sockets *have, struct sockets *now,
		 struct error *error)
{
	int result;

	*now = (struct sockets){0};
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_service *listener = &config->services[i];

		for (size_t j = 0; j < listener->binding_count; j++) {
			result = open_binding(listener, &listener->bindings[j], config->threads,
					      have, now, error);
			if (result < 0) {
				sockets_close(now, have);
				return error_wrap(error, result, "listener %s", listener->name);
			}
		}
	}
	return 0;
}

void sockets_close(struct sockets *old, const struct sockets *kept)
{
	for (size_t i = 0; i < old->count; i++)
		if (!find(kept, &old->list[i].binding, old->list[i].nth))
			close(old->list[i].fd);
	free(old->list);
	*old = (struct sockets){0};
}

int sockets_open_admin(const char *address, struct error *error)
{
	struct fw_service_key keys[2];
	size_t count;
	int fd, result;

	result = binding_parse(address, IPPROTO_TCP, keys, &count, error);
	if (result < 0)
		return result;
	fd = open_bound(&keys[0], false, error);
	if (fd < 0)
		return error_wrap(error, fd, "admin");
	result = listen_at(fd, ADMIN_BACKLOG, &keys[0], error);
	if (result < 0) {
		close(fd);
		return error_wrap(error, result, "admin");
	}
	return fd;
}
