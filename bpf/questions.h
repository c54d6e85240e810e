/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What this host asked of others: questions.bpf.c notes it as it leaves, and an answer that comes
 * in without one is nobody's.
 *
 * Since only packets that leave are noted, a forger has to make a server of this host answer to add
 * a question; answers of DNS and NTP servers are none. To use one he would have to know both
 * addresses and both ports of one that was just put.
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

static __always_inline void questions_note(const struct fw_question *question)
{
	__u64 now = bpf_ktime_get_coarse_ns(), *asked = bpf_map_lookup_elem(&questions, question);

	if (asked)
		*(volatile __u64 *)asked = now;
	else
		bpf_map_update_elem(&questions, question, &now, BPF_ANY);
}

/* Whether it was put within the time that an answer may take. */
static __always_inline bool questions_were_put(const struct fw_question *question)
{
	__u64 window = policy_setting(FW_HOST_SERVICE, FW_SET_ANSWER_WINDOW);
	__u64 *asked = bpf_map_lookup_elem(&questions, question);

	return asked && *(volatile __u64 *)asked + window * (NSEC_PER_SEC / 1000) >
				bpf_ktime_get_coarse_ns();
}

/* Whether the packet, TCP or UDP, is an answer to one. */
static __always_inline bool questions_are_answered(const struct packet *packet)
{
	struct fw_question question = {
		.local = packet->destination.addr,
		.remote = packet->source.addr,
		.local_port = packet->destination.port,
		.remote_port = packet->source_port,
		.proto = packet->destination.proto,
	};

	return questions_were_put(&question);
}

#endif
