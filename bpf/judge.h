/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How verdicts are come by, and what is asked of whoever completes a handshake: the filter asks it,
 * admission where the filter had no reason to look, and tracking keeps count of the stack's.
 *
 * A handshake that was held back passed its SYN's judgement long ago, so its end is judged anew. By
 * then the source has proved that it is there; what it may have is exact.
 */
#ifndef FLOODWALL_JUDGE_H
#define FLOODWALL_JUDGE_H

#include "connections.h"
#include "emit.h"
#include "expect.h"
#include "policy.h"
#include "rate.h"
#include "sketch.h"

/* Ends the packet's way if the stage decides it, and its rule is enforced. */
#define JUDGE(stage)                                                                               \
	do {                                                                                       \
		enum fw_verdict verdict_ = (stage);                                                \
                                                                                                   \
		if (unlikely(verdict_ != FW_NONE) && emit_enforces(packet, verdict_))              \
			return verdict_;                                                           \
	} while (0)

/* Caps at one level, for which the settings' names differ by the level alone. */
#define HASH(level) policy_hash(&packet->source.addr, packet->service, FW_LEVEL_##level)
#define CONNECTIONS(level, hash)                                                                   \
	({                                                                                         \
		__u64 cap_ = policy_setting(packet->service, FW_SET_##level##_CONNECTIONS);        \
                                                                                                   \
		cap_ != 0 && connections_at_cap(hash, cap_) ? FW_##level##_CONNECTIONS : FW_NONE;  \
	})

/* Whether the source, or its prefix, has all the connections that it may; leaves no trace. */
static __always_inline bool judge_is_at_cap(const struct packet *packet)
{
	return CONNECTIONS(SOURCE, HASH(SOURCE)) != FW_NONE ||
	       CONNECTIONS(PREFIX, HASH(PREFIX)) != FW_NONE;
}

/* The same as a verdict. */
static __always_inline enum fw_verdict judge_caps(const struct packet *packet)
{
	JUDGE(CONNECTIONS(SOURCE, HASH(SOURCE)));
	JUDGE(CONNECTIONS(PREFIX, HASH(PREFIX)));
	return FW_NONE;
}

static __always_inline struct sketch_rate judge_prefix_rate(__u32 service, __u64 hash)
{
	return (struct sketch_rate){
		.hash = hash,
		.limit = limit_set(service, FW_SET_PREFIX_CONNECTION_RATE,
				   FW_SET_PREFIX_CONNECTION_BURST),
	};
}

/*
 * Charges a handshake to its prefix, under @hash: the limit of who has many addresses that are all
 * there, a botnet in one network or the owner of a /48. Nothing else is charged, so nobody uses up
 * what is another's. FW_NONE, or why there may be none.
 */
APART enum fw_verdict judge_handshake(__u32 service, __u64 hash, __u64 now)
{
	struct sketch_rate rate = judge_prefix_rate(service, hash);

	return sketch_take(&handshakes, &rate, now) ? FW_NONE : FW_PREFIX_CONNECTION_RATE;
}

/*
 * What that says of an attempt, which is not charged, as it may come to nothing. It says so early:
 * from half of the burst on who can be challenged is (FW_UNCHALLENGED), and judged at the end of
 * his handshake. Else all that begin before the first of them ends would pass.
 */
APART enum fw_verdict judge_prefix(__u32 service, __u64 hash, __u64 now)
{
	struct sketch_rate rate = judge_prefix_rate(service, hash);
	__u64 ahead = sketch_ahead(&handshakes, &rate, now);

	if (ahead > rate.limit.tolerance_ns)
		return FW_PREFIX_CONNECTION_RATE;
	return ahead > rate.limit.tolerance_ns / 2 ? FW_UNCHALLENGED : FW_NONE;
}

/* A cookie came back: its source is verified, and from now on charged for what it does. A prefix
 * puts no more sources on record than it may have handshakes: the owner of a /46 has as many as the
 * table has places. */
static __always_inline enum fw_verdict judge_proof(const struct packet *packet, __u64 now)
{
	enum fw_verdict verdict = judge_caps(packet);
	struct fw_source *source, *newcomer;

	if (verdict != FW_NONE)
		return verdict;
	source = rate_verified_source(packet);
	if (source)
		JUDGE(rate_handshake(source, packet->service, now));
	JUDGE(judge_handshake(packet->service, HASH(PREFIX), now));
	if (source)
		return FW_NONE;
	newcomer = rate_prove(packet);
	if (newcomer)
		rate_handshake(newcomer, packet->service, now);
	else
		emit_fault(packet, FW_SOURCES_FULL);
	return FW_NONE;
}

#endif
