/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes both ways, unread: for TCP listeners, and for connections that have left HTTP by an
 * upgrade.
 *
 * Each way reads only when what it read before has been taken, so a relay holds at most one buffer
 * or one pipe for each way, and none when nothing is on its way. When one side has said its last
 * the other is told so, after the last byte, and may still go on talking. When one side is cut off,
 * so is the other.
 */
#ifndef PROXY_CLIENT_RELAY_H
#define PROXY_CLIENT_RELAY_H

#include "proxy/client/client.h"
#include "proxy/client/pipes.h"
#include "proxy/guard/rate.h"

struct exchange;

/* One of the two ways. Bytes wait in the buffers, or in the pipe, never in both. */
struct way {
	struct stream *from, *to;
	struct buffer *waiting; /* read, and not written yet; NULL: none */
	struct buffer *behind;  /* and then these: of an upgrade */
	struct pipe *pipe;      /* holds bytes; NULL: none do */
	uint64_t received;      /* bytes, from `from` … */
	uint64_t sent;          /* … and to `to` */
	bool busy;              /* so much comes that pipes are worth it */
	bool ended;             /* `from` has said its last … */
	bool told;              /* … and `to` knows */
};

struct relay {
	struct client *client;
	struct upstream_pool *pool; /* NULL: it began as HTTP */
	struct upstream_link *link; /* NULL: it waits for one */
	struct waiter waiter;
	enum fw_verdict nobody; /* if no server is left to ask */
	const char *server;     /* last one's address; NULL: none was asked */
	uint64_t tried;         /* servers, a bit each */
	struct way up, down;
	bool is_upgrade;

	/* For deadlines; CLOCK_MONOTONIC, ns. */
	uint64_t begun_ns, asked_ns, touched_ns;
	struct uptake send; /* as the client's host acknowledges it */
	struct rate pace;   /* of both ways together */
};

/* For a client of a TCP listener, with what has been received of it already. */
void relay_begin(struct client *client);
/* The server goes over to what the client asked for: from here on it is no longer HTTP. Takes over
 * the link and what is on its way, and frees the exchange. False: no memory, and nothing has
 * changed. */
bool relay_take_over(struct exchange *exchange);

/* Moves bytes until that is stuck or its turn is over. The client may be closed after this. */
void relay_run(struct relay *relay);
/* The server did not accept the connection in time: on to the next one. @verdict, if there is none.
 */
void relay_try_next(struct relay *relay, enum fw_verdict verdict);
/* For deadlines: starts and stops the clocks; looks how much the client has taken. */
void relay_note_waits(struct relay *relay, uint64_t now_ns);
void relay_look(struct relay *relay, uint64_t now_ns);
/* Lets go of the link and of all memory; NULL is allowed. A link in the middle of something is
 * reset. */
void relay_free(struct relay *relay);

/* Whether it waits for its turn at an upstream that is at its cap. */
static inline bool relay_waits(const struct relay *relay)
{
	return relay->waiter.state != WAITER_AWAY;
}

/* Whether anybody has said anything. */
static inline bool relay_has_begun(const struct relay *relay)
{
	return relay->is_upgrade || relay->up.received || relay->down.received;
}

#endif
