/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What was decided outside: constants that the loader sets before it loads a program, and settings
 * that the operator may edit at any time.
 *
 * No stage, but the ground under all of them.
 */
#ifndef FLOODWALL_POLICY_H
#define FLOODWALL_POLICY_H

#include "maps.h"

/*
 * The loader must set these in each program's .rodata (skeleton: ->rodata->fw_seed) after open and
 * before load; the verifier then removes what they make unreachable.
 *
 *   fw_seed             a copy of meta.seed: the same in every program that shares the maps
 *   fw_connection_mask  max_entries of the map `connections`, a power of two, less one
 *   fw_sample_events    0: count only, write no events
 */
const volatile __u64 fw_seed[2];
const volatile __u32 fw_connection_mask = 32768 - 1;
const volatile __u32 fw_sample_events = 1;

/* A function of its own, so that its caller's stack is spared; not every program calls it. */
#define APART static __noinline __attribute__((unused))

#define NSEC_PER_SEC  1000000000ULL
#define NSEC_PER_MSEC 1000000ULL

/* @value, or the nearest that the setting's row allows: bpftool writes whatever it is told. Folds
 * into two comparisons, since @setting is always a constant. */
static __always_inline __u64 policy_clamp(enum fw_setting setting, __u64 value)
{
	__u64 low = 0, high = ~0ULL;

	switch (setting) {
#define FW_SETTING(id, name, scope, unit, def, min, max, text)                                     \
	case FW_SET_##id:                                                                          \
		low = min;                                                                         \
		high = max;                                                                        \
		break;
#include "settings.def"
#undef FW_SETTING
	default:
		break;
	}
	return value < low ? low : value > high ? high : value;
}

/* The setting's value at this moment. */
static __always_inline __u64 policy_setting(__u32 service, enum fw_setting setting)
{
	__u32 index = fw_setting_index(service, setting);
	__u64 *value = bpf_map_lookup_elem(&settings, &index);

	return policy_clamp(setting, value ? *value : 0);
}

/* fw_hash_at() under the loader's key. */
static __always_inline __u64 policy_hash(const struct fw_addr *addr, __u32 service,
					 enum fw_level level)
{
	const __u64 seed[2] = {fw_seed[0], fw_seed[1]};

	return fw_hash_at(seed, addr, service, level);
}

/* Of the flow between @peer:@port and @local_port here. The address here is left out, as who has a
 * port has one flow by it. */
static __always_inline __u64 policy_flow(const struct fw_addr *peer, __be16 port, __be16 local_port)
{
	const __u64 seed[2] = {fw_seed[0], fw_seed[1]};

	return fw_hash(seed, peer, (__u32)port << 16 | local_port, 0);
}

#endif
