/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers of one thread: a hierarchical timing wheel (Varghese, Lauck 1987) of six levels with 64
 * slots each, in milliseconds. A timer sits at the level of the highest six-bit digit in which its
 * time differs from the wheel's, so arming and cancelling touch one slot, and a bit per slot
 * says without a search when something is next due.
 *
 * Deadlines of a busy connection move later with every request, and hardly any is ever reached. So
 * owners arm lazily: a timer may fire too early, never too late, and its owner then looks whether
 * the deadline has really come.
 */
#ifndef PROXY_LOOP_WHEEL_H
#define PROXY_LOOP_WHEEL_H

#include <stdbool.h>
#include <stdint.h>
#include "base/list.h"

enum { WHEEL_LEVELS = 6, WHEEL_BITS = 6, WHEEL_SLOTS = 1 << WHEEL_BITS };

#define WHEEL_NEVER UINT64_MAX

/* Embedded in what it times. Zero-initialised it is not armed; `fire` is the owner's to set. */
struct timer {
	struct list node;
	uint64_t due_ms; /* 0: not armed */
	void (*fire)(struct timer *timer);
};

struct wheel {
	uint64_t now_ms;
	struct list due;                 /* of a slot whose time has come: not fired yet */
	uint64_t occupied[WHEEL_LEVELS]; /* bit per slot */
	struct list slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *wheel, uint64_t now_ns);

/* Fires at @at_ns, rounded up to the millisecond; at the next wheel_advance() if that is past. */
void timer_arm(struct wheel *wheel, struct timer *timer, uint64_t at_ns);
void timer_cancel(struct wheel *wheel, struct timer *timer); /* not armed: no effect */

/* Whether its time has come, and wheel_advance() not to it yet. */
static inline bool timer_is_due(const struct timer *timer, uint64_t now_ns)
{
	return timer->due_ms && timer->due_ms * 1000000ULL <= now_ns;
}

/* Fires at @at_ns or, if it was armed for an earlier moment, then. WHEEL_NEVER leaves it alone. */
static inline void timer_arm_lazily(struct wheel *wheel, struct timer *timer, uint64_t at_ns)
{
	if (at_ns < WHEEL_NEVER && (!timer->due_ms || at_ns <= (timer->due_ms - 1) * 1000000ULL))
		timer_arm(wheel, timer, at_ns);
}

/*
 * Calls `fire` of timers due at @now_ns, earliest first to the slot; they may arm and cancel any
 * timer. At most @most of them: who is left is next when it is called again, so that deadlines that
 * come together keep nobody else waiting for long. What is armed meanwhile counts from the moment
 * that the wheel has come to.
 */
void wheel_advance(struct wheel *wheel, uint64_t now_ns, unsigned int most);

/* When wheel_advance() has something to do next, ns; WHEEL_NEVER: nothing is armed. */
uint64_t wheel_next_ns(const struct wheel *wheel);

#endif
