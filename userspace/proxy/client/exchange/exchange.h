/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request and its response, between one client and one server.
 *
 * It exists from a request's first byte to the response's last. What each side may send is bounded
 * by a buffer: it is read only when the other side has taken what was read before.
 *
 * An exchange does not know which protocol its client speaks, nor which its server does. Routing,
 * links, retries, deadlines, what a refusal means and what is told about it are here, once; how a
 * head or a body gets from and to the client is its front's: http1.c, http2.c; from and to the
 * server, its back's: http1_back.c, http2_back.c.
 */
#ifndef PROXY_CLIENT_EXCHANGE_EXCHANGE_H
#define PROXY_CLIENT_EXCHANGE_EXCHANGE_H

#include "proxy/client/client.h"
#include "proxy/client/exchange/body.h"
#include "proxy/client/route/route.h"
#include "proxy/guard/rate.h"
#include "proxy/http/http.h"
#include "proxy/upstream/server/health.h"

/* What a step came to. */
enum flow {
	FLOW_STUCK, /* waits for one side or the other */
	FLOW_MOVED, /* there may be more to do */
	FLOW_OVER,  /* the exchange is no more */
};

/* Whether a server has said that it did nothing with a request (RFC 9113 section 8.7), which may
 * then be sent again, whatever it is. Points: for a request that came as a connection ended it is
 * only bad luck; a server that turns it away has reasons, and is not to be pressed. */
enum undone {
	UNDONE_NOT,
	UNDONE_BY_END,
	UNDONE_BY_REFUSAL = 5,
};

/* How an exchange speaks with its client. */
struct front {
	const char *protocol; /* for the log */
	bool plain_bodies;    /* bodies go into the client's stream as they are */
	bool bare_bodies;     /* chunked responses are to be unwrapped: it has framing of its own */

	/* More of the request's body: takes it into *exchange->incoming and has it checked. */
	enum flow (*read_body)(struct exchange *exchange);
	/* The server has taken @count bytes of the body; NULL: the front has no use for it. */
	void (*note_taken)(struct exchange *exchange, uint32_t count);
	/* The client waits to be told to send its body. */
	void (*send_continue)(struct exchange *exchange);
	/* The head in message.response, at the start of from_server: an interim one, or the final
	 * one. False: no memory, or it is not for this client. */
	bool (*write_head)(struct exchange *exchange, uint32_t length);
	/* One step with what waits for the client; called while something does. */
	enum flow (*send)(struct exchange *exchange);
	/* The response is complete and was taken. The exchange ends with it. */
	void (*finish)(struct exchange *exchange);
	/* Whether the client takes nothing of a body now, having said so: then little is read
	 * ahead for it. NULL: it can't say. */
	bool (*is_shut)(const struct exchange *exchange);
	/* Turns the request away, as the verdict's row says and as far as it still can be told. */
	void (*refuse)(struct exchange *exchange, enum fw_verdict verdict);
	/* Something came from the server: client_run() is to run this exchange. NULL: the client
	 * has only one. Many are run together, once in a turn: their answers leave together. */
	void (*wake)(struct exchange *exchange);
	/* Bytes of the body that it may hold unread by a server, without keeping others from being
	 * heard; NULL: any number. */
	uint32_t (*room)(const struct exchange *exchange);
	/* Whether bytes wait for the client to take them, and how many it has taken so far. */
	bool (*waits_for_client)(const struct exchange *exchange);
	uint64_t (*taken)(const struct exchange *exchange);
};

extern const struct front http1_front;

/* How an exchange speaks with its server. Whatever that is, what goes there and what comes from it
 * reads as HTTP/1.1 here: a back translates. */
struct back {
	bool plain_bodies; /* bodies come in the server's stream as they are */

	/* Sends what is ready of the request, and says so by request_note_sent(). */
	enum flow (*send)(struct exchange *exchange);
	/* Reads on, behind what is in from_server. Bytes added; 0: the server has said its last;
	 * −EAGAIN; −ENOMEM; another −errno: it broke off. */
	ssize_t (*read)(struct exchange *exchange);
	/* How many bytes more that can bring, at most; UINT64_MAX: it has not said its last. */
	uint64_t (*remaining)(const struct exchange *exchange);
	/* Lets go of the server; a request in the middle of something is cut off. */
	void (*drop)(struct exchange *exchange);
	/* The same, of one that could not be connected to: it is passed over for a while. */
	void (*fail)(struct exchange *exchange);
};

extern const struct back http1_back;

