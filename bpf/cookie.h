/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SYN cookies (Bernstein 1996): all that a server must remember of a SYN, put into the numbers of
 * its answer, under a MAC that only who has the secret can make. SipHash covers addresses, ports,
 * the client's sequence number, the minute and every option that the cookie carries, and what the
 * host itself does (window scale, offers): of two that share a secret but differ in that, neither
 * takes the other's cookies.
 *
 * Initial sequence number, from the top:
 *
 *     minute 1 | MSS 2 | MAC 29                                                with timestamps
 *     minute 1 | MSS 2 | window scale 4, SACK 1, ECN 1 | MAC 23                without
 *
 * The minute's lowest bit tells which of the two accepted minutes it was: a cookie lives for one to
 * two of them. With timestamps the six bits of scale, SACK and ECN are the lowest of TSval (as the
 * kernel has it); TSval's upper bits are the host's milliseconds moved by 26 more bits of the MAC.
 *
 * What brute force is left: without timestamps one forged ACK in 2^23 opens a connection, the
 * kernel's own cookies leave one in 2^29. With them its TSecr has to hit two minutes as well: 2^44.
 *
 * Pure: no map, no packet, no clock. What the filter and admit.bpf.c both reckon with.
 */
#ifndef FLOODWALL_COOKIE_H
#define FLOODWALL_COOKIE_H

#include <stdbool.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "packet.h"
#include "policy.h"

#define COOKIE_SLOT_NS (60 * NSEC_PER_SEC)
#define COOKIE_LIFE_NS (2 * COOKIE_SLOT_NS)
#define COOKIE_LIFE_MS (2 * 60000)

enum {
	COOKIE_OPTIONS_SIZE = 40, /* of a TCP header, at most */
	COOKIE_SCALE_MAX = 14,    /* RFC 7323 section 2.3 */
	COOKIE_NO_SCALE = 15,

	COOKIE_CHOICE_BITS = 6, /* window scale 4, SACK 1, ECN 1 */
	COOKIE_CHOICES = (1 << COOKIE_CHOICE_BITS) - 1,
	COOKIE_SLOT_SHIFT = 31,
	COOKIE_MSS_SHIFT = 29,
	COOKIE_MAC_BITS = 29,
	COOKIE_MAC_BITS_BARE = COOKIE_MAC_BITS - COOKIE_CHOICE_BITS,

	COOKIE_OPTION_END = 0, /* kinds of TCP options (RFC 9293, 2018, 7323, 2385, 5925) */
	COOKIE_OPTION_NOP = 1,
	COOKIE_OPTION_MSS = 2,
	COOKIE_OPTION_SCALE = 3,
	COOKIE_OPTION_SACK = 4,
	COOKIE_OPTION_TIMESTAMPS = 8,
	COOKIE_OPTION_MD5 = 19,
	COOKIE_OPTION_AO = 29,
};

/* What two ends agree on when they connect. */
struct cookie_options {
	__u32 tsval, tsecr; /* of the segment at hand, if it has timestamps */
	__u16 mss;          /* of the client; 0: not said */
	__u8 window_scale;  /* of the client; COOKIE_NO_SCALE: neither side scales */
	__u8 sack;          /* this and the next: 0 or 1 */
	__u8 ecn;
	__u8 timestamps;
	__u8 is_signed; /* MD5 or AO: an answer would have to be, too */
	__u8 zero;
};

/* What of a segment is about cookies. */
struct cookie_segment {
	__u32 seq, ack;
	__u32 at;        /* where reading the options is */
	__u16 ecn_setup; /* ECE and CWR (RFC 3168 section 6.1.1) */
	__u16 length;    /* of the options; a multiple of four */
	union {
		__u8 raw[COOKIE_OPTIONS_SIZE];
		__be32 word[COOKIE_OPTIONS_SIZE / 4];
	};
	__u8 zero[12]; /* behind them, so that no option is read past the end */
	struct cookie_options options;
};

/* The two numbers of an answer that are not the client's. */
struct cookie {
	__u32 isn;
	__u32 tsval;
};

