/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which refusals are told one by one: the first few of a reason in each second. The rest of that
 * second is told as a number, so a flood writes a handful of lines a second and yet every refusal
 * is accounted for: lines and suppressed numbers add up to the true count.
 */
#ifndef PROXY_GUARD_SAMPLER_H
#define PROXY_GUARD_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>
#include "floodwall.h"

enum { SAMPLER_LINES_PER_SECOND = 10 };

/* For one service and thread; zero-initialised. */
struct sampler {
	struct {
		uint64_t begin_ns; /* of the current second */
		uint32_t told;
		uint32_t suppressed;
	} reason[FW_VERDICT_COUNT];
};

/* Whether this refusal is to be told. */
bool sampler_admit(struct sampler *sampler, enum fw_verdict reason, uint64_t now_ns);

/* How many of @reason were kept back in a second that is over, and are to be told as a number now;
 * 0: nothing to tell. To be asked about every reason about once a second. */
uint32_t sampler_settle(struct sampler *sampler, enum fw_verdict reason, uint64_t now_ns);

#endif
