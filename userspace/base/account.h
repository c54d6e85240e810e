/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who holds how much memory. What a connection takes is charged to three: the connection itself,
 * its source, and the thread's budget, and may exceed the ceiling of none of them. What was charged
 * is discharged by the same amount, so that all three are zero when everything was given back.
 *
 * Sources are many, and one's connections may be with every thread: what they hold is in tallies.
 * The other threads' are looked at only when a source exceeds this one's share of the ceiling.
 */
#ifndef BASE_ACCOUNT_H
#define BASE_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>
#include "base/pool.h"
#include "base/tally.h"

enum shortage {
	SHORTAGE_NONE,
	SHORTAGE_CONNECTION, /* it holds what one may */
	SHORTAGE_SOURCE,     /* its source does */
	SHORTAGE_MEMORY,     /* all together do, or the machine has no more */
};

enum {
	ACCOUNT_KEEPS_BACK = 64, /* one part in so many */
	ACCOUNT_PLENTY = 2,      /* as long as no more than one part in so many is used */
};

struct account;

/* By what rules accounts are kept: those of one thread and service. */
struct ledger {
	struct pool_budget *budget;
	struct buffers *buffers; /* what buffer_take() takes from */
	struct tally *tallies; /* of all threads, bytes by source; NULL: sources have no ceiling */
	uint32_t thread, threads; /* which tally is ours, of how many */
	uint32_t connection_most; /* bytes; 0: no ceiling */
	uint32_t source_most;     /* the same */
	enum shortage shortage;   /* why the last charge was refused */
	/* Called when @account's source, or all together, lack @bytes for it: true if others gave
	 * some back, and it is worth asking again. NULL: nobody does. */
	bool (*relieve)(struct account *account, enum shortage shortage, size_t bytes);
};

/* Of one connection, inside what it belongs to. */
struct account {
	struct ledger *ledger;
	uint32_t held; /* bytes */
	struct tally_place source;
};

/* Whether @bytes more may go on some account. The last part of a budget is for what is on nobody's:
 * so that there is still room to let somebody in, or to reach a server for him. */
static inline bool account_budget_has(const struct pool_budget *budget, size_t bytes)
{
	return budget->used + bytes <= budget->limit - budget->limit / ACCOUNT_KEEPS_BACK;
}

/* Whether the account's source, with all threads, may have @bytes more. */
bool account_source_has(const struct account *account, size_t bytes);

/* @source_hash: keyed, of whoever the source is. */
void account_open(struct account *account, struct ledger *ledger, uint64_t source_hash);
/* From now on it is another source's: what is held moves along. */
void account_assign(struct account *account, uint64_t source_hash);
/* The same, by the rules of another ledger of the same budget. */
void account_move(struct account *account, struct ledger *ledger, struct tally_place source);

/* Charges all three, or nobody, and then the ledger says why. */
bool account_charge(struct account *account, size_t bytes);
/* The same for what can be done without: only out of plenty, and nobody makes room for it. */
bool account_charge_spare(struct account *account, size_t bytes);
/* No more than was charged. */
void account_discharge(struct account *account, size_t bytes);

/* The same for an object of @pool, whose budget is the thread's. NULL: refused. */
void *account_take(struct account *account, struct pool *pool);
void account_give(struct account *account, struct pool *pool, void *object); /* NULL is allowed */

#endif
