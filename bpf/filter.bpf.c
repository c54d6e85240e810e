// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The filter: every packet's way, from the wire to a verdict. The order is the meaning.
 *
 * Each stage is a header that knows nothing of the others; only this file composes them. A stage
 * returns FW_NONE to let the next one decide. What a rule in monitor mode condemns goes on as well.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "expect.h"
#include "maps.h"
#include "policy.h"
#include "records.h"
#include "packet.h"
#include "parse.h"
#include "lists.h"
#include "listed.h"
#include "sanity.h"
#include "questions.h"
#include "callers.h"
#include "amplification.h"
#include "icmp.h"
#include "service.h"
#include "judge.h"
#include "limit.h"
#include "sketch.h"
#include "pressure.h"
#include "shut.h"
#include "silent.h"
#include "arrivals.h"
#include "challenge.h"

/* Rate at one level, for which the settings' names differ by the level alone. */
#define RATE(level, of)                                                                            \
	((struct sketch_rate){                                                                     \
		.hash = (of),                                                                      \
		.limit = limit_set(packet->service, FW_SET_##level##_SYN_RATE,                     \
				   FW_SET_##level##_SYN_BURST),                                    \
	})

/* A rate of the host's. */
#define HOST_RATE(kind) (rate_host(FW_SET_RATES_##kind) ? FW_NONE : FW_##kind##_RATE)

/* A connection attempt: what there is to know of it before it is judged. */
struct attempt {
	struct fw_source *verified; /* NULL: by a newcomer, who has proved nothing */
	__u64 source, prefix;       /* hashes */
	__u64 now;
};

/* Whether anybody can be challenged. */
static __always_inline bool challenges(const struct packet *packet)
{
	return fw_tier != FW_TIER_DROP &&
	       policy_setting(packet->service, FW_SET_CHALLENGE_MODE) != FW_CHALLENGE_NEVER;
}

/*
 * Whether the attempt may be answered with a cookie, by the operator's will and by the reflection
 * cap: what a forger can make us send to one address, and to one prefix. A quarter of a second's
 * worth may go at once. A verified source is answered always: a forger makes us send it no more
 * than he sends himself, and with a cap he could keep it out.
 */
static __always_inline bool may_challenge(const struct packet *packet,
					  const struct attempt *attempt)
{
	struct sketch_rates rates;
	__u64 rate, wider;

	if (!challenges(packet))
		return false;
	if (attempt->verified)
		return true;
	rate = policy_setting(packet->service, FW_SET_CHALLENGE_ANSWERS);
	wider = policy_setting(packet->service, FW_SET_CHALLENGE_PREFIX_ANSWERS);
	rates.source = (struct sketch_rate){attempt->source, limit_of(rate, rate / 4 + 1)};
	rates.prefix = (struct sketch_rate){attempt->prefix, limit_of(wider, wider / 4 + 1)};
	return sketch_take_both(&answers, &rates, attempt->now) == SKETCH_NEITHER;
}

/* Takes note of one more newcomer; FW_UNCHALLENGED: the service is under pressure. */
static __always_inline enum fw_verdict feel_pressure(const struct packet *packet, __u64 now)
{
	__u64 mode = policy_setting(packet->service, FW_SET_CHALLENGE_MODE);

	if (mode == FW_CHALLENGE_NEVER)
		return FW_NONE;
	if (mode == FW_CHALLENGE_ALWAYS || rate_strains(packet->service, now))
		pressure_raise(packet->service, now);
	return pressure_is_on(packet->service, now) ? FW_UNCHALLENGED : FW_NONE;
}

/* While the service is under pressure no newcomer is taken on trust, and a flood is spared the look
 * at who it says it is: what its source may have is asked when a cookie comes back. */
static __always_inline enum fw_verdict doubt_under_pressure(const struct packet *packet,
							    const struct attempt *attempt)
{
	if (!attempt->verified && fw_tier != FW_TIER_DROP &&
	    pressure_is_on(packet->service, attempt->now))
		JUDGE(feel_pressure(packet, attempt->now));
	return FW_NONE;
}

/* Why a newcomer is not taken on trust. An earlier refusal costs a later level nothing: one loud
 * source or prefix alone puts no service under pressure. */
static __always_inline enum fw_verdict doubt_newcomer(const struct packet *packet,
						      const struct attempt *attempt)
{
	const struct sketch_rates rates = {
		.source = RATE(SOURCE, attempt->source),
		.prefix = RATE(PREFIX, attempt->prefix),
	};
	__u64 now = attempt->now;
	enum sketch_refusal refusal = sketch_take_both(&sketch, &rates, now);

	if (refusal == SKETCH_SOURCE) {
		JUDGE(FW_SOURCE_SYN_RATE);
		refusal = sketch_take(&sketch, &rates.prefix, now) ? SKETCH_NEITHER : SKETCH_PREFIX;
	}
	if (refusal == SKETCH_PREFIX)
		JUDGE(FW_PREFIX_SYN_RATE);
	if (fw_tier != FW_TIER_DROP && !pressure_is_on(packet->service, now))
		JUDGE(feel_pressure(packet, now));
	JUDGE(rate_gate(packet->service, now));
	return FW_NONE;
}

/* Whether verified sources, all together, bring more than the service should take on trust. */
static __always_inline bool is_crowded(const struct packet *packet, __u64 now)
{
	if (rate_strains_verified(packet->service, now))
		pressure_doubt_verified(packet->service, now);
	return pressure_doubts_verified(packet->service, now);
}

/* A verified source has a rate of its own; but one /48 has 65,536 of them, a botnet has many
 * prefixes, and all together would bring any flood to the stack. So above its prefix's rate, or
 * that of all, it is answered with a cookie, which costs an honest one nothing. */
static __always_inline enum fw_verdict doubt_verified(const struct packet *packet,
						      const struct attempt *attempt)
{
	const struct sketch_rate prefix = RATE(PREFIX, attempt->prefix);
	enum fw_verdict verdict;
	__u64 now = attempt->now;

	JUDGE(rate_verified(attempt->verified, packet->service, now));
	verdict = judge_prefix(packet->service, attempt->prefix, now);
	if (verdict == FW_PREFIX_CONNECTION_RATE)
		JUDGE(verdict);
	if (challenges(packet) && (verdict == FW_UNCHALLENGED || is_crowded(packet, now) ||
				   !sketch_take(&sketch, &prefix, now)))
		JUDGE(FW_UNCHALLENGED);
	return FW_NONE;
}

/*
 * An attempt that nobody but the stack can answer, as it has a socket of the flow. By TIME_WAIT
 * that is no obstacle to another connection, and even a living one may be gone when the stack gets
 * the SYN: segments come in batches, and the reset before it is judged, but not yet seen by the
 * stack. So whoever is over a rate of handshakes gets no more of them by ports that he uses again,
 * and of those that go on at once there is a rate, too: none is charged before it is complete.
 * A SYN that is sent again is no loss: the stack sends its answer again by itself.
 */
static __always_inline enum fw_verdict
judge_again(const struct packet *packet, const struct attempt *attempt, enum fw_verdict doubt)
{
	if (!attempt->verified || doubt == FW_UNCHALLENGED)
		return FW_PASS_SYN;
	if (judge_prefix(packet->service, attempt->prefix, attempt->now) ==
	    FW_PREFIX_CONNECTION_RATE)
		JUDGE(FW_PREFIX_CONNECTION_RATE);
	JUDGE(rate_again(attempt->verified, packet->service, attempt->now));
	return FW_PASS_SYN;
}

/*
 * A connection attempt to a service: what its source holds, then how fast it comes. Who it is says
 * but an address that anybody can forge, so where there is doubt it has to prove itself.
 */
static __always_inline enum fw_verdict judge_attempt(struct xdp_md *ctx,
						     const struct packet *packet)
{
	const __u64 seed[2] = {fw_seed[0], fw_seed[1]};
	const __u64 prefix = fw_hash_prefix(seed, packet->network, packet->service);
	const bool known = records_of(packet->network) & FW_RECORD_KNOWN;
	struct attempt attempt = {
		.verified = known ? rate_verified_source(packet) : NULL,
		.source = fw_hash_source(prefix, packet_host(packet)),
		.prefix = prefix,
		.now = bpf_ktime_get_ns(),
	};
	enum fw_verdict doubt, verdict;

	JUDGE(shut_judge(attempt.source, attempt.now));
	doubt = doubt_under_pressure(packet, &attempt);
	if (doubt == FW_NONE) {
		if (known) {
			JUDGE(CONNECTIONS(SOURCE, attempt.source));
			JUDGE(CONNECTIONS(PREFIX, attempt.prefix));
		}
		doubt = attempt.verified ? doubt_verified(packet, &attempt)
					 : doubt_newcomer(packet, &attempt);
	}
	if (doubt == FW_NONE)
		return attempt.verified ? FW_PASS_VERIFIED : FW_PASS_SYN;
	if (!may_challenge(packet, &attempt))
		return doubt;
	verdict = challenge_newcomer(ctx, packet, doubt, attempt.now);
	if (verdict == FW_NONE)
		return judge_again(packet, &attempt, doubt);
	if (verdict == FW_QUEUE_FULL && !emit_enforces(packet, verdict))
		return FW_PASS_SYN;
	return verdict;
}

/* A segment that brings a cookie back; @ack: what it acknowledges. */
static __always_inline enum fw_verdict judge_cookie(const struct packet *packet, __u32 ack)
{
	enum fw_verdict verdict = judge_proof(packet, bpf_ktime_get_ns());

	if (verdict != FW_NONE)
		return verdict;
	arrivals_note(packet, ack);
	return FW_PASS_COOKIE;
}

/* The end of a handshake that the stack has answered, by a source that has come to a cap since.
 * Costs a socket lookup only for those who are at one. */
static __always_inline enum fw_verdict judge_opening(struct xdp_md *ctx,
						     const struct packet *packet)
{
	if (judge_is_at_cap(packet) && packet_may_complete(packet) &&
	    challenge_opens(challenge_find(ctx, packet)))
		return judge_caps(packet);
	return FW_NONE;
}

/* Whether the kernel may tell that the connection is over: one that ended silently. Not to who is
 * kept out, and would not be let in again. Global, for the sake of the stack. */
__noinline int judge_stray(const struct packet *packet)
{
	__u64 now = bpf_ktime_get_coarse_ns();

	return packet && silent_anywhere(now) && shut_judge(HASH(SOURCE), now) == FW_NONE &&
	       silent_take(silent_place(&packet->source.addr, packet->source_port,
					packet->destination.port, now));
}

/* A segment to a service under pressure: FW_NONE if it is of a connection, or for another host. */
static __always_inline enum fw_verdict judge_under_pressure(struct xdp_md *ctx,
							    const struct packet *packet)
{
	__u32 ack = 0;
	enum fw_verdict verdict = challenge_segment(ctx, packet, &ack);

	if (verdict == FW_PASS_COOKIE)
		return judge_cookie(packet, ack);
	if (verdict == FW_BAD_COOKIE && judge_stray(packet))
		return FW_PASS_STRAY;
	JUDGE(verdict);
	return FW_NONE;
}

/* Any other segment passes, unless its service is under pressure, or a source at its cap. */
static __always_inline enum fw_verdict judge_segment(struct xdp_md *ctx, struct packet *packet)
{
	enum fw_verdict verdict = FW_NONE;
	__u64 now;

	if (likely(!pressure_anywhere()))
		return FW_PASS_ESTABLISHED;
	packet->service = service_find(&packet->destination);
	if (packet->service == FW_HOST_SERVICE)
		return FW_PASS_ESTABLISHED;
	now = bpf_ktime_get_coarse_ns();
	if (fw_tier != FW_TIER_DROP && pressure_is_on(packet->service, now))
		verdict = judge_under_pressure(ctx, packet);
	if (verdict == FW_NONE && pressure_watches_caps(packet->service, now))
		verdict = judge_opening(ctx, packet);
	return verdict == FW_NONE ? FW_PASS_ESTABLISHED : verdict;
}

/* An answer to a SYN: somebody here, or behind this host, must have sent that. */
static __always_inline enum fw_verdict judge_syn_ack(struct xdp_md *ctx,
						     const struct packet *packet)
{
	if (!sockets_are_connected(ctx, packet) && questions_answer(packet) != QUESTION_ANSWERED)
		JUDGE(HOST_RATE(SYN_ACK));
	return FW_PASS_ESTABLISHED;
}

/* One peer's connections may be told of a few errors, whatever else is flooded. */
static __always_inline bool is_about_peer(struct xdp_md *ctx, const struct packet *packet)
{
	struct sketch_rate rate = {
		.limit = limit_of(ICMP_ERRORS_PER_PEER, ICMP_ERRORS_PER_PEER),
	};
	struct fw_addr peer;

	if (!icmp_is_about_connection(ctx, packet, &peer))
		return false;
	rate.hash = policy_hash(&peer, FW_HOST_SERVICE, FW_LEVEL_SOURCE);
	return sketch_take(&answers, &rate, bpf_ktime_get_ns());
}

static __always_inline enum fw_verdict judge_icmp(struct xdp_md *ctx, const struct packet *packet)
{
	switch (icmp_kind(ctx, packet)) {
	case ICMP_VITAL:
		break;
	case ICMP_ANSWER:
		return FW_PASS_ANSWER;
	case ICMP_ERROR:
		if (is_about_peer(ctx, packet))
			return FW_PASS_ANSWER;
		JUDGE(HOST_RATE(ICMP_ERROR));
		break;
	case ICMP_PATH_MTU:
		if (is_about_peer(ctx, packet))
			return FW_PASS_ANSWER;
		JUDGE(HOST_RATE(PATH_MTU));
		break;
	default:
		JUDGE(HOST_RATE(ICMP));
	}
	return FW_PASS_OTHER;
}

/* What belongs to no TCP connection: answers pass, the rest within the rate of its kind. */
static __always_inline enum fw_verdict judge_datagram(struct xdp_md *ctx,
						      const struct packet *packet)
{
	int kind;

	if (packet_has_ports(packet))
		JUDGE(sanity_land(packet));
	kind = amplification_kind(ctx, packet);
	switch (kind) {
	case AMPLIFICATION_ANSWER:
		return FW_PASS_ANSWER;
	case AMPLIFICATION_UNSOLICITED:
	case AMPLIFICATION_LATE:
		JUDGE(HOST_RATE(UNSOLICITED));
		break;
	case AMPLIFICATION_CALLER:
		JUDGE(HOST_RATE(CALLER));
		break;
	case AMPLIFICATION_CALL:
	case AMPLIFICATION_UDP:
		break;
	case AMPLIFICATION_FRAGMENT:
		JUDGE(HOST_RATE(FRAGMENT));
		return FW_PASS_OTHER;
	case AMPLIFICATION_ICMP:
		return judge_icmp(ctx, packet);
	default:
		JUDGE(HOST_RATE(OTHER));
		return FW_PASS_OTHER;
	}
	JUDGE(HOST_RATE(UDP));
	if (kind == AMPLIFICATION_UNSOLICITED || kind == AMPLIFICATION_CALL)
		callers_note(callers_place(&packet->source.addr, packet->source_port,
					   packet->destination.port));
	return FW_PASS_OTHER;
}

static __always_inline enum fw_verdict judge_tcp(struct xdp_md *ctx, struct packet *packet)
{
	enum fw_verdict verdict;

	JUDGE(sanity_land(packet));
	if (!sanity_tcp_flags_are_valid(packet))
		JUDGE(FW_TCP_FLAGS);
	if (likely(!packet_opens_connection(packet))) {
		verdict = judge_segment(ctx, packet);
		if (verdict == FW_PASS_ESTABLISHED && unlikely(packet->tcp_flags & PACKET_SYN))
			return judge_syn_ack(ctx, packet);
		return verdict;
	}
	packet->service = service_find(&packet->destination);
	if (packet->service == FW_HOST_SERVICE)
		return FW_PASS_OTHER;
	return judge_attempt(ctx, packet);
}

static __always_inline enum fw_verdict judge(struct xdp_md *ctx, struct packet *packet)
{
	JUDGE(parse_packet(ctx, packet));
	if (unlikely(packet->known == PACKET_OPAQUE))
		return FW_PASS_OTHER;
	if (lists_allow(packet))
		return FW_PASS_ALLOWED;
	JUDGE(listed_judge(packet));
	JUDGE(lists_block(packet));
	JUDGE(sanity_fragment(packet));
	JUDGE(sanity_source(packet));
	return likely(packet_is_tcp(packet)) ? judge_tcp(ctx, packet) : judge_datagram(ctx, packet);
}

SEC("xdp")
int floodwall_filter(struct xdp_md *ctx)
{
	struct packet packet;
	enum fw_verdict verdict = judge(ctx, &packet);

	return emit_verdict(&packet, verdict);
}

char _license[] SEC("license") = "Dual BSD/GPL";
