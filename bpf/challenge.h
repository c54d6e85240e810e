/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage 10: a newcomer proves that it receives what is sent to its address. Its SYN becomes the
 * SYN-ACK in place and goes back out of the same interface; nothing is remembered of it.
 *
 * An answer is never longer than its SYN: it has an option only where the SYN had it, and no data.
 * Only a listener is answered for; what a connection or no one would take goes on to the stack.
 * Left out: IP options, IPv6 extension headers, fragments and signed SYNs, which no newcomer needs;
 * and with cookies of ours two VLAN tags: at TC ingress the stack has taken but one of them away,
 * and gives no request socket to what is then no IP packet. Such SYNs are the stack's to answer.
 */
#ifndef FLOODWALL_CHALLENGE_H
#define FLOODWALL_CHALLENGE_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "answer.h"
#include "arrivals.h"
#include "cookie.h"
#include "homes.h"
#include "pressure.h"
#include "secrets.h"
#include "segment.h"
#include "sockets.h"
#include "stacks.h"

/* The loader sets it: enum fw_tier. */
const volatile __u32 fw_tier = FW_TIER_DROP;

/* The length of an Ethernet header with a VLAN tag, and with two. */
enum { CHALLENGE_TAGGED = ETH_HLEN + 4, CHALLENGE_TAGGED_TWICE = ETH_HLEN + 8 };

/* An Ethernet address in as few words as it has. */
struct challenge_host {
	__be32 upper;
	__be16 lower;
} __attribute__((packed, aligned(2)));

static __always_inline void challenge_swap_ethernet(void *ethernet)
{
	struct challenge_host *to = ethernet, *from = to + 1, host = *to;

	*to = *from;
	*from = host;
}

/* Where the IP header is, behind up to two VLAN tags; 0: the packet is for a group of hosts, or
 * there is none. */
static __always_inline __u32 challenge_ip_offset(struct xdp_md *ctx, bool is_v4)
{
	__be16 expected = is_v4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = data;
	__be16 *tagged = data + CHALLENGE_TAGGED - sizeof(*tagged);
	__be16 *tagged_twice = data + CHALLENGE_TAGGED_TWICE - sizeof(*tagged_twice);

	if ((void *)(tagged_twice + 1) > end || ethernet->h_dest[0] & 1)
		return 0;
	if (ethernet->h_proto == expected)
		return ETH_HLEN;
	if (*tagged == expected)
		return CHALLENGE_TAGGED;
	return *tagged_twice == expected ? CHALLENGE_TAGGED_TWICE : 0;
}

/* Options of most stacks' SYNs. */
enum { CHALLENGE_USUAL_OPTIONS = 20 };

/* What segment.h loads with: a header, whose size is known, or options, which are some words. */
static __always_inline long challenge_load(void *ctx, __u32 offset, void *to, __u32 size)
{
	struct xdp_md *xdp = ctx;
	void *end = (void *)(long)xdp->data_end;
	__be32 *from = (void *)(long)xdp->data + offset, *word = to;

	if (__builtin_constant_p(size)) {
		if ((void *)from + size > end)
			return -1;
		__builtin_memcpy(to, from, size);
		return 0;
	}
	if (size >= CHALLENGE_USUAL_OPTIONS && (void *)from + CHALLENGE_USUAL_OPTIONS <= end) {
		__builtin_memcpy(word, from, CHALLENGE_USUAL_OPTIONS);
		from += CHALLENGE_USUAL_OPTIONS / 4;
		word += CHALLENGE_USUAL_OPTIONS / 4;
		size -= CHALLENGE_USUAL_OPTIONS;
	}
	for (; size >= 4; size -= 4) {
		if ((void *)(from + 1) > end)
			return -1;
		*word++ = *from++;
	}
	return 0;
}

/*
 * Reads what the segment says about cookies. Where its IP header is; 0: its headers are out of the
 * ordinary. A global function, so that the verifier looks at it once.
 */
__noinline int challenge_read(struct xdp_md *ctx, const struct packet *packet,
			      struct cookie_segment *segment)
{
	union segment_headers headers;
	__u32 offset;
	bool is_v4;

	if (!packet || !segment)
		return 0;
	is_v4 = packet->is_v4;
	offset = challenge_ip_offset(ctx, is_v4);
	if (!offset || !segment_read(ctx, challenge_load, offset, is_v4, &headers, segment))
		return 0;
	cookie_read_options(segment);
	return offset;
}

/* Cuts the SYN to the answer's length, but not below what Ethernet sends anyway. */
static __always_inline bool challenge_cut(struct xdp_md *ctx, __u32 length, __u32 wanted)
{
	if (wanted < ETH_ZLEN)
		wanted = length < ETH_ZLEN ? length : ETH_ZLEN;
	return wanted == length || bpf_xdp_adjust_tail(ctx, (int)(wanted - length)) == 0;
}

/* Why there is no answer. */
enum challenge_refusal {
	CHALLENGE_ODD = 0,        /* a SYN that is none of a newcomer's */
	CHALLENGE_NO_COOKIE = -1, /* the stack's to answer */
};

