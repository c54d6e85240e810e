// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/capacity/queue.h"
#include <pthread.h>
#include <stdlib.h>

#define ANY_SERVER UINT64_MAX

enum {
	FLOW_LISTS = 256,
	FLOWS_EXTRA = 64, /* for those who wait again, for whom there is room always */
};

/* Requests of one source. */
struct queue_flow {
	struct list node; /* among those that are found by the same hash, or those that are free */
	struct list turn; /* among those whose turn comes */
	struct list waiters;
	uint64_t source;
	uint32_t length, claims; /* those who wait, and those of them who are not stuck */
	bool late;               /* the source has its share: others come first */
};

/* Of one thread. */
struct post {
	struct list called;
	atomic_uint waiting; /* in a flow or called; written under the lock */
};

struct queue {
	uint32_t most, most_of_flow, threads;
	void (*wake)(void *context, uint32_t thread);
	void *context;

	pthread_mutex_t lock;
	atomic_uint length; /* in flows; written under the lock */
	atomic_uint claims; /* those of them who are neither stuck nor late; the same */
	struct list turns, late_turns;
	struct list by_source[FLOW_LISTS];
	struct list free_flows;
	struct queue_flow *flows; /* one for each who may wait */
	struct post posts[];
};

struct queue *queue_create(uint32_t length, uint32_t threads,
			   void (*wake)(void *context, uint32_t thread), void *context)
{
	struct queue *queue = calloc(1, sizeof(*queue) + threads * sizeof(struct post));

	if (!queue)
		return NULL;
	queue->flows = calloc(length + FLOWS_EXTRA, sizeof(*queue->flows));
	if (!queue->flows) {
		free(queue);
		return NULL;
	}
	queue->most = length;
	queue->most_of_flow = length < QUEUE_FLOW_SHARE ? length : length / QUEUE_FLOW_SHARE;
	queue->threads = threads;
	queue->wake = wake;
	queue->context = context;
	pthread_mutex_init(&queue->lock, NULL);
	list_init(&queue->turns);
	list_init(&queue->late_turns);
	list_init(&queue->free_flows);
	for (int i = 0; i < FLOW_LISTS; i++)
		list_init(&queue->by_source[i]);
	for (uint32_t i = 0; i < length + FLOWS_EXTRA; i++)
		list_append(&queue->free_flows, &queue->flows[i].node);
	for (uint32_t i = 0; i < threads; i++)
		list_init(&queue->posts[i].called);
	return queue;
}

void queue_free(struct queue *queue)
{
	if (!queue)
		return;
	pthread_mutex_destroy(&queue->lock);
	free(queue->flows);
	free(queue);
}

bool queue_is_awaited(const struct queue *queue)
{
	return atomic_load(&queue->length) != 0;
}

bool queue_is_claimed(const struct queue *queue)
{
	return atomic_load(&queue->claims) != 0;
}

uint32_t queue_waiting(const struct queue *queue, uint32_t thread)
{
	return atomic_load_explicit(&queue->posts[thread].waiting, memory_order_relaxed);
}

/* --- under the lock ----------------------------------------------------------------------------
 */

static void set_state(struct waiter *waiter, enum waiter_state state)
{
	atomic_store_explicit(&waiter->state, (uint8_t)state, memory_order_relaxed);
}

static enum waiter_state state_of(const struct waiter *waiter)
{
	return (enum waiter_state)atomic_load_explicit(&waiter->state, memory_order_relaxed);
}

static struct list *list_of(struct queue *queue, uint64_t source)
{
	return &queue->by_source[source % FLOW_LISTS];
}

/* NULL: nobody of the source waits. */
static struct queue_flow *find_flow(struct queue *queue, uint64_t source)
{
	struct list *list = list_of(queue, source);

	for (struct list *node = list->next; node != list; node = node->next)
		if (container_of(node, struct queue_flow, node)->source == source)
			return container_of(node, struct queue_flow, node);
	return NULL;
}

/* The source's own; where none is free another's, whose turns it shares. */
static struct queue_flow *get_flow(struct queue *queue, uint64_t source)
{
	struct queue_flow *flow = find_flow(queue, source);

