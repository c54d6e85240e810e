/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a process does between the fork and its work: lets go of whatever is not its own, and enters
 * its sandbox.
 */
#ifndef SUPERVISOR_ROLES_H
#define SUPERVISOR_ROLES_H

#include <stdint.h>

struct holdings;
struct supervisor;

struct role {
	const struct supervisor *supervisor;
	const struct holdings *held; /* what it is to work with */
	uint32_t first_row;          /* proxy: of the board */
};

/* For child_start(); @context: struct role. */
int role_proxy(void *context, int control);
int role_warden(void *context, int control);

#endif
