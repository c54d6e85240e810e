/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request and its response, between one client and one server; or, for as long as a client is in
 * RELAY, the bytes between them.
 *
 * It exists from a request's first byte to the response's last. What each side may send is bounded
 * by a buffer: it is read only when the other side has taken what was read before.
 */
#ifndef PROXY_CLIENT_EXCHANGE_H
#define PROXY_CLIENT_EXCHANGE_H

#include "proxy/client/body.h"
#include "proxy/client/client.h"
#include "proxy/guard/rate.h"
#include "proxy/http/http.h"

/* What a step came to. */
enum flow {
	FLOW_STUCK, /* waits for one side or the other */
	FLOW_MOVED, /* there may be more to do */
	FLOW_OVER,  /* the exchange is no more */
};

struct exchange {
	struct client *client;
	struct upstream_pool *pool; /* where the route leads; NULL: not known yet */
	struct upstream_link *link; /* NULL: none now */
	const char *server;         /* last one's address; NULL: none was asked */
	uint64_t tried;             /* servers, a bit each */

	/* On the way to the server. */
	struct buffer *to_server; /* the head, kept whole while it may have to be sent again */
	uint32_t head_sent;       /* bytes of it */
	uint32_t body_ready;      /* bytes at the start of client->in that were checked */
	struct body request_body;

	/* On the way to the client. */
	struct buffer *to_client;   /* heads, and bodies that fit behind */
	struct buffer *from_server; /* as received */
	uint32_t answer_ready;      /* bytes at the start of from_server that were checked */
	struct body response_body;

	/* For deadlines; CLOCK_MONOTONIC, ns. */
	uint64_t begun_ns; /* first byte of the request */
	uint64_t head_ns;  /* its head was complete */
	uint64_t
		asked_ns; /* a connection to the server was begun; then, the request was complete */
	uint64_t touched_ns; /* a byte passed, either way */
	struct rate receive, send;
	uint64_t taken;    /* bytes that the client has acknowledged, when last looked at … */
	uint64_t taken_ns; /* … and when that last changed */

	uint64_t received_before, sent_before; /* of the client, for the log */
	uint16_t status;                       /* of the response; 0: none yet */
	uint8_t method;                        /* enum http_method */
	uint8_t minor;                         /* of the client's HTTP version */
	uint8_t interims;
	uint16_t target_at, target_length; /* in to_server */
	uint16_t asked_protocol; /* length of what Upgrade asks for, near the end of to_server */
	bool is_tcp;
	bool expects_continue;
	bool request_cut;   /* the server takes no more of it */
	bool body_sent;     /* some of the request's body has left: it can't be sent again */
	bool answered;      /* the response's head has been read */
	bool keep_alive;    /* the client's connection */
	bool link_reusable; /* the server's */
	bool link_once;     /* the server may see more requests in it than we do */
	bool client_ended, server_ended; /* RELAY: said its last */
	bool client_told;                /* and the client knows that the server did */

	/* One head at a time: the request's until it is written for the server, then the
	 * response's. Last, because most of it is never touched. */
	union {
		struct http_request request;
		struct http_response response;
	} message;
};

/* exchange.c: from connecting to the end. */

/* NULL: no memory. */
struct exchange *exchange_create(struct client *client);
/* Asks the route's upstream for a link, and sends what is there. */
enum flow exchange_connect(struct exchange *exchange);
/* Moves bytes both ways until that is stuck or its turn is over. */
void exchange_run(struct exchange *exchange);
/* Its server refused the connection, or did not accept it in time: on to the next one. @verdict, if
 * there is none. */
enum flow exchange_try_next(struct exchange *exchange, enum fw_verdict verdict);
/* The server's side failed before the response was complete. */
enum flow exchange_fail(struct exchange *exchange, enum fw_verdict verdict);
/* The link broke before a byte of the response: on a used one that is the server's good right, and
 * a request that can be repeated is, once. */
enum flow exchange_lose_link(struct exchange *exchange);
/* Lets go of the link and of all memory. A link in the middle of something is reset. */
void exchange_free(struct exchange *exchange);
/* Whether bytes wait for the client to take them. */
bool exchange_waits_for_client(const struct exchange *exchange);

/* request.c: what the client says. */

/* Reads on, and when the head is complete sends it on its way. */
void request_read(struct client *client);
/* One step of it towards the server. */
enum flow request_forward(struct exchange *exchange);
/* Nothing of it is left to be sent. */
bool request_is_done(const struct exchange *exchange);

/* response.c: what the server says; one step of it towards the client. */
enum flow response_forward(struct exchange *exchange);

/* relay.c */

/* For a client of a TCP listener. */
void relay_begin(struct client *client);
/* One step both ways. */
enum flow relay_forward(struct exchange *exchange);

#endif
