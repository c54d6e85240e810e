/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Pressure: a service has more newcomers than it should take on trust. It begins with the first
 * unverified attempt above challenge.rate and ends challenge.hold after the last, so that it
 * doesn't come and go with every packet. In mode `always` every attempt is one too many.
 */
#ifndef FLOODWALL_PRESSURE_H
#define FLOODWALL_PRESSURE_H

#include "expect.h"
#include "maps.h"
#include "policy.h"

/* A time is moved ahead only by a 16th of the hold or more: packets don't fight for the line. */
enum { PRESSURE_STEPS = 16 };

/* How long the kernel waits for the end of a handshake that it has answered (tcp_synack_retries).
 */
#define PRESSURE_HANDSHAKE_NS (64 * NSEC_PER_SEC)

static __always_inline struct fw_pressure *pressure_row(__u32 service)
{
	return bpf_map_lookup_elem(&pressure, &service);
}

static __always_inline void pressure_extend(__u64 *until, __u64 now, __u64 hold)
{
	if (*(volatile __u64 *)until < now + hold - hold / PRESSURE_STEPS)
		*(volatile __u64 *)until = now + hold;
}

static __always_inline __u64 pressure_hold(__u32 service)
{
	return policy_setting(service, FW_SET_CHALLENGE_HOLD) * NSEC_PER_MSEC;
}

static __always_inline void pressure_raise(__u32 service, __u64 now)
{
	__u64 hold = pressure_hold(service);
	struct fw_pressure *row = pressure_row(service);

	if (row) {
		pressure_extend(&row->until_ns, now, hold);
		pressure_extend(&meta.segments_ns, now, hold);
	}
}

/* Verified sources bring more than the stack should keep request sockets for. They are no
 * newcomers, so this is apart from pressure, and costs who is honest nothing. */
static __always_inline void pressure_doubt_verified(__u32 service, __u64 now)
{
	struct fw_pressure *row = pressure_row(service);

	if (row)
		pressure_extend(&row->verified_ns, now, pressure_hold(service));
}

static __always_inline bool pressure_doubts_verified(__u32 service, __u64 now)
{
	struct fw_pressure *row = pressure_row(service);

	return row && row->verified_ns > now;
}

/* Until @life from now a cookie may come back. */
static __always_inline void pressure_expect_cookie(__u64 now, __u64 life)
{
	pressure_extend(&meta.cookies_ns, now, life + life / PRESSURE_STEPS);
}

static __always_inline bool pressure_cookies_expected(void)
{
	return meta.cookies_ns && meta.cookies_ns > bpf_ktime_get_coarse_ns();
}

/* A source has come to its cap. The handshakes that it began before may still take it further. */
static __always_inline void pressure_watch_caps(__u32 service, __u64 now)
{
	struct fw_pressure *row = pressure_row(service);

	if (row) {
		pressure_extend(&row->caps_ns, now, PRESSURE_HANDSHAKE_NS);
		pressure_extend(&meta.segments_ns, now, PRESSURE_HANDSHAKE_NS);
	}
}

static __always_inline bool pressure_watches_caps(__u32 service, __u64 now)
{
	struct fw_pressure *row = pressure_row(service);

	return row && row->caps_ns > now;
}

/* Whether segments of any service have to be looked at: a load where there never were. */
static __always_inline bool pressure_anywhere(void)
{
	__u64 until = meta.segments_ns;

	return unlikely(until) && until > bpf_ktime_get_coarse_ns();
}

static __always_inline bool pressure_is_on(__u32 service, __u64 now)
{
	struct fw_pressure *row = pressure_row(service);

	return row && row->until_ns > now &&
	       policy_setting(service, FW_SET_CHALLENGE_MODE) != FW_CHALLENGE_NEVER;
}

#endif
