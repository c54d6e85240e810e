/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the connections of each source end. What is held against it are faults (a verdict's row says
 * whether it is one): some are borne at once, and time forgives one after the other. Whoever has
 * more is kept out until enough are forgiven, so the more and the sooner again, the longer, up to a
 * limit. What an honest client may do some dozens of times on end is a small part of a fault. A
 * connection that came to a good end speaks for its source: of many behind one address those who
 * are served pay for those who are not.
 *
 * A source's record is one word, the time at which everything will be forgiven: it may lie ahead by
 * what is borne, and while it lies further ahead the source is kept out. Records stand in sets of
 * four, under the whole of a keyed hash, so nobody is taken for another; in a full set the least
 * guilty one is forgotten. No memory grows with the number of sources. All threads share it.
 */
#ifndef PROXY_GUARD_CONDUCT_H
#define PROXY_GUARD_CONDUCT_H

#include <stdbool.h>
#include "contract/rows.h"
#include "proxy/guard/live.h"

enum {
	CONDUCT_FAULT = 8,            /* parts */
	CONDUCT_MISUSE = 1,           /* part, that FAULT_MISUSE counts as */
	CONDUCT_SILENCE = 3,          /* that FAULT_HOARD does of who has said nothing at all */
	CONDUCT_ABUSE_FAULTS = 5,     /* that an end by FAULT_ABUSE counts as */
	CONDUCT_PRAISE_FAULTS = 2,    /* that a good end forgives */
	CONDUCT_OVERLOAD_DIVISOR = 5, /* of what is borne; at least one is */
};

/* By what a source is judged now. */
struct conduct_terms {
	uint64_t fault_ns; /* in which one fault is forgiven; 0: nothing is held against anybody */
	uint64_t borne_ns; /* ahead of now */
	uint64_t most_ns;  /* that it is kept out */
};

struct conduct_terms conduct_terms_of(const struct live *live, bool overloaded);

/* Parts of a fault that an end by @verdict counts as; CONDUCT_FAULT are a whole one. */
uint32_t conduct_parts_of(enum fw_verdict verdict, bool overloaded);

struct conduct;

struct conduct *conduct_create(void);       /* NULL: no memory, or no random numbers */
void conduct_free(struct conduct *conduct); /* NULL is allowed */

/* Holds @parts, at least 1, against @source at @service. Until when it is kept out; 0: it is not.
 */
uint64_t conduct_blame(struct conduct *conduct, const struct fw_addr *source, uint32_t service,
		       struct conduct_terms terms, uint32_t parts, uint64_t now_ns);

/* A connection came to a good end. Costs a load where nothing is held against anybody. */
void conduct_praise(struct conduct *conduct, const struct fw_addr *source, uint32_t service,
		    struct conduct_terms terms, uint64_t now_ns);

/* Until when @source is kept out; 0: it is not. */
uint64_t conduct_shut_until(const struct conduct *conduct, const struct fw_addr *source,
			    uint32_t service, struct conduct_terms terms, uint64_t now_ns);

/* Whether any fault of it will not have been forgiven at @then_ns. */
bool conduct_has_faults(const struct conduct *conduct, const struct fw_addr *source,
			uint32_t service, uint64_t then_ns);

#endif
