/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Routes as they are written: which requests are whose, what becomes of them on the way, and what
 * servers are told about the client. What it all means: docs/routing.md.
 */
#ifndef CONFIG_ROUTE_H
#define CONFIG_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "floodwall.h"

struct config_service;
struct config_upstream;

/* What a text of the configuration may say besides itself. */
enum config_fact {
	FACT_NONE,
	FACT_CLIENT,     /* $client: its address */
	FACT_HOST,       /* $host: as the request names it, without a port */
	FACT_SCHEME,     /* $scheme: http or https */
	FACT_TLS,        /* $tls: "TLSv1.3"; empty without TLS */
	FACT_REQUEST_ID, /* $request_id */
	FACT_PATH,       /* $path */
	FACT_QUERY,      /* $query: with its question mark; empty if there is none */
	FACT_COUNT,
};

/* A piece of it: bytes, or else a fact. */
struct config_piece {
	enum config_fact fact;
	char *bytes; /* of FACT_NONE */
	size_t length;
};

struct config_text {
	struct config_piece *pieces;
	size_t count;
};

struct config_line {
	char *name;
	struct config_text value;
};

/* What is changed of a head: fields that go, then lines that are written. Those of the listener and
 * of its route are one. */
enum {
	CONFIG_LINES_MAX = 2048, /* bytes that all lines come to at most */
	CONFIG_LINE_COUNT_MAX = 32,
};

struct config_rules {
	char **drop; /* names */
	size_t drop_count;
	struct config_line *lines;
	size_t line_count;
};

/* A field that a request must have. */
struct config_condition {
	char *name;
	char *value; /* NULL: any */
};

/* What a route answers itself. */
enum { CONFIG_BODY_MAX = 61440 }; /* bytes */
struct config_answer {
	uint16_t status;             /* 0: nothing, its upstream answers */
	struct config_text location; /* of a redirect; no pieces: it is none */
	char *type;                  /* of the body */
	char *file;                  /* that it was read from; NULL: none */
	char *body;                  /* NULL: none */
	size_t length;
	uint64_t retry_after_ms; /* 0: not told */
};

/* What a route takes at most; 0: no limit, or its listener's. */
struct config_route_limits {
	uint64_t request_rate, request_burst; /* of all sources together */
	uint64_t source_rate, source_burst;   /* of each */
	uint64_t active;                      /* requests at once */
	uint64_t body;                        /* bytes */
	uint64_t request_ms, first_byte_ms;   /* timeouts */
};

struct config_route {
	char *prefix; /* of the request target's path: "/", "/api"; docs/routing.md */
	char **hosts; /* in lower case: "example.com", "*.example.com"; none: any */
	size_t host_count;
	uint64_t methods; /* CONFIG_METHOD of each; 0: any */
	struct config_condition *conditions;
	size_t condition_count;
	int line;

	const struct config_upstream *upstream; /* NULL: it has an answer */
	struct config_answer answer;
	char *rewrite; /* takes the prefix's place; NULL: nothing does */
	struct config_rules request, response;
	struct config_route_limits limits;
};

/* The @nth row of methods.def, counted from 1, as a set. */
#define CONFIG_METHOD(nth) (1ULL << (nth))

/* What is told about the client, and about the request. */
enum config_told {
	TOLD_FOR,        /* X-Forwarded-For */
	TOLD_PROTO,      /* X-Forwarded-Proto */
	TOLD_HOST,       /* X-Forwarded-Host */
	TOLD_FORWARDED,  /* Forwarded (RFC 7239) */
	TOLD_REQUEST_ID, /* X-Request-Id */
	TOLD_TRACE,      /* traceparent and tracestate (W3C Trace Context) */
	TOLD_COUNT,
};

enum config_telling {
	TELL_OFF,     /* whatever came is passed on */
	TELL_REMOVE,  /* goes to no server */
	TELL_REPLACE, /* ours alone */
	TELL_KEEP,    /* what a trusted peer says stays, or is continued; else ours alone */
};

enum { CONFIG_DEADLINE_NAME_MAX = 64 };

struct config_forwarding {
	enum config_telling tell[TOLD_COUNT];
	char *deadline;        /* a field for how much time a request has; NULL: none */
	uint32_t trace_sample; /* percent of the traces that begin here */
	struct fw_prefix *trusted;
	size_t trusted_count;
};

/* The route that leaves @route nothing of what comes to @host (NULL: to none that is named), as it
 * has the same path and is asked first; NULL: none does. */
const struct config_route *config_route_hidden_by(const struct config_service *listener,
						  const struct config_route *route,
						  const char *host);
void config_route_free(struct config_route *route); /* what is in it */

#endif
