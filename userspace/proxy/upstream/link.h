/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection to a server, from the attempt to its end. It counts among the open ones of its
 * server and its upstream for as long, and is lent to one borrower at a time.
 */
#ifndef PROXY_UPSTREAM_LINK_H
#define PROXY_UPSTREAM_LINK_H

#include "proxy/net/stream.h"
#include "proxy/upstream/server.h"

struct upstream_pool;

struct upstream_link {
	struct stream stream;
	struct list node; /* among the idle ones of its server */
	struct upstream_pool *pool;
	void *borrower;       /* of whoever it is lent to; NULL: it is idle */
	uint64_t idle_since;  /* ns */
	uint32_t server;      /* index in the configuration */
	unsigned int version; /* server_version() when it was made */
	bool reused; /* it has carried an exchange before: the server may have just closed it */
	bool connecting;
};

/* Begins to connect. The slot among the upstream's connections is the caller's to reserve, and is
 * the link's from then on. 0 or −errno. */
int link_open(struct upstream_pool *pool, uint32_t server, struct upstream_link **link);
/* Closes, in order or with a reset. */
void link_close(struct upstream_link *link);
void link_reset(struct upstream_link *link);

/* Lends it; its server is busy with one more request until it is returned, closed or reset. */
void link_lend(struct upstream_link *link, void *borrower,
	       void (*handle)(struct source *source, uint32_t events));
void link_return(struct upstream_link *link);

/* Whether the server is elsewhere by now: what is under way may end, nothing is to be begun. */
bool link_is_astray(const struct upstream_link *link);

struct server *link_server(const struct upstream_link *link);

#endif
