/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client's connection, from accept to close.
 *
 *                 first byte            head complete            answered
 *     HEAD (new) ───────────→ HEAD ─────────────────→ EXCHANGE ─────────→ IDLE ──→ HEAD …
 *                               │                        │  └→ RELAY (101)  │
 *                               └── refused ──→ LINGER ──┴─────→ closed ←───┘
 *
 * A balancer's connection begins in PROXY_HEADER, and is then that of the client whom it names.
 * With TLS HANDSHAKE comes next, and HEAD when that is complete. A TCP listener's client is in
 * RELAY from there on. In every phase a deadline is running; which one is said in deadline.c. A
 * client without a request in flight holds this struct and nothing else.
 */
#ifndef PROXY_CLIENT_CLIENT_H
#define PROXY_CLIENT_CLIENT_H

#include <netinet/in.h>
#include "base/account.h"
#include "contract/address.h"
#include "proxy/client/worker.h"
#include "proxy/net/stream.h"

enum client_phase {
	CLIENT_PROXY_HEADER, /* a balancer has yet to say whose connection it is */
	CLIENT_HANDSHAKE,    /* of TLS */
	CLIENT_HEAD,         /* the head of a request is awaited or incomplete */
	CLIENT_EXCHANGE,     /* a request is being answered */
	CLIENT_IDLE,         /* kept alive; nothing of a next request has come */
	CLIENT_HTTP2,        /* speaks HTTP/2: any number of requests */
	CLIENT_RELAY,        /* bytes pass both ways unread */
	CLIENT_LINGER,       /* has been told why it is over; may still be talking */
	CLIENT_CLOSED,       /* gone, until the loop's turn is over */
};

struct client {
	struct stream stream;
	struct timer deadline;
	struct list node; /* in its ward */
	struct list kin;  /* among those of its source */
	struct listener *listener;
	struct account account;    /* what it and its requests hold */
	struct exchange *exchange; /* the request in flight, incomplete ones included; else NULL */
	struct relay *relay;       /* in RELAY; else NULL */
	struct http2 *http2;       /* in HTTP2; else NULL */
	struct buffer *in;         /* received, and neither read nor forwarded; NULL: nothing */
	struct buffer *out;        /* an error that the client has not taken yet; NULL: none */
	uint64_t since_ns;         /* when the phase began */
	uint64_t received, sent;   /* bytes */
	struct fw_addr source;
	struct fw_addr destination; /* that a balancer's client called; no port: nobody has said */
	uint16_t port, destination_port;
	uint8_t phase; /* enum client_phase */
	uint8_t ward;  /* enum ward */
	uint8_t address_length;
	bool named;   /* his source, by a balancer, whose connection it is */
	bool trusted; /* to tell whose requests it brings */
	bool exempt;  /* from the rates of sources */
	bool misused; /* has asked what can't be served (FAULT_MISUSE) */
	uint32_t requests;
	char address[INET6_ADDRSTRLEN]; /* of the source, as text */
};

/* Takes over @fd. FW_NONE; or a verdict, and the descriptor is still the caller's. */
enum fw_verdict client_open(struct listener *listener, int fd, const struct fw_addr *source,
			    uint16_t port);

/* The connection is somebody else's than it seemed: it counts and is told as that of @source. */
void client_assign(struct client *client, const struct fw_addr *source, uint16_t port);

/* Does what can be done now, and sets the deadline for the rest. */
void client_run(struct client *client);

/* When his turn comes: 0, first, if his source has had no more than its part (guard/usage.h). */
unsigned int client_turn_level(const struct client *client);
/* Does so when it is his turn, the sooner the less his source has had of the thread lately: a
 * newcomer does not wait for all those who have had much. */
void client_run_late(struct client *client);
/* Does so when all that has come in this turn of the loop has been noted. */
void client_run_soon(struct client *client);

/* Runs the one exchange of a client that has one, and comes back to it if it is not stuck. */
void client_run_exchange(struct client *client);

/* Sets the deadline anew: settings have changed. */
void client_review(struct client *client);

/* The response is complete: on to the next request. */
void client_next(struct client *client);
/* The response is complete and the last one: closes when the client has everything. */
void client_finish(struct client *client, enum fw_verdict verdict);
/*
 * Turns the request away: with the answer that the verdict's row names if none has begun, else by a
 * reset, so that half an answer is not taken for a whole one.
 */
void client_refuse(struct client *client, enum fw_verdict verdict);
/* Turns the connection away; the client has been told why by other means. */
void client_part(struct client *client, enum fw_verdict verdict);
/* Whose ceiling it was, if memory was refused; else @verdict. */
enum fw_verdict client_explain(const struct client *client, enum fw_verdict verdict);
/* Ends without further ado: @verdict is one of CLOSE, counted. */
void client_close(struct client *client, enum fw_verdict verdict);
void client_reset(struct client *client, enum fw_verdict verdict);

/* Counts bytes that came and went. */
static inline void client_count_received(struct client *client, uint64_t bytes)
{
	client->received += bytes;
	board_add(client->listener->board, METRIC_CLIENT_RECEIVED, bytes);
}

static inline void client_count_sent(struct client *client, uint64_t bytes)
{
	client->sent += bytes;
	board_add(client->listener->board, METRIC_CLIENT_SENT, bytes);
}

static inline struct worker *client_worker(const struct client *client)
{
	return client->listener->worker;
}

/* It is he who waits for us: client_run_late(). */
static inline bool client_is_put_off(const struct client *client)
{
	return (client->phase == CLIENT_HANDSHAKE || client->phase == CLIENT_HEAD) &&
	       loop_is_deferred(&client->stream.source);
}

static inline uint64_t client_now(const struct client *client)
{
	return client->listener->worker->loop.now_ns;
}

/* His source has had something of the thread's time. */
static inline void client_charge(const struct client *client, uint32_t cost_us)
{
	usage_charge(client_worker(client)->usage, client->account.source, cost_us,
		     client_now(client));
}

#endif
