/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the supervisor does again and again, whatever happens: follows the proxy's overload and its
 * complaints, turns session keys, keeps lists and the clock in order, publishes figures, tells
 * systemd that all is well.
 */
#ifndef SUPERVISOR_DUTIES_DUTIES_H
#define SUPERVISOR_DUTIES_DUTIES_H

#include <stdint.h>
#include "supervisor/duties/complaints.h"
#include "supervisor/duties/pressure.h"

struct duties {
	uint64_t followed_ns, tidied_ns, measured_ns, watched_ns;
	uint64_t watchdog_ns;   /* how often systemd wants a sign of life; 0: it does not */
	uint64_t complaints_ns; /* when they were looked at last, … */
	bool complained;        /* and whether there were any */
	bool disowned;          /* it was said that the filter's maps were removed */
	struct pressure_said said;
	struct complaints_read complaints;
};

struct supervisor;

/* What it means that the filter's maps were removed, and what to do. */
extern const char duties_disowned_text[];

void duties_begin(struct duties *duties);
void duties_attend(struct supervisor *supervisor, uint64_t now_ns);
/* In how many ns it is to be called again at the latest. */
uint64_t duties_wait(const struct supervisor *supervisor);
/* A process has come or gone: its figures are taken in the next turn. */
void duties_measure_soon(struct duties *duties);

#endif
