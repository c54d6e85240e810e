// SPDX-License-Identifier: BSD-2-Clause
/*
 * A piece is a block of malloc's, and tells what it has room for by itself
 * (malloc_usable_size(3)): a multiple of 16 and 8 bytes more. A shelf has those of one size.
 */
#include "base/pieces.h"
#include <malloc.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define PIECES_KEPT 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PIECES_KEPT 0
#endif
#endif
#ifndef PIECES_KEPT
#define PIECES_KEPT 16384
#endif

enum {
	STEP = 16,
	LEAST = 24, /* malloc has no smaller ones */
	SHELVES = 1024 / STEP + 1,
	SHELF_BYTES = PIECES_KEPT, /* on each, at most: a MiB of a thread's in all */
};

struct piece {
	struct piece *next;
};

static __thread struct shelf {
	struct piece *first;
	size_t bytes;
} shelves[SHELVES];

/* That of the smallest blocks which have room for @size bytes. */
static size_t shelf_for(size_t size)
{
	return size <= LEAST ? LEAST / STEP : (size + STEP / 2 - 1) / STEP;
}

void *pieces_take(size_t size)
{
	size_t number = size < SHELVES * STEP ? shelf_for(size) : SHELVES;
	struct shelf *shelf = &shelves[number];
	struct piece *piece;

	if (number >= SHELVES || !shelf->first)
		return malloc(size);
	piece = shelf->first;
	shelf->first = piece->next;
	shelf->bytes -= malloc_usable_size(piece);
	return piece;
}

void pieces_give(void *memory)
{
	struct piece *piece = memory;
	size_t size, number;

	if (!memory)
		return;
	size = malloc_usable_size(memory);
	number = size / STEP;
	if (number >= SHELVES || shelves[number].bytes + size > SHELF_BYTES) {
		free(memory);
		return;
	}
	piece->next = shelves[number].first;
	shelves[number].first = piece;
	shelves[number].bytes += size;
}
