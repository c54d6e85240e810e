/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Room that another thread makes. A thread evicts its own clients only; but what all of them share,
 * connections and descriptors, may be used up by somebody with another one. So while there is
 * little left each thread offers, a few times a second, the score of its worst client of each
 * listener. Who finds nobody among his own claims the worst of what the others offer, lets the
 * newcomer in and wakes that thread, which evicts before it does anything else.
 *
 * Nobody waits, and nothing is locked. An offer can be claimed once: so a ceiling is exceeded by
 * one for each listener of each other thread at most, and for as long as that thread's turn takes.
 */
#ifndef PROXY_CLIENT_OVERLOAD_ELSEWHERE_H
#define PROXY_CLIENT_OVERLOAD_ELSEWHERE_H

#include "proxy/client/overload/evict.h"

/* Whether another thread evicts somebody worse than a newcomer from @source. */
bool elsewhere_ask(const struct listener *listener, enum evict_scope scope,
		   const struct fw_addr *source);

/* Offers the worst of each listener, if it runs short of anything; else nobody. */
void elsewhere_offer(struct worker *worker);

/* Evicts those who were claimed. */
void elsewhere_heed(struct worker *worker);

#endif
