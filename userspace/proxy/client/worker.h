/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything that one thread of the proxy owns. Threads share nothing that a request touches but a
 * few counters: each has its own listening sockets, loop, memory, upstream links and log, and a
 * connection stays with the thread that accepted it.
 */
#ifndef PROXY_CLIENT_WORKER_H
#define PROXY_CLIENT_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/account.h"
#include "base/buffer.h"
#include "base/random.h"
#include "proxy/client/back/session_engine.h"
#include "proxy/client/front/http2_engine.h"
#include "proxy/client/overload/kin.h"
#include "proxy/client/overload/relief.h"
#include "proxy/client/pipes.h"
#include "proxy/guard/access_log.h"
#include "proxy/guard/board.h"
#include "proxy/guard/conduct.h"
#include "proxy/guard/crowd.h"
#include "proxy/guard/gate.h"
#include "proxy/guard/live.h"
#include "proxy/guard/overload.h"
#include "proxy/guard/pacer.h"
#include "proxy/guard/reserve.h"
#include "proxy/guard/sampler.h"
#include "proxy/guard/socket_memory.h"
#include "proxy/guard/usage.h"
#include "proxy/loop/loop.h"
#include "proxy/net/tls/tls.h"
#include "proxy/proxy.h"
#include "proxy/upstream/upstream.h"

struct client;
struct router;

/* What the threads share. */
struct proxy_shared {
	const struct proxy_options *options;
	const volatile uint64_t *settings; /* the live table */
	volatile uint64_t *board;
	atomic_uint connections;            /* of the host */
	atomic_uint *listener_connections;  /* per service of the configuration */
	struct router **routers;            /* the same */
	struct worker **workers;            /* all there before any of them runs */
	struct upstream_shared **upstreams; /* per upstream of the configuration */
	struct gate *gate;                  /* of TLS handshakes */
	struct pacer *requests;             /* how fast sources make them */
	struct crowd *crowd;
	struct conduct *conduct; /* how sources' connections end */
	struct socket_memory sockets;
	atomic_bool draining;
	_Atomic uint64_t drain_ms; /* for it, once that is true */
	atomic_bool is_last;       /* nobody else accepts from the sockets */
};

/* Where clients stand, for whoever has to choose one (evict.h). */
enum ward {
	WARD_NEW,  /* nothing of a request is complete, or it was refused */
	WARD_IDLE, /* between requests */
	WARD_BUSY, /* inside a request, or relayed */
	WARDS,
};

/* A thread's view of a service that it serves. */
struct listener {
	const struct config_service *config;
	uint32_t service; /* its id in the maps */
	struct worker *worker;
	const struct tls_site *site; /* NULL: no TLS */
	struct live live;
	struct ledger ledger; /* of its connections' memory */
	struct ledger links;  /* of that of connections to servers for their requests */
	struct board_row board;
	struct sampler sampler;
	atomic_uint *connections;      /* of all threads */
	uint32_t active;               /* of this one … */
	uint32_t idle;                 /* … that stand in WARD_IDLE */
	struct list wards[WARDS];      /* every client, by its node */
	struct overload overload;      /* of what is its own; see listener_stage() */
	uint64_t shortened_ns;         /* when its stage last shortened deadlines */
	_Atomic uint64_t offer;        /* of its worst client, to other threads: elsewhere.c */
	struct router *router;         /* of all threads */
	struct upstream_pool **routes; /* pools of config->routes; NULL: of one without */
};

struct worker {
	struct loop loop;
	uint32_t index;
	bool draining;
	uint64_t drain_ns;        /* since when */
	_Atomic uint64_t beat_ns; /* when it looked around last; read by any thread */
	struct proxy_shared *shared;
	struct pool_budget budget;
	struct pool clients, exchanges, relays;
	struct http2_engine http2;      /* of clients */
	struct session_engine sessions; /* of servers */
	struct pipes pipes;             /* of relays */
	struct buffers buffers;
	struct tls_engine *tls;
	struct upstream_pool **pools; /* per upstream of the configuration */
	struct listener *listeners;   /* those of the configuration */
	size_t listener_count;
	struct acceptor *acceptors;
	size_t acceptor_count;
	struct kin kin;
	uint32_t clients_open, clients_idle;
	struct usage *usage;      /* of its time, by sources */
	bool walking;             /* through the wards: nobody is moved or evicted meanwhile */
	struct relief relief;     /* of what the machine's sockets hold */
	size_t evict_next;        /* listener whose turn it is to give one up */
	struct overload overload; /* of what all listeners share */
	uint64_t latency_ns;      /* longest turn in the tick before this one */
	struct reserve reserve;
	struct random random;
	struct access_log log;
	struct board_row board; /* of the host: what concerns no listener */
	volatile struct fw_complaints *complaints;
	struct timer tick, drain_end;
};

/* 0, or −errno with @error. On failure nothing is left behind. */
int worker_create(struct proxy_shared *shared, uint32_t index, struct worker **worker,
		  struct error *error);
/* Serves until drained. 0, or −errno: the loop failed. */
int worker_run(struct worker *worker);
/* After shared->draining was set; from any thread. */
void worker_wake(struct worker *worker);
void worker_free(struct worker *worker); /* NULL is allowed */

/* Sets the deadlines of a listener's clients anew: settings, or the stage, have changed. */
void worker_review_clients(struct listener *listener);

/* What is to be done for the listener: for want of what is its own, or the whole thread's. */
static inline enum overload_stage listener_stage(const struct listener *listener)
{
	uint8_t own = listener->overload.stage, all = listener->worker->overload.stage;

	return own > all ? own : all;
}

/* A client has gone: a worker that drains ends with its last one. */
void worker_notice_leave(struct worker *worker);

#endif
