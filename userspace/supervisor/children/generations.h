/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The generations of the proxy: one serves, those that served before it finish what they had begun.
 *
 * All of them accept from the same sockets, which the supervisor holds. A new generation serves
 * before the one in its place is told to drain, so there is no moment in which nobody does. Any
 * number may drain at once for which the board has rows: past that the oldest is ended, and said to
 * be. What one that is gone left in its gauges is cleared, for its connections died with it.
 */
#ifndef SUPERVISOR_CHILDREN_GENERATIONS_H
#define SUPERVISOR_CHILDREN_GENERATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "supervisor/children/child.h"
#include "supervisor/children/rows.h"

struct generation {
	struct child child;
	uint64_t number;       /* of this daemon's, from 1 */
	struct row_range rows; /* of the board; none: there is no such generation */
};

struct generations {
	struct generation serving;
	struct generation draining[FW_WORKERS_MAX]; /* oldest first */
	size_t draining_count;
	uint64_t newest; /* number */
	uint64_t pinged_ns;
	struct rows rows;
	struct rows orphans; /* that a daemon before this one may still write, until … */
	uint64_t orphans_until_ns;
};

struct holdings;
struct supervisor;

/*
 * A generation with @next in the place of the one that serves. Returns when it does; the other then
 * drains. −errno: it never did, and the other goes on. No listener: none serves from now on.
 */
int generations_replace(struct supervisor *supervisor, const struct holdings *next,
			struct error *error);
/* Takes over one that runs, of a supervisor before this one; false: its rows are not free. */
bool generations_adopt(struct supervisor *supervisor, const struct generation *other,
		       bool is_serving);

/* For a daemon that starts anew: clears what one that was killed has left behind. Its proxy may
 * live for a while yet: rows on which there are connections are left to it for as long. */
void generations_clear_board(struct supervisor *supervisor, uint64_t now_ns);

/* Process @pid ended; false: it was none of them. */
bool generations_reap(struct supervisor *supervisor, pid_t pid, int status, uint64_t now_ns);
/* Does what is due: restarts, heartbeats, deadlines. */
void generations_attend(struct supervisor *supervisor, uint64_t now_ns);
/* Whether the one that serves, if there should be one, has given a sign of life lately. */
bool generations_are_well(const struct supervisor *supervisor, uint64_t now_ns);
/* Nanoseconds until generations_attend() is to be called again, at most @most. */
uint64_t generations_wait(const struct supervisor *supervisor, uint64_t now_ns, uint64_t most);

/* All are to drain, and nobody takes their place; or to end at once. */
void generations_dismiss(struct supervisor *supervisor, uint64_t now_ns);
void generations_kill(struct supervisor *supervisor);
bool generations_are_gone(const struct supervisor *supervisor);
/* In a child: closes this end of every pair. */
void generations_forget(const struct generations *generations);

#endif
