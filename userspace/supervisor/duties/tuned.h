/* SPDX-License-Identifier: BSD-2-Clause */
/* Settings that were tuned live, and that a start therefore keeps. */
#ifndef SUPERVISOR_DUTIES_TUNED_H
#define SUPERVISOR_DUTIES_TUNED_H

#include "config/config.h"
#include "wall/wall.h"

/* Says which they are, in the log. */
void tuned_report(struct wall *wall, const struct config *config);

#endif
