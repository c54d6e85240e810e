/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes on their way: filled at the end, emptied at the start, of a fixed capacity. Buffers come in
 * a few sizes from one thread's pools, on a connection's account, and know both.
 *
 * Whoever empties a buffer gives it back: a connection that has nothing to say holds none.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "base/account.h"

enum buffer_class {
	BUFFER_SMALL,  /* 4 KiB with its own bookkeeping: heads */
	BUFFER_HALF,   /* of the next: in between, so that little is taken for a little more */
	BUFFER_MEDIUM, /* 17 KiB: bodies, and the largest TLS record */
	BUFFER_DOUBLE,
	BUFFER_LARGE, /* 68 KiB: the largest head, and what a rewritten one may need beyond */
	BUFFER_CLASSES,
};

struct buffers {
	struct pool pool[BUFFER_CLASSES];
};

struct buffer {
	struct pool *home;
	struct account *account;
	uint32_t capacity, start, end; /* content: data[start..end) */
	char data[];
};

/* Empty; every buffer that is kept or out counts against @budget, which outlives them. */
void buffers_init(struct buffers *buffers, struct pool_budget *budget);
void buffers_destroy(struct buffers *buffers);

/* An empty buffer; NULL: over a ceiling, or no memory. The account outlives it. */
struct buffer *buffer_take(struct account *account, enum buffer_class class);
/* The smallest that holds @size bytes; NULL also: more than buffer_most(). */
struct buffer *buffer_take_for(struct account *account, size_t size);
size_t buffer_most(void); /* bytes that the largest holds */
/* Moves the content of *@buffer to one several times as large. False: there is none, or no memory.
 */
bool buffer_grow(struct buffer **buffer);
/* Makes room for @more bytes behind the content of *@buffer, if need be in the smallest one that
 * has it; NULL becomes one. False: there is none, or no memory, and *@buffer is what it was. */
bool buffer_fit(struct buffer **buffer, struct account *account, uint32_t more);

/* Gives *@buffer back and forgets it; NULL is allowed. */
static inline void buffer_give(struct buffer **buffer)
{
	if (*buffer)
		account_give((*buffer)->account, (*buffer)->home, *buffer);
	*buffer = NULL;
}

/* Bytes held; 0 for NULL. */
static inline uint32_t buffer_length(const struct buffer *buffer)
{
	return buffer ? buffer->end - buffer->start : 0;
}

static inline char *buffer_start(struct buffer *buffer)
{
	return buffer->data + buffer->start;
}

static inline char *buffer_end(struct buffer *buffer)
{
	return buffer->data + buffer->end;
}

/* Bytes that can be added without moving anything. */
static inline uint32_t buffer_room(const struct buffer *buffer)
{
	return buffer->capacity - buffer->end;
}

static inline void buffer_consume(struct buffer *buffer, uint32_t count)
{
	buffer->start += count;
	if (buffer->start == buffer->end)
		buffer->start = buffer->end = 0;
}

/* Moves the content to the front, so that all the room is at the end. */
static inline void buffer_compact(struct buffer *buffer)
{
	if (buffer->start) {
		memmove(buffer->data, buffer_start(buffer), buffer_length(buffer));
		buffer->end -= buffer->start;
		buffer->start = 0;
	}
}

/* The caller has made sure of the room. */
static inline void buffer_append(struct buffer *buffer, const void *data, uint32_t count)
{
	memcpy(buffer_end(buffer), data, count);
	buffer->end += count;
}

#endif
