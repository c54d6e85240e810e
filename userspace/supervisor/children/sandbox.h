/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a child gives up before it meets the network: its user, every capability, the right to gain
 * any, being looked into, and all system calls but those it is known to need.
 *
 * What it needs was opened before: maps, sockets, logs. There is no way back.
 */
#ifndef SUPERVISOR_CHILDREN_SANDBOX_H
#define SUPERVISOR_CHILDREN_SANDBOX_H

#include <stdbool.h>
#include "base/error.h"

struct sandbox {
	const char *user; /* that the process becomes, with its group and no other */
	bool uses_maps;   /* may look up and delete in the maps it has open; else no bpf() at all */
};

/* Of the calling process, for good; before it starts a thread. 0, or −errno: then it must not go
 * on. */
int sandbox_enter(const struct sandbox *sandbox, struct error *error);

#endif