static __always_inline __u32 cookie_read_u32(const __u8 *bytes)
{
	return (__u32)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

static __always_inline __u8 cookie_scale(__u8 shift)
{
	return shift > COOKIE_SCALE_MAX ? COOKIE_SCALE_MAX : shift;
}

static __always_inline void cookie_take_option(struct cookie_options *options, __u32 kind,
					       __u32 size, const __u8 *value)
{
	if (kind == COOKIE_OPTION_MSS && size == 4) {
		options->mss = value[0] << 8 | value[1];
	} else if (kind == COOKIE_OPTION_SCALE && size == 3) {
		options->window_scale = cookie_scale(value[0]);
	} else if (kind == COOKIE_OPTION_SACK && size == 2) {
		options->sack = 1;
	} else if (kind == COOKIE_OPTION_TIMESTAMPS && size == 10) {
		options->timestamps = 1;
		options->tsval = cookie_read_u32(value);
		options->tsecr = cookie_read_u32(value + 4);
	} else if (kind == COOKIE_OPTION_MD5 || kind == COOKIE_OPTION_AO) {
		options->is_signed = 1;
	}
}

/* Options as stacks pad them, so that each begins a word: what is in their first one. */
enum {
	COOKIE_WORD_MSS = COOKIE_OPTION_MSS << 8 | 4, /* the upper half */
	COOKIE_WORD_SCALE = COOKIE_OPTION_NOP << 16 | COOKIE_OPTION_SCALE << 8 | 3, /* all but the
										       last byte */
	COOKIE_WORD_SACK = COOKIE_OPTION_NOP * 0x01010000 | COOKIE_OPTION_SACK << 8 | 2,
	COOKIE_WORD_STAMPS = COOKIE_OPTION_NOP * 0x01010000 | COOKIE_OPTION_TIMESTAMPS << 8 | 10,
	COOKIE_WORD_SACK_STAMPS =
		COOKIE_OPTION_SACK << 24 | 2 << 16 | COOKIE_OPTION_TIMESTAMPS << 8 | 10,
};

/* Reads options for as long as each begins a word, and sets segment->at behind them. */
static __always_inline void cookie_read_words(struct cookie_segment *segment)
{
	__u32 words = segment->length / 4, word, at;
	struct cookie_options *options = &segment->options;

	for (at = 0; at < words && at < COOKIE_OPTIONS_SIZE / 4; at++) {
		word = bpf_ntohl(segment->word[at]);
		if (word >> 16 == COOKIE_WORD_MSS) {
			options->mss = word;
		} else if (word >> 8 == COOKIE_WORD_SCALE) {
			options->window_scale = cookie_scale(word);
		} else if (word == COOKIE_WORD_SACK) {
			options->sack = 1;
		} else if ((word == COOKIE_WORD_STAMPS || word == COOKIE_WORD_SACK_STAMPS) &&
			   at + 2 < words && at + 2 < COOKIE_OPTIONS_SIZE / 4) {
			options->sack |= word == COOKIE_WORD_SACK_STAMPS;
			options->timestamps = 1;
			options->tsval = bpf_ntohl(segment->word[at + 1]);
			options->tsecr = bpf_ntohl(segment->word[at + 2]);
			at += 2;
		} else {
			break;
		}
	}
	segment->at = at * 4;
}

/*
 * Reads the options of @segment->raw. What is cut off or has an impossible length ends the list, as
 * it does for the kernel.
 *
 * A global function, so that the verifier looks at it once. The position is kept in the segment and
 * masked, so that every turn of the loop looks to it like any other; behind the options there are
 * zeros, which end the list.
 */
__noinline int cookie_read_options(struct cookie_segment *segment)
{
	struct cookie_options *options;
	__u32 at, kind, size, i;
	const __u8 *raw;

	if (!segment)
		return 0;
	options = &segment->options;
	raw = segment->raw;
	*options = (struct cookie_options){.window_scale = COOKIE_NO_SCALE};
	cookie_read_words(segment);
	for (i = 0; i < COOKIE_OPTIONS_SIZE; i++) {
		at = *(volatile __u32 *)&segment->at;
		if (at >= segment->length || at >= COOKIE_OPTIONS_SIZE)
			break;
		kind = raw[at];
		if (kind == COOKIE_OPTION_END)
			break;
		if (kind == COOKIE_OPTION_NOP) {
			*(volatile __u32 *)&segment->at = at + 1;
			continue;
		}
		size = raw[at + 1];
		if (size < 2 || at + size > segment->length)
			break;
		*(volatile __u32 *)&segment->at = at + size;
		cookie_take_option(options, kind, size, raw + at + 2);
	}
	return 0;
}

/*
 * What a client's MSS is rounded down to: the least that the kernel takes, two that tunnels and
 * PPPoE leave, and Ethernet's.
 */
static __always_inline __u16 cookie_mss(bool is_v4, __u32 index)
{
	switch (index) {
	case 0:
		return is_v4 ? 536 : 1220;
	case 1:
		return is_v4 ? 1300 : 1380;
	case 2:
		return is_v4 ? 1440 : 1420;
	default:
		return is_v4 ? 1460 : 1440;
	}
}

static __always_inline __u32 cookie_mss_index(bool is_v4, __u16 mss)
{
	return (mss >= cookie_mss(is_v4, 1)) + (mss >= cookie_mss(is_v4, 2)) +
	       (mss >= cookie_mss(is_v4, 3));
}

/* What both ends can do; the rest of the client's wishes is as if it had not been said. */
static __always_inline void cookie_negotiate(struct cookie_options *options, __u32 offers)
{
	if (!(offers & FW_OFFER_WINDOW_SCALE))
		options->window_scale = COOKIE_NO_SCALE;
	options->sack &= (offers & FW_OFFER_SACK) != 0;
	options->timestamps &= (offers & FW_OFFER_TIMESTAMPS) != 0;
	options->ecn &= (offers & FW_OFFER_ECN) != 0;
}

static __always_inline __u32 cookie_choices(const struct cookie_options *options)
{
	return (options->window_scale & 15) | (options->sack & 1) << 4 | (options->ecn & 1) << 5;
}

#define COOKIE_ABSORB(word)                                                                        \
	do {                                                                                       \
		__u64 word_ = (word);                                                              \
                                                                                                   \
		v3 ^= word_;                                                                       \
		FW_SIP_ROUND(v0, v1, v2, v3);                                                      \
		v0 ^= word_;                                                                       \
	} while (0)

/* SipHash-1-3, as fw_hash(), over six words; of IPv4 three, as its addresses are but one. They are
 * whole, so no length needs to be said. @said: what else the cookie says, beyond the packet. */
APART __u64 cookie_mac(const struct fw_secret *secret, const struct packet *packet,
		       __u32 client_isn, __u64 slot, __u32 said)
{
	__u64 v0 = secret->key[0] ^ 0x736f6d6570736575ULL;
	__u64 v1 = secret->key[1] ^ 0x646f72616e646f6dULL;
	__u64 v2 = secret->key[0] ^ 0x6c7967656e657261ULL;
	__u64 v3 = secret->key[1] ^ 0x7465646279746573ULL;
	const __be32 *source = packet->source.addr.word;
	const __be32 *destination = packet->destination.addr.word;
	int i;

	if (fw_addr_is_v4(&packet->source.addr)) {
		COOKIE_ABSORB((__u64)destination[3] << 32 | source[3]);
	} else {
		COOKIE_ABSORB((__u64)source[1] << 32 | source[0]);
		COOKIE_ABSORB((__u64)source[3] << 32 | source[2]);
		COOKIE_ABSORB((__u64)destination[1] << 32 | destination[0]);
		COOKIE_ABSORB((__u64)destination[3] << 32 | destination[2]);
	}
	COOKIE_ABSORB((__u64)client_isn << 32 | (__u32)packet->source_port << 16 |
		      packet->destination.port);
	COOKIE_ABSORB((secret->window_scale & 15ULL) << 52 | (secret->offers & 15ULL) << 48 |
		      slot << 16 | said);
	v2 ^= 0xff;
	for (i = 0; i < 3; i++)
		FW_SIP_ROUND(v0, v1, v2, v3);
	return v0 ^ v1 ^ v2 ^ v3;
}

static __always_inline __u32 cookie_said(__u32 mss_index, __u32 choices, bool timestamps)
{
	return mss_index | choices << 2 | (__u32)timestamps << 8;
}

static __always_inline __u32 cookie_isn(__u64 mac, __u64 slot, __u32 mss_index, __u32 choices,
					bool timestamps)
{
	__u32 isn = (__u32)(slot & 1) << COOKIE_SLOT_SHIFT | mss_index << COOKIE_MSS_SHIFT;

	if (timestamps)
		return isn | ((__u32)mac & ((1u << COOKIE_MAC_BITS) - 1));
	return isn | choices << COOKIE_MAC_BITS_BARE |
	       ((__u32)mac & ((1u << COOKIE_MAC_BITS_BARE) - 1));
}

/* What TSval is ahead of the host's milliseconds, for this connection alone. */
static __always_inline __u32 cookie_clock_offset(__u64 mac)
{
	return (__u32)(mac >> 32) & ~COOKIE_CHOICES;
}

/* The milliseconds are never ahead of the truth, or the socket's clock would later step back. */
static __always_inline __u32 cookie_tsval(__u64 mac, __u32 now_ms, __u32 choices)
{
	__u32 tsval = (now_ms & ~COOKIE_CHOICES) | choices;

	if (choices > (now_ms & COOKIE_CHOICES))
		tsval -= COOKIE_CHOICES + 1;
	return tsval + cookie_clock_offset(mac);
}

/* The cookie that answers a SYN of @packet. @options as cookie_negotiate() leaves them; @now by the
 * secret's clock. */
static __always_inline struct cookie cookie_make(const struct fw_secret *secret,
						 const struct packet *packet, __u32 client_isn,
						 const struct cookie_options *options, __u64 now)
{
	__u32 mss_index = cookie_mss_index(fw_addr_is_v4(&packet->source.addr), options->mss);
	__u32 choices = cookie_choices(options);
	__u64 slot = now / COOKIE_SLOT_NS;
	__u64 mac = cookie_mac(secret, packet, client_isn, slot,
			       cookie_said(mss_index, choices, options->timestamps));

	return (struct cookie){
		.isn = cookie_isn(mac, slot, mss_index, choices, options->timestamps),
		.tsval = cookie_tsval(mac, now / 1000000, choices),
	};
}

/*
 * Whether a segment returns a cookie that @secret made in the last two minutes, by a clock that may
 * be as far ahead of @now as hosts with the same secret are allowed to be. If so @segment's options
 * become those of the connection, and tsecr what a socket's timestamp clock reads now: never less
 * than the client has seen (RFC 7323 section 5.3).
 *
 * A global function, so that the verifier looks at it once, however many secrets are tried.
 */
__noinline int cookie_check(const struct fw_secret *secret, const struct packet *packet,
			    struct cookie_segment *segment, __u64 now)
{
	struct cookie_options *options;
	__u32 isn, mss_index, choices, clock, age;
	__u64 slot, mac;
	bool timestamps;

	if (!secret || !packet || !segment)
		return false;
	options = &segment->options;
	timestamps = options->timestamps;
	isn = segment->ack - 1;
	mss_index = isn >> COOKIE_MSS_SHIFT & 3;
	slot = (now + secret->skew_ms * NSEC_PER_MSEC) / COOKIE_SLOT_NS;
	slot -= (slot ^ isn >> COOKIE_SLOT_SHIFT) & 1;
	choices = (timestamps ? options->tsecr : isn >> COOKIE_MAC_BITS_BARE) & COOKIE_CHOICES;
	mac = cookie_mac(secret, packet, segment->seq - 1, slot,
			 cookie_said(mss_index, choices, timestamps));
	if (isn != cookie_isn(mac, slot, mss_index, choices, timestamps))
		return false;
	if (timestamps) {
		clock = (__u32)(now / NSEC_PER_MSEC) + cookie_clock_offset(mac);
		age = clock + secret->skew_ms - options->tsecr;
		if (age > COOKIE_LIFE_MS + secret->skew_ms)
			return false;
		if (age >= secret->skew_ms)
			options->tsecr = clock;
	}
	options->mss = cookie_mss(fw_addr_is_v4(&packet->source.addr), mss_index);
	options->window_scale = choices & 15;
	options->sack = choices >> 4 & 1;
	options->ecn = choices >> 5;
	return true;
}

#endif
