/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Arithmetic of the generic cell rate algorithm (ITU-T I.371), virtual scheduling form.
 *
 * A cell is one word: the theoretical arrival time (TAT), at which the next attempt would be due if
 * attempts kept exactly to the rate. One may come early by up to the tolerance; that is the burst.
 * A cell that was never used, or long ago, lies in the past and means "idle": nothing ever needs
 * refilling or clearing.
 *
 * Pure: no map, no clock. No stage, but what rate.h and sketch.h reckon with. Limits are handed on
 * by address: of a copy the compiler forgets the alignment, and reads it byte by byte.
 */
#ifndef FLOODWALL_LIMIT_H
#define FLOODWALL_LIMIT_H

#include "policy.h"

struct limit {
	__u64 interval_ns;  /* between attempts at the rate; 0: no limit */
	__u64 tolerance_ns; /* how early an attempt may come */
};

/* @burst attempts at once, then one each 1/@rate. The rows' ranges keep the product far from 2^63,
 * and the rate in 32 bits, whose division is the faster one. */
static __always_inline struct limit limit_of(__u64 rate, __u64 burst)
{
	struct limit limit = {};

	if (rate) {
		limit.interval_ns = (__u32)NSEC_PER_SEC / (__u32)rate;
		limit.tolerance_ns = (burst - 1) * limit.interval_ns;
	}
	return limit;
}

/* What two settings of a service say. Where there is no rate, nobody asks for the burst. */
static __always_inline struct limit limit_set(__u32 service, enum fw_setting rate,
					      enum fw_setting burst)
{
	__u64 per_second = policy_setting(service, rate);

	return limit_of(per_second, per_second ? policy_setting(service, burst) : 0);
}

/*
 * The TAT that counts at @now: an idle cell's is now, and none lies further ahead than a full burst
 * would put it. (One that does was written under a slower limit, before an edit.)
 */
static __always_inline __u64 limit_effective(const struct limit *limit, __u64 tat, __u64 now)
{
	__u64 furthest = now + limit->tolerance_ns + limit->interval_ns;

	return tat < now ? now : tat > furthest ? furthest : tat;
}

/* Whether an attempt at @now comes too early. @tat as limit_effective() gives it. */
static __always_inline bool limit_refuses(const struct limit *limit, __u64 tat, __u64 now)
{
	return tat > now + limit->tolerance_ns;
}

#endif
