// SPDX-License-Identifier: BSD-2-Clause
#include "base/buffer.h"

static const size_t class_sizes[BUFFER_CLASSES] = {4096, 8704, 17408, 34816, 69632};
static const size_t class_keep[BUFFER_CLASSES] = {1024, 64, 256, 8, 8};

void buffers_init(struct buffers *buffers, struct pool_budget *budget)
{
	for (int kind = 0; kind < BUFFER_CLASSES; kind++)
		pool_init(&buffers->pool[kind], class_sizes[kind], class_keep[kind], budget);
}

void buffers_destroy(struct buffers *buffers)
{
	for (int kind = 0; kind < BUFFER_CLASSES; kind++)
		pool_destroy(&buffers->pool[kind]);
}

struct buffer *buffer_take(struct account *account, enum buffer_class kind)
{
	struct pool *home = &account->ledger->buffers->pool[kind];
	struct buffer *buffer = account_take(account, home);

	if (buffer) {
		buffer->home = home;
		buffer->account = account;
		buffer->capacity = (uint32_t)(home->size - sizeof(*buffer));
		buffer->start = buffer->end = 0;
	}
	return buffer;
}

struct buffer *buffer_take_for(struct account *account, size_t size)
{
	for (int kind = 0; kind < BUFFER_CLASSES; kind++)
		if (size <= class_sizes[kind] - sizeof(struct buffer))
			return buffer_take(account, kind);
	return NULL;
}

size_t buffer_most(void)
{
	return class_sizes[BUFFER_LARGE] - sizeof(struct buffer);
}

/* Takes the place of *@buffer with all that is in it. */
static bool succeed(struct buffer **buffer, struct buffer *to)
{
	if (!to)
		return false;
	buffer_append(to, buffer_start(*buffer), buffer_length(*buffer));
	buffer_give(buffer);
	*buffer = to;
	return true;
}

bool buffer_grow(struct buffer **buffer)
{
	const struct buffers *buffers = (*buffer)->account->ledger->buffers;
	int kind = (int)((*buffer)->home - buffers->pool);

	if (kind == BUFFER_CLASSES - 1)
		return false;
	kind = kind + 2 < BUFFER_CLASSES ? kind + 2 : BUFFER_CLASSES - 1;
	return succeed(buffer, buffer_take((*buffer)->account, (enum buffer_class)kind));
}

bool buffer_fit(struct buffer **buffer, struct account *account, uint32_t more)
{
	if (!*buffer) {
		*buffer = buffer_take_for(account, more);
		return *buffer;
	}
	if (buffer_room(*buffer) < more)
		buffer_compact(*buffer);
	return buffer_room(*buffer) >= more ||
	       succeed(buffer, buffer_take_for(account, (size_t)buffer_length(*buffer) + more));
}
