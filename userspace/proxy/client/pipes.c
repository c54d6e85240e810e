// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/pipes.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* The kernel gives a user who has many only two pages for each further one. */
enum { PIPE_LEAST = 64 << 10, DESCRIPTORS_SHARE = 8 };

void pipes_init(struct pipes *pipes, const struct reserve *reserve, struct pool_budget *budget,
		uint32_t threads)
{
	/* However few descriptors there are: most of them are for connections. */
	uint64_t most = reserve->limit / DESCRIPTORS_SHARE / 2;

	*pipes = (struct pipes){.reserve = reserve, .budget = budget};
	pipes->most = (uint32_t)(most < PIPES_MAX ? most : PIPES_MAX) / threads;
	list_init(&pipes->free);
}

static void close_pipe(struct pipes *pipes, struct pipe *pipe)
{
	close(pipe->in);
	close(pipe->out);
	free(pipe);
	pipes->open--;
	pipes->budget->used -= PIPE_EMPTY;
}

static void close_free(struct pipes *pipes, uint32_t count)
{
	for (; count; count--) {
		struct pipe *pipe = container_of(pipes->free.previous, struct pipe, node);

		list_remove(&pipe->node);
		pipes->free_count--;
		close_pipe(pipes, pipe);
	}
}

void pipes_destroy(struct pipes *pipes)
{
	if (pipes->free.next)
		close_free(pipes, pipes->free_count);
}

/* Returns its size; −1: none is to be had. */
static int open_ends(const struct pipes *pipes, int ends[2], uint64_t kept)
{
	int size;

	if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0)
		return -1;
	size = fcntl(ends[0], F_SETPIPE_SZ, PIPE_SIZE);
	if (size < 0)
		size = fcntl(ends[0], F_GETPIPE_SZ);
	if (size >= PIPE_LEAST && reserve_permits(pipes->reserve, ends[0], kept) &&
	    reserve_permits(pipes->reserve, ends[1], kept))
		return size;
	close(ends[0]);
	close(ends[1]);
	return -1;
}

static struct pipe *open_pipe(struct pipes *pipes, uint64_t kept)
{
	bool may = pipes->open < pipes->most && account_budget_has(pipes->budget, PIPE_EMPTY);
	struct pipe *pipe = may ? malloc(sizeof(*pipe)) : NULL;
	int ends[2], size;

	if (!pipe)
		return NULL;
	size = open_ends(pipes, ends, kept);
	if (size < 0) {
		free(pipe);
		return NULL;
	}
	*pipe = (struct pipe){.out = ends[0], .in = ends[1], .size = (uint32_t)size};
	list_init(&pipe->node);
	pipes->open++;
	pipes->budget->used += PIPE_EMPTY;
	return pipe;
}

static void keep(struct pipes *pipes, struct pipe *pipe)
{
	list_insert(&pipes->free, &pipe->node);
	pipes->free_count++;
}

static struct pipe *find(struct pipes *pipes, uint64_t kept)
{
	struct pipe *pipe;

	if (list_is_empty(&pipes->free))
		return open_pipe(pipes, kept);
	pipe = container_of(pipes->free.next, struct pipe, node);
	list_remove(&pipe->node);
	pipes->free_count--;
	return pipe;
}

struct pipe *pipes_take(struct pipes *pipes, struct account *account, uint64_t kept)
{
	struct pipe *pipe = find(pipes, kept);

	if (pipe && !account_charge_spare(account, pipe->size)) {
		keep(pipes, pipe);
		pipe = NULL;
	}
	pipes->lacked += !pipe;
	if (pipes->free_count < pipes->least_free)
		pipes->least_free = pipes->free_count;
	if (pipe)
		pipe->account = account;
	return pipe;
}

void pipes_give(struct pipes *pipes, struct pipe **pipe)
{
	if (!*pipe)
		return;
	account_discharge((*pipe)->account, (*pipe)->size);
	(*pipe)->account = NULL;
	if ((*pipe)->held)
		close_pipe(pipes, *pipe);
	else
		keep(pipes, *pipe);
	*pipe = NULL;
}

void pipes_trim(struct pipes *pipes)
{
	close_free(pipes, pipes->least_free);
	pipes->least_free = pipes->free_count;
}
