/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One thread's event loop: epoll, edge-triggered, with timers and a ready list.
 *
 * A turn takes a batch of events, calls each source's handler, then those that had put themselves
 * on the ready list because they stopped before they were done, then the timers, of which a turn
 * has time for a part: those that are left come in the next one. A handler does a bounded amount of
 * work, so that nobody starves anybody. Handlers have the time that was read when the turn began.
 *
 * What others should not have to wait for is put off (loop_defer()), by levels: the first one has
 * as much time as all that is not put off, the others together a part of it, and the rest of the
 * time. After a fraction of a millisecond the loop looks whether anything has come.
 *
 * A handler may close any source. What it closes stays in memory until the turn is over, because
 * later events of the same batch may still point to it.
 */
#ifndef PROXY_LOOP_LOOP_H
#define PROXY_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include "base/list.h"
#include "proxy/loop/wheel.h"

enum { LOOP_LEVELS = 8 };

/* Embedded in whatever owns a descriptor. `fd` is −1 once closed. */
struct source {
	struct list node; /* on the ready list, or put off, or among the closed */
	int fd;
	/* @events: of epoll; 0: called from the ready list. */
	void (*handle)(struct source *source, uint32_t events);
	void (*release)(struct source *source); /* after loop_close(): frees it */
};

struct loop {
	int epoll;
	int waker; /* eventfd */
	bool stopped;
	uint64_t now_ns; /* CLOCK_MONOTONIC, of this turn */
	/* Since the owner last set them to 0: turns, time in them, and the longest one's. */
	uint64_t turns, busy_ns, longest_ns;
	struct wheel wheel;
	struct list ready, closed;
	struct list deferred[LOOP_LEVELS];
	bool deferring;         /* something may be put off */
	unsigned int deferrals; /* that were called */
	int64_t saved_ns;       /* for levels above the first; negative: they have had more */
	/* Called within the loop's thread after loop_wake(). */
	void (*woken)(struct loop *loop);
	/* Called at the end of every turn, before it waits; NULL is allowed. */
	void (*turned)(struct loop *loop);
};

/* 0 or −errno. Callbacks are the caller's to set. */
int loop_init(struct loop *loop);
/* Releases what was closed and has not been yet. */
void loop_destroy(struct loop *loop);

/* Runs until loop_stop(). −errno: epoll itself failed. */
int loop_run(struct loop *loop);
/* Ends loop_run() after this turn; from the loop's own thread. */
void loop_stop(struct loop *loop);
/* Makes the loop call `woken` soon; from any thread. */
void loop_wake(struct loop *loop);

/* Watches source->fd for @events (EPOLLET is added). 0 or −errno. */
int loop_watch(struct loop *loop, struct source *source, uint32_t events);
/* Watches for other @events from now on; reports anew what holds already. */
int loop_rewatch(struct loop *loop, struct source *source, uint32_t events);
/* Calls the handler again in the next turn, even if nothing happens to the descriptor. */
void loop_requeue(struct loop *loop, struct source *source);
/*
 * Calls the handler once, without events, when what is long may be done; until then
 * loop_is_deferred() holds. A lower @level comes first, but none is left to starve. One that waits
 * for its next turn already (loop_requeue()) is called in that.
 */
void loop_defer(struct loop *loop, struct source *source, unsigned int level);
static inline bool loop_is_deferred(const struct source *source)
{
	return list_is_linked(&source->node);
}
/* No more events. Needed only before closing a descriptor that another process holds too: epoll
 * watches the open file, and would go on doing so. */
void loop_unwatch(struct loop *loop, struct source *source);
/* Another thread has the descriptor, and watches it: lets go of it as loop_close() does, but leaves
 * it open. */
void loop_abandon(struct loop *loop, struct source *source);
/* Closes the descriptor now, calls `release` (NULL: nothing) when the turn is over. */
void loop_close(struct loop *loop, struct source *source);

#endif
