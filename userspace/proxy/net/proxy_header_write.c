// SPDX-License-Identifier: BSD-2-Clause
/*
 * PROXY headers for servers.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "contract/address.h"
#include "proxy/net/proxy_header.h"
#include "proxy/net/proxy_layout.h"

/* Two addresses of different families go as IPv6 both. */
static bool is_v4(const struct proxy_header *header)
{
	return fw_addr_is_v4(&header->source) && fw_addr_is_v4(&header->destination);
}

static const char *format(const struct fw_addr *addr, int family, char text[INET6_ADDRSTRLEN])
{
	return inet_ntop(family, family == AF_INET ? &addr->word[3] : &addr->word[0], text,
			 INET6_ADDRSTRLEN);
}

size_t proxy_header_write_v1(uint8_t out[PROXY_HEADER_WRITE_MAX], const struct proxy_header *header)
{
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
	int family = is_v4(header) ? AF_INET : AF_INET6;

	if (header->local)
		return (size_t)sprintf((char *)out, "PROXY UNKNOWN\r\n");
	return (size_t)sprintf((char *)out, "PROXY TCP%c %s %s %u %u\r\n",
			       family == AF_INET ? '4' : '6',
			       format(&header->source, family, source),
			       format(&header->destination, family, destination),
			       header->source_port, header->destination_port);
}

/* --- version 2 ---------------------------------------------------------------------------------
 */

struct writer {
	uint8_t *data;
	size_t used;
};

static void put(struct writer *writer, const void *data, size_t size)
{
	memcpy(writer->data + writer->used, data, size);
	writer->used += size;
}

static void put_16(struct writer *writer, size_t value)
{
	const uint8_t bytes[] = {(uint8_t)(value >> 8), (uint8_t)value};

	put(writer, bytes, sizeof(bytes));
}

/* An attribute, if there is one and it fits. */
static void put_text(struct writer *writer, uint8_t type, const char *text)
{
	size_t length = text ? strlen(text) : 0;

	if (!length || PROXY_TLV_HEAD + length > PROXY_HEADER_WRITE_MAX - writer->used)
		return;
	put(writer, &type, 1);
	put_16(writer, length);
	put(writer, text, length);
}

/* Fills in the length of two bytes that stands in front of what follows @behind. */
static void settle_length(struct writer *writer, size_t behind)
{
	struct writer length = {writer->data, behind - 2};

	put_16(&length, writer->used - behind);
}

static void put_tls(struct writer *writer, const struct proxy_attributes *attributes)
{
	/* Verification is told as 0 for success, and anything else for none. */
	const uint8_t head[] = {PROXY_TLV_TLS,
				0,
				0,
				attributes->certificate ? PROXY_TLS_USED | PROXY_TLS_CERTIFICATE
							: PROXY_TLS_USED,
				0,
				0,
				0,
				!attributes->certificate};
	size_t content = writer->used + PROXY_TLV_HEAD;

	if (sizeof(head) > PROXY_HEADER_WRITE_MAX - writer->used)
		return;
	put(writer, head, sizeof(head));
	put_text(writer, PROXY_TLV_TLS_VERSION, attributes->tls);
	put_text(writer, PROXY_TLV_TLS_CIPHER, attributes->cipher);
	settle_length(writer, content);
}

static void put_addresses(struct writer *writer, const struct proxy_header *header)
{
	size_t skip = is_v4(header) ? 12 : 0, size = 16 - skip;

	put(writer, (const char *)&header->source + skip, size);
	put(writer, (const char *)&header->destination + skip, size);
	put_16(writer, header->source_port);
	put_16(writer, header->destination_port);
}

size_t proxy_header_write_v2(uint8_t out[PROXY_HEADER_WRITE_MAX], const struct proxy_header *header,
			     const struct proxy_attributes *attributes)
{
	struct writer writer = {out, 0};
	uint8_t family = is_v4(header) ? PROXY_FAMILY_TCP4 : PROXY_FAMILY_TCP6;
	const uint8_t kind[] = {header->local ? PROXY_COMMAND_LOCAL : PROXY_COMMAND_PROXY,
				header->local ? PROXY_FAMILY_UNSPEC : family, 0, 0};

	put(&writer, PROXY_SIGNATURE, PROXY_SIGNATURE_SIZE);
	put(&writer, kind, sizeof(kind));
	if (!header->local)
		put_addresses(&writer, header);
	if (attributes) {
		if (attributes->tls)
			put_tls(&writer, attributes);
		put_text(&writer, PROXY_TLV_AUTHORITY, attributes->authority);
	}
	settle_length(&writer, PROXY_FIXED_SIZE);
	return writer.used;
}
