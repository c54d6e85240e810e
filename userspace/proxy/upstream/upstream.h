/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections to the servers of an upstream, for all threads: a link is lent to one exchange at a
 * time, and waits idle, still watched by epoll, for the next, which may be another thread's. Each
 * thread has its own pool of them; what must hold for all together, the caps and which servers are
 * down, is shared.
 *
 * Which server: balance.h. One that refused is passed over for a short while.
 * Left out: active health checks, and what is sent over a link.
 */
#ifndef PROXY_UPSTREAM_UPSTREAM_H
#define PROXY_UPSTREAM_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>
#include "base/pool.h"
#include "config/config.h"
#include "proxy/loop/loop.h"
#include "proxy/net/tls/credentials/credentials.h"
#include "proxy/upstream/capacity/queue.h"
#include "proxy/upstream/link.h"

enum { UPSTREAM_SERVERS_MAX = CONFIG_SERVERS_MAX };

struct tls_engine;
/* Of one upstream, for all threads. */
struct upstream_shared;
/* Of one upstream, for one thread: pool.h. */
struct upstream_pool;

/* NULL: no memory. @config and @credentials, which are of the same configuration, outlive it; NULL
 * for these: nobody has TLS. */
struct upstream_shared *upstream_shared_create(const struct config_upstream *config,
					       const struct credentials *credentials,
					       uint32_t threads);
void upstream_shared_free(struct upstream_shared *shared);
/* Its servers, for whoever checks or shows them. */
struct server *upstream_servers(struct upstream_shared *shared, uint32_t *count);

/* NULL: no memory. One for each of the threads, before any of them runs. */
struct upstream_pool *upstream_pool_create(struct upstream_shared *shared, struct loop *loop,
					   struct pool_budget *budget, struct tls_engine *tls);
/* Who takes over links that were opened ahead and turn out to speak HTTP/2; false: no memory. */
struct upstream_newborn {
	bool (*begin)(void *context, struct upstream_link *link);
	void *context;
};
void upstream_pool_set_newborn(struct upstream_pool *pool, struct upstream_newborn newborn);
/* Closes idle links, when no thread runs any more. None may be lent; the loop must still release
 * what was closed after this. */
void upstream_pool_close(struct upstream_pool *pool);
void upstream_pool_free(struct upstream_pool *pool);

/* What a request asks for. */
struct upstream_wish {
	uint64_t tried; /* servers not to try again, a bit each; the one that was chosen is added */
	uint64_t key;   /* for policies that keep to a server (balance.h); 0: none */
	bool called;    /* it waited, and it is its turn */
	bool fresh;     /* no used link: one has just failed this request */
	bool spare;     /* it can do without: no server that is not well, and nobody waits for it */
	bool late;      /* set: its source had its share (share.h) */
	uint64_t held;  /* what the source has of the upstream already; not known: 0 */
	void *borrower;
	struct ledger *ledger; /* by which the link is the borrower's source's; NULL: nobody's */
	struct tally_place source;
	void (*handle)(struct source *source, uint32_t events); /* of the link's stream */
	/* A link to @server that carries many requests at once, with room for this one; NULL: there
	 * is none. It is not lent: its session counts what is on it. NULL: the request is not to be
	 * sent over HTTP/2 at all. */
	struct upstream_link *(*join)(const struct upstream_wish *wish,
				      const struct upstream_pool *pool, uint32_t server);
};

/*
 * Lends a link: a connected one, or one that connects, whose first event then leads to
 * upstream_connected(). −EBUSY: the upstream is at a cap, or others wait for it; −ECONNREFUSED: no
 * untried server is left, @failures of them refused just now; −ENOMEM.
 */
int upstream_take(struct upstream_pool *pool, struct upstream_wish *wish,
		  struct upstream_link **link, uint32_t *failures);

/*
 * After −EBUSY: waits for its turn, at which @waiter->called is called, in this thread, to take
 * again. What the wish points to is not kept. −EINPROGRESS: it waits; −ENOBUFS: as many wait as
 * may; −EBUSY: nobody may; else as upstream_take(), because something was freed meanwhile.
 */
int upstream_wait(struct upstream_pool *pool, struct upstream_wish *wish, struct waiter *waiter,
		  struct upstream_link **link, uint32_t *failures);
/* Waits no longer. No effect on one who does not wait. */
void upstream_wait_no_more(struct upstream_pool *pool, struct waiter *waiter);
/* Calls those whose turn has come; in the thread's own loop, after it was woken. */
void upstream_heed_calls(struct upstream_pool *pool);
/* Of this thread, and whether anybody waits at all. */
uint32_t upstream_waiting(const struct upstream_pool *pool);
bool upstream_is_awaited(const struct upstream_pool *pool);
/* Whether somebody waits who has not had his share. */
bool upstream_is_claimed(const struct upstream_pool *pool);
/* How many of a source's wait. */
uint32_t upstream_waiting_of(const struct upstream_pool *pool, uint64_t source);
/* Whether connections run so short that what a source has of them matters. */
bool upstream_is_crowded(const struct upstream_pool *pool);
/* Others may have left more than there was: whoever waits only because he had his share is called
 * again; a few times a second. */
void upstream_look_again(struct upstream_pool *pool);

const struct config_retry *upstream_retry_policy(const struct upstream_pool *pool);
/* Whether there are servers that are not in @tried. */
bool upstream_has_others(const struct upstream_pool *pool, uint64_t tried);
/* A request is sent again, until that is over. False: the budget of retries is spent. */
bool upstream_retry_begin(struct upstream_pool *pool);
/* The same of one that could do without: half of the budget is for nobody else, so that slow
 * requests leave it to failed ones. */
bool upstream_hedge_begin(struct upstream_pool *pool);
void upstream_retry_end(struct upstream_pool *pool);

/* After the first event of a connecting link: 0, or −errno of the attempt. */
int upstream_connected(struct upstream_link *link);
/* After that, and after every further event for as long as it connects: on with TLS, where the
 * server has it. 1: it is connected; 0: waits; −enum fw_verdict. */
int upstream_secure(struct upstream_link *link);
/* Its server did not accept it: passes the server over for a while, and closes. */
void upstream_failed(struct upstream_link *link);
/* Back to the idle ones if it is clean (nothing left to read), else closed. */
void upstream_give(struct upstream_link *link);
void upstream_close(struct upstream_link *link);
/* Closes with a reset: the server learns that nobody wants the answer. */
void upstream_reset(struct upstream_link *link);

/* Whether its server, when it was last offered HTTP/2, chose HTTP/1. */
bool upstream_speaks_http1(const struct upstream_link *link);
/* The server's address as the configuration has it. */
const char *upstream_server_name(const struct upstream_link *link);
/* What a request without a Host is sent with: the first server's address. */
const char *upstream_host(const struct upstream_pool *pool);
/* By what one of its servers is chosen. */
const struct config_balance *upstream_balance(const struct upstream_pool *pool);
/* How it is configured. */
const struct config_upstream *upstream_config(const struct upstream_pool *pool);
/* In what form its servers want to be told whose connection a link is. */
enum config_introduction upstream_introduction(const struct upstream_pool *pool);
/* Idle links of this thread; from any thread. */
uint32_t upstream_idle(const struct upstream_pool *pool);
/* Opens links ahead, as the configuration wants it; a few times a second. Returns how many. */
unsigned int upstream_prewarm(struct upstream_pool *pool);
/* Links that it has taken over from other threads since it was last asked. */
uint64_t upstream_take_steals(struct upstream_pool *pool);

#endif
