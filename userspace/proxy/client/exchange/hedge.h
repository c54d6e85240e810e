/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request whose server has sent no byte of its answer for a while (`retry { hedge_after }`) is
 * asked of another one as well; who begins to answer first has it.
 *
 * A hedge is an exchange like any other, with its own copy of the head, its own link or stream, its
 * own buffers. What it lacks is a client: its front stands for the request that it hedges, its
 * lead, which owns it. The lead goes on as if it had none. When the hedge has the beginning of an
 * answer that is not to be passed over, or the lead's server fails, the lead lets go of that and
 * takes what the hedge has, all of it, which is no more then. So no byte of two answers can meet,
 * and whose answer was not taken is cut off: its connection closed, its stream reset.
 *
 * Only what may be sent twice is hedged, whole and without a body; once at most. A hedge is charged
 * like a retry, to half of the same budget, and to the upstream's caps; it waits for nothing, has
 * nobody evicted, and asks only who is well. What fails it ends it: the lead is none the worse.
 */
#ifndef PROXY_CLIENT_EXCHANGE_HEDGE_H
#define PROXY_CLIENT_EXCHANGE_HEDGE_H

#include "proxy/client/exchange/exchange.h"

/* When hedge_look() has something to do; WHEEL_NEVER: it has not, as things are. */
uint64_t hedge_due_ns(const struct exchange *exchange);
/* Asks another server, if the time has come. */
void hedge_look(struct exchange *exchange, uint64_t now_ns);
/* One step of the hedge that it has. As exchange_run(), of its lead. */
enum flow hedge_run(struct exchange *lead);
/* The lead, which has let go of its server, goes on with what its hedge has. */
enum flow hedge_take_over(struct exchange *lead);
/* It is not needed any more. */
void hedge_cut(struct exchange *lead);

static inline void hedge_drop(struct exchange *exchange)
{
	if (exchange->hedge)
		hedge_cut(exchange);
}

#endif
