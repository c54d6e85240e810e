/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Small pieces of a request's body are gathered before a server sees them: each would cost a write
 * here and a read there, however little the client pays for it.
 *
 * A body of known length has no business with a server before it is here. Until gather.bytes of it
 * are, or all, or gather.hold has passed, its request is held: no server is asked, so who is slow
 * takes no connection of one. A body of unknown length may be one side of a conversation, and is
 * not held.
 *
 * From then on a write has its price, to be paid by what it carries, gather.bytes of it in full,
 * and by time, gather.delay in full. Some are on credit, so that who says little now and then is
 * heard at once; and whatever the server says clears the account: who is answered is not kept
 * waiting.
 *
 * Meanwhile bytes wait in the kernel where they can (stream_await()), and cost nobody a turn.
 */
#ifndef PROXY_CLIENT_EXCHANGE_GATHER_H
#define PROXY_CLIENT_EXCHANGE_GATHER_H

#include "proxy/client/exchange/exchange.h"

/* Whether the request, whose head is complete, is to be held. */
bool gather_holds(const struct exchange *exchange);
/* Whether what is here of the body waits for more: to ask a server, if it is held; to be sent. */
bool gather_waits(const struct exchange *exchange);
/* Whether something has waited, and does no more. */
bool gather_is_due(const struct exchange *exchange);
/* When that is only a matter of time: when; else WHEEL_NEVER. */
uint64_t gather_due_ns(const struct exchange *exchange);
/* How many bytes more are worth a turn; at least 1. */
uint64_t gather_wants(const struct exchange *exchange);

/* A read brought @count bytes of the body; a write took as many; the server said something. */
void gather_note_read(struct exchange *exchange, size_t count);
void gather_note_sent(struct exchange *exchange, uint32_t count);
void gather_note_answer(struct exchange *exchange);

#endif
