// SPDX-License-Identifier: BSD-2-Clause
#include "base/pool.h"
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define POOL_KEEPS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_KEEPS 0
#endif
#endif
#ifndef POOL_KEEPS
#define POOL_KEEPS 1
#endif

struct pool_object {
	struct pool_object *next;
};

void pool_init(struct pool *pool, size_t size, size_t keep, struct pool_budget *budget)
{
	*pool = (struct pool){.size = size, .keep = POOL_KEEPS ? keep : 0, .budget = budget};
}

void pool_destroy(struct pool *pool)
{
	struct pool_object *object;

	while ((object = pool->free)) {
		pool->free = object->next;
		free(object);
	}
	pool->kept = 0;
}

void *pool_take(struct pool *pool)
{
	struct pool_object *object = pool->free;

	if (pool->budget->used + pool->size > pool->budget->limit)
		return NULL;
	if (object) {
		pool->free = object->next;
		pool->kept--;
	} else if (!(object = malloc(pool->size))) {
		return NULL;
	}
	pool->budget->used += pool->size;
	return object;
}

void pool_give(struct pool *pool, void *memory)
{
	struct pool_object *object = memory;

	if (!object)
		return;
	pool->budget->used -= pool->size;
	if (pool->kept >= pool->keep) {
		free(object);
		return;
	}
	object->next = pool->free;
	pool->free = object;
	pool->kept++;
}