	if (flow)
		return flow;
	if (list_is_empty(&queue->free_flows))
		return container_of(list_is_empty(&queue->turns) ? queue->late_turns.previous
								 : queue->turns.previous,
				    struct queue_flow, turn);
	flow = container_of(queue->free_flows.next, struct queue_flow, node);
	list_remove(&flow->node);
	list_append(list_of(queue, source), &flow->node);
	list_init(&flow->turn);
	list_init(&flow->waiters);
	flow->source = source;
	flow->length = flow->claims = 0;
	flow->late = false;
	return flow;
}

static struct waiter *waiter_of(struct list *node)
{
	return container_of(node, struct waiter, node);
}

/* What was free when he was called last is of servers that he has tried. */
static bool is_stuck(const struct waiter *waiter)
{
	return waiter->again && waiter->tried;
}

static void to_the_end(struct queue *queue, struct queue_flow *flow)
{
	list_remove(&flow->turn);
	list_append(flow->late ? &queue->late_turns : &queue->turns, &flow->turn);
}

/* What holds for who has just asked holds for all of his source. */
static void set_late(struct queue *queue, struct queue_flow *flow, bool late)
{
	if (flow->late == late)
		return;
	flow->late = late;
	atomic_fetch_add(&queue->claims, late ? -flow->claims : flow->claims);
	to_the_end(queue, flow);
}

static void count(struct queue *queue, const struct waiter *waiter, uint32_t change)
{
	uint32_t claims = is_stuck(waiter) ? 0 : change;

	waiter->flow->length += change;
	waiter->flow->claims += claims;
	atomic_fetch_add(&queue->length, change);
	if (!waiter->flow->late)
		atomic_fetch_add(&queue->claims, claims);
}

static void enter_flow(struct queue *queue, struct waiter *waiter, bool first)
{
	struct queue_flow *flow = get_flow(queue, waiter->source);

	waiter->flow = flow;
	if (!flow->length)
		to_the_end(queue, flow);
	if (flow->source == waiter->source)
		set_late(queue, flow, waiter->late);
	if (first)
		list_insert(&flow->waiters, &waiter->node);
	else
		list_append(&flow->waiters, &waiter->node);
	if (first && flow->late) {
		to_the_end(queue, flow);
	} else if (first) {
		list_remove(&flow->turn);
		list_insert(&queue->turns, &flow->turn);
	}
	count(queue, waiter, 1);
	set_state(waiter, WAITER_WAITS);
}

static void leave_flow(struct queue *queue, struct waiter *waiter)
{
	struct queue_flow *flow = waiter->flow;

	list_remove(&waiter->node);
	count(queue, waiter, -1U);
	if (!flow->length) {
		list_remove(&flow->turn);
		list_remove(&flow->node);
		list_append(&queue->free_flows, &flow->node);
	}
}

/* He is to hear of it from his own thread, which is to be woken when the lock is free. */
static void post(struct queue *queue, struct waiter *waiter, enum waiter_state state)
{
	leave_flow(queue, waiter);
	set_state(waiter, state);
	list_append(&queue->posts[waiter->thread].called, &waiter->node);
}

/* The longer of @found and the longest in @turns; NULL: neither is there. */
static struct queue_flow *longest_of(struct list *turns, struct queue_flow *found)
{
	for (struct list *turn = turns->next; turn != turns; turn = turn->next) {
		struct queue_flow *flow = container_of(turn, struct queue_flow, turn);

		if (!found || flow->length > found->length)
			found = flow;
	}
	return found;
}

/* NULL: nobody waits. */
static struct queue_flow *longest(struct queue *queue)
{
	return longest_of(&queue->turns, longest_of(&queue->late_turns, NULL));
}

/* Whether there is room for one more, if *@last has to go for it (not NULL). */
static bool has_room(struct queue *queue, const struct waiter *waiter, struct waiter **last)
{
	const struct queue_flow *own = find_flow(queue, waiter->source);
	uint32_t length = own ? own->length : 0;
	struct queue_flow *other;

	if (length >= queue->most_of_flow)
		return false;
	if (atomic_load_explicit(&queue->length, memory_order_relaxed) < queue->most)
		return true;
	other = longest(queue);
	if (!other || other->length <= length + 1)
		return false;
	*last = waiter_of(other->waiters.previous);
	return true;
}

