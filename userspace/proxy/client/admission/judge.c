// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/admission/judge.h"
#include "proxy/client/admission/balancer.h"
#include "proxy/client/admission/fault.h"
#include "proxy/client/admission/standing.h"
#include "proxy/client/overload/elsewhere.h"
#include "proxy/client/overload/evict.h"
#include "proxy/client/overload/load.h"
#include "wall/wall.h"

/* For which the filter keeps out who comes back too often: as long as a SYN takes to come again,
 * and up to so much longer. */
#define ABSENCE_NS        CLOCK_SEC
#define ABSENCE_SPREAD_NS (3 * CLOCK_SEC)

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
	       elsewhere_ask(listener, scope, source) || evict_for_first(listener, source);
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

/* For a while, if somebody would have to go for him, whose source has more than @number connections
 * (this one is counted). */
static enum fw_verdict send_away(const struct listener *listener, const struct fw_addr *source,
				 uint64_t number)
{
	struct worker *worker = listener->worker;

	if (!load_lacks_room(listener) || listener->live.value[FW_SET_MONITOR] ||
	    !is_beyond(listener, source, number, FW_LEVEL_SOURCE, FW_SOURCE_CONDUCT))
		return FW_NONE;
	fault_complain(listener, source, worker->loop.now_ns + absence_ns(worker));
	return FW_SOURCE_CONDUCT;
}

/* Somebody would have to go: not for who has several connections here, and comes back as often as
 * those who had to go do. Who has nothing else here may always ask. */
static enum fw_verdict judge_return(const struct listener *listener, const struct fw_addr *source)
{
	struct worker *worker = listener->worker;

	if (standing_is_exempt(listener, source) ||
	    !gate_connection(worker->shared->gate, listener->service, source, worker->loop.now_ns))
		return FW_NONE;
	return send_away(listener, source, STANDING_SEVERAL);
}

/* Under overload: who would be refused his handshake is refused now, for less. */
static enum fw_verdict judge_handshakes(const struct listener *listener,
					const struct fw_addr *source)
{
	const struct worker *worker = listener->worker;
	uint64_t now_ns = worker->loop.now_ns, wait_ns;

	if (!listener->site || listener_stage(listener) < OVERLOAD_SHORTEN ||
	    standing_is_exempt(listener, source))
		return FW_NONE;
	wait_ns =
		gate_wait(worker->shared->gate, &listener->live, listener->service, source, now_ns);
	if (!wait_ns)
		return FW_NONE;
	fault_complain(listener, source, now_ns + wait_ns);
	return FW_SOURCE_HANDSHAKE_RATE;
}

enum fw_verdict judge_newcomer(struct listener *listener, const struct fw_addr *source, int *fd)
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

enum fw_verdict judge_crowd(const struct listener *listener, const struct fw_addr *source)
{
	enum fw_verdict verdict = fault_judge(listener, source); /* that may be for longer */

	/* Who has neither may have had much of the thread by right, or by the sketch's error. */
	if (verdict == FW_NONE &&
	    (standing_has_another(listener, source) || standing_has_faults(listener, source)))
		verdict = send_away(listener, source, 0);
	return verdict;
}
