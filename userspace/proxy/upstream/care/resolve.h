/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The addresses of a name, asked for without waiting: c-ares in an event loop.
 *
 * Each question has a channel of its own, which reads /etc/resolv.conf and /etc/hosts anew and asks
 * from a port that nobody knows yet. So what an operator changes there counts from the next
 * question on, and no answer can be prepared for one that is still to come. What comes back is
 * validated by c-ares and counted here: a name has at most RESOLVE_ADDRESSES_MAX addresses.
 *
 * Left out: what becomes of them (resolve_set.h), and when to ask again (caretaker.h).
 */
#ifndef PROXY_UPSTREAM_CARE_RESOLVE_H
#define PROXY_UPSTREAM_CARE_RESOLVE_H

#include "config/config.h"
#include "proxy/loop/loop.h"

enum {
	RESOLVE_ADDRESSES_MAX = 256,
	RESOLVE_SOCKETS_MAX = 16, /* of one question: one and one with TCP for each resolver */
};

struct resolve_answer {
	struct fw_addr address[RESOLVE_ADDRESSES_MAX]; /* no two the same */
	uint32_t count;
	uint32_t left_out; /* addresses there was no room for */
	uint64_t ttl_ms;   /* the shortest of all records, as it came */
};

/* A socket of c-ares that the loop watches for it. */
struct resolve_socket {
	struct source source;
	struct resolve *resolve;
	uint32_t events; /* that c-ares waits for */
};

/* A question, one at a time. */
struct resolve {
	struct loop *loop;
	const struct config_resolver *config;
	/* Within the loop. @answer NULL: there is none, and @why says why. May ask again. */
	void (*done)(struct resolve *resolve, const struct resolve_answer *answer, const char *why);

	void *channel;      /* of c-ares; NULL: nothing is being asked */
	struct timer timer; /* when c-ares has something to do, and for the end of all patience */
	uint64_t until_ns;
	bool answered;
	const char *why;
	struct resolve_answer answer;
	struct resolve_socket sockets[RESOLVE_SOCKETS_MAX];
};

/* Before any thread asks; 0 or −ENOMEM. */
int resolve_prepare(void);
/* @resolve is zeroed. */
void resolve_init(struct resolve *resolve, struct loop *loop, const struct config_resolver *config);
/* Asks for the addresses of @host. done() is called once, but never before this returns. */
void resolve_ask(struct resolve *resolve, const char *host);
/* Forgets a question: done() is not called. */
void resolve_cancel(struct resolve *resolve);

#endif
