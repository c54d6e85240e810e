// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/guard/sampler.h"
#include "base/clock.h"

bool sampler_admit(struct sampler *sampler, enum fw_verdict reason, uint64_t now_ns)
{
	if (now_ns - sampler->reason[reason].begin_ns >= CLOCK_SEC) {
		sampler->reason[reason].begin_ns = now_ns;
		sampler->reason[reason].told = 0;
	}
	if (sampler->reason[reason].told < SAMPLER_LINES_PER_SECOND) {
		sampler->reason[reason].told++;
		return true;
	}
	sampler->reason[reason].suppressed++;
	return false;
}

uint32_t sampler_settle(struct sampler *sampler, enum fw_verdict reason, uint64_t now_ns)
{
	uint32_t suppressed = sampler->reason[reason].suppressed;

	if (!suppressed || now_ns - sampler->reason[reason].begin_ns < CLOCK_SEC)
		return 0;
	sampler->reason[reason].suppressed = 0;
	return suppressed;
}
