/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this machine lets the daemon have (descriptors), and what its processes use of it.
 */
#ifndef SUPERVISOR_DUTIES_USAGE_H
#define SUPERVISOR_DUTIES_USAGE_H

#include <sys/types.h>
#include "config/config.h"
#include "warden/roster.h"

/* Raises the limit on descriptors to what @config's connections need, or as near as is allowed. */
void usage_raise_descriptors(const struct config *config);
/* Writes process @pid's figures (0: none) into @entry. */
void usage_measure(struct roster_entry *entry, pid_t pid);

#endif
