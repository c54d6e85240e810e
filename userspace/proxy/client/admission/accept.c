// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/admission/accept.h"
#include <errno.h>
#include "base/log.h"
#include "proxy/client/admission/balancer.h"
#include "proxy/client/admission/fault.h"
#include "proxy/client/admission/source_limit.h"
#include "proxy/client/client.h"
#include "proxy/client/overload/elsewhere.h"
#include "proxy/client/overload/evict.h"
#include "proxy/client/overload/load.h"
#include "proxy/client/report.h"
#include "proxy/net/socket.h"
#include "wall/wall.h"

#define PAUSE_NS (50 * CLOCK_MS) /* after which a descriptor may have come free */

/* For which the filter keeps out who comes back too often: as long as a SYN takes to come again,
 * and up to so much longer. */
#define ABSENCE_NS        CLOCK_SEC
#define ABSENCE_SPREAD_NS (3 * CLOCK_SEC)

enum {
	ACCEPTS_PER_TURN = 64,
	JUDGED_AT_ONCE = 4, /* as many put off cost as much as one that is judged */
	LAST_TURNS = 256,   /* for a queue as long as backlog is by default */
	SEVERAL = 4,        /* connections of one source */
};

/*
 * Connections of @source at @level beyond so many? The kernel has counted this one already, and
 * none of a source on the allow list. @rule in monitor mode: the filter has counted it as such.
 */
static bool is_beyond(const struct listener *listener, const struct fw_addr *source,
		      uint64_t number, enum fw_level level, enum fw_verdict rule)
{
	struct wall *wall = listener->worker->shared->options->wall;

	return wall_connections(wall, source, listener->service, level) > number &&
	       wall_rule_mode(wall, rule) == FW_MODE_ENFORCE;
}

/* The same, by the cap that @setting is; 0: none. */
static bool is_over(const struct listener *listener, const struct fw_addr *source,
		    enum fw_setting setting, enum fw_level level, enum fw_verdict rule)
{
	uint64_t cap = listener->live.value[setting];

	return cap && is_beyond(listener, source, cap, level, rule);
}

static enum fw_verdict judge_source(const struct listener *listener, const struct fw_addr *source)
{
	if (balancer_is_one(listener->config, source))
		return FW_NONE; /* its clients are judged one by one */
	if (listener->config->balancers.others == PEERS_REFUSE)
		return FW_UNTRUSTED_PEER;
	if (listener->live.value[FW_SET_MONITOR])
		return FW_NONE;
	if (is_over(listener, source, FW_SET_SOURCE_CONNECTIONS, FW_LEVEL_SOURCE,
		    FW_SOURCE_CONNECTIONS))
		return FW_SOURCE_CONNECTIONS;
	if (is_over(listener, source, FW_SET_PREFIX_CONNECTIONS, FW_LEVEL_PREFIX,
		    FW_PREFIX_CONNECTIONS))
		return FW_PREFIX_CONNECTIONS;
	return FW_NONE;
}

/* Nobody is worse than who has just come. */
static enum fw_verdict refuse(struct overload *overload, uint64_t now_ns, enum fw_verdict verdict)
{
	overload_raise(overload, OVERLOAD_REFUSE, now_ns);
	return verdict;
}

/* Somebody worse has to go: of this thread, or else of another one; or somebody of many. */
static bool displace(struct listener *listener, enum evict_scope scope,
		     const struct fw_addr *source)
{
	return evict_for_newcomer(listener, scope, source) ||
	       elsewhere_ask(listener, scope, source) || evict_one_of_many(listener, source);
}

/* What newcomers may take is used up: of the host's, then of the listener's. FW_NONE: there is
 * room, or somebody else has made it. @fd is another one then, if it was too high. */
static enum fw_verdict make_room(struct listener *listener, const struct fw_addr *source, int *fd)
{
	struct worker *worker = listener->worker;
	const uint64_t *live = listener->live.value;
	uint64_t now_ns = worker->loop.now_ns;
	bool displaced = false;

	if (!reserve_permits(&worker->reserve, *fd, live[FW_SET_HOST_DESCRIPTOR_RESERVE])) {
		if (!displace(listener, EVICT_OF_WORKER, source))
			return refuse(&worker->overload, now_ns, FW_DESCRIPTORS);
		*fd = reserve_lower(*fd);
		displaced = true;
	}
	if (atomic_load(&worker->shared->connections) >= live[FW_SET_HOST_MAX_CONNECTIONS]) {
		if (!displace(listener, EVICT_OF_WORKER, source))
			return refuse(&worker->overload, now_ns, FW_HOST_CONNECTIONS);
		displaced = true;
	}
	if (atomic_load(listener->connections) >= live[FW_SET_MAX_CONNECTIONS]) {
		if (!displace(listener, EVICT_OF_LISTENER, source))
			return refuse(&listener->overload, now_ns, FW_LISTENER_CONNECTIONS);
		displaced = true;
	}
	if (displaced || !load_lacks_room(listener))
		return FW_NONE;
	displaced = evict_for_newcomer(listener,
				       worker->overload.stage >= OVERLOAD_EVICT ? EVICT_OF_WORKER
										: EVICT_OF_LISTENER,
				       source);
	return displaced || worker->overload.measured < OVERLOAD_REFUSE ? FW_NONE : FW_OVERLOAD;
}

/* Everybody another while, so that they do not come back together. */
static uint64_t absence_ns(struct worker *worker)
{
	uint32_t any;

	random_fill(&worker->random, &any, sizeof(any));
	return ABSENCE_NS + any % (ABSENCE_SPREAD_NS / CLOCK_MS) * CLOCK_MS;
}

