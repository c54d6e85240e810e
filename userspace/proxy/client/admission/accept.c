// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/admission/accept.h"
#include <errno.h>
#include "proxy/client/admission/balancer.h"
#include "proxy/client/admission/judge.h"
#include "proxy/client/admission/source_limit.h"
#include "proxy/client/client.h"
#include "proxy/client/overload/evict.h"
#include "proxy/client/overload/load.h"
#include "proxy/client/report.h"
#include "proxy/net/socket.h"

#define PAUSE_NS (50 * CLOCK_MS) /* after which a descriptor may have come free */
#define PLACE_NS (2 * CLOCK_MS)  /* between two who were put off and take the place of somebody */

enum {
	ACCEPTS_PER_TURN = 64,
	JUDGED_AT_ONCE = 4, /* as many put off cost as much as one that is judged */
	LAST_TURNS = 256,   /* for a queue as long as backlog is by default */
};

/* False: arrival->fd says why. */
static bool accept_one(const struct acceptor *acceptor, struct arrival *arrival)
{
	arrival->fd = socket_accept(acceptor->source.fd, &arrival->source, &arrival->port);
	if (arrival->fd < 0)
		return false;
	board_add(acceptor->listener->board, METRIC_CONNECTIONS_ACCEPTED, 1);
	return true;
}

static void turn_away(struct listener *listener, const struct arrival *arrival,
		      enum fw_verdict verdict)
{
	socket_reset(arrival->fd);
	report_turned_away(listener, &arrival->source, arrival->port, verdict);
}

static void admit(struct listener *listener, struct arrival *arrival)
{
	enum fw_verdict verdict = judge_newcomer(listener, &arrival->source, &arrival->fd);

	if (verdict == FW_NONE)
		verdict = client_open(listener, arrival->fd, &arrival->source, arrival->port);
	if (verdict != FW_NONE)
		turn_away(listener, arrival, verdict);
}

/*
 * When it is the turn of who has arrived from @source: as that of its connections (client.c), but
 * where somebody has to go for him who has one here already comes after who has none.
 */
static unsigned int turn_level(const struct listener *listener, const struct fw_addr *source)
{
	const struct worker *worker = listener->worker;
	struct tally_place place;
	unsigned int level;

	if (balancer_is_one(listener->config, source) || source_is_exempt(listener->config, source))
		return 0;
	place = tally_place(crowd_source(worker->shared->crowd, source, listener->service));
	level = usage_level(worker->usage, place, worker->loop.now_ns);
	return !level && load_lacks_room(listener) && judge_has_another(listener, source) ? 1
											  : level;
}

/* When it is the turn of those who were put off. */
static void await_turn(struct acceptor *acceptor)
{
	struct listener *listener = acceptor->listener;
	const struct arrival *first = arrivals_first(&acceptor->arrivals);

	if (first)
		loop_defer(&listener->worker->loop, &acceptor->arrivals.turn,
			   turn_level(listener, &first->source));
}

/* Lets him in, or puts him off, or if too many are sends him away. What that cost, of
 * ACCEPTS_PER_TURN. */
static int receive(struct acceptor *acceptor, struct arrival *arrival)
{
	struct listener *listener = acceptor->listener;
	enum fw_verdict verdict;

	if (!turn_level(listener, &arrival->source)) {
		admit(listener, arrival);
		return JUDGED_AT_ONCE;
	}
	if (arrivals_put(&acceptor->arrivals, arrival)) {
		await_turn(acceptor);
		return 1;
	}
	verdict = judge_crowd(listener, &arrival->source);
	if (verdict == FW_NONE)
		admit(listener, arrival);
	else
		turn_away(listener, arrival, verdict);
	return JUDGED_AT_ONCE;
}

/*
 * It is the turn of those who were put off. When somebody has to go for each they come one by one:
 * who had to go comes back with all who had to at that time, and so would they again and again.
 */
static void handle_arrivals(struct source *source, uint32_t events)
{
	struct arrivals *arrivals = container_of(source, struct arrivals, turn);
	struct acceptor *acceptor = container_of(arrivals, struct acceptor, arrivals);
	struct listener *listener = acceptor->listener;
	struct loop *loop = &listener->worker->loop;
	struct arrival arrival;

	(void)events;
	for (int i = 0; i < JUDGED_AT_ONCE && arrivals->count; i++) {
		if (load_lacks_room(listener)) {
			if (acceptor->place.due_ms)
				return;
			timer_arm(&loop->wheel, &acceptor->place, loop->now_ns + PLACE_NS);
		}
		arrivals_take(arrivals, &arrival);
		admit(listener, &arrival);
	}
	await_turn(acceptor);
}

