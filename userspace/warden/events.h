/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The newest sampled events as JSON, oldest first: an array of objects, the same members for each.
 */
#ifndef WARDEN_EVENTS_H
#define WARDEN_EVENTS_H

#include <stddef.h>
#include "wall/wall.h"

#define EVENTS_DEFAULT 100
#define EVENTS_MOST    1000

/* The text, for free(); NULL without memory. @count is cut to EVENTS_MOST. */
char *events_write(struct wall *wall, size_t count);

#endif
