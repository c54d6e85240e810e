/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes through which bytes go from one socket to the other without being copied (splice(2)). A
 * pipe is borrowed while bytes are in it, and takes two descriptors: so a thread has a limited
 * number of them, never out of those that clients may not use, and gives free ones back to the
 * system when none has been needed for a while.
 *
 * What is in a pipe is the kernel's memory, of which a client could make us hold much by not taking
 * it: so a pipe is on the account of whom it is lent for, with all that it may hold, as a byte may
 * take a page. One that lies ready is on the thread's budget. There is always another way, so that
 * none is lent but where memory is plenty.
 */
#ifndef PROXY_CLIENT_PIPES_H
#define PROXY_CLIENT_PIPES_H

#include <stdint.h>
#include "base/account.h"
#include "base/list.h"
#include "proxy/guard/reserve.h"

enum {
	PIPES_MAX = 256,       /* of all threads */
	PIPE_SIZE = 256 << 10, /* bytes, and what one may hold at most */
	PIPE_EMPTY = 4 << 10,  /* bytes of the kernel's that one takes which holds none */
	WORTH_A_PIPE = 16384,  /* bytes that must come in one go: fewer are copied faster */
};

struct pipe {
	struct list node;
	int in, out;
	uint32_t held;           /* bytes … */
	uint32_t size;           /* … of at most so many */
	struct account *account; /* NULL: it lies ready */
};

/* Of one thread. */
struct pipes {
	const struct reserve *reserve;
	struct pool_budget *budget;
	struct list free;
	uint32_t most, open, free_count;
	uint32_t least_free; /* since pipes_trim() */
	uint64_t lacked;     /* times there was none to be had */
};

/* None is open yet. @reserve: of the descriptors that pipes leave alone; @threads: among whom
 * PIPES_MAX are shared out. Both pointers outlive it. */
void pipes_init(struct pipes *pipes, const struct reserve *reserve, struct pool_budget *budget,
		uint32_t threads);
void pipes_destroy(struct pipes *pipes);

/* An empty one, on @account, which outlives the loan; NULL: none is to be had, with @kept
 * descriptors kept back. */
struct pipe *pipes_take(struct pipes *pipes, struct account *account, uint64_t kept);
/* Gives *@pipe back and forgets it; NULL is allowed. What is in it is lost. */
void pipes_give(struct pipes *pipes, struct pipe **pipe);
/* Closes those that were free ever since the last time. */
void pipes_trim(struct pipes *pipes);

#endif
