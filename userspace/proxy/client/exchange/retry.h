/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a request that its server failed may be sent again.
 *
 * Only if all of it is still here and nothing of an answer has been passed on; and what the server
 * may have begun to act upon, only if doing it twice does what doing it once does. Then there are
 * two cases. A connection that had been kept may be closed by its server at any moment: a request
 * that was on its way just then, and of whose answer nothing has come, is sent once more, over a
 * new one, as a matter of course; so is, a few times, one that a server of HTTP/2 says it did
 * nothing with. Anything else is a retry: it goes to a server that was not tried, for the reasons,
 * the number of times and the share of traffic that the upstream's `retry { }` says. If another
 * server is being asked the same already (hedge.h), that is the retry.
 *
 * A server that does not even accept a connection was asked nothing: the next one is, always. That
 * is exchange.c's.
 */
#ifndef PROXY_CLIENT_EXCHANGE_RETRY_H
#define PROXY_CLIENT_EXCHANGE_RETRY_H

#include "proxy/client/exchange/exchange.h"

/* Whether it could be sent as it is, and a second time: another server may be asked the same. */
bool retry_is_harmless(const struct exchange *exchange);
/* Its connection broke: whether it is sent again as a matter of course, which is counted. */
bool retry_resends(struct exchange *exchange);
/* Else: whether it is sent to another server, which is counted, and lasts until retry_end(). */
bool retry_begins_for_break(struct exchange *exchange);
/* The same for a response with that status, of which nothing has been passed on. */
bool retry_begins_for_status(struct exchange *exchange, uint16_t status);
/* Whether such responses are passed over, while there is something else to hope for. */
bool retry_passes_over(const struct exchange *exchange, uint16_t status);
/* No effect on a request that is none. */
void retry_end(struct exchange *exchange);

#endif
