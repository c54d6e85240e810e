/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ClientHello (RFC 8446 section 4.1.2), looked at before anybody spends anything on it: whether
 * it is whole, and whose name it asks for.
 *
 * So a connection that only opened, or that trickles its first message, costs the bytes it sent; a
 * handshake is judged by its source before the first operation of cryptography; and the library
 * that goes on with it is given all of the message at once. Everything that is not needed for this
 * is left to that library, which reads the same bytes again.
 */
#ifndef PROXY_NET_TLS_HELLO_H
#define PROXY_NET_TLS_HELLO_H

#include <stddef.h>
#include <stdint.h>

enum {
	HELLO_NAME_SIZE = 256, /* with its NUL */
	HELLO_MESSAGE_MAX = 16384,
};

struct hello {
	char name[HELLO_NAME_SIZE]; /* server_name (RFC 6066 section 3) in lower case; "": none */
};

/*
 * Reads the records at the beginning of a connection. @message holds HELLO_MESSAGE_MAX bytes and is
 * where the parts of a message that came in several records are put together. Returns how many
 * bytes the records of the ClientHello take; 0: it is not whole; −FW_NOT_TLS, −FW_BAD_HANDSHAKE.
 */
int hello_parse(const uint8_t *data, size_t length, uint8_t *message, struct hello *hello);

#endif
