/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses as text. IPv4 lives inside IPv6 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2), so one
 * key serves both families; the text forms never show it.
 *
 * The price is that an IPv6 prefix can be so short that it covers IPv4 as well. Nobody who writes
 * ::/0 means that, so it is refused.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "contract/address.h"

#define MAPPED_BITS 96 /* in front of the IPv4 address */

static struct fw_addr mapped(struct in_addr v4)
{
	return (struct fw_addr){{0, 0, htonl(0xffff), v4.s_addr}};
}

int address_parse(const char *text, struct fw_addr *addr, struct error *error)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		*addr = mapped(v4);
		return 0;
	}
	if (inet_pton(AF_INET6, text, addr) == 1)
		return 0;
	return error_set(error, -EINVAL,
			 "\"%s\" is not an address, such as 192.0.2.1 or 2001:db8::1", text);
}

/* @text as a decimal number without sign or leading zero, at most @max; −1. */
static int parse_number(const char *text, int max)
{
	int number = 0;

	if (!*text || (*text == '0' && text[1]))
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		number = number * 10 + (*text - '0');
		if (number > max)
			return -1;
	}
	return number;
}

/* Clears what is beyond @length. Returns whether anything was. */
static bool mask_host_bits(struct fw_addr *addr, uint32_t length)
{
	uint8_t *bytes = (uint8_t *)addr, before;
	bool cleared = false;

	for (uint32_t i = 0; i < sizeof(*addr); i++) {
		before = bytes[i];
		if (i * 8 >= length)
			bytes[i] = 0;
		else if (length - i * 8 < 8)
			bytes[i] &= (uint8_t)(0xff << (8 - (length - i * 8)));
		cleared |= bytes[i] != before;
	}
	return cleared;
}

static bool covers_v4(const struct fw_prefix *prefix)
{
	struct fw_addr v4 = mapped((struct in_addr){0});

	mask_host_bits(&v4, prefix->length);
	return prefix->length < MAPPED_BITS && memcmp(&v4, &prefix->addr, sizeof(v4)) == 0;
}

int prefix_parse(const char *text, struct fw_prefix *prefix, struct error *error)
{
	const char *slash = strchr(text, '/');
	char address[ADDRESS_TEXT_SIZE], meant[ADDRESS_TEXT_SIZE];
	struct fw_prefix parsed = {.length = 128};
	size_t size = slash ? (size_t)(slash - text) : strlen(text);
	bool v4 = !memchr(text, ':', size);
	int length;

	if (size >= sizeof(address))
		return error_set(error, -EINVAL, "\"%s\" is too long for a prefix", text);
	memcpy(address, text, size);
	address[size] = '\0';
	if (address_parse(address, &parsed.addr, error) < 0)
		return -EINVAL;
	if (slash) {
		length = parse_number(slash + 1, v4 ? 32 : 128);
		if (length < 0)
			return error_set(error, -EINVAL,
					 "\"%s\": the prefix length is a number from 0 to %d", text,
					 v4 ? 32 : 128);
		parsed.length = v4 ? MAPPED_BITS + length : length;
	}
	if (mask_host_bits(&parsed.addr, parsed.length))
		return error_set(error, -EINVAL,
				 "\"%s\" has bits set beyond its length; did you mean %s?", text,
				 prefix_format(&parsed, meant));
	if (covers_v4(&parsed))
		return error_set(error, -EINVAL,
				 "\"%s\" would cover IPv4 as well (it is kept as ::ffff:0:0/96); "
				 "all of IPv6's global unicast is 2000::/3",
				 text);
	*prefix = parsed;
	return 0;
}

int binding_parse(const char *text, uint8_t proto, struct fw_service_key keys[2], size_t *count,
		  struct error *error)
{
	const char *colon = strrchr(text, ':'), *first = text;
	char address[ADDRESS_TEXT_SIZE];
	struct fw_service_key key = {.proto = proto};
	bool bracket = *text == '[';
	size_t size;
	int port;

