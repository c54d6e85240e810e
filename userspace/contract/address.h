/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses, prefixes and bindings as text, in the forms that configuration and CLI accept, to and
 * from the contract's keys. Pure: no name is ever looked up.
 */
#ifndef CONTRACT_ADDRESS_H
#define CONTRACT_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "base/error.h"
#include "floodwall.h"

/* "192.0.2.1", "2001:db8::1"; −EINVAL. */
int address_parse(const char *text, struct fw_addr *addr, struct error *error);
/* "192.0.2.0/24", or an address alone. Host bits that are set are an error that names the prefix
 * meant. */
int prefix_parse(const char *text, struct fw_prefix *prefix, struct error *error);
/* Whether the address is in the prefix. An IPv4 address is in none but those of IPv4. */
bool prefix_has(const struct fw_prefix *prefix, const struct fw_addr *addr);
/* Whether one of @count does. */
bool prefixes_have(const struct fw_prefix *prefixes, size_t count, const struct fw_addr *addr);
/* "0.0.0.0:443", "[::]:443", "*:443" (both families: @count is 2); @keys has room for 2. */
int binding_parse(const char *text, uint8_t proto, struct fw_service_key keys[2], size_t *count,
		  struct error *error);
#define ADDRESS_TEXT_SIZE 64
const char *address_format(const struct fw_addr *addr, char buffer[ADDRESS_TEXT_SIZE]);
const char *prefix_format(const struct fw_prefix *prefix, char buffer[ADDRESS_TEXT_SIZE]);
const char *binding_format(const struct fw_service_key *key, char buffer[ADDRESS_TEXT_SIZE]);
/* IPv4 becomes ::ffff:a.b.c.d; any other family than AF_INET and AF_INET6 becomes ::. */
struct fw_addr address_from_sockaddr(const struct sockaddr *sockaddr, uint16_t *port);
/* Fills an AF_INET or AF_INET6 address, as @addr is; @port in host order. Returns its length. */
socklen_t address_to_sockaddr(const struct fw_addr *addr, uint16_t port,
			      struct sockaddr_storage *sockaddr);

#endif
