/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who spoke first. A server of this host answers whoever asks, and a forger may ask in the name of
 * a reflector, to make the server's answer look like a question. So what comes from a reflector's
 * port without having been asked for is noted for a few seconds, and what goes back there is known
 * for an answer.
 *
 * A table of fixed size, where a peer has one place, chosen by a keyed hash; the last one to come
 * has it. A place is one word: fingerprint 32 | milliseconds 32. All that depends on it is whether
 * what comes back is limited by rates.caller or by host.answers.
 *
 * No stage, but what the filter tells questions.bpf.c.
 */
#ifndef FLOODWALL_CALLERS_H
#define FLOODWALL_CALLERS_H

#include "maps.h"
#include "policy.h"

enum { CALLERS_LIFE_MS = 10000 }; /* longer than a server takes to answer */

struct caller {
	__u64 *place;
	__u32 fingerprint;
};

/* The place of who speaks from @peer:@port to @local_port here. */
static __always_inline struct caller callers_place(const struct fw_addr *peer, __be16 port,
						   __be16 local_port)
{
	__u64 hash = policy_flow(peer, port, local_port);
	__u32 index = hash & (FW_CALLERS - 1);

	return (struct caller){
		.place = bpf_map_lookup_elem(&callers, &index),
		.fingerprint = hash >> 32,
	};
}

static __always_inline __u32 callers_clock(void)
{
	return bpf_ktime_get_coarse_ns() / NSEC_PER_MSEC;
}

static __always_inline void callers_note(struct caller caller)
{
	if (caller.place)
		*(volatile __u64 *)caller.place = (__u64)caller.fingerprint << 32 | callers_clock();
}

static __always_inline bool callers_know(struct caller caller)
{
	__u64 word = caller.place ? *(volatile __u64 *)caller.place : 0;
	__u32 age = callers_clock() - (__u32)word;

	return word && word >> 32 == caller.fingerprint && age < CALLERS_LIFE_MS;
}

#endif
