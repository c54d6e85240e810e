/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PROXY protocol (HAProxy's proxy-protocol.txt): what a balancer says at the beginning of a
 * connection about whom it makes it for. Version 1 is a line of text, version 2 binary with
 * attributes behind the addresses, of which the checksum is verified and the others are skipped.
 *
 * Pure: no I/O, no allocation, no clock. Whom to believe is for the caller to know; a client that
 * may choose its own header may choose its own address.
 */
#ifndef PROXY_NET_PROXY_HEADER_H
#define PROXY_NET_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "floodwall.h"

enum {
	PROXY_HEADER_MAX = 2048, /* that is read, attributes included */
	PROXY_HEADER_V1_MAX = 107,
	PROXY_HEADER_WRITE_MAX = 768, /* that is written */
};

struct proxy_header {
	struct fw_addr source, destination;
	uint16_t source_port, destination_port; /* host order */
	bool local; /* the balancer speaks for itself, or can't say for whom: no addresses */
};

/* What version 2 may tell of the client besides; NULL: nothing. Not which protocol was agreed on by
 * ALPN: a server could take that for what it is being spoken to in. */
struct proxy_attributes {
	const char *authority; /* host that the client asked for */
	const char *tls;       /* version, "TLSv1.3"; NULL: no TLS, and none of the following */
	const char *cipher;
	bool certificate; /* the client showed one, and it was verified */
};

/* Bytes of the header at the start of @data; 0: it is not whole; −FW_BAD_PROXY_HEADER, as soon as
 * that is certain. */
int proxy_header_parse(const uint8_t *data, size_t length, struct proxy_header *header);

/* Write a header, and return its size. @attributes may be NULL; those that do not fit are left out.
 */
size_t proxy_header_write_v1(uint8_t out[PROXY_HEADER_WRITE_MAX],
			     const struct proxy_header *header);
size_t proxy_header_write_v2(uint8_t out[PROXY_HEADER_WRITE_MAX], const struct proxy_header *header,
			     const struct proxy_attributes *attributes);

#endif
