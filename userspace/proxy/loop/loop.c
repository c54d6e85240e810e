// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/loop/loop.h"
#include <errno.h>
#include <limits.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/clock.h"

enum {
	EVENTS_PER_TURN = 512,
	TIMERS_AT_ONCE = 2,
	TIMERS_PART = 8, /* of the time of all else, and all of it where they come late */
	OTHERS_PART = 4, /* of the time of all else: one in so many is for levels above the first */
	EACH_LEVELS_TURN = 4, /* of those, one call in so many begins at another than the lowest */
};

/* That a turn has for what was put off, however short it is: as long as somebody new may have to
 * wait until he is heard. */
#define DEFERRED_NS (int64_t)(CLOCK_MS / 4)

/* And for timers, at least: to end a connection takes a twentieth of that, or nearly all. */
#define TIMERS_NS      (CLOCK_MS / 8)
#define TIMERS_LATE_NS (50 * CLOCK_MS)

int loop_init(struct loop *loop)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	int code;

	*loop = (struct loop){.epoll = -1, .waker = -1, .now_ns = clock_now_ns()};
	wheel_init(&loop->wheel, loop->now_ns);
	list_init(&loop->ready);
	list_init(&loop->closed);
	for (int level = 0; level < LOOP_LEVELS; level++)
		list_init(&loop->deferred[level]);
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	loop->waker = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->epoll >= 0 && loop->waker >= 0 &&
	    epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->waker, &event) == 0)
		return 0;
	code = -errno;
	loop_destroy(loop);
	return code;
}

static void release_closed(struct loop *loop)
{
	while (!list_is_empty(&loop->closed)) {
		struct source *source = container_of(loop->closed.next, struct source, node);

		list_remove(&source->node);
		if (source->release)
			source->release(source);
	}
}

void loop_destroy(struct loop *loop)
{
	release_closed(loop);
	if (loop->waker >= 0)
		close(loop->waker);
	if (loop->epoll >= 0)
		close(loop->epoll);
	loop->waker = loop->epoll = -1;
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}

void loop_wake(struct loop *loop)
{
	uint64_t one = 1;

	/* It can only fail when a wake-up is pending already. */
	(void)!write(loop->waker, &one, sizeof(one));
}

static int control(struct loop *loop, int operation, struct source *source, uint32_t events)
{
	struct epoll_event event = {.events = events | EPOLLET, .data.ptr = source};

	return epoll_ctl(loop->epoll, operation, source->fd, &event) < 0 ? -errno : 0;
}

int loop_watch(struct loop *loop, struct source *source, uint32_t events)
{
	list_init(&source->node);
	return control(loop, EPOLL_CTL_ADD, source, events);
}

int loop_rewatch(struct loop *loop, struct source *source, uint32_t events)
{
	return control(loop, EPOLL_CTL_MOD, source, events);
}

void loop_unwatch(struct loop *loop, struct source *source)
{
	control(loop, EPOLL_CTL_DEL, source, 0);
}

void loop_requeue(struct loop *loop, struct source *source)
{
	if (!list_is_linked(&source->node))
		list_append(&loop->ready, &source->node);
}

void loop_defer(struct loop *loop, struct source *source, unsigned int level)
{
	if (list_is_linked(&source->node))
		return;
	level = level < LOOP_LEVELS ? level : LOOP_LEVELS - 1;
	list_append(&loop->deferred[level], &source->node);
	loop->deferring = true;
}

void loop_abandon(struct loop *loop, struct source *source)
{
	source->fd = -1;
	list_remove(&source->node);
	list_append(&loop->closed, &source->node);
}

void loop_close(struct loop *loop, struct source *source)
{
	close(source->fd); /* and with it, its last descriptor, the file leaves epoll */
	loop_abandon(loop, source);
}

static int timeout_ms(const struct loop *loop, uint64_t now_ns)
{
	uint64_t next_ns = wheel_next_ns(&loop->wheel), wait_ms;

	if (!list_is_empty(&loop->ready) || loop->deferring || next_ns <= now_ns)
		return 0;
	if (next_ns == WHEEL_NEVER)
		return -1;
	wait_ms = (next_ns - now_ns + CLOCK_MS - 1) / CLOCK_MS;
	return wait_ms < INT_MAX ? (int)wait_ms : INT_MAX;
}

static void take_wake_up(struct loop *loop)
{
	uint64_t count;

	if (read(loop->waker, &count, sizeof(count)) > 0 && loop->woken)
		loop->woken(loop);
}