/*
 * The cookie, and which of the client's options it lets survive: all that differs between the tiers
 * here. 1, or enum challenge_refusal.
 */
static __always_inline int challenge_make_cookie(struct xdp_md *ctx, const struct packet *packet,
						 struct challenge *challenge, __u64 now)
{
	struct cookie_segment *segment = &challenge->segment;
	struct fw_secret *secret;

	if (challenge->is_stacks) {
		cookie_negotiate(&segment->options, 0);
		return stacks_make(ctx, packet, segment, &challenge->cookie.isn)
			       ? 1
			       : CHALLENGE_NO_COOKIE;
	}
	secret = secrets_current();
	if (!secret)
		return CHALLENGE_ODD;
	cookie_negotiate(&segment->options, secret->offers);
	challenge->cookie = cookie_make(secret, packet, segment->seq, &segment->options,
					now + secret->clock_ns);
	challenge->window_scale = secret->window_scale;
	pressure_expect_cookie(now, COOKIE_LIFE_NS);
	return 1;
}

/* Reads the SYN and makes its cookie at @now. Where its IP header is, or enum challenge_refusal.
 * A global function, so that the verifier looks at it once. */
__noinline int challenge_prepare(struct xdp_md *ctx, const struct packet *packet,
				 struct challenge *challenge, __u64 now)
{
	struct cookie_options *options;
	int offset, made;

	if (!packet || !challenge)
		return CHALLENGE_ODD;
	offset = challenge_read(ctx, packet, &challenge->segment);
	options = &challenge->segment.options;
	if (!offset || options->is_signed)
		return CHALLENGE_ODD;
	if (fw_tier == FW_TIER_OWN && offset == CHALLENGE_TAGGED_TWICE)
		return CHALLENGE_NO_COOKIE;
	options->ecn = challenge->segment.ecn_setup;
	made = challenge_make_cookie(ctx, packet, challenge, now);
	return made > 0 ? offset : made;
}

/* Puts the answer in the place of the SYN, whose IP header is at @offset. 0: it would be longer,
 * and the SYN is as it was. Global for the same reason. */
__noinline int challenge_write(struct xdp_md *ctx, const struct packet *packet,
			       const struct challenge *challenge, __u32 offset)
{
	__u32 length;
	void *data, *end;

	if (!packet || !challenge)
		return 0;
	if (offset != ETH_HLEN && offset != CHALLENGE_TAGGED && offset != CHALLENGE_TAGGED_TWICE)
		return 0;
	length = offset + answer_length(packet, challenge);
	if (length > packet->length || !challenge_cut(ctx, packet->length, length))
		return 0;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + ETH_HLEN > end)
		return 0;
	challenge_swap_ethernet(data);
	answer_write(data + offset, end, packet, challenge);
	return 1;
}

enum challenge_found {
	CHALLENGE_NOTHING,
	CHALLENGE_LISTENER,
	CHALLENGE_MULTIPATH,  /* a listener whose stack takes no cookie but its own */
	CHALLENGE_CONNECTION, /* or one that is no more (TIME_WAIT) */
	CHALLENGE_OPENING,    /* a handshake that the stack has answered */
	CHALLENGE_FULL,       /* a listener that takes no connection now */
	CHALLENGE_STACKS,     /* a listener, and a cookie that the stack made itself */
};

/* Whether the segment brings back a cookie of the stack's, sent when its queue overflowed: before
 * the pressure began, or to a verified source. Costs next to nothing if it never did. */
static __always_inline bool challenge_is_stacks(struct xdp_md *ctx, const struct packet *packet,
						struct bpf_sock *sk)
{
	bool is_v4 = packet->is_v4;
	__u32 offset = challenge_ip_offset(ctx, is_v4);
	void *end = (void *)(long)ctx->data_end, *ip;

	if (!packet_may_complete(packet) || !offset)
		return false;
	if (offset > CHALLENGE_TAGGED_TWICE) /* for the verifier */
		return false;
	ip = (void *)(long)ctx->data + offset;
	if (is_v4)
		return ip + sizeof(struct segment_v4) <= end && ((struct iphdr *)ip)->ihl == 5 &&
		       bpf_tcp_check_syncookie(sk, ip, sizeof(struct iphdr),
					       ip + sizeof(struct iphdr),
					       sizeof(struct tcphdr)) == 0;
	return ip + sizeof(struct segment_v6) <= end &&
	       ((struct ipv6hdr *)ip)->nexthdr == IPPROTO_TCP &&
	       bpf_tcp_check_syncookie(sk, ip, sizeof(struct ipv6hdr), ip + sizeof(struct ipv6hdr),
				       sizeof(struct tcphdr)) == 0;
}

/* What a segment brings to a listener. */
enum challenge_brought { CHALLENGE_NO_PROOF, CHALLENGE_COOKIE, CHALLENGE_ARRIVED };