	if (!colon)
		return error_set(error, -EINVAL,
				 "\"%s\" has no port; write 192.0.2.1:443, [2001:db8::1]:443 or "
				 "*:443",
				 text);
	port = parse_number(colon + 1, 65535);
	if (port < 1)
		return error_set(error, -EINVAL, "\"%s\": the port is a number from 1 to 65535",
				 text);
	key.port = htons((uint16_t)port);
	size = (size_t)(colon - text);
	if (size == 1 && *text == '*') {
		keys[0] = keys[1] = key; /* [0] is ::, as it is */
		keys[1].addr = mapped((struct in_addr){INADDR_ANY});
		*count = 2;
		return 0;
	}
	if (bracket && (size < 2 || colon[-1] != ']'))
		return error_set(error, -EINVAL,
				 "\"%s\": the bracket is not closed before the port", text);
	if (bracket) {
		first++;
		size -= 2;
	}
	if (size >= sizeof(address))
		return error_set(error, -EINVAL, "\"%s\" is too long for an address", text);
	memcpy(address, first, size);
	address[size] = '\0';
	if (!bracket && strchr(address, ':'))
		return error_set(error, -EINVAL,
				 "\"%s\": an IPv6 address stands in brackets: [2001:db8::1]:443",
				 text);
	if (address_parse(address, &key.addr, error) < 0)
		return error_wrap(error, -EINVAL, "%s", text);
	keys[0] = key;
	*count = 1;
	return 0;
}

/* inet_ntop() has printf() do it; every connection's source is written out. */
static void format_v4(const uint8_t octets[4], char *out)
{
	for (int i = 0; i < 4; i++) {
		uint8_t octet = octets[i];

		if (octet >= 100)
			*out++ = (char)('0' + octet / 100);
		if (octet >= 10)
			*out++ = (char)('0' + octet / 10 % 10);
		*out++ = (char)('0' + octet % 10);
		*out++ = i < 3 ? '.' : '\0';
	}
}

const char *address_format(const struct fw_addr *addr, char buffer[ADDRESS_TEXT_SIZE])
{
	if (fw_addr_is_v4(addr))
		format_v4((const uint8_t *)&addr->word[3], buffer);
	else
		inet_ntop(AF_INET6, addr, buffer, ADDRESS_TEXT_SIZE);
	return buffer;
}

bool prefix_has(const struct fw_prefix *prefix, const struct fw_addr *addr)
{
	uint32_t whole = prefix->length / 32, rest = prefix->length % 32;

	if (fw_addr_is_v4(addr) && prefix->length < 96)
		return false;
	return memcmp(prefix->addr.word, addr->word, whole * sizeof(addr->word[0])) == 0 &&
	       (rest == 0 ||
		(ntohl(prefix->addr.word[whole] ^ addr->word[whole]) >> (32 - rest)) == 0);
}

bool prefixes_have(const struct fw_prefix *prefixes, size_t count, const struct fw_addr *addr)
{
	for (size_t i = 0; i < count; i++)
		if (prefix_has(&prefixes[i], addr))
			return true;
	return false;
}

const char *prefix_format(const struct fw_prefix *prefix, char buffer[ADDRESS_TEXT_SIZE])
{
	bool v4 = fw_addr_is_v4(&prefix->addr) && prefix->length >= MAPPED_BITS;
	size_t used;

	address_format(&prefix->addr, buffer);
	if (prefix->length < 128) {
		used = strlen(buffer);
		snprintf(buffer + used, ADDRESS_TEXT_SIZE - used, "/%u",
			 v4 ? prefix->length - MAPPED_BITS : prefix->length);
	}
	return buffer;
}

const char *binding_format(const struct fw_service_key *key, char buffer[ADDRESS_TEXT_SIZE])
{
	char address[ADDRESS_TEXT_SIZE];
	bool v4 = fw_addr_is_v4(&key->addr);

	snprintf(buffer, ADDRESS_TEXT_SIZE, "%s%.46s%s:%u", v4 ? "" : "[",
		 address_format(&key->addr, address), v4 ? "" : "]", ntohs(key->port));
	return buffer;
}

struct fw_addr address_from_sockaddr(const struct sockaddr *sockaddr, uint16_t *port)
{
	struct fw_addr addr = {{0}};
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	*port = 0;
	if (sockaddr->sa_family == AF_INET) {
		memcpy(&v4, sockaddr, sizeof(v4));
		*port = ntohs(v4.sin_port);
		return mapped(v4.sin_addr);
	}
	if (sockaddr->sa_family == AF_INET6) {
		memcpy(&v6, sockaddr, sizeof(v6));
		*port = ntohs(v6.sin6_port);
		memcpy(&addr, &v6.sin6_addr, sizeof(addr));
	}
	return addr;
}

socklen_t address_to_sockaddr(const struct fw_addr *addr, uint16_t port,
			      struct sockaddr_storage *sockaddr)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memset(sockaddr, 0, sizeof(*sockaddr));
	if (fw_addr_is_v4(addr)) {
		v4.sin_addr.s_addr = addr->word[3];
		memcpy(sockaddr, &v4, sizeof(v4));
		return sizeof(v4);
	}
	memcpy(&v6.sin6_addr, addr, sizeof(*addr));
	memcpy(sockaddr, &v6, sizeof(v6));
	return sizeof(v6);
}
