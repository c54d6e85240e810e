/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who waits for an upstream that is at its cap, of all threads: sources take turns, whatever
 * number of requests each of them has waiting (fair queueing, Nagle 1987).
 *
 * A source's requests wait in a flow of its own, in order, which holds a part of the queue at most.
 * When the queue is full and who comes has fewer waiting than another flow, the last of the longest
 * one has to go for him: to fill the queue locks nobody out.
 *
 * Nothing is handed over here but a turn. Whoever frees something of the upstream calls the next
 * one, and his thread takes him from the list of those who were called and asks for a server again.
 * Whoever comes while others wait has to wait as well; only where nobody else does can he be there
 * before the one who was just called, who is then the next again.
 * Who was called and leaves without asking is to be followed by another call.
 *
 * What is free may be of no use to who is called: he has tried that server. He is the next again,
 * the call goes on to the first who has not, and nobody who comes later waits for his sake. Each
 * who passes it on leaves fewer servers of which it could speak, so that it ends.
 *
 * A source that has its share already (share.h) waits behind those who have not: it is called when
 * none of these waits, and claims nothing. What is free meanwhile is for whoever comes.
 *
 * The lock is taken by those who wait, and by who frees something while somebody does.
 */
#ifndef PROXY_UPSTREAM_CAPACITY_QUEUE_H
#define PROXY_UPSTREAM_CAPACITY_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/list.h"

enum { QUEUE_FLOW_SHARE = 8 }; /* a flow holds one part in so many of the queue at most */

struct queue;
struct queue_flow;

enum waiter_state {
	WAITER_AWAY,    /* zero-initialised: does not wait */
	WAITER_WAITS,   /* in its flow */
	WAITER_CALLED,  /* it is its turn */
	WAITER_REMOVED, /* had to go for somebody else */
};

/* Embedded in whoever waits. Its thread's, but for what the queue does under its lock. */
struct waiter {
	struct list node;        /* in its flow, or among the called of its thread */
	struct queue_flow *flow; /* while it is in one */
	uint64_t source;         /* keyed hash of whose request it is */
	uint64_t tried;          /* servers that are of no use to him, a bit each */
	uint64_t offer;          /* of which something may be free, as he was called; the same */
	uint32_t thread;
	_Atomic uint8_t state; /* enum waiter_state */
	bool again; /* he was called before, and what he was called for was not for him */
	bool late;  /* as he asked his source had its share */
	/* In its own thread: its turn has come, or (@removed) will not. It is away by then. */
	void (*called)(struct waiter *waiter, bool removed);
};

/* NULL: no memory. @length: how many may wait. @wake: makes a thread call queue_next_called(), soon
 * and from any thread. */
struct queue *queue_create(uint32_t length, uint32_t threads,
			   void (*wake)(void *context, uint32_t thread), void *context);
void queue_free(struct queue *queue); /* NULL is allowed */

/* Whether somebody waits who was not called. Sequentially consistent: who frees something and then
 * finds nobody waiting may be sure that whoever comes next finds what was freed. */
bool queue_is_awaited(const struct queue *queue);
/* Whether one of them is not to be overtaken: as far as is known he can use what is free. */
bool queue_is_claimed(const struct queue *queue);
/* How many of a source's wait, those called not included. */
uint32_t queue_waiting_of(struct queue *queue, uint64_t source);
/* How many of a thread's wait, those called included. */
uint32_t queue_waiting(const struct queue *queue, uint32_t thread);

enum queue_place {
	QUEUE_FULL,   /* or his source's part of it: he is away */
	QUEUE_FIRST,  /* nobody did, to whom it mattered: what was freed just before may have gone
			 unclaimed */
	QUEUE_BEHIND, /* others, who will be called before */
};

/* From then on he waits. @again: he was called, and there was nothing for him: he is the next one
 * to be, and first. */
enum queue_place queue_join(struct queue *queue, struct waiter *waiter, bool again);
/* He waits no longer; away already: no effect. True: he was called, now or before, so that somebody
 * else is to be. */
bool queue_leave(struct queue *queue, struct waiter *waiter);
/* Something was freed: it is the next one's turn, if anybody waits. */
void queue_call(struct queue *queue);
/* He was called, and waits again: it is the turn of the next one who has not tried what he has. */
void queue_pass_on(struct queue *queue, const struct waiter *waiter);
/* The next of a thread who was called or removed; he is away after this. NULL: none. */
struct waiter *queue_next_called(struct queue *queue, uint32_t thread, bool *removed);

#endif
