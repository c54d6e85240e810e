/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What only the supervisor can see, for the warden's /metrics: the daemon's processes and what they
 * use, the interfaces that the filter runs on, and the named lists. Memory that both share since
 * before the fork; the supervisor alone writes.
 */
#ifndef WARDEN_ROSTER_H
#define WARDEN_ROSTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "floodwall.h"

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

/* Written as a whole, as are the lists. */
struct roster_attachment {
	bool tracking; /* connections are counted */
	uint32_t count;
	struct roster_interface interfaces[ROSTER_INTERFACES];
};

struct roster_list {
	char name[FW_NAME_SIZE];
	bool allows; /* else it blocks */
	uint64_t entries;
	uint64_t packets; /* that it decided */
};

struct roster_lists {
	uint64_t bytes; /* of all of them together */
	size_t count;
	struct roster_list lists[FW_LISTS_MAX];
};

struct roster {
	struct roster_entry process[ROSTER_COUNT];
	_Atomic uint64_t reloads;         /* that took a new configuration over */
	_Atomic uint64_t reloads_refused; /* that kept the running one */
	_Atomic uint64_t draining;        /* generations of the proxy, now */
	_Atomic uint64_t drains_cut;      /* ended for want of rows, with their connections */
	_Atomic uint64_t attachment_version, lists_version; /* odd while they are written */
	struct roster_attachment attachment;
	struct roster_lists lists;
};

/* One writer, the supervisor; readers see the old or the new whole, and keep nobody waiting. */
void roster_publish(struct roster *roster, const struct roster_attachment *now);
void roster_publish_lists(struct roster *roster, const struct roster_lists *now);
/* Consistent copies. */
void roster_attachment(const struct roster *roster, struct roster_attachment *to);
void roster_lists(const struct roster *roster, struct roster_lists *to);

#endif