static void give_place(struct timer *timer)
{
	await_turn(container_of(timer, struct acceptor, place));
}

/* Accepting rests a while: who comes now waits in the kernel's queue. */
static void pause_accepting(struct acceptor *acceptor)
{
	struct listener *listener = acceptor->listener;
	struct loop *loop = &listener->worker->loop;

	board_add(listener->board, METRIC_ACCEPT_PAUSES, 1);
	timer_arm(&loop->wheel, &acceptor->resume, loop->now_ns + PAUSE_NS);
}

/*
 * No descriptor is left, not even for turning someone away, and nobody can be evicted for one. The
 * spare serves for that; a listening socket that is not emptied would be reported for ever.
 */
static void turn_all_away(struct acceptor *acceptor)
{
	struct listener *listener = acceptor->listener;
	struct worker *worker = listener->worker;
	struct arrival arrival;

	reserve_lend(&worker->reserve);
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		if (!accept_one(acceptor, &arrival))
			break;
		turn_away(listener, &arrival, FW_DESCRIPTORS);
	}
	reserve_restore(&worker->reserve);
	overload_raise(&worker->overload, OVERLOAD_PAUSE, worker->loop.now_ns);
	pause_accepting(acceptor);
}

/* As many as a turn has time for. Whether more may wait. */
static bool accept_some(struct acceptor *acceptor)
{
	static const struct fw_addr unknown; /* until he is accepted */
	struct arrival arrival;
	int left = ACCEPTS_PER_TURN;

	while (left > 0) {
		if (accept_one(acceptor, &arrival)) {
			left -= receive(acceptor, &arrival);
		} else if (arrival.fd == -EAGAIN) {
			return false;
		} else if (!evict_for_newcomer(acceptor->listener, EVICT_OF_WORKER, &unknown)) {
			turn_all_away(acceptor);
			return false;
		}
	}
	return true;
}

static void handle_listening(struct source *source, uint32_t events)
{
	struct acceptor *acceptor = container_of(source, struct acceptor, source);
	struct worker *worker = acceptor->listener->worker;

	(void)events;
	if (acceptor->resume.due_ms)
		return;
	if (worker->overload.measured >= OVERLOAD_PAUSE)
		pause_accepting(acceptor);
	else if (accept_some(acceptor))
		loop_requeue(&worker->loop, source);
}

static void resume_accepting(struct timer *timer)
{
	struct acceptor *acceptor = container_of(timer, struct acceptor, resume);

	handle_listening(&acceptor->source, 0);
}

int acceptor_open(struct acceptor *acceptor, struct listener *listener, int fd)
{
	int code = socket_prepare_listening(fd);

	if (code < 0)
		return code;
	*acceptor = (struct acceptor){
		.source = {.fd = fd, .handle = handle_listening},
		.listener = listener,
		.arrivals = {.turn = {.fd = -1, .handle = handle_arrivals}},
		.place = {.fire = give_place},
		.resume = {.fire = resume_accepting},
	};
	list_init(&acceptor->arrivals.turn.node);
	return loop_watch(&listener->worker->loop, &acceptor->source, EPOLLIN);
}

void acceptor_empty(struct acceptor *acceptor)
{
	for (int turn = 0; turn < LAST_TURNS && accept_some(acceptor); turn++)
		;
}

void acceptor_close(struct acceptor *acceptor)
{
	struct worker *worker = acceptor->listener->worker;
	struct loop *loop = &worker->loop;
	struct arrival arrival;

	if (acceptor->source.fd < 0)
		return;
	/* Whom the kernel has given to us nobody else can take. */
	while (arrivals_take(&acceptor->arrivals, &arrival)) {
		if (worker->draining)
			admit(acceptor->listener, &arrival);
		else
			socket_reset(arrival.fd);
	}
	list_remove(&acceptor->arrivals.turn.node);
	timer_cancel(&loop->wheel, &acceptor->place);
	timer_cancel(&loop->wheel, &acceptor->resume);
	loop_unwatch(loop, &acceptor->source);
	loop_close(loop, &acceptor->source);
}