/* What an exchange has of the server that it asks: a hedge's can become its lead's (hedge.h). */
struct attempt {
	const struct back *back;       /* of the server that was reached; NULL: of none now */
	struct upstream_link *link;    /* to a server of HTTP/1.1; NULL: none now */
	struct session_stream *stream; /* to one of HTTP/2; NULL: none now */
	struct server *peer;           /* the last one; NULL: none was asked */
	const char *server;            /* its address */
	struct buffer *from_server;    /* as received */
	struct buffer *response_trailer;
	uint64_t asked_ns;  /* a connection was begun; then, the request was complete */
	uint32_t head_sent; /* bytes of the request's head */
	uint8_t undone;     /* enum undone: what the last server said */
	bool connecting;
	bool link_used;   /* it may have been about to close it */
	bool request_cut; /* it takes no more of the request */
	bool retrying;    /* it counts among the upstream's retries */
};

struct exchange {
	const struct front *front;
	struct client *client;
	struct route *route;        /* NULL: not known yet */
	struct upstream_pool *pool; /* where the route leads; NULL: not known yet */
	struct attempt attempt;
	uint64_t tried;         /* servers, a bit each */
	uint64_t key;           /* affinity_key() */
	struct waiter waiter;   /* for an upstream at its cap */
	struct exchange *hedge; /* that asks another server the same; NULL: none does */
	struct exchange *lead;  /* whose hedge it is; NULL: it is a client's request */

	/* On the way to the server. */
	struct buffer *to_server; /* the head, kept whole while it may have to be sent again */
	struct buffer **incoming; /* the body as it came; the buffer is its front's */
	uint32_t body_ready;      /* bytes at its start that were checked */
	struct body request_body;
	struct buffer *request_trailer; /* lines of text; NULL: none. See http2_put_line() */

	/* On the way to the client. */
	struct buffer *to_client; /* heads, and bodies that fit behind */
	uint32_t answer_ready;    /* bytes at the start of from_server that were checked */
	struct pipe *pipe;        /* holds bytes of the body, behind all that; NULL: none do */
	bool busy;                /* so much of it comes that pipes are worth it */
	struct body response_body;

	/* For deadlines; CLOCK_MONOTONIC, ns. */
	uint64_t begun_ns;   /* first byte of the request */
	uint64_t head_ns;    /* its head was complete */
	uint64_t latency_ns; /* from attempt.asked_ns until the response's head had come */
	uint64_t touched_ns; /* a byte passed, either way */
	uint64_t gather_ns; /* up to when small pieces of the body have had their turn (gather.h) */
	struct rate receive;
	struct uptake send; /* as the client's host acknowledges it */

	uint64_t received, sent; /* bytes, from and to the client */
	uint32_t unread;         /* bytes that the kernel was last seen to have gathered */
	uint16_t status;         /* of the response; 0: none yet */
	uint8_t method;          /* enum http_method */
	uint8_t minor;           /* of the client's HTTP version */
	uint8_t interims;
	uint8_t resends;           /* points of all that did nothing with it */
	uint8_t retries;           /* times that it was sent to another one */
	uint8_t nobody;            /* enum fw_verdict, if no server is left to ask */
	uint32_t granted_ms;       /* what a trusted peer says that it has; 0: it has not said */
	uint32_t wait_s;           /* after which it might have been taken, if it came too fast */
	uint32_t target_at, id_at; /* in to_server: what was asked for, and what it is called */
	uint16_t target_length, id_length;
	uint16_t asked_protocol; /* length of what Upgrade asks for, near the end of to_server */
	bool resent;             /* once, because a kept connection had been closed */
	bool hedged;             /* it was, or could not be: it is not thought of again */
	bool fresh;              /* no kept connection for it any more */
	bool expects_continue;
	bool held;          /* no server is asked before more of the body is here */
	bool trickles;      /* the body comes in small pieces */
	bool body_sent;     /* some of the request's body has left: it can't be sent again */
	bool answered;      /* the response's head has been read */
	bool reported;      /* its line is written: it was refused, and answered */
	bool keep_alive;    /* the client's connection */
	bool link_reusable; /* the server's: it can carry another request */
	bool counts;        /* as one of its source's */
	bool on_route;      /* counts as one of its route's */
	bool takes_trailer; /* the client has a use for one */
	bool link_once;     /* the server may see more requests in it than we do */

	/* One head at a time: the request's until it is written for the server, then the
	 * response's. Last, because most of it is never touched. */
	union {
		struct http_request request;
		struct http_response response;
	} message;
};

/* exchange.c: from connecting to the end. */

/* For a request of @client, whose body its front puts into *@incoming. NULL: no memory. */
struct exchange *exchange_create(struct client *client, const struct front *front,
				 struct buffer **incoming);
