/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that the supervisor knows, for its own files: what it holds, who runs, what is due.
 */
#ifndef SUPERVISOR_STATE_H
#define SUPERVISOR_STATE_H

#include "supervisor/children/child.h"
#include "supervisor/children/generations.h"
#include "supervisor/duties/duties.h"
#include "supervisor/supervisor.h"
#include "warden/roster.h"

struct supervisor {
	struct holdings *held;
	struct roster *roster;
	struct generations proxies;
	struct child warden;
	struct duties duties;
	int signals;       /* signalfd */
	int control;       /* socket that floodwall reload speaks to; −1: none */
	int asker;         /* who does just now; −1: nobody */
	uint64_t heard_ns; /* when the proxy spoke last */
	bool stopping;
};

#endif
