/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server is asked for a connection on behalf of a client: that is counted on the client's
 * listener, and where the upstream wants it the server is told by a PROXY header whose connection
 * it is.
 */
#ifndef PROXY_CLIENT_REACH_H
#define PROXY_CLIENT_REACH_H

#include "proxy/client/client.h"

/* Asks @pool for what @wish says. FW_NONE and *@link; or FW_NONE and NULL: @waiter, with `called`
 * set, waits for its turn, unless the wish is spare; or why there is none: @nobody, if no server is
 * left to ask. */
enum fw_verdict reach_server(struct client *client, struct upstream_pool *pool,
			     struct upstream_wish *wish, struct waiter *waiter,
			     enum fw_verdict nobody, struct upstream_link **link);
/* An event of a link that was connecting. 1: it is connected now; 0: waits; −enum fw_verdict. */
int reach_connected(const struct client *client, struct upstream_link *link);
/* The same for a link that is no single client's; counted in @board's row. */
int reach_link(struct board_row board, struct upstream_link *link);
/* It takes too long: counts the handshake, if it is in one. */
void reach_note_late(struct board_row board, const struct upstream_link *link);
/* Why a link broke: for a reason of TLS, or @otherwise. */
enum fw_verdict reach_fault(const struct upstream_link *link, enum fw_verdict otherwise);
/* It is not, or not in time: its server is passed over for a while. */
void reach_failed(const struct client *client, struct upstream_link *link);

#endif
