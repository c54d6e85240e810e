/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects of one size for one thread, handed back to be handed out again: last in, first out, so
 * that the next user finds them in the cache. A number of free ones is kept, the rest returns to
 * malloc. What is out is charged to a budget that several pools may share: whatever clients make
 * grow ends there.
 *
 * With AddressSanitizer none is kept, so that every use after its return is caught.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

/* Bytes that may be out at once; the limit may be lowered below what is. */
struct pool_budget {
	size_t limit, used;
};

struct pool {
	size_t size; /* of an object, bytes */
	size_t keep; /* free ones kept at most */
	size_t kept;
	struct pool_object *free;
	struct pool_budget *budget;
};

/* @size: at least a pointer's. @budget outlives the pool. */
void pool_init(struct pool *pool, size_t size, size_t keep, struct pool_budget *budget);
/* Gives the kept ones to malloc. What is still out stays valid, and must be returned with free().
 */
void pool_destroy(struct pool *pool);

/* Contents undefined; NULL: over the budget, or no memory. */
void *pool_take(struct pool *pool);
void pool_give(struct pool *pool, void *object); /* NULL is allowed */

#endif
