/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What only the supervisor can see, for the warden's /metrics: the daemon's processes and what they
 * use, and the interfaces that the filter runs on. One page, shared by both since before the fork;
 * the supervisor alone writes.
 */
#ifndef WARDEN_ROSTER_H
#define WARDEN_ROSTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum roster_process { ROSTER_SUPERVISOR, ROSTER_PROXY, ROSTER_WARDEN, ROSTER_COUNT };

struct roster_entry {
	_Atomic uint64_t pid; /* 0: does not run; the proxy's newest generation */
	_Atomic uint64_t descriptors;
	_Atomic uint64_t resident_bytes;
	_Atomic uint64_t starts; /* since the supervisor started; a reload counts as one */
	_Atomic uint64_t crashes;
};

#define ROSTER_INTERFACES 32

struct roster_interface {
	char name[16];
	bool native;
};

/* Written as a whole: @version is odd while that happens, and another one afterwards. */
struct roster_attachment {
	_Atomic uint64_t version;
	bool tracking; /* connections are counted */
	uint32_t count;
	struct roster_interface interfaces[ROSTER_INTERFACES];
};

struct roster {
	struct roster_entry process[ROSTER_COUNT];
	_Atomic uint64_t reloads;         /* that took a new configuration over */
	_Atomic uint64_t reloads_refused; /* that kept the running one */
	struct roster_attachment attachment;
};

void roster_publish(struct roster *roster, const struct roster_attachment *now);
/* A consistent copy. */
void roster_attachment(const struct roster *roster, struct roster_attachment *copy);

#endif
