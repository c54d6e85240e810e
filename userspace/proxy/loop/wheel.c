// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/loop/wheel.h"

#define NS_PER_MS    1000000ULL
#define FARTHEST_MS  ((1ULL << (WHEEL_LEVELS * WHEEL_BITS)) - 1)
#define DIGIT(ms, l) (((ms) >> ((l)*WHEEL_BITS)) & (WHEEL_SLOTS - 1))
#define SPAN_MS(l)   (1ULL << ((l)*WHEEL_BITS))

void wheel_init(struct wheel *wheel, uint64_t now_ns)
{
	wheel->now_ms = now_ns / NS_PER_MS;
	list_init(&wheel->due);
	for (int level = 0; level < WHEEL_LEVELS; level++) {
		wheel->occupied[level] = 0;
		for (int slot = 0; slot < WHEEL_SLOTS; slot++)
			list_init(&wheel->slot[level][slot]);
	}
}

/* The level of a moment later than the wheel's: that of the highest digit in which they differ. */
static int level_of(const struct wheel *wheel, uint64_t due_ms)
{
	int level = (63 - __builtin_clzll(due_ms ^ wheel->now_ms)) / WHEEL_BITS;

	return level < WHEEL_LEVELS ? level : WHEEL_LEVELS - 1;
}

static void insert(struct wheel *wheel, struct timer *timer)
{
	int level = level_of(wheel, timer->due_ms);
	uint64_t slot = DIGIT(timer->due_ms, level);

	list_append(&wheel->slot[level][slot], &timer->node);
	wheel->occupied[level] |= 1ULL << slot;
}

void timer_arm(struct wheel *wheel, struct timer *timer, uint64_t at_ns)
{
	uint64_t due_ms = at_ns / NS_PER_MS + (at_ns % NS_PER_MS != 0);

	timer_cancel(wheel, timer);
	if (due_ms <= wheel->now_ms)
		due_ms = wheel->now_ms + 1;
	/* The top level's digits wrap: what lies beyond its half fires early and is armed anew. */
	if (due_ms - wheel->now_ms > FARTHEST_MS / 2)
		due_ms = wheel->now_ms + FARTHEST_MS / 2;
	timer->due_ms = due_ms;
	insert(wheel, timer);
}

void timer_cancel(struct wheel *wheel, struct timer *timer)
{
	struct list *neighbour;
	uintptr_t offset;

	if (!timer->due_ms)
		return;
	timer->due_ms = 0;
	neighbour = timer->node.next;
	list_remove(&timer->node);
	if (!list_is_empty(neighbour))
		return;
	/* It was the last of its slot, or of those that are due. */
	offset = (uintptr_t)neighbour - (uintptr_t)wheel->slot;
	if (offset < sizeof(wheel->slot)) {
		uintptr_t index = offset / sizeof(struct list);

		wheel->occupied[index / WHEEL_SLOTS] &= ~(1ULL << (index % WHEEL_SLOTS));
	}
}

/*
 * The first occupied slot from the wheel's moment on, and when it begins. Slots of a level lie
 * after those of every lower one, except that the top level wraps.
 */
static bool find_next(const struct wheel *wheel, int *level, uint64_t *begin_ms)
{
	for (int l = 0; l < WHEEL_LEVELS; l++) {
		uint64_t digit = DIGIT(wheel->now_ms, l), bits = wheel->occupied[l], ahead;
		uint64_t base = wheel->now_ms & ~(SPAN_MS(l + 1) - 1);

		if (!bits)
			continue;
		ahead = bits & (~0ULL << digit);
		if (!ahead) /* only at the top */
			base += SPAN_MS(l + 1);
		*level = l;
		*begin_ms = base + (uint64_t)__builtin_ctzll(ahead ? ahead : bits) * SPAN_MS(l);
		return true;
	}
	return false;
}

uint64_t wheel_next_ns(const struct wheel *wheel)
{
	uint64_t begin_ms;
	int level;

	if (!list_is_empty(&wheel->due))
		return wheel->now_ms * NS_PER_MS;
	return find_next(wheel, &level, &begin_ms) ? begin_ms * NS_PER_MS : WHEEL_NEVER;
}

/* Of the slot that the wheel has come to. How many of @most are left to be fired. */
static unsigned int fire_due(struct wheel *wheel, unsigned int most)
{
	while (most && !list_is_empty(&wheel->due)) {
		struct timer *timer = container_of(wheel->due.next, struct timer, node);

		list_remove(&timer->node);
		if (timer->due_ms > wheel->now_ms) {
			insert(wheel, timer); /* one level down */
		} else {
			timer->due_ms = 0;
			timer->fire(timer);
			most--;
		}
	}
	return most;
}

void wheel_advance(struct wheel *wheel, uint64_t now_ns, unsigned int most)
{
	uint64_t now_ms = now_ns / NS_PER_MS, begin_ms;
	int level;

	most = fire_due(wheel, most);
	while (most && find_next(wheel, &level, &begin_ms) && begin_ms <= now_ms) {
		uint64_t slot = DIGIT(begin_ms, level);

		wheel->now_ms = begin_ms;
		wheel->occupied[level] &= ~(1ULL << slot);
		list_take(&wheel->due, &wheel->slot[level][slot]);
		most = fire_due(wheel, most);
	}
	if (most && now_ms > wheel->now_ms)
		wheel->now_ms = now_ms;
}
