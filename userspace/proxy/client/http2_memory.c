// SPDX-License-Identifier: BSD-2-Clause
/*
 * nghttp2's memory: each block remembers its size, and is on somebody's account.
 */
#include <stdlib.h>
#include <string.h>
#include "base/pieces.h"
#include "proxy/client/http2_wire.h"

struct block {
	_Alignas(max_align_t) size_t size;
};

static void release_block(void *memory, void *user)
{
	struct account *account = user;
	struct block *block = memory;

	if (!memory)
		return;
	block--;
	account_discharge(account, block->size);
	pieces_give(block);
}

static void *take_block(size_t size, void *user)
{
	struct account *account = user;
	struct block *block;

	size += sizeof(*block);
	if (!account_charge(account, size))
		return NULL;
	block = pieces_take(size);
	if (!block) {
		account_discharge(account, size);
		return NULL;
	}
	block->size = size;
	return block + 1;
}

static void *take_zeroed(size_t count, size_t size, void *user)
{
	void *memory = NULL;

	if (!__builtin_mul_overflow(count, size, &size))
		memory = take_block(size, user);
	return memory ? memset(memory, 0, size) : NULL;
}

static void *resize_block(void *memory, size_t size, void *user)
{
	void *larger = take_block(size, user);
	size_t old;

	if (!memory || !larger)
		return larger;
	old = ((struct block *)memory - 1)->size - sizeof(struct block);
	memcpy(larger, memory, old < size ? old : size);
	release_block(memory, user);
	return larger;
}

nghttp2_mem http2_memory(struct account *account)
{
	return (nghttp2_mem){account, take_block, release_block, take_zeroed, resize_block};
}
