// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/guard/overload.h"

#define NEVER UINT16_MAX

/*
 * Where each stage begins. Connections and descriptors can be held by whoever likes, so at their
 * ceiling newcomers are not refused for it: somebody else has to go, and only where nobody worse is
 * found is the next stage raised. A queue fills when accepting is slow or paused; refusing would
 * not empty it. A loop that is slow for want of CPU time lets everybody wait, and whoever is let go
 * or refused for that is as likely honest: in a flood of handshakes that would be most of them.
 */
static const uint16_t thresholds[OVERLOAD_INPUTS][OVERLOAD_STAGES] = {
	[OVERLOAD_CONNECTIONS] = {0, 80, 85, 95, NEVER, NEVER},
	[OVERLOAD_DESCRIPTORS] = {0, 80, 85, 95, NEVER, NEVER},
	[OVERLOAD_MEMORY] = {0, 70, 80, 90, 95, 98},
	[OVERLOAD_QUEUE] = {0, 50, 75, 90, NEVER, NEVER},
	[OVERLOAD_LATENCY] = {0, 50, 75, NEVER, NEVER, NEVER},
};

/* The highest stage that some level calls for, with @margin added to each. */
static enum overload_stage called_for(const struct overload *overload, uint16_t margin)
{
	for (int stage = OVERLOAD_STAGES - 1; stage > OVERLOAD_NONE; stage--)
		for (int input = 0; input < OVERLOAD_INPUTS; input++)
			if (overload->level[input] + margin >= thresholds[input][stage])
				return stage;
	return OVERLOAD_NONE;
}

bool overload_calls(const struct overload *overload, enum overload_stage stage)
{
	return called_for(overload, 0) >= stage;
}

static void follow_levels(struct overload *overload, uint64_t now_ns)
{
	enum overload_stage begins = called_for(overload, 0);

	if (begins > overload->measured) {
		overload->measured = (uint8_t)begins;
	} else if (called_for(overload, OVERLOAD_MARGIN) < overload->measured) {
		if (now_ns - overload->measured_ns < OVERLOAD_HOLD_NS)
			return;
		overload->measured--;
	}
	overload->measured_ns = now_ns;
}

static void settle(struct overload *overload)
{
	overload->stage =
		overload->measured > overload->raised ? overload->measured : overload->raised;
}

bool overload_update(struct overload *overload, uint64_t now_ns)
{
	uint8_t before = overload->stage;

	follow_levels(overload, now_ns);
	if (now_ns - overload->raised_ns >= OVERLOAD_HOLD_NS)
		overload->raised = OVERLOAD_NONE;
	settle(overload);
	return overload->stage != before;
}

void overload_raise(struct overload *overload, enum overload_stage stage, uint64_t now_ns)
{
	if (stage < overload->raised)
		return;
	overload->raised = (uint8_t)stage;
	overload->raised_ns = now_ns;
	settle(overload);
}
