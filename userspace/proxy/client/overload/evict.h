/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who has to go when there is room for no more: not who came last, but who is worst, by his score
 * (score.h). Who has none is never evicted.
 *
 * Nobody is searched for. Clients stand in three wards, each in the order in which waiting for them
 * began; a few at the front of each are looked at.
 */
#ifndef PROXY_CLIENT_OVERLOAD_EVICT_H
#define PROXY_CLIENT_OVERLOAD_EVICT_H

#include "proxy/client/client.h"

/* Puts a client where his phase belongs; when he has come, and whenever he has been run. */
void evict_place(struct client *client);
/* Takes him from there: he has gone. */
void evict_forget(struct client *client);

/* Whose clients may have to go: a listener's, or all of the thread. */
enum evict_scope { EVICT_OF_LISTENER, EVICT_OF_WORKER };

/* The score of a listener's worst client, if he is worse than any newcomer; 0: nobody is. */
uint64_t evict_worst_score(struct listener *listener);
/* Evicts the listener's worst client, if his score exceeds that. */
void evict_above(struct listener *listener, uint64_t score);

/* Evicts the worst of them, if he is worse than a newcomer from @source. False: nobody is. */
bool evict_for_newcomer(struct listener *listener, enum evict_scope scope,
			const struct fw_addr *source);

/* If @source has nothing else here: evicts one who is new or idle, however young he is, of a source
 * with several connections, or that has had more of the thread's time; even if he waits for us, as
 * he then does for that. False: there is none. For when else the newcomer would be refused. */
bool evict_for_first(struct listener *listener, const struct fw_addr *source);

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

/* Evicts the worst of those, of some, who do not take what the kernel's buffers are full of, for
 * themselves or for the sake of others. The bytes that this frees at least; 0: there was nobody. */
uint64_t evict_for_sockets(struct worker *worker);

#endif
