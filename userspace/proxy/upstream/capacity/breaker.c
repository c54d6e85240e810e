// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/capacity/breaker.h"
#include "base/clock.h"

/* Moves the window on. Returns the place of the second that it is now. */
static uint32_t advance(struct retry_budget *budget, uint64_t now_ns)
{
	uint64_t second = now_ns / CLOCK_SEC;

	if (second > budget->second + BREAKER_WINDOW_S)
		*budget = (struct retry_budget){.second = second};
	while (budget->second < second) {
		uint32_t at = (uint32_t)(++budget->second % BREAKER_WINDOW_S);

		budget->requests[at] = budget->retries[at] = 0;
	}
	return (uint32_t)(second % BREAKER_WINDOW_S);
}

void retry_budget_earn(struct retry_budget *budget, uint64_t now_ns)
{
	budget->requests[advance(budget, now_ns)]++;
}

bool retry_budget_spend(struct retry_budget *budget, const struct config_retry *policy,
			uint32_t threads, uint64_t now_ns)
{
	uint32_t at = advance(budget, now_ns);
	uint64_t requests = 0, retries = 0, allowed;

	for (int i = 0; i < BREAKER_WINDOW_S; i++) {
		requests += budget->requests[i];
		retries += budget->retries[i];
	}
	allowed = requests * policy->budget / 100;
	/* At least so many a second, whatever the traffic. */
	if (allowed < (uint64_t)policy->minimum * BREAKER_WINDOW_S / threads)
		allowed = (uint64_t)policy->minimum * BREAKER_WINDOW_S / threads;
	if (retries >= allowed)
		return false;
	budget->retries[at]++;
	return true;
}
