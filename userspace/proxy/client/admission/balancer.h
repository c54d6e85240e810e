/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections that a balancer makes for its clients. From the addresses that a listener's
 * proxy_protocol names each one must begin with a PROXY header; what it says is believed from then
 * on, in logs, in what servers are told, and where the proxy counts sources. From anywhere else a
 * header is what its bytes are: the beginning of something that nobody speaks.
 *
 * The balancer itself may have any number of connections. Its clients may have what others may.
 */
#ifndef PROXY_CLIENT_ADMISSION_BALANCER_H
#define PROXY_CLIENT_ADMISSION_BALANCER_H

#include "proxy/client/client.h"

/* Whether @peer is one that @listener takes headers from. */
bool balancer_is_one(const struct config_service *listener, const struct fw_addr *peer);
/* One step of reading the header. When it returns true the connection is that of the client whom it
 * names, or the balancer's own; what came behind the header is in client->in. */
bool balancer_run(struct client *client);

#endif