static void count_waiting(struct queue *queue, const struct waiter *waiter, uint32_t change)
{
	atomic_fetch_add_explicit(&queue->posts[waiter->thread].waiting, change,
				  memory_order_relaxed);
}

/* --- in and out --------------------------------------------------------------------------------
 */

uint32_t queue_waiting_of(struct queue *queue, uint64_t source)
{
	const struct queue_flow *flow;
	uint32_t length;

	pthread_mutex_lock(&queue->lock);
	flow = find_flow(queue, source);
	length = flow ? flow->length : 0;
	pthread_mutex_unlock(&queue->lock);
	return length;
}

enum queue_place queue_join(struct queue *queue, struct waiter *waiter, bool again)
{
	enum queue_place place = QUEUE_FULL;
	struct waiter *removed = NULL;
	uint32_t thread = 0;

	pthread_mutex_lock(&queue->lock);
	if (again || has_room(queue, waiter, &removed)) {
		place = again || !queue_is_claimed(queue) ? QUEUE_FIRST : QUEUE_BEHIND;
		if (removed) {
			thread = removed->thread;
			post(queue, removed, WAITER_REMOVED);
		}
		waiter->again = again;
		enter_flow(queue, waiter, again);
		count_waiting(queue, waiter, 1);
	}
	pthread_mutex_unlock(&queue->lock);
	if (removed)
		queue->wake(queue->context, thread);
	return place;
}

/* Takes him from wherever he is. */
static enum waiter_state take_out(struct queue *queue, struct waiter *waiter)
{
	enum waiter_state was = state_of(waiter);

	if (was == WAITER_WAITS)
		leave_flow(queue, waiter);
	else
		list_remove(&waiter->node);
	set_state(waiter, WAITER_AWAY);
	count_waiting(queue, waiter, -1U);
	return was;
}

bool queue_leave(struct queue *queue, struct waiter *waiter)
{
	enum waiter_state was;

	/* Nobody but its own thread makes somebody wait who does not. */
	if (state_of(waiter) == WAITER_AWAY)
		return false;
	pthread_mutex_lock(&queue->lock);
	was = take_out(queue, waiter);
	pthread_mutex_unlock(&queue->lock);
	return was == WAITER_CALLED || waiter->again;
}

/* The next of @turns who can use something of a server in @offer; NULL: none. Of any server, he is
 * the first that is looked at. */
static struct waiter *find_next(const struct list *turns, uint64_t offer)
{
	for (struct list *turn = turns->next; turn != turns; turn = turn->next) {
		struct list *waiters = &container_of(turn, struct queue_flow, turn)->waiters;

		for (struct list *node = waiters->next; node != waiters; node = node->next)
			if (offer & ~waiter_of(node)->tried)
				return waiter_of(node);
	}
	return NULL;
}

/* Under the lock. Returns who was called. */
static struct waiter *call_next(struct queue *queue, uint64_t offer)
{
	struct waiter *next = find_next(&queue->turns, offer);

	if (!next)
		next = find_next(&queue->late_turns, offer);
	if (!next)
		return NULL;
	to_the_end(queue, next->flow);
	next->offer = offer;
	post(queue, next, WAITER_CALLED);
	return next;
}

/* @before NULL: nobody was called for it. */
static void call(struct queue *queue, const struct waiter *before)
{
	struct waiter *next;
	uint32_t thread = 0;

	pthread_mutex_lock(&queue->lock);
	next = call_next(queue, before ? before->offer & before->tried : ANY_SERVER);
	if (next)
		thread = next->thread;
	pthread_mutex_unlock(&queue->lock);
	if (next)
		queue->wake(queue->context, thread);
}

void queue_call(struct queue *queue)
{
	call(queue, NULL);
}

void queue_pass_on(struct queue *queue, const struct waiter *waiter)
{
	if (waiter->tried)
		call(queue, waiter);
}

struct waiter *queue_next_called(struct queue *queue, uint32_t thread, bool *removed)
{
	struct list *called = &queue->posts[thread].called;
	struct waiter *waiter = NULL;

	pthread_mutex_lock(&queue->lock);
	if (!list_is_empty(called)) {
		waiter = waiter_of(called->next);
		*removed = take_out(queue, waiter) == WAITER_REMOVED;
	}
	pthread_mutex_unlock(&queue->lock);
	return waiter;
}