/* Asks the route's upstream for a link. */
enum flow exchange_connect(struct exchange *exchange);
/* Moves bytes both ways. FLOW_MOVED: its turn is over before that was stuck. */
enum flow exchange_run(struct exchange *exchange);
/* Its server refused the connection, or did not accept it in time: on to the next one. @verdict, if
 * there is none. */
enum flow exchange_try_next(struct exchange *exchange, enum fw_verdict verdict);
/* What it waits on turns out to speak HTTP/1: it has @link for itself, and counts as sent; or looks
 * for another one, to @server or any. */
void exchange_go_over(struct exchange *exchange, struct upstream_link *link);
void exchange_ask_again(struct exchange *exchange, uint32_t server);
/* A deadline of it has passed: on to the next server, if the one that it has did not accept the
 * connection in time, else turns it away. */
enum flow exchange_expire(struct exchange *exchange, enum fw_verdict verdict);
/* Writes the answer to a request that is refused and has a status, as http_error_write(). The
 * connection ends with it, unless @keep_alive. @exchange NULL: to whom none has begun. */
int exchange_write_refusal(const struct exchange *exchange, char *buffer, size_t capacity,
			   enum fw_verdict verdict, bool keep_alive);
/* Turns the request away. */
enum flow exchange_refuse(struct exchange *exchange, enum fw_verdict verdict);
/* The server's side failed before the response was complete. */
enum flow exchange_fail(struct exchange *exchange, enum fw_verdict verdict);
/* The link broke before the response was complete: a request that may be sent again is (retry.h).
 */
enum flow exchange_lose_link(struct exchange *exchange);
/* A response's head is there, and nothing of it was passed on: whether the request is sent to
 * another server for its status. The exchange may be over by then: *@flow. */
bool exchange_tries_elsewhere(struct exchange *exchange, uint16_t status, enum flow *flow);
/* Tells what became of the request to whoever judges its server's health: once, at the end of it or
 * of the attempt, since only then is it known whether a response came whole. */
void exchange_note_result(const struct exchange *exchange, enum server_outcome outcome);
/* The same: there was a response with that status. */
void exchange_note_response(const struct exchange *exchange, uint16_t status);
/* Lets go of the server. A request in the middle of something is cut off. */
void exchange_drop_server(struct exchange *exchange);
/* Lets go of the server and of all memory; NULL is allowed. */
void exchange_free(struct exchange *exchange);

/* Whether it waits for its turn at an upstream that is at its cap. */
static inline bool exchange_waits(const struct exchange *exchange)
{
	return exchange->waiter.state != WAITER_AWAY;
}

/* Counts bytes that came from its client and went there. */
static inline void exchange_count_received(struct exchange *exchange, uint64_t bytes)
{
	exchange->received += bytes;
	exchange->unread = 0;
	client_count_received(exchange->client, bytes);
}

static inline void exchange_count_sent(struct exchange *exchange, uint64_t bytes)
{
	exchange->sent += bytes;
	client_count_sent(exchange->client, bytes);
}

/* request.c: what the client says. */

/* Reads a head, as http_request_parse(), by the listener's limits. */
int request_parse(struct exchange *exchange, const char *data, uint32_t length);
/* The head at @data was read: finds its route, and writes it for the server; or what the route
 * itself answers, and the exchange is `answered`. */
enum fw_verdict request_begin(struct exchange *exchange, const char *data);
/* Asks for a server, at once or when enough of the body is here. */
enum flow request_start(struct exchange *exchange);
/* Checks what has newly come of the body, from @at in *incoming on, behind which there is room for
 * HTTP_CHUNK_EXTRA bytes more. False: refused. */
bool request_check_body(struct exchange *exchange, uint32_t at);
/* @count bytes of the head, then of the body, have left. */
void request_note_sent(struct exchange *exchange, uint32_t count);
/* One step of it towards the server. */
enum flow request_forward(struct exchange *exchange);
/* Nothing of it is left to be sent. */
bool request_is_done(const struct exchange *exchange);

/* response.c: what the server says; one step of it towards the client. */
enum flow response_forward(struct exchange *exchange);
/* What is in from_server, if it is something, is the beginning of a response. */
enum flow response_begin(struct exchange *exchange);
/* What is in from_server, a whole response of our own, goes the way of a server's. False: no
 * memory. */
bool response_give(struct exchange *exchange);
/* Everything has been said and taken. */
void response_finish(struct exchange *exchange);

/* http1.c: reads on, and when a request's head is complete sends it on its way. */
void http1_read(struct client *client);

#endif
