/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which servers of an upstream are well, as requests and checks show it: pure decisions, with the
 * time as a parameter.
 *
 *     well ── errors in a row, or slower than its peers ──▶ ejected, for longer each time
 *      ▲                                                        │ time passes
 *      └──── trial requests succeed ◀── on probation ◀──────────┘ (one that fails ejects again)
 *
 * Active checks say yes or no besides, after so many in a row. Three things keep a decision from
 * doing harm: only a share of the servers may be ejected, below a share of servers that are well
 * none is passed over (panic), and who comes back starts slowly (up_since_ns).
 *
 * Any thread notes what it saw. A response costs a few loads and stores to the line of the server
 * that the request has just been counted in; anything rarer is decided under a flag that nobody
 * waits for: who finds it taken leaves the decision to the next one.
 *
 * Left out: asking (health_check.h), and who watches over it all (caretaker.h).
 */
#ifndef PROXY_UPSTREAM_SERVER_HEALTH_H
#define PROXY_UPSTREAM_SERVER_HEALTH_H

#include "proxy/upstream/server/server.h"

/* Of one upstream, for all threads. */
struct health {
	const char *upstream;          /* its name, for the log */
	struct config_ejection policy; /* as configured */
	struct config_health checks;
	struct server *servers;
	uint32_t count;
	atomic_flag deciding;
};

/* What became of a connection attempt or a request. */
enum server_outcome {
	SERVER_CONNECTED, /* a connection was made */
	SERVER_REFUSED,   /* it was not, for whatever reason that lies with the server */
	SERVER_ANSWERED,  /* a response came, of no status that counts as an error */
	SERVER_FAILED,    /* one came of a status that does: server_outcome_of() */
	SERVER_BROKE,     /* closed or reset under the request, or no valid response */
	SERVER_TIMEOUT,   /* no response in time */
};

/* Readies the first @count of the configuration's servers, zeroed, and what is decided about them;
 * both outlive every thread. */
void health_init(struct health *health, const struct config_upstream *config,
		 struct server *servers, uint32_t count);

/* The outcome of a response with that status. */
static inline enum server_outcome server_outcome_of(const struct server *server, uint16_t status)
{
	return config_statuses_have(&server->health->policy.statuses, status) ? SERVER_FAILED
									      : SERVER_ANSWERED;
}

/* Anything but the usual; see server_note_result(). */
void health_decide(struct server *server, enum server_outcome outcome, uint64_t now_ns);

/* The moving average gives a response an eighth of the say. Two threads that do this at once lose
 * one of the two, which no average notices. */
static inline void health_note_latency(struct server *server, uint64_t latency_ns)
{
	uint64_t was = atomic_load_explicit(&server->latency_ns, memory_order_relaxed);
	uint32_t responses = atomic_load_explicit(&server->responses, memory_order_relaxed);

	atomic_store_explicit(&server->latency_ns,
			      was ? was - was / 8 + latency_ns / 8 : latency_ns,
			      memory_order_relaxed);
	atomic_store_explicit(&server->responses, responses + 1, memory_order_relaxed);
}

/*
 * What a thread saw of a server: once for each connection attempt, and once for each request that
 * was sent. @latency_ns: from the request to the first byte of the response; 0: not known.
 */
static inline void server_note_result(struct server *server, enum server_outcome outcome,
				      uint64_t latency_ns, uint64_t now_ns)
{
	if (latency_ns && outcome == SERVER_ANSWERED)
		health_note_latency(server, latency_ns);
	if (outcome > SERVER_ANSWERED || outcome == SERVER_REFUSED ||
	    atomic_load_explicit(&server->refused, memory_order_relaxed) ||
	    atomic_load_explicit(&server->failed, memory_order_relaxed) ||
	    atomic_load_explicit(&server->probation, memory_order_relaxed))
		health_decide(server, outcome, now_ns);
}

/* A request was taken from it after that time, since another server had answered: neither a success
 * nor a failure, but who has not answered for longer than it usually takes is slow. */
static inline void server_note_abandoned(struct server *server, uint64_t waited_ns)
{
	if (waited_ns > atomic_load_explicit(&server->latency_ns, memory_order_relaxed))
		health_note_latency(server, waited_ns);
}

/* It is about to have another address: what was known of it was of somebody else. */
void health_arrive(struct server *server, uint64_t now_ns);

/* What an active check found, after so many in a row; by one thread. */
void health_checked(struct server *server, bool healthy, const char *why, uint64_t now_ns);

/* Ejects who has been much slower than its peers for several looks; about once a second, by one
 * thread. */
void health_judge_latency(struct health *health, uint64_t now_ns);
/* Whether so few are well that health is to be ignored. After servers came or went, and now and
 * then. */
void health_review(struct health *health, uint64_t now_ns);

#endif
