// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/guard/quota.h"

/* What is paced for a service, so that each has cells of its own. */
enum paced { PACED_REQUESTS, PACED_REFUSALS, PACED_KINDS };

static uint32_t what(uint32_t service, enum paced paced)
{
	return service * PACED_KINDS + paced;
}

enum fw_verdict quota_judge(struct pacer *pacer, const struct live *live, uint32_t service,
			    const struct fw_addr *source, uint64_t now_ns, uint64_t *wait_ns)
{
	uint64_t each = live->value[FW_SET_SOURCE_REQUEST_RATE];
	uint64_t each_burst = live->value[FW_SET_SOURCE_REQUEST_BURST];
	uint64_t prefix = live->value[FW_SET_PREFIX_REQUEST_RATE];
	enum fw_verdict verdict = FW_NONE;

	if (each &&
	    (*wait_ns = pacer_take(pacer, source, FW_LEVEL_SOURCE, what(service, PACED_REQUESTS),
				   pace_of(each, each_burst), now_ns)))
		verdict = FW_SOURCE_REQUEST_RATE;
	else if (prefix &&
		 (*wait_ns = pacer_take(
			  pacer, source, FW_LEVEL_PREFIX, what(service, PACED_REQUESTS),
			  pace_of(prefix, live->value[FW_SET_PREFIX_REQUEST_BURST]), now_ns)))
		verdict = FW_PREFIX_REQUEST_RATE;
	/* A prefix's excess may be its other sources'. */
	if (verdict == FW_SOURCE_REQUEST_RATE &&
	    pacer_take(pacer, source, FW_LEVEL_SOURCE, what(service, PACED_REFUSALS),
		       pace_of(QUOTA_FLOOD * each, QUOTA_FLOOD * each_burst), now_ns))
		verdict = FW_REQUEST_FLOOD;
	return verdict;
}

struct quota quota_from(const char *policy, uint64_t rate, uint64_t burst)
{
	struct quota quota = {.policy = policy};

	/* The time in which a burst that was used up has come back. */
	quota.seconds = rate && burst > rate ? (burst + rate - 1) / rate : 1;
	quota.requests = rate * quota.seconds;
	return quota;
}

struct quota quota_of(const struct live *live, enum fw_verdict verdict)
{
	bool prefix = verdict == FW_PREFIX_REQUEST_RATE;
	uint64_t rate =
		live->value[prefix ? FW_SET_PREFIX_REQUEST_RATE : FW_SET_SOURCE_REQUEST_RATE];
	uint64_t burst =
		live->value[prefix ? FW_SET_PREFIX_REQUEST_BURST : FW_SET_SOURCE_REQUEST_BURST];

	return quota_from(prefix ? "prefix" : "source", rate, burst);
}
