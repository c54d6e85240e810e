/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Silent ends: who would be back at once is not told that his connection has ended. The proxy gives
 * the reset that ends it one hop to live, for which it needs no privilege; it is dropped as it
 * leaves. The kernel has seen it all the same: a firewall's connection tracking on this host has
 * forgotten the connection, too.
 *
 * Who speaks on such a connection all the same is told, by the kernel, even while its service is
 * under pressure, when segments without a socket are dropped. So the flow is noted, in a line of a
 * table of fixed size, chosen by a keyed hash, where it takes the place of the oldest. A flow gets
 * there by a connection that has been, so on account of others, and of forgers, nothing passes. A
 * place is one word: fingerprint 32 | seconds 30 | how often it may still be told 2.
 *
 * No stage, but what questions.bpf.c tells the filter.
 */
#ifndef FLOODWALL_SILENT_H
#define FLOODWALL_SILENT_H

#include <linux/tcp.h>
#include "maps.h"
#include "packet.h"
#include "policy.h"

enum {
	SILENT_HOPS = 1,
	SILENT_TOLD = 2,   /* times: what tells it may be lost */
	SILENT_LIFE = 600, /* seconds: then nobody has a use for such a connection any more */
	SILENT_TOLD_BITS = 2,
	SILENT_TOLD_MASK = (1 << SILENT_TOLD_BITS) - 1,
};

struct silent {
	struct fw_silent_line *line;
	__u32 fingerprint, now; /* seconds */
};

/* Where the flow between @peer:@port and @local_port here is noted, if it is. */
static __always_inline struct silent silent_place(const struct fw_addr *peer, __be16 port,
						  __be16 local_port, __u64 now)
{
	__u64 hash = policy_flow(peer, port, local_port);
	__u32 index = hash & (FW_SILENT_LINES - 1);

	return (struct silent){
		.line = bpf_map_lookup_elem(&silenced, &index),
		.fingerprint = hash >> 32,
		.now = now / NSEC_PER_SEC,
	};
}

/* How old a place's note is, in seconds; SILENT_LIFE: it says nothing any more. */
static __always_inline __u32 silent_age(__u64 word, __u32 now)
{
	__u32 age = now - ((__u32)word >> SILENT_TOLD_BITS);

	return word & SILENT_TOLD_MASK && age < SILENT_LIFE ? age : SILENT_LIFE;
}

/* Whether a segment from @place, with @tcp's header, that goes SILENT_HOPS far is such an end. */
static __always_inline bool silent_ends(const struct fw_service_key *place,
					const struct tcphdr *tcp)
{
	return tcp->rst && service_find(place) != FW_HOST_SERVICE;
}

static __always_inline void silent_note(struct silent silent)
{
	__u32 oldest = 0, oldest_age = 0, age, i;
	volatile __u64 *flow;

	if (!silent.line)
		return;
	flow = silent.line->flow;
	for (i = 0; i < FW_SILENT_FLOWS; i++) {
		age = flow[i] >> 32 == silent.fingerprint ? SILENT_LIFE + 1
							  : silent_age(flow[i], silent.now);
		if (age > oldest_age) {
			oldest = i;
			oldest_age = age;
		}
	}
	flow[oldest & (FW_SILENT_FLOWS - 1)] =
		(__u64)silent.fingerprint << 32 | silent.now << SILENT_TOLD_BITS | SILENT_TOLD;
	if (meta.silent_s < silent.now + SILENT_LIFE)
		meta.silent_s = silent.now + SILENT_LIFE;
}

/* Whether any flow's end may still be told: one look where none has been silent. */
static __always_inline bool silent_anywhere(__u64 now)
{
	return unlikely(meta.silent_s) && meta.silent_s > now / NSEC_PER_SEC;
}

/* Whether the flow's end may be told now, and once less from then on. */
static __always_inline bool silent_take(struct silent silent)
{
	volatile __u64 *flow;
	__u64 word;
	__u32 i;

	if (!silent.line)
		return false;
	flow = silent.line->flow;
	for (i = 0; i < FW_SILENT_FLOWS; i++) {
		word = flow[i];
		if (word >> 32 == silent.fingerprint &&
		    silent_age(word, silent.now) < SILENT_LIFE) {
			flow[i] = word - 1; /* of what was read: who comes second counts as one */
			return true;
		}
	}
	return false;
}

#endif
