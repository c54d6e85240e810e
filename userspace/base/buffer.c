// SPDX-License-Identifier: BSD-2-Clause
#include "base/buffer.h"

static const size_t class_sizes[BUFFER_CLASSES] = {4096, 17408, 69632};
static const size_t class_keep[BUFFER_CLASSES] = {1024, 256, 8};

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

bool buffer_grow(struct buffer **buffer)
{
	struct buffer *from = *buffer, *to;
	const struct buffers *buffers = from->account->ledger->buffers;

	if (from->home == &buffers->pool[BUFFER_CLASSES - 1])
		return false;
	to = buffer_take(from->account, (enum buffer_class)(from->home - buffers->pool) + 1);
	if (!to)
		return false;
	buffer_append(to, buffer_start(from), buffer_length(from));
	buffer_give(buffer);
	*buffer = to;
	return true;
}
