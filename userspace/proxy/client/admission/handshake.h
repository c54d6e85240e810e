/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client between accept and the end of its TLS handshake: admitted or not once its first message
 * is whole, and counted by how it ends.
 */
#ifndef PROXY_CLIENT_ADMISSION_HANDSHAKE_H
#define PROXY_CLIENT_ADMISSION_HANDSHAKE_H

#include "proxy/client/client.h"

/* Puts TLS on a new client, if its listener has it. False: no memory. */
bool handshake_begin(struct client *client);
/* One step. When it returns true the handshake is complete. */
bool handshake_run(struct client *client);
/* The client left CLIENT_HANDSHAKE for its end. */
void handshake_count_failure(const struct client *client);

#endif
