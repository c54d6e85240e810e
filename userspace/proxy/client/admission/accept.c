// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/admission/accept.h"
#include <errno.h>
#include <sys/socket.h>
#include "proxy/client/admission/fault.h"
#include "proxy/client/admission/judge.h"
#include "proxy/client/admission/silence.h"
#include "proxy/client/admission/standing.h"
#include "proxy/client/client.h"
#include "proxy/client/overload/evict.h"
#include "proxy/client/overload/load.h"
#include "proxy/client/report.h"
#include "proxy/net/socket.h"

#define PAUSE_NS (50 * CLOCK_MS)  /* after which a descriptor may have come free */
#define BACK_NS  (10 * CLOCK_SEC) /* after an overload, in which who was turned away comes back */
#define PLACE_NS (2 * CLOCK_MS)   /* between two who come in one by one */

enum {
	ACCEPTS_PER_TURN = 64,
	JUDGED_AT_ONCE = 4,    /* as many put off cost as much as one that is judged */
	LAST_TURNS = 256,      /* for a queue as long as backlog is by default */
	LOOKED_AT = 4,         /* of those who wait */
	DESCRIPTORS_PART = 64, /* for each lane */
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
	if (silence_befits_newcomer(listener, arrival->fd, &arrival->source, verdict))
		silence_keep(listener, arrival->fd);
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

/* Who was turned away under overload comes back with all who were at that time. */
static bool comes_back(const struct listener *listener, const struct fw_addr *source)
{
	uint64_t now_ns = listener->worker->loop.now_ns;
	bool after_overload = listener->shortened_ns && now_ns - listener->shortened_ns < BACK_NS;

	return (after_overload && standing_has_faults(listener, source) &&
		fault_is_enforced(listener)) ||
	       (load_lacks_room(listener) && standing_has_another(listener, source));
}

/* Whether those of a lane come in one by one: else they would be turned away together again, and
 * come back together. */
static bool is_single_file(const struct arrivals *lane)
{
	const struct acceptor *acceptor = lane->acceptor;

	return lane == &acceptor->lane[LANE_BACK] || load_lacks_room(acceptor->listener);
}

/* When it is their turn: as that of connections of the first one's source (client.c), or when the
 * timer says. */
static void await_turn(struct arrivals *lane)
{
	const struct listener *listener = lane->acceptor->listener;
	const struct arrival *first = arrivals_first(lane);

	if (first && !lane->place.due_ms)
		loop_defer(&listener->worker->loop, &lane->turn,
			   is_single_file(lane) ? 0 : standing_level(listener, &first->source));
}

/* How many may wait: each has a descriptor, for which nobody of them can be evicted. */
static uint32_t arrivals_most(const struct listener *listener)
{
	uint64_t kept = listener->live.value[FW_SET_HOST_DESCRIPTOR_RESERVE];
	uint64_t part = reserve_limit(&listener->worker->reserve, kept) / DESCRIPTORS_PART;

	return part < ARRIVALS_MOST ? (uint32_t)part : ARRIVALS_MOST;
}

/* One more wants to wait than there may be. Where there is room he makes it the turn of who has
 * waited longest. Else he has to go, of him and some who wait, whoever they are, whose source has
 * had most: so nobody can take all places for good, and keep others out. */
static void crowd_out(struct arrivals *lane, struct arrival *arrival)
{
	struct listener *listener = lane->acceptor->listener;
	unsigned int last = standing_level(listener, &arrival->source), level;
	struct arrival *worst = arrival, goes;
	uint32_t any[LOOKED_AT];
	enum fw_verdict verdict;

	if (!load_lacks_room(listener) && arrivals_take(lane, &goes)) {
		arrivals_put(lane, arrival, ARRIVALS_MOST);
		admit(listener, &goes);
		return;
	}
	random_fill(&listener->worker->random, any, sizeof(any));
	for (int i = 0; i < LOOKED_AT && lane->count; i++) {
		struct arrival *other = arrivals_at(lane, any[i]);

		level = standing_level(listener, &other->source);
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

/* Where he has to wait; NULL: he is let in at once. */
static struct arrivals *lane_of(struct acceptor *acceptor, const struct fw_addr *source)
{
	const struct listener *listener = acceptor->listener;

	if (standing_is_exempt(listener, source))
		return NULL;
	if (comes_back(listener, source))
		return &acceptor->lane[LANE_BACK];
	return standing_level(listener, source) ? &acceptor->lane[LANE_LATE] : NULL;
}

/* Lets him in, or puts him off. What that cost, of ACCEPTS_PER_TURN. */
static int receive(struct acceptor *acceptor, struct arrival *arrival)
{
	struct listener *listener = acceptor->listener;
	struct arrivals *lane = lane_of(acceptor, &arrival->source);

	if (!lane) {
		admit(listener, arrival);
	} else if (arrivals_put(lane, arrival, arrivals_most(listener))) {
		await_turn(lane);
		return 1;
	} else {
		crowd_out(lane, arrival);
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

/* It is the turn of those of a lane. */
static void handle_lane(struct source *source, uint32_t events)
{
	struct arrivals *lane = container_of(source, struct arrivals, turn);
	struct listener *listener = lane->acceptor->listener;
	struct loop *loop = &listener->worker->loop;
	struct arrival arrival;
	bool single;

	(void)events;
	for (int i = 0; i < JUDGED_AT_ONCE && !lane->place.due_ms; i++) {
		if (!arrivals_take(lane, &arrival))
			return;
		single = is_single_file(lane);
		if (single && has_left(&arrival))
			turn_away(listener, &arrival, FW_CLIENT_CLOSED);
		else if (admit(listener, &arrival) == FW_NONE && single)
			timer_arm(&loop->wheel, &lane->place, loop->now_ns + PLACE_NS);
	}
	await_turn(lane);
}

static void give_place(struct timer *timer)
{
	await_turn(container_of(timer, struct arrivals, place));
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
	int code;

	/* acceptor_close() has to know it however this ends. */
	*acceptor = (struct acceptor){
		.source = {.fd = fd, .handle = handle_listening},
		.listener = listener,
		.resume = {.fire = resume_accepting},
	};
	list_init(&acceptor->source.node);
	for (int i = 0; i < LANES; i++) {
		struct arrivals *lane = &acceptor->lane[i];

		lane->acceptor = acceptor;
		lane->turn = (struct source){.fd = -1, .handle = handle_lane};
		lane->place.fire = give_place;
		list_init(&lane->turn.node);
	}
	code = socket_prepare_listening(fd);
	return code < 0 ? code : loop_watch(&listener->worker->loop, &acceptor->source, EPOLLIN);
}

void acceptor_empty(struct acceptor *acceptor)
{
	for (int turn = 0; turn < LAST_TURNS && accept_some(acceptor); turn++)
		;
}

/* Whom the kernel has given to us nobody else can take. */
static void close_lane(struct arrivals *lane)
{
	struct listener *listener = lane->acceptor->listener;
	struct arrival arrival;

	while (arrivals_take(lane, &arrival)) {
		if (listener->worker->draining)
			admit(listener, &arrival);
		else
			socket_reset(arrival.fd);
	}
	list_remove(&lane->turn.node);
	timer_cancel(&listener->worker->loop.wheel, &lane->place);
}

void acceptor_close(struct acceptor *acceptor)
{
	struct loop *loop = &acceptor->listener->worker->loop;

	if (acceptor->source.fd < 0)
		return;
	for (int i = 0; i < LANES; i++)
		close_lane(&acceptor->lane[i]);
	timer_cancel(&loop->wheel, &acceptor->resume);
	loop_unwatch(loop, &acceptor->source);
	loop_close(loop, &acceptor->source);
}
