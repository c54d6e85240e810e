/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One child process: started, told to leave, killed when it does not, started again when it died.
 *
 * The supervisor holds the write end of a pipe to each; end of file means that the supervisor is
 * gone, so that no child outlives it by more than a drain.
 */
#ifndef SUPERVISOR_CHILD_H
#define SUPERVISOR_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
	const char *name;
	pid_t pid;            /* 0: does not run */
	int control;          /* write end of its pipe; −1: none, or told to leave already */
	uint64_t started_ns;  /* the newest start */
	uint64_t backoff_ns;  /* how long the next restart waits */
	uint64_t retry_ns;    /* when to start it again; 0: not to be */
	uint64_t deadline_ns; /* when it is killed if it has not left; 0: not told to leave */
};

#define CHILD_INIT(child_name)                                                                     \
	{                                                                                          \
		.name = (child_name), .control = -1                                                \
	}

/*
 * Forks. In the parent: 0 or −errno, and the child runs. In the child @run is called with the read
 * end of its pipe; its return value is the exit status. When fork() fails a retry is scheduled.
 */
int child_start(struct child *child, int (*run)(void *context, int control), void *context,
		uint64_t now_ns);
/* Asks it to drain and leave by @deadline_ns. */
void child_dismiss(struct child *child, uint64_t deadline_ns);
void child_kill(struct child *child);
/* It ended with @status (waitpid(2)): says so and, unless it was dismissed, schedules a restart.
 * Returns whether it crashed. */
bool child_ended(struct child *child, int status, uint64_t now_ns);
/* Nanoseconds until it needs attention (retry, deadline), at most @most. */
uint64_t child_wait(const struct child *child, uint64_t now_ns, uint64_t most);

#endif
