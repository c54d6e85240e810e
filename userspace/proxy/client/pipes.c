// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/pipes.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* The kernel gives a user who has many only two pages for each further one. */
enum { PIPE_LEAST = 64 << 10, DESCRIPTORS_SHARE = 8 };

void pipes_init(struct pipes *pipes, const struct reserve *reserve, uint32_t threads)
{
	/* However few descriptors there are: most of them are for connections. */
	uint64_t most = reserve->limit / DESCRIPTORS_SHARE / 2;

	*pipes = (struct pipes){.reserve = reserve};
	pipes->most = (uint32_t)(most < PIPES_MAX ? most : PIPES_MAX) / threads;
	list_init(&pipes->free);
}

static void close_pipe(struct pipes *pipes, struct pipe *pipe)
{
	close(pipe->in);
	close(pipe->out);
	free(pipe);
	pipes->open--;
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
		return 0;
	close(ends[0]);
	close(ends[1]);
	return -1;
}

static struct pipe *open_pipe(struct pipes *pipes, uint64_t kept)
{
	struct pipe *pipe = pipes->open < pipes->most ? malloc(sizeof(*pipe)) : NULL;
	int ends[2];

	if (!pipe)
		return NULL;
	if (open_ends(pipes, ends, kept) < 0) {
		free(pipe);
		return NULL;
	}
	*pipe = (struct pipe){.out = ends[0], .in = ends[1]};
	pipes->open++;
	return pipe;
}

struct pipe *pipes_take(struct pipes *pipes, uint64_t kept)
{
	struct pipe *pipe;

	if (list_is_empty(&pipes->free)) {
		pipe = open_pipe(pipes, kept);
		pipes->lacked += !pipe;
	} else {
		pipe = container_of(pipes->free.next, struct pipe, node);
		list_remove(&pipe->node);
		pipes->free_count--;
	}
	if (pipes->free_count < pipes->least_free)
		pipes->least_free = pipes->free_count;
	if (pipe)
		list_init(&pipe->node);
	return pipe;
}

void pipes_give(struct pipes *pipes, struct pipe **pipe)
{
	if (!*pipe)
		return;
	if ((*pipe)->held) {
		close_pipe(pipes, *pipe);
	} else {
		list_insert(&pipes->free, &(*pipe)->node);
		pipes->free_count++;
	}
	*pipe = NULL;
}

void pipes_trim(struct pipes *pipes)
{
	close_free(pipes, pipes->least_free);
	pipes->least_free = pipes->free_count;
}
