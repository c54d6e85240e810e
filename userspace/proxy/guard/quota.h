/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many requests a source and its prefix may make: asked when a request's head is complete and
 * before anything is done for it, whichever protocol it came by.
 *
 * What exceeds the rate is answered with 429 and how long to wait. That costs little, but it costs:
 * whoever is refused that often that it alone is QUOTA_FLOOD times the rate is cut off.
 */
#ifndef PROXY_GUARD_QUOTA_H
#define PROXY_GUARD_QUOTA_H

#include "floodwall.h"
#include "proxy/guard/live.h"
#include "proxy/guard/pacer.h"

enum { QUOTA_FLOOD = 4 };

/* Charges a request of @source to it and to its prefix. FW_NONE; or by which rate it comes too
 * early, then *@wait_ns says for how long yet; or FW_REQUEST_FLOOD. */
enum fw_verdict quota_judge(struct pacer *pacer, const struct live *live, uint32_t service,
			    const struct fw_addr *source, uint64_t now_ns, uint64_t *wait_ns);

/* A source that has @most requests unanswered makes one more, and is refused: whether it is to be
 * cut off, for it has been refused QUOTA_FLOOD times as many a second. */
bool quota_is_flood(struct pacer *pacer, uint32_t service, const struct fw_addr *source,
		    uint64_t most, uint64_t now_ns);

/* A rate as so many requests in so many seconds. */
struct quota {
	const char *policy; /* whose rate: "source", "prefix" …; NULL: it is about no rate */
	uint64_t requests;
	uint64_t seconds;
};

/* @rate requests a second, of which @burst may come at once: the seconds are those in which a burst
 * that was used up has come back, one at least. */
struct quota quota_from(const char *policy, uint64_t rate, uint64_t burst);

/* What is behind a verdict of quota_judge() other than FW_NONE. */
struct quota quota_of(const struct live *live, enum fw_verdict verdict);

#endif
