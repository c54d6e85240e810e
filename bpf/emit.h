/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Last stage: what a verdict leaves behind. Every packet adds to exactly one counter; a condemned
 * one may also become an event, so that a flood of millions a second tells a few stories a second
 * and the counts stay exact.
 *
 * Counters never go back, so what admission (admit.bpf.c) drops later counts twice: as the packet
 * that the filter passed, pass_established or pass_cookie, and as the handshake that was refused.
 *
 * Monitor mode is decided here: a rule in monitor mode counts and samples what it would have done,
 * and the packet goes on as if the rule did not exist.
 */
#ifndef FLOODWALL_EMIT_H
#define FLOODWALL_EMIT_H

#include "expect.h"
#include "maps.h"
#include "packet.h"
#include "policy.h"

#define emit_barrier() asm volatile("" ::: "memory")

/* Writes the event where its sequence number says; struct fw_event explains the order. */
static __always_inline void emit_event(const struct packet *packet, enum fw_verdict verdict,
				       enum fw_mode mode, __u64 count, __u64 now)
{
	struct fw_event *event;
	__u64 sequence;
	__u32 slot;

	sequence = __sync_fetch_and_add(&meta.events, 1) + 1;
	slot = sequence % FW_EVENTS_MAX;
	event = bpf_map_lookup_elem(&events, &slot);
	if (!event)
		return;
	*(volatile __u64 *)&event->sequence = 0;
	emit_barrier();
	event->time_ns = now;
	event->count = count;
	event->source = packet->source.addr;
	event->destination = packet->destination.addr;
	event->source_port = packet->source_port;
	event->destination_port = packet->destination.port;
	event->service = packet->service;
	event->verdict = verdict;
	event->proto = packet->destination.proto;
	event->mode = mode;
	event->length = packet->length > 0xffff ? 0xffff : packet->length;
	event->ifindex = packet->ifindex;
	emit_barrier();
	*(volatile __u64 *)&event->sequence = sequence;
}

/*
 * One event for each 1/events_per_second, a second's worth at once; the rest are counted into the
 * next one. The coarse clock does, and a refusal costs no division.
 */
static __noinline void emit_sample(const struct packet *packet, enum fw_verdict verdict,
				   enum fw_mode mode)
{
	__u32 index = fw_counter_index(packet->service, verdict);
	struct fw_sampler *sampler;
	__u64 now, tat, untold;

	if (!fw_sample_events)
		return;
	sampler = bpf_map_lookup_elem(&samplers, &index);
	if (!sampler)
		return;
	now = bpf_ktime_get_coarse_ns();
	tat = sampler->tat_ns;
	untold = sampler->untold + 1;
	if (tat >= now + NSEC_PER_SEC) {
		sampler->untold = untold;
		return;
	}
	sampler->tat_ns =
		(tat < now ? now : tat) +
		NSEC_PER_SEC / policy_setting(FW_HOST_SERVICE, FW_SET_HOST_EVENTS_PER_SECOND);
	sampler->untold = 0;
	emit_event(packet, verdict, mode, untold, now);
}

static __always_inline struct fw_counter *emit_counter(__u32 service, enum fw_verdict verdict)
{
	__u32 index = fw_counter_index(service, verdict);

	return bpf_map_lookup_elem(&counters, &index);
}

/* The rule is in monitor mode: leaves the trace of a verdict that does not come about. */
static __noinline void emit_would(const struct packet *packet, enum fw_verdict verdict)
{
	struct fw_counter *counter = emit_counter(packet->service, verdict);

	if (counter)
		counter->would++;
	emit_sample(packet, verdict, FW_MODE_MONITOR);
}

/* Whether the verdict stands. If its rule, or the packet's service, is in monitor mode, it does
 * not.
 */
static __always_inline bool emit_enforces(const struct packet *packet, enum fw_verdict verdict)
{
	__u32 index = verdict;
	__u64 *mode = bpf_map_lookup_elem(&modes, &index);

	if ((!mode || *mode != FW_MODE_MONITOR) &&
	    (packet->service == FW_HOST_SERVICE ||
	     !policy_setting(packet->service, FW_SET_MONITOR)))
		return true;
	emit_would(packet, verdict);
	return false;
}

static __always_inline enum fw_action emit_action(enum fw_verdict verdict)
{
	switch (verdict) {
#define FW_VERDICT(id, label, action, status, fault, text)                                         \
	case FW_##id:                                                                              \
		return FW_ACTION_##action;
#include "verdicts.def"
#undef FW_VERDICT
	default:
		return FW_ACTION_DROP;
	}
}

/* Counts the packet under its verdict; the XDP action that carries it out. */
static __always_inline int emit_verdict(const struct packet *packet, enum fw_verdict verdict)
{
	struct fw_counter *counter = emit_counter(packet->service, verdict);
	enum fw_action action = emit_action(verdict);

	if (likely(counter)) {
		counter->packets++;
		counter->bytes += packet->length;
	}
	if (likely(action == FW_ACTION_PASS))
		return XDP_PASS;
	if (action == FW_ACTION_ANSWER)
		return XDP_TX;
	emit_sample(packet, verdict, FW_MODE_ENFORCE);
	return XDP_DROP;
}

/* Says that Floodwall itself could not do its part. sock_ops may be interrupted by a packet, hence
 * the atomic addition. */
static __always_inline void emit_fault(const struct packet *packet, enum fw_verdict fault)
{
	struct fw_counter *counter = emit_counter(packet->service, fault);

	if (counter)
		__sync_fetch_and_add(&counter->packets, 1);
	emit_sample(packet, fault, FW_MODE_ENFORCE);
}

#endif
