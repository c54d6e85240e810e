/* SPDX-License-Identifier: BSD-2-Clause */
/* Named lists: loaded for the configuration, told to the warden, and kept tidy. */
#ifndef SUPERVISOR_DUTIES_LISTS_H
#define SUPERVISOR_DUTIES_LISTS_H

#include "config/config.h"
#include "wall/wall.h"
#include "warden/roster.h"

/* wall_lists_apply(), with what it has to say in the log. */
void lists_load(struct wall *wall, const struct config *config, bool keep_live);
void lists_publish(struct wall *wall, struct roster *roster);
/* Gives back the memory of entries that have expired, in a child of its own: compiling the lists
 * takes a second for each million entries. It ends by itself. */
void lists_tidy(struct wall *wall);

#endif
