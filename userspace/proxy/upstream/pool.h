/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Idle links of an upstream, for any thread to use: each thread keeps its own, the last used first,
 * still watched by its epoll, and takes from the other threads' when it has none.
 *
 * They are kept under a lock of the thread's own, held for a few stores. Its owner finds it free
 * but for the moments in which another thread helps itself, so that it costs what two atomic
 * operations cost, on a cache line that nobody else looks at.
 *
 * What another thread takes over is the connection: the descriptor, and what is known of it. The
 * link that held it stays behind as a husk, because its own thread may have fetched events of it
 * already. That this is safe rests on six things:
 *
 * - Who removes a link from the list of idle ones, under the lock, has it for himself: owner,
 *   sweep, the handler of its events, or another thread. The handler of an idle link therefore
 *   looks, under the lock, whether it is a husk, and then does nothing.
 * - The other thread makes the link a husk, and takes the descriptor out of the owner's epoll,
 *   before it lets go of the lock. Events of it that the owner fetched before that are in the batch
 *   of the turn that it is in now; later ones do not exist.
 * - Only the owner releases a husk: it finds it under the lock, and the loop frees it when the turn
 *   is over in which it was found, and with it the last batch that can point there. The memory
 *   was on the owner's budget, and is returned to it; the new link is on the other thread's.
 * - A husk's descriptor is never used again, only overwritten. Its number may long mean something
 *   else, but epoll knew it by the file, from which it was removed while the number still meant it.
 * - Keys of TLS are on no thread's books for as long as a link is idle (tls_client_leave()), and go
 *   along with the descriptor.
 * - The link counts in `open` of server and upstream throughout; nothing is counted anew.
 *
 * Whoever takes an idle link, of whichever thread, asks the kernel whether anything has come over
 * it, when nobody else can take it any more: what a server says late, after a complete answer, is
 * never read as the answer to what comes next.
 */
#ifndef PROXY_UPSTREAM_POOL_H
#define PROXY_UPSTREAM_POOL_H

#include <pthread.h>
#include "base/pool.h"
#include "proxy/upstream/link.h"
#include "proxy/upstream/prewarm.h"
#include "proxy/upstream/shared.h"
#include "proxy/upstream/upstream.h"

/* Of one thread. */
struct upstream_pool {
	struct upstream_shared *shared;
	struct loop *loop;
	struct tls_engine *tls;
	struct ledger ledger; /* of links that are lent to nobody, or to many */
	uint32_t index;       /* among shared->pools */
	struct pool links;
	struct timer sweep;
	struct balance balance;
	struct retry_budget retries;
	struct prewarm prewarm;
	uint32_t sessions[CONFIG_SERVERS_MAX]; /* links that HTTP/2 has, to each server … */
	uint32_t session_count;                /* … and all together */
	struct upstream_newborn newborn;       /* for links that are opened ahead */
	uint64_t steals; /* links taken over from other threads, since they were last told */

	/* What other threads may touch. */
	alignas(64) pthread_mutex_t lock;
	atomic_uint idle; /* written under the lock, read by anybody */
	struct list husks;
	struct list idle_of[]; /* per server */
};

/* Whether this thread has as many connections of HTTP/2 as are its part of a cap, and one at least:
 * no other thread can use them, and each is to have one. */
bool pool_has_its_share(const struct upstream_pool *pool, uint32_t server);

/* Keeps a link that is in order; false: there are enough. */
bool idle_keep(struct upstream_link *link);
/* One to @server, of this thread or another one, on which nothing has come; NULL: none. */
struct upstream_link *idle_take(struct upstream_pool *pool, uint32_t server);
/* Meets every thread at its lock. Idle links that were kept before are found from then on, however
 * late the news of how many a thread has would come; and whoever keeps one later finds what was
 * written before, such as that somebody waits. */
void idle_settle(const struct upstream_shared *shared);
/* One to any server that is not in @tried. */
struct upstream_link *idle_take_any(struct upstream_pool *pool, uint64_t tried);

#endif
