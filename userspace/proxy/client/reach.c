// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/reach.h"
#include <errno.h>

enum fw_verdict reach_server(const struct client *client, struct upstream_pool *pool,
			     struct upstream_wish *wish, enum fw_verdict nobody,
			     struct upstream_link **link)
{
	struct board_row board = client->listener->board;
	uint32_t failures;
	int code = upstream_take(pool, wish, link, &failures);

	board_add(board, METRIC_UPSTREAM_FAILURES, failures);
	if (code < 0)
		return code == -EBUSY ? FW_UPSTREAM_BUSY : nobody;
	board_add(board, (*link)->reused ? METRIC_UPSTREAM_REUSES : METRIC_UPSTREAM_CONNECTS, 1);
	return FW_NONE;
}

bool reach_connected(const struct client *client, struct upstream_link *link)
{
	(void)client;
	return upstream_connected(link) == 0;
}

void reach_failed(const struct client *client, struct upstream_link *link)
{
	board_add(client->listener->board, METRIC_UPSTREAM_FAILURES, 1);
	upstream_failed(link);
}
