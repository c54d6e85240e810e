/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's processes and what they use: written by the supervisor (who alone may look into all
 * of them), read by the warden for /metrics. One page, shared by both since before the fork.
 */
#ifndef WARDEN_ROSTER_H
#define WARDEN_ROSTER_H

#include <stdatomic.h>
#include <stdint.h>

enum roster_process { ROSTER_SUPERVISOR, ROSTER_PROXY, ROSTER_WARDEN, ROSTER_COUNT };

struct roster_entry {
	_Atomic uint64_t pid; /* 0: does not run; the proxy's newest generation */
	_Atomic uint64_t descriptors;
	_Atomic uint64_t resident_bytes;
	_Atomic uint64_t starts; /* since the supervisor started; a reload counts as one */
	_Atomic uint64_t crashes;
};

struct roster {
	struct roster_entry process[ROSTER_COUNT];
	_Atomic uint64_t reloads;         /* that took a new configuration over */
	_Atomic uint64_t reloads_refused; /* that kept the running one */
};

#endif
