// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The filter: every packet's way, from the wire to a verdict. The order is the meaning.
 *
 * Each stage is a header that knows nothing of the others; only this file composes them. A stage
 * returns FW_NONE to let the next one decide. What a rule in monitor mode condemns goes on as well.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "maps.h"
#include "policy.h"
#include "packet.h"
#include "parse.h"
#include "lists.h"
#include "listed.h"
#include "sanity.h"
#include "service.h"
#include "connections.h"
#include "limit.h"
#include "rate.h"
#include "sketch.h"
#include "pressure.h"
#include "challenge.h"
#include "emit.h"

/* Ends the packet's way if the stage decides it, and its rule is enforced. */
#define JUDGE(stage)                                                                               \
	do {                                                                                       \
		enum fw_verdict verdict_ = (stage);                                                \
                                                                                                   \
		if (verdict_ != FW_NONE && emit_enforces(packet, verdict_))                        \
			return verdict_;                                                           \
	} while (0)

/* Caps and rates at one level, for which the settings' names differ by the level alone. @hash is
 * worked out only if there is a limit. */
#define HASH(level) policy_hash(&packet->source.addr, packet->service, FW_LEVEL_##level)
#define CONNECTIONS(level, hash)                                                                   \
	({                                                                                         \
		__u64 cap_ = policy_setting(packet->service, FW_SET_##level##_CONNECTIONS);        \
                                                                                                   \
		cap_ != 0 && connections_at_cap(hash, cap_) ? FW_##level##_CONNECTIONS : FW_NONE;  \
	})
#define SKETCH(level, hash)                                                                        \
	({                                                                                         \
		struct limit limit_ =                                                              \
			limit_of(policy_setting(packet->service, FW_SET_##level##_SYN_RATE),       \
				 policy_setting(packet->service, FW_SET_##level##_SYN_BURST));     \
                                                                                                   \
		limit_.interval_ns && !sketch_take(&sketch, hash, limit_, now)                     \
			? FW_##level##_SYN_RATE                                                    \
			: FW_NONE;                                                                 \
	})

/* A newcomer: a source that has proved nothing, and its hashes. */
struct newcomer {
	__u64 source, prefix;
	__u64 now;
};

/*
 * Whether a newcomer may be sent a cookie, by the operator's will and by the reflection cap: what a
 * forger can make us send to one address, and to one prefix. A quarter of a second's worth may go
 * at once.
 */
static __always_inline bool may_challenge(const struct packet *packet,
					  const struct newcomer *newcomer)
{
	__u64 rate = policy_setting(packet->service, FW_SET_CHALLENGE_ANSWERS);
	__u64 wider = policy_setting(packet->service, FW_SET_CHALLENGE_PREFIX_ANSWERS);

	return fw_tier != FW_TIER_DROP &&
	       policy_setting(packet->service, FW_SET_CHALLENGE_MODE) != FW_CHALLENGE_NEVER &&
	       sketch_take(&answers, newcomer->source, limit_of(rate, rate / 4 + 1),
			   newcomer->now) &&
	       sketch_take(&answers, newcomer->prefix, limit_of(wider, wider / 4 + 1),
			   newcomer->now);
}

/* Takes note of one more attempt; FW_UNCHALLENGED: the service is under pressure. */
static __always_inline enum fw_verdict feel_pressure(const struct packet *packet, __u64 now)
{
	__u64 mode = policy_setting(packet->service, FW_SET_CHALLENGE_MODE);

	if (fw_tier == FW_TIER_DROP || mode == FW_CHALLENGE_NEVER)
		return FW_NONE;
	if (mode == FW_CHALLENGE_ALWAYS || rate_strains(packet->service, now))
		pressure_raise(packet->service, now);
	return pressure_is_on(packet->service, now) ? FW_UNCHALLENGED : FW_NONE;
}

/*
 * FW_PASS_SYN, or why a newcomer is not taken on trust. An earlier refusal costs a later level
 * nothing: one loud source or prefix alone puts no service under pressure. Once it is under
 * pressure nobody is taken on trust, and a flood is spared the look at who it says it is.
 */
static __always_inline enum fw_verdict judge_newcomer(const struct packet *packet,
						      const struct newcomer *newcomer)
{
	__u64 now = newcomer->now;
	bool pressed = fw_tier != FW_TIER_DROP && pressure_is_on(packet->service, now);

	if (pressed)
		JUDGE(feel_pressure(packet, now));
	JUDGE(SKETCH(SOURCE, newcomer->source));
	JUDGE(SKETCH(PREFIX, newcomer->prefix));
	if (!pressed)
		JUDGE(feel_pressure(packet, now));
	JUDGE(rate_gate(packet->service, now));
	return FW_PASS_SYN;
}

/* A connection attempt to a service: what the source holds, then how fast it comes. */
static __always_inline enum fw_verdict judge_attempt(struct xdp_md *ctx,
						     const struct packet *packet)
{
	struct newcomer newcomer = {.source = HASH(SOURCE)};
	struct fw_source *verified;
	enum fw_verdict verdict;

	JUDGE(CONNECTIONS(SOURCE, newcomer.source));
	JUDGE(CONNECTIONS(PREFIX, HASH(PREFIX)));
	newcomer.now = bpf_ktime_get_ns();
	verified = rate_verified_source(packet);
	if (verified) {
		JUDGE(rate_verified(verified, packet->service, newcomer.now));
		return FW_PASS_VERIFIED;
	}
	newcomer.prefix = HASH(PREFIX);
	verdict = judge_newcomer(packet, &newcomer);
	if (verdict == FW_PASS_SYN || !may_challenge(packet, &newcomer))
		return verdict;
	JUDGE(challenge_newcomer(ctx, packet, verdict, newcomer.now));
	return FW_PASS_SYN;
}

/* Any other segment passes, unless its service is under pressure. */
static __always_inline enum fw_verdict judge_segment(struct xdp_md *ctx, struct packet *packet)
{
	enum fw_verdict verdict;

	if (fw_tier == FW_TIER_DROP || !pressure_anywhere())
		return FW_PASS_ESTABLISHED;
	packet->service = service_find(&packet->destination);
	if (packet->service == FW_HOST_SERVICE ||
	    !pressure_is_on(packet->service, bpf_ktime_get_coarse_ns()))
		return FW_PASS_ESTABLISHED;
	verdict = challenge_segment(ctx, packet);
	if (verdict == FW_PASS_COOKIE)
		return verdict;
	JUDGE(verdict);
	return FW_PASS_ESTABLISHED;
}

static __always_inline enum fw_verdict judge(struct xdp_md *ctx, struct packet *packet)
{
	JUDGE(parse_packet(ctx, packet));
	if (packet->known == PACKET_OPAQUE)
		return FW_PASS_OTHER;
	if (lists_allow(packet))
		return FW_PASS_ALLOWED;
	JUDGE(listed_judge(packet));
	JUDGE(lists_block(packet));
	JUDGE(sanity_fragment(packet));
	JUDGE(sanity_source(packet));
	JUDGE(sanity_land(packet));
	JUDGE(sanity_tcp_flags(packet));
	if (!packet_is_tcp(packet))
		return FW_PASS_OTHER;
	if (!packet_opens_connection(packet))
		return judge_segment(ctx, packet);
	packet->service = service_find(&packet->destination);
	if (packet->service == FW_HOST_SERVICE)
		return FW_PASS_OTHER;
	return judge_attempt(ctx, packet);
}

SEC("xdp")
int floodwall_filter(struct xdp_md *ctx)
{
	struct packet packet;
	enum fw_verdict verdict = judge(ctx, &packet);

	return emit_verdict(&packet, verdict);
}

char _license[] SEC("license") = "Dual BSD/GPL";
