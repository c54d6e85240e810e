// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/guard/quota.h"

/* What is paced for a service, so that each has cells of its own. */
enum paced { PACED_REQUESTS, PACED_REFUSALS, PACED_KINDS };

static uint32_t what(uint32_t service, enum paced paced)
{
	return service * PACED_KINDS + paced;
}

static struct pace pace_of_refusals(uint64_t rate, uint64_t burst)
{
	return pace_of(QUOTA_FLOOD * rate, QUOTA_FLOOD * burst);
}

static bool is_refused_too_often(struct pacer *pacer, uint32_t service,
				 const struct fw_addr *source, struct pace pace, uint64_t now_ns)
{
	return pacer_take(pacer, source, FW_LEVEL_SOURCE, what(service, PACED_REFUSALS), pace,
			  now_ns) > 0;
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
	    is_refused_too_often(pacer, service, source, pace_of_refusals(each, each_burst),
				 now_ns))
		verdict = FW_REQUEST_FLOOD;
	return verdict;
}

bool quota_is_flood(struct pacer *pacer, uint32_t service, const struct fw_addr *source,
		    uint64_t most, uint64_t now_ns)
{
	return is_refused_too_often(pacer, service, source, pace_of_refusals(most, most), now_ns);
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
	switch (verdict) {
	case FW_SOURCE_REQUEST_RATE:
		return quota_from("source", live->value[FW_SET_SOURCE_REQUEST_RATE],
				  live->value[FW_SET_SOURCE_REQUEST_BURST]);
	case FW_PREFIX_REQUEST_RATE:
		return quota_from("prefix", live->value[FW_SET_PREFIX_REQUEST_RATE],
				  live->value[FW_SET_PREFIX_REQUEST_BURST]);
	default:
		return (struct quota){.policy = NULL};
	}
}
