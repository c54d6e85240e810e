/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What this host asked of others: questions.bpf.c notes it as it leaves, and an answer that comes
 * in without one is nobody's.
 *
 * Since only packets that leave are noted, a forger has to make a server of this host answer to add
 * a question; answers of DNS and NTP servers are none, and other servers' bring him few
 * (callers.h). To use one of another's he would have to know both addresses and both ports, and
 * even then there are only so many answers to it.
 */
#ifndef FLOODWALL_QUESTIONS_H
#define FLOODWALL_QUESTIONS_H

#include <stdbool.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include "maps.h"
#include "packet.h"
#include "policy.h"

/* How a packet of the port's protocol says whether it is a question. */
enum question_form {
	QUESTION_FOREIGN, /* no reflector's port */
	QUESTION_NONE,
	QUESTION_DNS,
	QUESTION_NTP,
};

enum { QUESTIONS_KEPT = 16 }; /* of which the answers are kept for later */

/* The row of reflectors.def. */
static __always_inline enum question_form questions_form(__be16 port)
{
	switch (bpf_ntohs(port)) {
#define FW_REFLECTOR(number, protocol, form, source)                                               \
	case number:                                                                               \
		return QUESTION_##form;
#include "reflectors.def"
#undef FW_REFLECTOR
	default:
		return QUESTION_FOREIGN;
	}
}

/* NTP's first byte ends in the mode: 1 and 3 ask, 6 (control) has a bit for a response in the
 * second byte, 7 (private) in the first. */
static __always_inline bool questions_ask_time(const __u8 *message)
{
	__u8 mode = message[0] & 7;

	return mode == 1 || mode == 3 || (mode == 6 && !(message[1] & 0x80)) ||
	       (mode == 7 && !(message[0] & 0x80));
}

/* Whether a message asks, by its first four bytes. */
static __always_inline bool questions_ask(enum question_form form, const __u8 *message)
{
	if (form == QUESTION_NTP)
		return questions_ask_time(message);
	return !(message[2] & 0x80); /* DNS: QR */
}

/* A time has passed in which answers to the question would have come. */
static __always_inline bool questions_are_over(const struct fw_asked *asked, __u64 now)
{
	__u64 window = policy_setting(FW_HOST_SERVICE, FW_SET_ANSWER_WINDOW) * NSEC_PER_MSEC;

	return *(const volatile __u64 *)&asked->asked_ns + window <= now;
}

/*
 * Takes note of a question, put once more. Every time grants some answers; what was not used is
 * kept, so that in a conversation neither side has to wait its turn. Where the other side spoke
 * first, as @called says, none is granted: it may be a forger who makes a server of ours speak to a
 * reflector, and the server may go on answering whatever comes.
 */
static __always_inline void questions_note(const struct fw_question *question, bool called)
{
	__s32 grant = policy_setting(FW_HOST_SERVICE, FW_SET_ANSWERS);
	struct fw_asked *asked = bpf_map_lookup_elem(&questions, question), fresh = {};
	__u64 now = bpf_ktime_get_coarse_ns();

	if (!asked || questions_are_over(asked, now)) {
		fresh.asked_ns = now;
		fresh.answers = grant;
		fresh.called = called;
		bpf_map_update_elem(&questions, question, &fresh, BPF_ANY);
		return;
	}
	*(volatile __u64 *)&asked->asked_ns = now;
	if (*(volatile __s32 *)&asked->answers < grant * QUESTIONS_KEPT)
		__sync_fetch_and_add(&asked->answers, grant);
}

/* What a packet is, by the questions that were put. */
enum question_answer {
	QUESTION_NEVER_PUT,
	QUESTION_SETTLED, /* long ago, or all its answers have come */
	QUESTION_CALLED,  /* its sender had spoken first */
	QUESTION_ANSWERED,
};

/* Takes one of the answers that may come. */
static __always_inline enum question_answer questions_take(const struct fw_question *question)
{
	struct fw_asked *asked = bpf_map_lookup_elem(&questions, question);

	if (!asked)
		return QUESTION_NEVER_PUT;
	if (questions_are_over(asked, bpf_ktime_get_coarse_ns()))
		return QUESTION_SETTLED;
	if (asked->called)
		return QUESTION_CALLED;
	if (policy_setting(FW_HOST_SERVICE, FW_SET_ANSWERS) == 0)
		return QUESTION_ANSWERED;
	if (*(volatile __s32 *)&asked->answers <= 0)
		return QUESTION_SETTLED;
	__sync_fetch_and_add(&asked->answers, -1);
	return QUESTION_ANSWERED;
}

/* The same of a packet, TCP or UDP. */
static __always_inline enum question_answer questions_answer(const struct packet *packet)
{
	struct fw_question question = {
		.local = packet->destination.addr,
		.remote = packet->source.addr,
		.local_port = packet->destination.port,
		.remote_port = packet->source_port,
		.proto = packet->destination.proto,
	};

	return questions_take(&question);
}

#endif
