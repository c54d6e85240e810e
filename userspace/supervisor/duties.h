/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the supervisor does again and again, whatever happens: follows the proxy's overload, turns
 * session keys, keeps lists and the clock in order, publishes figures, tells systemd that all is
 * well.
 */
#ifndef SUPERVISOR_DUTIES_H
#define SUPERVISOR_DUTIES_H

#include <stdint.h>
#include "supervisor/pressure.h"

/* How often duties_attend() is to be called at least. */
#define DUTIES_EVERY_NS PRESSURE_FOLLOW_NS

struct duties {
	uint64_t followed_ns, tidied_ns, measured_ns, watched_ns;
	uint64_t watchdog_ns; /* how often systemd wants a sign of life; 0: it does not */
	struct pressure_said said;
};

struct supervisor;

void duties_begin(struct duties *duties);
void duties_attend(struct supervisor *supervisor, uint64_t now_ns);
/* A process has come or gone: its figures are taken in the next turn. */
void duties_measure_soon(struct duties *duties);

#endif
