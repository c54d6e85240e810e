// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/admission/accept.h"
#include <errno.h>
#include <sys/socket.h>
#include "proxy/client/admission/judge.h"
#include "proxy/client/admission/standing.h"
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
	LOOKED_AT = 4,      /* of those who wait */
	DESCRIPTORS_PART = 32,
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

static enum fw_verdict admit(struct listener *listener, struct arrival *arrival)
{
	enum fw_verdict verdict = judge_newcomer(listener, &arrival->source, &arrival->fd);

	if (verdict == FW_NONE)
		verdict = client_open(listener, arrival->fd, &arrival->source, arrival->port);
	if (verdict != FW_NONE)
		turn_away(listener, arrival, verdict);
	return verdict;
}

/* When it is the turn of who has arrived: as that of his source's connections (client.c), but where
 * somebody has to go for him who has one here already comes after who has none. */
static unsigned int turn_level(const struct listener *listener, const struct arrival *arrival)
{
	unsigned int level = standing_level(listener, &arrival->source);

	if (level == 0 && load_lacks_room(listener) &&
	    standing_has_another(listener, &arrival->source))
		level = 1;
	return level;
}

/* When it is the turn of those who were put off. Where somebody has to go for each it is the timer
 * that keeps them from coming too fast. */
static void await_turn(struct acceptor *acceptor)
{
	const struct listener *listener = acceptor->listener;
	const struct arrival *first = arrivals_first(&acceptor->arrivals);

	if (first && !acceptor->place.due_ms)
		loop_defer(&listener->worker->loop, &acceptor->arrivals.turn,
			   load_lacks_room(listener) ? 0 : turn_level(listener, first));
}

/* How many may wait: each has a descriptor, for which nobody of them can be evicted. */
static uint32_t arrivals_most(const struct listener *listener)
{
	uint64_t kept = listener->live.value[FW_SET_HOST_DESCRIPTOR_RESERVE];
	uint64_t part = reserve_limit(&listener->worker->reserve, kept) / DESCRIPTORS_PART;

	return part < ARRIVALS_MOST ? (uint32_t)part : ARRIVALS_MOST;
}

/* One more wants to wait than there may be. Of him and some who do, whoever they are, he has to go
 * who would be last: so nobody can take all places for good, and keep others out. */
static void crowd_out(struct acceptor *acceptor, struct arrival *arrival)
{
	struct listener *listener = acceptor->listener;
	unsigned int last = turn_level(listener, arrival), level;
	struct arrival *worst = arrival, goes;
	uint32_t any[LOOKED_AT];
	enum fw_verdict verdict;

	random_fill(&listener->worker->random, any, sizeof(any));
	for (int i = 0; i < LOOKED_AT && acceptor->arrivals.count; i++) {
		struct arrival *other = arrivals_at(&acceptor->arrivals, any[i]);

		level = turn_level(listener, other);
		if (level > last) {
			last = level;
			worst = other;
		}
	}
	goes = *worst;
	*worst = *arrival;
	verdict = judge_crowd(listener, &goes.source);
	if (verdict == FW_NONE)
		admit(listener, &goes);
	else
		turn_away(listener, &goes, verdict);
}

/* Lets him in, or puts him off. What that cost, of ACCEPTS_PER_TURN. */
static int receive(struct acceptor *acceptor, struct arrival *arrival)
{
	struct listener *listener = acceptor->listener;

	if (turn_level(listener, arrival) == 0) {
		admit(listener, arrival);
	} else if (arrivals_put(&acceptor->arrivals, arrival, arrivals_most(listener))) {
		await_turn(acceptor);
		return 1;
	} else {
		crowd_out(acceptor, arrival);
	}
	return JUDGED_AT_ONCE;
}

/* Whether @arrival has left again while he waited. */
static bool has_left(const struct arrival *arrival)
{
	char first;
	ssize_t count = recv(arrival->fd, &first, sizeof(first), MSG_PEEK | MSG_DONTWAIT);

	return count == 0 || (count < 0 && errno != EAGAIN);
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
	bool displaces;

	(void)events;
	for (int i = 0; i < JUDGED_AT_ONCE && !acceptor->place.due_ms; i++) {
		if (!arrivals_take(arrivals, &arrival))
			return;
		displaces = load_lacks_room(listener);
		if (displaces && has_left(&arrival))
			turn_away(listener, &arrival, FW_CLIENT_CLOSED);
		else if (admit(listener, &arrival) == FW_NONE && displaces)
			timer_arm(&loop->wheel, &acceptor->place, loop->now_ns + PLACE_NS);
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
