/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Version 2 of the PROXY protocol on the wire. Private to its parser and its writer.
 */
#ifndef PROXY_NET_PROXY_LAYOUT_H
#define PROXY_NET_PROXY_LAYOUT_H

#include <stdint.h>

/* Line ends where a text protocol has none, a NUL, a word: no protocol begins like this. */
#define PROXY_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

enum {
	PROXY_SIGNATURE_SIZE = 12,
	PROXY_FIXED_SIZE = 16, /* signature, command, family, length of what follows */
	PROXY_COMMAND_LOCAL = 0x20,
	PROXY_COMMAND_PROXY = 0x21,
	PROXY_FAMILY_UNSPEC = 0x00,
	PROXY_FAMILY_TCP4 = 0x11,
	PROXY_FAMILY_TCP6 = 0x21,
	PROXY_TCP4_SIZE = 12, /* two addresses, two ports */
	PROXY_TCP6_SIZE = 36,
	PROXY_TLV_HEAD = 3, /* type, length */
	PROXY_TLV_AUTHORITY = 0x02,
	PROXY_TLV_CRC32C = 0x03,
	PROXY_TLV_TLS = 0x20,
	PROXY_TLV_TLS_VERSION = 0x21,
	PROXY_TLV_TLS_CIPHER = 0x23,
	PROXY_TLS_HEAD = 5, /* in front of the attributes of TLS: flags, verification */
	PROXY_TLS_USED = 1,
	PROXY_TLS_CERTIFICATE = 2 | 4, /* on this connection, and of its session */
};

#endif
