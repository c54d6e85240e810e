/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection to a server, from the attempt to its end. It counts among the open ones of its
 * server and its upstream for as long, and is lent to one borrower at a time. Between two of them
 * another thread may take it over (pool.c).
 */
#ifndef PROXY_UPSTREAM_LINK_H
#define PROXY_UPSTREAM_LINK_H

#include "base/account.h"
#include "proxy/net/stream.h"
#include "proxy/upstream/server/server.h"

struct upstream_pool;
struct session;

struct upstream_link {
	struct stream stream;
	struct list node; /* among the idle ones of its server, or the husks of its pool */
	struct upstream_pool *pool;
	struct account account;  /* what it holds, itself included; TLS has a handshake on it */
	void *borrower;          /* of whoever it is lent to; NULL: it is idle */
	struct session *session; /* of HTTP/2, which has it for good; NULL: none */

	/* What goes along with the connection to another thread. */
	uint64_t born_ns, idle_since; /* ns */
	uint32_t server;              /* index in the configuration */
	unsigned int version;         /* server_version() when it was made */
	uint32_t requests;            /* that it was lent for */

	bool reused; /* it has carried an exchange before: the server may have just closed it */
	bool connecting;
	bool offers_http2; /* in its TLS handshake */
	bool husk;         /* another thread has the connection; under the pool's lock */
};

/* Begins to connect. 0; −EBUSY: the upstream is at its cap of connections; −EUSERS: the server is;
 * −ENOMEM: for want of something of ours; another −errno is the server's. */
int link_open(struct upstream_pool *pool, uint32_t server, struct upstream_link **link);
/* Closes, in order or with a reset. */
void link_close(struct upstream_link *link);
void link_reset(struct upstream_link *link);

/* HTTP/2 has it for good; NULL: no longer. */
void link_share(struct upstream_link *link, struct session *session);
/* A request is given to its server, and is over: for one of several on a link. The one that the
 * link was lent for is the first of them. False: it does not count as one that the server was sent
 * until link_count_request(), as the link is not connected yet. */
bool link_begin_request(struct upstream_link *link);
void link_count_request(struct upstream_link *link);
void link_end_request(struct upstream_link *link);
/* Lends it for one request, until it is returned, closed or reset, or carries several. What it
 * holds is @source's by @ledger for as long; NULL: nobody's. */
void link_lend(struct upstream_link *link, void *borrower,
	       void (*handle)(struct source *source, uint32_t events), struct ledger *ledger,
	       struct tally_place source);
/* The same for one that counts already, of several on a link that it has alone from now on. */
void link_lend_alone(struct upstream_link *link, void *borrower,
		     void (*handle)(struct source *source, uint32_t events), struct ledger *ledger,
		     struct tally_place source);
void link_return(struct upstream_link *link);

/* For the connection of another thread's idle link, under its pool's lock: a link of @pool with
 * all that @from was, which is a husk from then on. NULL: no memory; @from is as it was, or closed
 * and a husk. */
struct upstream_link *link_adopt(struct upstream_pool *pool, struct upstream_link *from);
/* Releases a husk, when the turn of its own thread is over. */
void link_discard(struct upstream_link *husk);

/* Whether nothing more is to be begun on it, though what is under way may end: its server is
 * elsewhere by now, it is old, or it has carried as many requests as it may. */
bool link_is_spent(const struct upstream_link *link, uint64_t now_ns);

struct server *link_server(const struct upstream_link *link);

#endif
