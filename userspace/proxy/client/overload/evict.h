/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who has to go when there is room for no more: not who came last, but who is worst. A client's
 * score is the time for which the proxy has been waiting for him, in milliseconds, times
 *
 *     8  he has been turned away and is still there
 *     4  he has not completed a request yet
 *     2  he has, but is slow: with the next one's head, its body, or reading the answer
 *     1  he has, and is idle
 *
 * times one more than the logarithm of how many connections his prefix has (IPv4 /24, IPv6 /48). A
 * body that moves pays its waiting off (guard/rate.h), never ahead. Who waits for a server, or has
 * said something that we have not read yet, has a score of 0, and is never evicted.
 *
 * Nobody is searched for. Clients stand in three wards, each in the order in which waiting for them
 * began; a few at the front of each are looked at.
 */
#ifndef PROXY_CLIENT_OVERLOAD_EVICT_H
#define PROXY_CLIENT_OVERLOAD_EVICT_H

#include "proxy/client/client.h"

/* Puts a client where his phase belongs; when he has come, and whenever he has been run. */
void evict_place(struct client *client);

/* How bad it is to wait for a client: weighted milliseconds times how crowded his prefix is
 * (docs/overload.md). 0: it is he who waits, and he is never evicted. */
uint64_t evict_score(const struct client *client, uint64_t now_ns);

/* What he was waited for has come: it is he who waits now. Asks the kernel. */
bool evict_has_spoken(const struct client *client);

/* Whose clients may have to go: a listener's, or all of the thread. */
enum evict_scope { EVICT_OF_LISTENER, EVICT_OF_WORKER };

/* What a newcomer's score is, and that of a listener's worst client, if he is worse than any; 0:
 * nobody is. */
uint64_t evict_newcomer_score(const struct listener *listener, const struct fw_addr *source);
uint64_t evict_worst_score(struct listener *listener);
/* Evicts the listener's worst client, if his score exceeds that. */
void evict_above(struct listener *listener, uint64_t score);

/* Evicts the worst of them, if he is worse than a newcomer from @source. False: nobody is. */
bool evict_for_newcomer(struct listener *listener, enum evict_scope scope,
			const struct fw_addr *source);

/* At the cap of an upstream's connections: evicts a client who holds one and is worse than @asking,
 * or than a newcomer would be. False: nobody is. */
bool evict_for_link(struct client *asking, const struct upstream_pool *pool);

/* While somebody, with whatever thread, waits for such a connection: the same, for as many as are
 * worse than a newcomer. Now and then. */
void evict_for_waiting(struct worker *worker, const struct upstream_pool *pool);

/* A ledger's relieve(): evicts clients that hold memory and are worse than the account's, until
 * @bytes more are free. Where its source is short, of those only who are of the same source. */
bool evict_for_memory(struct account *account, enum shortage shortage, size_t bytes);

/* When memory runs short: evicts who holds much of it before somebody has to ask. */
void evict_ahead(struct worker *worker);

#endif
