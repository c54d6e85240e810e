/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Handshakes that have just been completed by a cookie. Segments come in batches: the next ones of
 * a flow reach the filter, and even admission, before the stack has made the connection, and bring
 * no cookie. What they have in common is the number that they acknowledge, as the server has not
 * sent anything yet. So a handshake is a flow and that number: else who opened and reset one
 * connection after the other by the same port would be charged for the first of them alone.
 *
 * A table of fixed size, where a flow has one place, chosen by a keyed hash. Who gets in has proved
 * itself, and gets in for a moment. A flow that another one drives out has its segments dropped
 * until the stack knows it: they are sent again. A place is one word, so that it is never half
 * written:
 *
 *     fingerprint 32 | 1: admitted, 0: not yet 16 | milliseconds 16
 *
 * No stage, but what the filter, admission and tracking tell each other.
 */
#ifndef FLOODWALL_ARRIVALS_H
#define FLOODWALL_ARRIVALS_H

#include "maps.h"
#include "packet.h"
#include "policy.h"

/* Longer than any queue between the wire and the stack, shorter than the first retransmission. */
enum { ARRIVALS_LIFE_MS = 100 };

struct arrival {
	__u64 *place;
	__u32 fingerprint;
};

/* The place of the handshake whose last segment acknowledges @ack: its flow's. */
static __always_inline struct arrival arrivals_place(const struct packet *packet, __u32 ack)
{
	__u64 hash =
		policy_flow(&packet->source.addr, packet->source_port, packet->destination.port);
	__u32 index = hash & (FW_ARRIVALS - 1);

	return (struct arrival){
		.place = bpf_map_lookup_elem(&arrivals, &index),
		.fingerprint = hash >> 32 ^ ack,
	};
}

static __always_inline __u16 arrivals_clock(void)
{
	return bpf_ktime_get_coarse_ns() / NSEC_PER_MSEC;
}

/* What the table says of the handshake; 0: nothing, or not any more. */
static __always_inline __u64 arrivals_word(struct arrival arrival)
{
	__u64 word = arrival.place ? *(volatile __u64 *)arrival.place : 0;
	__u16 age = arrivals_clock() - (__u16)word;

	return word >> 32 == arrival.fingerprint && age < ARRIVALS_LIFE_MS ? word : 0;
}

static __always_inline void arrivals_write(struct arrival arrival, bool admitted)
{
	if (arrival.place)
		*(volatile __u64 *)arrival.place =
			(__u64)arrival.fingerprint << 32 | (__u32)admitted << 16 | arrivals_clock();
}

static __always_inline bool arrivals_is_admitted(__u64 word)
{
	return word >> 16 & 1;
}

/* Whether the cookie of the handshake has just been returned. */
APART bool arrivals_know(const struct packet *packet, __u32 ack)
{
	return arrivals_word(arrivals_place(packet, ack)) != 0;
}

static __always_inline void arrivals_note(const struct packet *packet, __u32 ack)
{
	arrivals_write(arrivals_place(packet, ack), false);
}

/* It has not arrived after all: the server took no connection. */
static __always_inline void arrivals_forget(struct arrival arrival)
{
	if (arrival.place)
		*(volatile __u64 *)arrival.place = 0;
}

#endif