/* Whether it brings a cookie of ours back, if the listener, as it was @found, takes any, or comes
 * with one that just came; in the lower half the number that it acknowledges. Global for the same
 * reason. */
__noinline __u64 challenge_check(struct xdp_md *ctx, const struct packet *packet, int found)
{
	struct cookie_segment segment;
	__u64 brought = CHALLENGE_NO_PROOF;

	if (!packet || !challenge_read(ctx, packet, &segment))
		return brought;
	if (arrivals_know(packet, segment.ack))
		brought = CHALLENGE_ARRIVED;
	else if (fw_tier == FW_TIER_OWN && found == CHALLENGE_LISTENER &&
		 packet_may_complete(packet) && secrets_check(packet, &segment, bpf_ktime_get_ns()))
		brought = CHALLENGE_COOKIE;
	return brought << 32 | segment.ack;
}

/* What there is for the packet. Global for the same reason. */
__noinline int challenge_find(struct xdp_md *ctx, const struct packet *packet)
{
	int found = CHALLENGE_LISTENER;
	struct bpf_sock *sk;

	if (!packet)
		return CHALLENGE_NOTHING;
	sk = sockets_find(ctx, packet);
	if (!sk)
		return CHALLENGE_NOTHING;
	if (sk->state == BPF_TCP_NEW_SYN_RECV)
		found = CHALLENGE_OPENING;
	else if (sk->state != BPF_TCP_LISTEN)
		found = CHALLENGE_CONNECTION;
	else if (packet_opens_connection(packet) && sockets_queue_is_full(sk))
		found = CHALLENGE_FULL;
	else if (challenge_is_stacks(ctx, packet, sk))
		found = CHALLENGE_STACKS;
	else if (fw_tier == FW_TIER_OWN && sockets_is_multipath(sk))
		found = CHALLENGE_MULTIPATH;
	bpf_sk_release(sk);
	return found;
}

/* Whether the segment ends a handshake that the stack has answered. */
static __always_inline bool challenge_opens(int found)
{
	return found == CHALLENGE_OPENING || found == CHALLENGE_STACKS;
}

/* What our side takes, as the stack would say. */
static __always_inline __u16 challenge_mss(const struct packet *packet, __u32 mtu)
{
	return mtu - sizeof(struct tcphdr) -
	       (fw_addr_is_v4(&packet->source.addr) ? sizeof(struct iphdr)
						    : sizeof(struct ipv6hdr));
}

/*
 * Answers a SYN, or lets it go on to the stack, if it is for another host. Where nobody listens, or
 * nobody could use a cookie, pressure is no reason to drop. FW_NONE: only the stack can answer, as
 * it has a connection of the flow, or has not forgotten the last one.
 */
static __always_inline enum fw_verdict challenge_newcomer(struct xdp_md *ctx,
							  const struct packet *packet,
							  enum fw_verdict condemned, __u64 now)
{
	struct challenge answer = {};
	int found = challenge_find(ctx, packet), offset, mtu;

	switch (found) {
	case CHALLENGE_LISTENER:
	case CHALLENGE_MULTIPATH:
		mtu = homes_mtu(ctx, packet);
		if (!mtu)
			return FW_PASS_SYN;
		answer.mss = challenge_mss(packet, mtu);
		answer.is_stacks = fw_tier == FW_TIER_KERNEL || found == CHALLENGE_MULTIPATH;
		offset = challenge_prepare(ctx, packet, &answer, now);
		if (offset > 0 && challenge_write(ctx, packet, &answer, offset))
			return FW_COOKIE_SENT;
		if (offset != CHALLENGE_NO_COOKIE)
			return condemned;
		break;
	case CHALLENGE_FULL:
		return FW_QUEUE_FULL;
	case CHALLENGE_NOTHING:
		break;
	default:
		return FW_NONE;
	}
	return condemned == FW_UNCHALLENGED ? FW_PASS_SYN : condemned;
}

/* A segment that opens no connection, to a service under pressure; @ack: what it acknowledges if it
 * brings a cookie. FW_NONE: it is of a connection, or of one that the stack is about to make, or
 * for another host. */
static __always_inline enum fw_verdict challenge_segment(struct xdp_md *ctx,
							 const struct packet *packet, __u32 *ack)
{
	int found = challenge_find(ctx, packet);
	__u64 brought;

	if (found != CHALLENGE_LISTENER && found != CHALLENGE_MULTIPATH &&
	    found != CHALLENGE_STACKS)
		return FW_NONE;
	brought = challenge_check(ctx, packet, found);
	*ack = brought;
	brought >>= 32;
	if (brought == CHALLENGE_ARRIVED)
		return FW_NONE;
	if (found == CHALLENGE_STACKS)
		return FW_PASS_COOKIE;
	if (!homes_mtu(ctx, packet))
		return FW_NONE;
	if (brought == CHALLENGE_COOKIE)
		return FW_PASS_COOKIE;
	return packet_may_complete(packet) ? FW_BAD_COOKIE : FW_NO_SOCKET;
}

#endif
