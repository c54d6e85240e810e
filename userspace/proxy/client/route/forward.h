/* SPDX-License-Identifier: BSD-2-Clause */
/* A request's head, written for the server. */
#ifndef PROXY_CLIENT_ROUTE_FORWARD_H
#define PROXY_CLIENT_ROUTE_FORWARD_H

#include "proxy/client/exchange/exchange.h"

/* Writes the head that was read at @data into to_server, as its route has it. FW_NONE, or why it
 * can't be. */
enum fw_verdict forward_write_head(struct exchange *exchange, const char *data);
/* Of a request that goes to no server: keeps there, behind no head, what the log tells of it. */
enum fw_verdict forward_keep_note(struct exchange *exchange, const char *data);

#endif
