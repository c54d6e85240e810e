/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * In place of stage 5 and what follows, for what is no TCP: what a packet is to this host. An
 * answer to what it asked, or one of the kinds that the host takes only so many of.
 *
 * An answer counts as asked for if the question was seen to leave (questions.h). Of what comes from
 * a reflector's port without one, a question is none of a reflector's doing: resolvers and time
 * servers ask each other from the very port that they answer from. Nor is what is sent to a group:
 * it comes from the link. The rest of it is not dropped to the last packet, since a client behind
 * NAT may have been given any port: once the host answers him, he is known.
 *
 * ICMP has rules of its own (icmp.h).
 */
#ifndef FLOODWALL_AMPLIFICATION_H
#define FLOODWALL_AMPLIFICATION_H

#include <linux/bpf.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "packet.h"
#include "questions.h"

/* The loader sets it: 0 where nothing notes what leaves, so that nobody can tell. */
const volatile __u32 fw_notes_questions = 1;

enum amplification_kind {
	AMPLIFICATION_ANSWER,
	AMPLIFICATION_UNSOLICITED,
	AMPLIFICATION_LATE,   /* the same from who was once asked */
	AMPLIFICATION_CALL,   /* a question from a reflector's port */
	AMPLIFICATION_CALLER, /* who called, or spoke unasked, and was answered */
	AMPLIFICATION_FRAGMENT,
	AMPLIFICATION_UDP,
	AMPLIFICATION_ICMP,
	AMPLIFICATION_OTHER,
};

/* Multicast and broadcast addresses. */
static __always_inline bool amplification_is_group(const struct fw_addr *addr)
{
	__u32 v4 = bpf_ntohl(addr->word[3]);

	if (fw_addr_is_v4(addr))
		return v4 >> 28 == 0xe || v4 == 0xffffffff;
	return bpf_ntohl(addr->word[0]) >> 24 == 0xff;
}

static __always_inline bool
amplification_is_question(struct xdp_md *ctx, const struct packet *packet, enum question_form form)
{
	__u8 message[4];

	if (form == QUESTION_NONE ||
	    bpf_xdp_load_bytes(ctx, packet->transport + sizeof(struct udphdr), message,
			       sizeof(message)) != 0)
		return false;
	return questions_ask(form, message);
}

static __always_inline enum amplification_kind amplification_udp(struct xdp_md *ctx,
								 const struct packet *packet)
{
	enum question_form form = questions_form(packet->source_port);
	enum question_answer answer;

	if (form == QUESTION_FOREIGN || amplification_is_group(&packet->destination.addr))
		return AMPLIFICATION_UDP;
	answer = questions_answer(packet);
	if (answer == QUESTION_ANSWERED)
		return AMPLIFICATION_ANSWER;
	if (answer == QUESTION_CALLED)
		return AMPLIFICATION_CALLER;
	if (!fw_notes_questions)
		return AMPLIFICATION_UDP;
	if (amplification_is_question(ctx, packet, form))
		return answer == QUESTION_NEVER_PUT ? AMPLIFICATION_CALL : AMPLIFICATION_UDP;
	return answer == QUESTION_NEVER_PUT ? AMPLIFICATION_UNSOLICITED : AMPLIFICATION_LATE;
}

/* Of a packet that is no TCP segment. A global function: what is rare takes no stack from what is
 * not. */
__noinline int amplification_kind(struct xdp_md *ctx, const struct packet *packet)
{
	if (!packet)
		return AMPLIFICATION_OTHER;
	if (packet->fragment == PACKET_LATER_FRAGMENT)
		return AMPLIFICATION_FRAGMENT;
	switch (packet->destination.proto) {
	case IPPROTO_UDP:
		return packet_has_ports(packet) ? amplification_udp(ctx, packet)
						: AMPLIFICATION_UDP;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return AMPLIFICATION_ICMP;
	default:
		return AMPLIFICATION_OTHER;
	}
}

#endif
