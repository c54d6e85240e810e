/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a route takes at most: requests a second, of each source and of all, and at once. Its
 * figures are of the file; all threads count together.
 */
#ifndef PROXY_CLIENT_ROUTE_ROUTE_LIMIT_H
#define PROXY_CLIENT_ROUTE_ROUTE_LIMIT_H

#include "proxy/client/exchange/exchange.h"
#include "proxy/guard/quota.h"

/* Whether the request's route takes it; what it then counts as ends with route_limit_leave(). */
enum fw_verdict route_limit_judge(struct exchange *exchange);
void route_limit_leave(struct exchange *exchange);

/* What is behind a verdict of route_limit_judge() with status 429. */
static inline bool route_limit_gave(enum fw_verdict verdict)
{
	return verdict == FW_ROUTE_SOURCE_RATE || verdict == FW_ROUTE_REQUEST_RATE;
}
struct quota route_limit_quota(const struct route *route, enum fw_verdict verdict);

#endif
