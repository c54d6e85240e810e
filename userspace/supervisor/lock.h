/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One daemon for each set of maps. Without it a second one would share the ports of the first
 * (SO_REUSEPORT asks only for the same user) and take half of its connections.
 */
#ifndef SUPERVISOR_LOCK_H
#define SUPERVISOR_LOCK_H

#include "base/error.h"

/* Locks the daemon's place beside @pin (any of the maps'), for as long as this process lives.
 * −EBUSY: another one has it. The descriptor is returned; children close it. */
int lock_take(const char *pin, struct error *error);

#endif
