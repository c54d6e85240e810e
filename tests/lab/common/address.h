/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses of the lab: where to aim, and the many addresses to come from.
 *
 * Deliberately not the product's own reading of addresses, which the lab is there to test.
 */
#ifndef LAB_ADDRESS_H
#define LAB_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* "192.0.2.1:80" or "[2001:db8::1]:80". */
struct endpoint {
	int family; /* AF_INET or AF_INET6; 0: not given */
	socklen_t length;
	struct sockaddr_storage address;
};

/* "10.0.0.0/8" or "2001:db8::/32". IPv4 uses the first four bytes. */
struct prefix {
	int family; /* 0: not given */
	unsigned int length;
	uint8_t address[16];
};

bool endpoint_parse(const char *text, struct endpoint *endpoint);
bool prefix_parse(const char *text, struct prefix *prefix);
/* How many addresses it holds, less the first, which is nobody's; at most 2^32 − 1. */
uint64_t prefix_hosts(const struct prefix *prefix);
/* Address number @index (from 0) of the prefix: its first one plus 1 plus @index. */
void prefix_host(const struct prefix *prefix, uint64_t index, uint8_t address[16]);

/* A socket address of @address, port 0: to bind to. */
void endpoint_make(int family, const uint8_t address[16], struct endpoint *endpoint);

/*
 * A non-blocking TCP socket bound to @source (which needs no interface that has it) and connecting
 * to @destination; the kernel picks the port with the destination in view, so that one address has
 * 28,000 ports for each destination. @receive_buffer 0: the default. The descriptor, or −errno.
 */
int connect_from(const uint8_t source[16], const struct endpoint *destination, int receive_buffer);

#endif
