/* SPDX-License-Identifier: BSD-2-Clause */
/* See address.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "address.h"

void endpoint_make(int family, const uint8_t address[16], struct endpoint *endpoint)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&endpoint->address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&endpoint->address;

	memset(endpoint, 0, sizeof(*endpoint));
	endpoint->family = family;
	endpoint->address.ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		memcpy(&v4->sin_addr, address, 4);
		endpoint->length = sizeof(*v4);
	} else {
		memcpy(&v6->sin6_addr, address, 16);
		endpoint->length = sizeof(*v6);
	}
}

bool endpoint_parse(const char *text, struct endpoint *endpoint)
{
	char host[INET6_ADDRSTRLEN];
	const char *colon = strrchr(text, ':');
	bool v6 = text[0] == '[';
	uint8_t address[16] = {0};
	unsigned long port;
	size_t length;
	char *end;

	if (!colon || (v6 && (colon == text || colon[-1] != ']')))
		return false;
	length = (size_t)(colon - text) - (v6 ? 2 : 0);
	port = strtoul(colon + 1, &end, 10);
	if (length >= sizeof(host) || !colon[1] || *end || port == 0 || port > 65535)
		return false;
	memcpy(host, text + v6, length);
	host[length] = '\0';
	if (inet_pton(v6 ? AF_INET6 : AF_INET, host, address) != 1)
		return false;
	endpoint_make(v6 ? AF_INET6 : AF_INET, address, endpoint);
	/* sin_port and sin6_port are at the same place. */
	((struct sockaddr_in *)&endpoint->address)->sin_port = htons((uint16_t)port);
	return true;
}

bool prefix_parse(const char *text, struct prefix *prefix)
{
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	bool v6 = strchr(text, ':');
	unsigned long bits = v6 ? 128 : 32;
	char *end;

	if (length >= sizeof(host))
		return false;
	memcpy(host, text, length);
	host[length] = '\0';
	memset(prefix, 0, sizeof(*prefix));
	if (inet_pton(v6 ? AF_INET6 : AF_INET, host, prefix->address) != 1)
		return false;
	if (slash) {
		unsigned long given = strtoul(slash + 1, &end, 10);

		if (!slash[1] || *end || given > bits)
			return false;
		bits = given;
	}
	prefix->family = v6 ? AF_INET6 : AF_INET;
	prefix->length = (unsigned int)bits;
	return true;
}

/* Bits of the address that tell hosts apart. Every IPv6 host has a network of its own: only then
 * does the edge take it for one. A prefix that is narrower than a network has hosts within it. */
static unsigned int host_end(const struct prefix *prefix)
{
	if (prefix->family == AF_INET)
		return 32;
	return prefix->length < 64 ? 64 : 128;
}

uint64_t prefix_hosts(const struct prefix *prefix)
{
	unsigned int host_bits = host_end(prefix) - prefix->length;

	if (host_bits == 0)
		return 1;
	return host_bits >= 32 ? UINT32_MAX : (1ULL << host_bits) - 1;
}

void prefix_host(const struct prefix *prefix, uint64_t index, uint8_t address[16])
{
	int last = (int)host_end(prefix) / 8 - 1;
	uint64_t carry = index + 1;

	memcpy(address, prefix->address, 16);
	if (prefix_hosts(prefix) == 1)
		return;
	for (int i = last; i >= 0 && carry; i--) {
		carry += address[i];
		address[i] = (uint8_t)carry;
		carry >>= 8;
	}
	if (last == 7)
		address[15] |= 1; /* ::1 of its network */
}

int connect_from(const uint8_t source[16], const struct endpoint *destination, int receive_buffer)
{
	struct endpoint from;
	int on = 1, error;
	int fd = socket(destination->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	endpoint_make(destination->family, source, &from);
	setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (receive_buffer)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
	if (bind(fd, (struct sockaddr *)&from.address, from.length) == 0 &&
	    (connect(fd, (const struct sockaddr *)&destination->address, destination->length) ==
		     0 ||
	     errno == EINPROGRESS))
		return fd;
	error = errno;
	close(fd);
	return -error;
}
