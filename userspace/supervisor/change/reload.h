/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Another configuration for the one that runs, whole or not at all.
 *
 * Whatever can fail is tried first: file, certificates, sockets, policy, and last a generation of
 * the proxy that has to come up with it. Then the supervisor goes over to it, which can't fail. A
 * policy that had been written to the filter for a generation that did not come up is taken back.
 */
#ifndef SUPERVISOR_CHANGE_RELOAD_H
#define SUPERVISOR_CHANGE_RELOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

struct reload_outcome {
	bool taken, binary;
	uint64_t generation; /* that serves; 0: none */
	pid_t pid;           /* its process; 0: none */
	struct error error;  /* why it was refused, a line each */
	struct error warnings;
};

struct holdings;
struct supervisor;

/* Reads the file anew and goes over to it. Takes as long as it takes: a second for each million
 * entries of lists, else milliseconds. */
void reload(struct supervisor *supervisor, struct reload_outcome *outcome);

/* Which generation serves now, and that it was taken. */
void reload_note_taken(const struct supervisor *supervisor, struct reload_outcome *outcome);

/* Opens what @held's configuration says; none: it says so, or it can't be, which is logged. */
void reload_open_access_log(struct holdings *held);

#endif
