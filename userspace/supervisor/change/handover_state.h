/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one program hands to the next, as JSON: whichever version reads it finds what it knows, and
 * ignores the rest. Descriptors are numbers, which stay the same.
 */
#ifndef SUPERVISOR_CHANGE_HANDOVER_STATE_H
#define SUPERVISOR_CHANGE_HANDOVER_STATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

struct handover;
struct supervisor;

/* Of a program: by what it is executed. */
struct handover_program {
	char *path;
	char **arguments; /* NULL behind the last */
	int former;       /* open file of the one that hands over; −1: none */
};

/* NULL: no memory. */
json_t *handover_state_write(const struct supervisor *supervisor,
			     const struct handover_program *program);
/* Whether the descriptors that it names outlive execve(2). */
void handover_state_keep_open(const json_t *state, bool keep);
/* Fills @handover and @program, whose texts are never freed. −EINVAL: something that is needed is
 * missing. */
int handover_state_read(const json_t *state, struct handover *handover,
			struct handover_program *program, struct error *error);

#endif
