/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One child process: started, heard, told to leave, killed when it does not, started again when it
 * died.
 *
 * The two talk in orders (contract/order.h); end of file tells the child that the supervisor is
 * gone, so that no child outlives it by more than a drain.
 */
#ifndef SUPERVISOR_CHILDREN_CHILD_H
#define SUPERVISOR_CHILDREN_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "contract/order.h"

struct child {
	const char *name;
	pid_t pid;            /* 0: does not run */
	int control;          /* our end of the pair; −1: none */
	bool ready;           /* has said that it serves */
	bool killed;          /* by us */
	bool complains;       /* has said so; whoever looks clears it */
	uint64_t started_ns;  /* the newest start */
	uint64_t asked_ns;    /* of the first ping since it answered; 0: none */
	uint64_t heard_ns;    /* its newest answer, or start */
	uint64_t backoff_ns;  /* how long the next restart waits */
	uint64_t retry_ns;    /* when to start it again; 0: not to be */
	uint64_t deadline_ns; /* when it is killed if it has not left; 0: not told to leave */
};

#define CHILD_INIT(child_name)                                                                     \
	{                                                                                          \
		.name = (child_name), .control = -1                                                \
	}

/*
 * Forks. In the parent: 0 or −errno, and the child runs. In the child @run is called with its end
 * of the pair; its return value is the exit status. When fork() fails a retry is scheduled.
 */
int child_start(struct child *child, int (*run)(void *context, int control), void *context,
		uint64_t now_ns);
/* Waits until it says that it serves. False: it died, or @most_ms passed without a word. */
bool child_await_ready(struct child *child, int most_ms);
/* Takes notice of what it has said, or of as much as an honest child has to say. */
void child_hear(struct child *child, uint64_t now_ns);
/* Asks it to answer, and again whoever has not: it may have been unwell for that moment alone. What
 * is counted is since when it has not answered (asked_ns). */
void child_ping(struct child *child, uint64_t now_ns);
/* Asks it to leave (ORDER_DRAIN, ORDER_STOP), with @drain_ms for what it has begun; at @deadline_ns
 * it is killed. Again: only the deadline may still come nearer. */
void child_dismiss(struct child *child, enum order_word word, uint32_t drain_ms,
		   uint64_t deadline_ns);
/* Whether its deadline has passed. */
bool child_is_late(const struct child *child, uint64_t now_ns);
void child_kill(struct child *child);
/* Kills it, and returns when it is gone. */
void child_end(struct child *child, uint64_t now_ns);
/* It ended with @status (waitpid(2)): unless it was dismissed, schedules a restart. Returns whether
 * it crashed, and says so. */
bool child_ended(struct child *child, int status, uint64_t now_ns);
/* Nanoseconds until it needs attention (retry, deadline), at most @most. */
uint64_t child_wait(const struct child *child, uint64_t now_ns, uint64_t most);

#endif