static void dispatch(struct loop *loop, const struct epoll_event *events, int count)
{
	for (int i = 0; i < count; i++) {
		struct source *source = events[i].data.ptr;

		if (!source)
			take_wake_up(loop);
		else if (source->fd >= 0)
			source->handle(source, events[i].events);
	}
}

static void run_ready(struct loop *loop)
{
	struct list ready;

	/* Those that requeue themselves wait for the next turn. */
	list_take(&ready, &loop->ready);
	while (!list_is_empty(&ready)) {
		struct source *source = container_of(ready.next, struct source, node);

		list_remove(&source->node);
		source->handle(source, 0);
	}
}

/* Calls the first of a level. */
static void run_first(struct list *level)
{
	struct source *source = container_of(level->next, struct source, node);

	list_remove(&source->node);
	source->handle(source, 0);
}

/* Of those that come after the first level: the lowest, but no other is left to starve. NULL:
 * nobody is there. */
static struct list *next_level(struct loop *loop)
{
	unsigned int call = loop->deferrals++;
	unsigned int from = call % EACH_LEVELS_TURN ? 0 : call / EACH_LEVELS_TURN;

	for (unsigned int i = 0; i < LOOP_LEVELS - 1; i++) {
		struct list *level = &loop->deferred[1 + (from + i) % (LOOP_LEVELS - 1)];

		if (!list_is_empty(level))
			return level;
	}
	return NULL;
}

/* For as long as all else has taken in this turn: so neither can crowd out the other. */
static void run_first_level(struct loop *loop)
{
	uint64_t begin_ns = clock_now_ns(), end_ns = begin_ns + (begin_ns - loop->now_ns);

	if (end_ns < begin_ns + (uint64_t)DEFERRED_NS)
		end_ns = begin_ns + DEFERRED_NS;
	while (!list_is_empty(&loop->deferred[0]) && clock_now_ns() < end_ns)
		run_first(&loop->deferred[0]);
}

/*
 * A part of all that time, which is saved up, as what they do may be long; and with nothing else to
 * do (@idle) until something may have come.
 */
static void run_other_levels(struct loop *loop, bool idle)
{
	uint64_t begin_ns = clock_now_ns(), now_ns = begin_ns, since_ns;
	struct list *level;

	loop->saved_ns += (int64_t)(begin_ns - loop->now_ns) / OTHERS_PART;
	if (loop->saved_ns > DEFERRED_NS || (idle && loop->saved_ns < DEFERRED_NS))
		loop->saved_ns = DEFERRED_NS;
	while ((level = next_level(loop)) && loop->saved_ns > 0) {
		since_ns = now_ns;
		run_first(level);
		now_ns = clock_now_ns();
		loop->saved_ns -= (int64_t)(now_ns - since_ns);
	}
	loop->deferring = level || !list_is_empty(&loop->deferred[0]);
}

/* For a part of the time that all else has taken in this turn; but who has to wait for many that
 * came together is not to wait for long. */
static void run_timers(struct loop *loop)
{
	uint64_t begin_ns = clock_now_ns(), next_ns = wheel_next_ns(&loop->wheel);
	bool late = next_ns < begin_ns && begin_ns - next_ns > TIMERS_LATE_NS;
	uint64_t share_ns = (begin_ns - loop->now_ns) / (late ? 1 : TIMERS_PART);
	uint64_t end_ns = begin_ns + (share_ns > TIMERS_NS ? share_ns : TIMERS_NS);

	do
		wheel_advance(&loop->wheel, loop->now_ns, TIMERS_AT_ONCE);
	while (wheel_next_ns(&loop->wheel) <= loop->now_ns && clock_now_ns() < end_ns);
}

int loop_run(struct loop *loop)
{
	struct epoll_event events[EVENTS_PER_TURN];
	uint64_t waited_ns = clock_now_ns();
	bool idle;

	while (!loop->stopped) {
		int count = epoll_wait(loop->epoll, events, EVENTS_PER_TURN,
				       timeout_ms(loop, waited_ns));

		if (count < 0 && errno != EINTR)
			return -errno;
		loop->now_ns = clock_now_ns();
		idle = count <= 0 && list_is_empty(&loop->ready) &&
		       list_is_empty(&loop->deferred[0]);
		dispatch(loop, events, count);
		run_ready(loop);
		if (loop->deferring) {
			run_first_level(loop);
			run_other_levels(loop, idle);
		}
		run_timers(loop);
		if (loop->turned)
			loop->turned(loop);
		release_closed(loop);
		loop->turns++;
		waited_ns = clock_now_ns();
		loop->busy_ns += waited_ns - loop->now_ns;
		if (waited_ns - loop->now_ns > loop->longest_ns)
			loop->longest_ns = waited_ns - loop->now_ns;
	}
	return 0;
}
