/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the filter runs, told to the operator and to the warden. The daemon attaches nothing
 * itself: the filter must neither come nor go with it (floodwall attach, floodwall.service).
 */
#ifndef SUPERVISOR_DUTIES_ATTACHMENT_H
#define SUPERVISOR_DUTIES_ATTACHMENT_H

#include "config/config.h"
#include "wall/wall.h"
#include "warden/roster.h"

/* Logs where the filter runs, and warns of the interfaces of @config where it does not. */
void attachment_report(struct wall *wall, const struct config *config);
void attachment_publish(struct wall *wall, struct roster *roster);

#endif