/* Somebody would have to go: not for who has several connections here, and comes back as often as
 * those who had to go do. Who has nothing else here may always ask. */
static enum fw_verdict judge_return(const struct listener *listener, const struct fw_addr *source)
{
	struct worker *worker = listener->worker;
	uint64_t now_ns = worker->loop.now_ns;

	if (balancer_is_one(listener->config, source) ||
	    source_is_exempt(listener->config, source) ||
	    !gate_connection(worker->shared->gate, listener->service, source, now_ns))
		return FW_NONE;
	if (!load_lacks_room(listener) || listener->live.value[FW_SET_MONITOR] ||
	    !is_beyond(listener, source, SEVERAL, FW_LEVEL_SOURCE, FW_SOURCE_CONDUCT))
		return FW_NONE;
	fault_complain(listener, source, now_ns + absence_ns(worker));
	return FW_SOURCE_CONDUCT;
}

/* Under overload: who would be refused his handshake is refused now, for less. */
static enum fw_verdict judge_handshakes(const struct listener *listener,
					const struct fw_addr *source)
{
	const struct worker *worker = listener->worker;
	uint64_t now_ns = worker->loop.now_ns, wait_ns;

	if (!listener->site || listener_stage(listener) < OVERLOAD_SHORTEN ||
	    balancer_is_one(listener->config, source) || source_is_exempt(listener->config, source))
		return FW_NONE;
	wait_ns =
		gate_wait(worker->shared->gate, &listener->live, listener->service, source, now_ns);
	if (!wait_ns)
		return FW_NONE;
	fault_complain(listener, source, now_ns + wait_ns);
	return FW_SOURCE_HANDSHAKE_RATE;
}

/* Whether a connection may stay. Who has too many is not given the place of another. */
static enum fw_verdict judge(struct listener *listener, const struct fw_addr *source, int *fd)
{
	enum fw_verdict verdict = judge_source(listener, source);

	if (verdict == FW_NONE)
		verdict = fault_judge(listener, source);
	if (verdict == FW_NONE)
		verdict = judge_return(listener, source);
	if (verdict == FW_NONE)
		verdict = judge_handshakes(listener, source);
	return verdict == FW_NONE ? make_room(listener, source, fd) : verdict;
}

static void admit(struct listener *listener, const struct arrival *arrival)
{
	const struct fw_addr *source = &arrival->source;
	uint16_t port = arrival->port;
	int fd = arrival->fd;
	enum fw_verdict verdict = judge(listener, source, &fd);

	board_add(listener->board, METRIC_CONNECTIONS_ACCEPTED, 1);
	if (verdict == FW_NONE)
		verdict = client_open(listener, fd, source, port);
	if (verdict != FW_NONE) {
		socket_reset(fd);
		report_turned_away(listener, source, port, verdict);
	}
}

/* When it is the turn of who has arrived from @source (client.c has the same of his connection). */
static unsigned int turn_level(const struct listener *listener, const struct fw_addr *source)
{
	const struct worker *worker = listener->worker;

	if (balancer_is_one(listener->config, source) || source_is_exempt(listener->config, source))
		return 0;
	return usage_level(
		worker->usage,
		tally_place(crowd_source(worker->shared->crowd, source, listener->service)),
		worker->loop.now_ns);
}

/* Lets him in, or puts him off. What that cost, of ACCEPTS_PER_TURN. */
static int receive(struct acceptor *acceptor, const struct arrival *arrival)
{
	struct listener *listener = acceptor->listener;
	unsigned int level = turn_level(listener, &arrival->source);

	if (level && arrivals_put(&acceptor->arrivals, arrival)) {
		loop_defer(&listener->worker->loop, &acceptor->arrivals.turn, level);
		return 1;
	}
	admit(listener, arrival);
	return JUDGED_AT_ONCE;
}

/* It is the turn of those who were put off. */
static void handle_arrivals(struct source *source, uint32_t events)
{
	struct arrivals *arrivals = container_of(source, struct arrivals, turn);
	struct acceptor *acceptor = container_of(arrivals, struct acceptor, arrivals);
	struct listener *listener = acceptor->listener;
	struct arrival arrival;

	(void)events;
	for (int i = 0; i < JUDGED_AT_ONCE && arrivals_take(arrivals, &arrival); i++)
		admit(listener, &arrival);
	if (arrivals->count)
		loop_defer(&listener->worker->loop, source,
			   turn_level(listener, &arrivals_first(arrivals)->source));
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
static void turn_away(struct acceptor *acceptor)
{
	struct listener *listener = acceptor->listener;
	struct worker *worker = listener->worker;
	struct fw_addr source;
	uint16_t port;
	int fd;

	reserve_lend(&worker->reserve);
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		fd = socket_accept(acceptor->source.fd, &source, &port);
		if (fd < 0)
			break;
		socket_reset(fd);
		board_add(listener->board, METRIC_CONNECTIONS_ACCEPTED, 1);
		report_turned_away(listener, &source, port, FW_DESCRIPTORS);
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
		arrival.fd = socket_accept(acceptor->source.fd, &arrival.source, &arrival.port);
		if (arrival.fd == -EAGAIN)
			return false;
		if (arrival.fd >= 0) {
			left -= receive(acceptor, &arrival);
		} else if (!evict_for_newcomer(acceptor->listener, EVICT_OF_WORKER, &unknown)) {
			turn_away(acceptor);
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
	timer_cancel(&loop->wheel, &acceptor->resume);
	loop_unwatch(loop, &acceptor->source);
	loop_close(loop, &acceptor->source);
}
