/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the proxy's overload means to the filter: a listener that has to evict connections is under
 * pressure, and newcomers are challenged before they get that far.
 *
 * The proxy, which faces clients, may write nothing that the filter reads. It says on the board how
 * it is; the supervisor looks there, and raises the pressure.
 */
#ifndef SUPERVISOR_DUTIES_PRESSURE_H
#define SUPERVISOR_DUTIES_PRESSURE_H

#include "wall/wall.h"

/* How often pressure_follow() is to be called. */
#define PRESSURE_FOLLOW_NS (500 * CLOCK_MS)

/* What was said last of each service, to tell changes from it. */
struct pressure_said {
	uint8_t stage[FW_SERVICES_MAX];
};

/* Looks at every listener; tells changes of its stage in the log. */
void pressure_follow(struct wall *wall, struct pressure_said *said, uint64_t now_ns);

#endif
