/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel TLS (Documentation/networking/tls.rst): the socket is given content, and the kernel, or
 * the network card, makes records of it. For what is sent alone: what comes in is opened by
 * record.c, which is told of each alert and key update as it comes, and which can take a new key.
 *
 * Invariant: once begun it lasts as long as the socket, with the one key. Left out: how it is
 * decided who is handed over (tls_write.c). Private to tls/.
 */
#ifndef PROXY_NET_TLS_RECORD_KTLS_H
#define PROXY_NET_TLS_RECORD_KTLS_H

#include <stdbool.h>
#include "proxy/net/tls/record/record.h"

/* Whether the kernel has it. Asked as root it loads the module that it is in. */
bool ktls_is_there(void);

/* From the next record on, what is sent with records->out is sealed by the kernel. 0; −errno: it is
 * not, and nothing has changed. Nothing that was sealed here may wait. */
int ktls_begin(int fd, const struct records *records);

/* Sends one record of @type, not RECORD_DATA. 0; −EAGAIN: nothing of it; −errno. */
int ktls_send(int fd, enum record_type type, const void *data, size_t size);

/* Whether all records that were accepted have gone to TCP, and it has room for one more: before
 * that a shutdown would cut them off. */
bool ktls_has_room(int fd);

#endif
