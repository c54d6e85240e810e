/* SPDX-License-Identifier: BSD-2-Clause */
/* The supervisor's end of contract/control.h: one who asks at a time, the others queue. */
#ifndef SUPERVISOR_CONTROL_CONTROL_H
#define SUPERVISOR_CONTROL_CONTROL_H

#include "supervisor/change/reload.h"

enum control_question { CONTROL_NONE, CONTROL_ASKS_RELOAD, CONTROL_ASKS_BINARY };

/* The listening socket that floodwall reload finds: @control (−1: none) if it still does, else a
 * new one. What there was, after saying why there is no other: signals do then. */
int control_keep(int control);
void control_close(int control);
/* Who asks, and what for. CONTROL_NONE: nobody who is to be heard; else *@asker is to be answered.
 */
enum control_question control_accept(int control, int *asker);
/* Tells *@asker, unless it is −1, and lets go of it. */
void control_answer(int *asker, const struct reload_outcome *outcome);

#endif
