// SPDX-License-Identifier: BSD-2-Clause
/*
 * What deadlines cost: the proxy's timing wheel, and the red-black tree of tsearch(3), which is how
 * nginx keeps its own. So many connections have a deadline each. Time is made up, the events of a
 * second are spread over its milliseconds as a loop would see them; the CPU time is real.
 * Prints "case <tab> subject <tab> metric <tab> value".
 */
#include <limits.h>
#include <search.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "common/measure.h"
#include "proxy/loop/wheel.h"

#define MS     1000000ULL
#define SECOND (1000 * MS)

enum { CONNECTIONS = 100000, DUE_PER_SECOND = 10000, ROUNDS = 9 };

/* A connection with its deadline, kept by either. */
struct waiter {
	struct timer timer;
	uint64_t due_ns;
};

struct keeper {
	const char *name;
	void (*arm)(struct waiter *waiter, uint64_t at_ns);
	void (*cancel)(struct waiter *waiter);
	/* Calls expire() for all that are due. */
	void (*advance)(uint64_t now_ns);
};

static struct waiter waiters[CONNECTIONS];
static const struct keeper *keeper;
static uint64_t random_state = 88172645463325252ULL, now_ns = 1000 * SECOND, expired;

static uint64_t draw(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

static void expire(struct waiter *waiter)
{
	expired++;
	/* So that in every second as many are due. */
	keeper->arm(waiter, now_ns + (uint64_t)CONNECTIONS / DUE_PER_SECOND * SECOND);
}

/* --- the wheel ---------------------------------------------------------------------------------
 */

static struct wheel wheel;

static void fire(struct timer *timer)
{
	expire(container_of(timer, struct waiter, timer));
}

static void wheel_arm(struct waiter *waiter, uint64_t at_ns)
{
	timer_arm(&wheel, &waiter->timer, at_ns);
}

static void wheel_cancel(struct waiter *waiter)
{
	timer_cancel(&wheel, &waiter->timer);
}

static void wheel_turn(uint64_t at_ns)
{
	wheel_advance(&wheel, at_ns, UINT_MAX);
}

/* --- the tree ----------------------------------------------------------------------------------
 */

static void *root;
static const struct waiter *first;

static int compare(const void *a, const void *b)
{
	const struct waiter *one = a, *other = b;

	if (one->due_ns != other->due_ns)
		return one->due_ns < other->due_ns ? -1 : 1;
	return one < other ? -1 : one > other;
}

static void tree_arm(struct waiter *waiter, uint64_t at_ns)
{
	waiter->due_ns = at_ns;
	if (!tsearch(waiter, &root, compare))
		fail("tsearch: out of memory");
}

static void tree_cancel(struct waiter *waiter)
{
	tdelete(waiter, &root, compare);
}

/* The tree's least, as an owner of the tree would find it: down the left. tsearch() has no call for
 * that, but a search for what is less than all compares with the same nodes. */
static int compare_least(const void *least, const void *node)
{
	(void)least;
	first = node;
	return -1;
}

static void tree_turn(uint64_t at_ns)
{
	while (first = NULL, tfind(&first, &root, compare_least), first && first->due_ns <= at_ns) {
		struct waiter *waiter = (struct waiter *)first;

		tree_cancel(waiter);
		expire(waiter);
	}
}

static const struct keeper keepers[] = {
	{"floodwall", wheel_arm, wheel_cancel, wheel_turn},
	{"tree", tree_arm, tree_cancel, tree_turn},
};

/* --- what is measured --------------------------------------------------------------------------
 */

static void fill(void)
{
	wheel_init(&wheel, now_ns);
	for (uint64_t i = 0; i < CONNECTIONS; i++) {
		waiters[i].timer = (struct timer){.fire = fire};
		keeper->arm(&waiters[i], now_ns + (i + 1) * (SECOND / DUE_PER_SECOND));
	}
}

static void empty(void)
{
	for (int i = 0; i < CONNECTIONS; i++)
		keeper->cancel(&waiters[i]);
}

/* A deadline that moves: taken back and set anew, as with every request. ns of CPU time. */
static double move_one(int times)
{
	uint64_t begun = measure_now_ns();

	for (int i = 0; i < times; i++) {
		struct waiter *waiter = &waiters[draw(CONNECTIONS)];

		keeper->cancel(waiter);
		keeper->arm(waiter, now_ns + MS + draw(60 * SECOND));
	}
	return (double)(measure_now_ns() - begun) / times;
}

/* CPU time for each second of which every ten-thousandth part has its deadline. */
static double run_seconds(int seconds)
{
	uint64_t begun = measure_now_ns(), before = expired;

	for (int ms = 0; ms < 1000 * seconds; ms++) {
		now_ns += MS;
		keeper->advance(now_ns);
	}
	if (expired - before != (uint64_t)DUE_PER_SECOND * (uint64_t)seconds)
		fail("%s: %llu deadlines in %d s", keeper->name,
		     (unsigned long long)(expired - before), seconds);
	return (double)(measure_now_ns() - begun) / seconds;
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 5;

	measure_prepare();
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < sizeof(keepers) / sizeof(keepers[0]); i++) {
			keeper = &keepers[i];
			fill();
			printf("10k_a_second\t%s\tcpu\t%g\n", keeper->name,
			       run_seconds(seconds) / SECOND);
			printf("move\t%s\tns\t%g\n", keeper->name, move_one(CONNECTIONS));
			empty();
		}
	}
	return 0;
}
