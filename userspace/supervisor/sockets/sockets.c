/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No socket of a binding that stays is ever closed, not even when there are fewer workers than
 * before: connections may wait in its queue. Workers then share the surplus.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "contract/address.h"
#include "supervisor/sockets/sockets.h"

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

static struct listening *find(const struct sockets *sockets, const struct fw_service_key *binding,
			      uint32_t nth)
{
	for (size_t i = 0; sockets && i < sockets->count; i++)
		if (sockets->list[i].nth == nth &&
		    !memcmp(&sockets->list[i].binding, binding, sizeof(*binding)))
			return &sockets->list[i];
	return NULL;
}

/* Whether others may be bound to the same address: our own are, systemd's only by ReusePort=. */
static bool is_shared(int fd)
{
	int shared = 0;
	socklen_t size = sizeof(shared);

	return getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &shared, &size) == 0 && shared;
}

/* One binding's sockets: all that there are, and enough for every worker if more can be had.
 * listen() on one that listens already only changes its backlog. */
static int open_binding(const struct config_service *listener, const struct fw_service_key *binding,
			uint32_t workers, const struct sockets *have, struct sockets *now,
			struct error *error)
{
	const struct listening *old;
	struct listening *list;
	int fd, result;

	for (uint32_t nth = 0; (old = find(have, binding, nth)) || nth < workers; nth++) {
		if (!old && nth && !is_shared(now->list[now->count - 1].fd))
			break;
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

uint32_t sockets_of(const struct sockets *sockets, const struct fw_service_key *binding)
{
	uint32_t count = 0;

	while (find(sockets, binding, count))
		count++;
	return count;
}

int sockets_adopt(struct sockets *sockets, int fd, struct error *error)
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof(address), size = sizeof(int);
	struct fw_service_key binding = {.proto = IPPROTO_TCP};
	int listens = 0, protocol = 0;
	struct listening *list;
	uint16_t port;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 || !listens ||
	    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0 ||
	    protocol != IPPROTO_TCP || getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return error_set(error, -EINVAL, "descriptor %d is no listening TCP socket", fd);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return error_set(error, -errno, "descriptor %d: %s", fd, strerror(errno));
	list = reallocarray(sockets->list, sockets->count + 1, sizeof(*list));
	if (!list)
		return error_set(error, -ENOMEM, "out of memory");
	binding.addr = address_from_sockaddr((struct sockaddr *)&address, &port);
	binding.port = htons(port);
	sockets->list = list;
	list[sockets->count] = (struct listening){binding, fd, sockets_of(sockets, &binding)};
	sockets->count++;
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

/* −1: there is none such. */
static int take_out(struct sockets *sockets, const struct fw_service_key *binding)
{
	struct listening *found = find(sockets, binding, 0);
	int fd;

	if (!found)
		return -1;
	fd = found->fd;
	*found = sockets->list[--sockets->count];
	return fd;
}

int sockets_open_admin(const char *address, struct sockets *have, struct error *error)
{
	struct fw_service_key keys[2];
	size_t count;
	int fd, result;

	result = binding_parse(address, IPPROTO_TCP, keys, &count, error);
	if (result < 0)
		return result;
	fd = take_out(have, &keys[0]);
	if (fd < 0)
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
