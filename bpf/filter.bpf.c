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
		limit_.interval_ns && !sketch_take(hash, limit_, now) ? FW_##level##_SYN_RATE      \
								      : FW_NONE;                   \
	})

/* A connection attempt to a service: what the source holds, then how fast it comes. An earlier
 * refusal costs a later level nothing. */
static __always_inline enum fw_verdict judge_attempt(const struct packet *packet)
{
	__u64 source = HASH(SOURCE), now;
	struct fw_source *verified;

	JUDGE(CONNECTIONS(SOURCE, source));
	JUDGE(CONNECTIONS(PREFIX, HASH(PREFIX)));
	now = bpf_ktime_get_ns();
	verified = rate_verified_source(packet);
	if (verified) {
		JUDGE(rate_verified(verified, packet->service, now));
		return FW_PASS_VERIFIED;
	}
	JUDGE(SKETCH(SOURCE, source));
	JUDGE(SKETCH(PREFIX, HASH(PREFIX)));
	JUDGE(rate_gate(packet->service, now));
	return FW_PASS_SYN;
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
		return FW_PASS_ESTABLISHED;
	packet->service = service_find(&packet->destination);
	if (packet->service == FW_HOST_SERVICE)
		return FW_PASS_OTHER;
	return judge_attempt(packet);
}

SEC("xdp")
int floodwall_filter(struct xdp_md *ctx)
{
	struct packet packet;
	enum fw_verdict verdict = judge(ctx, &packet);

	return emit_verdict(&packet, verdict);
}

char _license[] SEC("license") = "Dual BSD/GPL";
