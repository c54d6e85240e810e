/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The answer to a SYN, from its IP header on: a SYN-ACK whose numbers are a cookie. It has an
 * option only where the SYN had it, and no data.
 *
 * Written by whole words, each of which is added up as it is written: bytes that were just written
 * one by one, and are read back as a word, make the processor wait.
 *
 * No map, no clock. What challenge.h puts in the place of a SYN.
 */
#ifndef FLOODWALL_ANSWER_H
#define FLOODWALL_ANSWER_H

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "cookie.h"
#include "packet.h"
#include "segment.h"

enum {
	ANSWER_HOPS = 64,
	ANSWER_WINDOW = 29200, /* twenty segments; the socket's first segment opens it */
	ANSWER_DONT_FRAGMENT = 0x4000,
	ANSWER_SYN_ACK = 0x12, /* flags of TCP */
	ANSWER_ECE = 0x40,
};

/* What goes into it: what the SYN says, and what we say to it. */
struct challenge {
	struct cookie_segment segment;
	struct cookie cookie;
	__u32 window_scale;
	__u16 mss;
	bool is_stacks; /* the cookie is one of the stack's */
};

/* Where it goes. */
struct answer {
	__be32 *at;
	void *end; /* of the packet: for the verifier */
	__u64 sum; /* of the words that were written, for a checksum */
};

static __always_inline bool answer_has_room(const struct answer *answer, __u32 bytes)
{
	return (void *)answer->at + bytes <= answer->end;
}

/* Where there is room. The headers' is looked at once, each option's by itself. */
static __always_inline void answer_put(struct answer *answer, __be32 word)
{
	*answer->at++ = word;
	answer->sum += word;
}

static __always_inline void answer_put_option(struct answer *answer, __u32 word)
{
	if (answer_has_room(answer, sizeof(word)))
		answer_put(answer, bpf_htonl(word));
}

/* The Internet checksum (RFC 1071) of what was added; the order of bytes doesn't matter to it. */
static __always_inline __u16 answer_checksum(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

static __always_inline bool answer_scales(const struct cookie_options *options)
{
	return options->window_scale != COOKIE_NO_SCALE;
}

/* The options in the kernel's order, each on a word's boundary. */
static __always_inline void answer_put_options(struct answer *answer,
					       const struct challenge *challenge)
{
	const struct cookie_options *options = &challenge->segment.options;

	if (options->mss)
		answer_put_option(answer, COOKIE_WORD_MSS << 16 | challenge->mss);
	if (options->timestamps) {
		answer_put_option(answer,
				  options->sack ? COOKIE_WORD_SACK_STAMPS : COOKIE_WORD_STAMPS);
		answer_put_option(answer, challenge->cookie.tsval);
		answer_put_option(answer, options->tsval);
	} else if (options->sack) {
		answer_put_option(answer, COOKIE_WORD_SACK);
	}
	if (answer_scales(options))
		answer_put_option(answer, COOKIE_WORD_SCALE << 8 | challenge->window_scale);
}

/* Bytes of the TCP header with these options. */
static __always_inline __u32 answer_tcp_length(const struct cookie_options *options)
{
	return sizeof(struct tcphdr) +
	       4 * ((options->mss != 0) + (options->timestamps ? 3 : options->sack != 0) +
		    answer_scales(options));
}

/* The TCP header, of @length bytes; what has been written are the addresses, which its checksum
 * covers too. */
static __always_inline void answer_put_tcp(struct answer *answer, const struct packet *packet,
					   const struct challenge *challenge, __u32 length)
{
	const struct cookie_options *options = &challenge->segment.options;
	__u32 flags = ANSWER_SYN_ACK | (options->ecn ? ANSWER_ECE : 0);
	struct tcphdr *tcp = (void *)answer->at;

	answer->sum += bpf_htonl(IPPROTO_TCP << 16 | length);
	answer_put(answer, packet->destination.port | (__be32)packet->source_port << 16);
	answer_put(answer, bpf_htonl(challenge->cookie.isn));
	answer_put(answer, bpf_htonl(challenge->segment.seq + 1));
	answer_put(answer, bpf_htonl(length / 4 << 28 | flags << 16 | ANSWER_WINDOW));
	answer_put(answer, 0); /* the checksum, and no urgent data */
	answer_put_options(answer, challenge);
	tcp->check = answer_checksum(answer->sum);
}

static __always_inline void answer_put_v4(struct answer *answer, const struct packet *packet,
					  const struct challenge *challenge, __u32 tcp_length)
{
	__be32 from = packet->destination.addr.word[3], to = packet->source.addr.word[3];
	__be32 length = bpf_htonl(4 << 28 | sizeof(struct iphdr) / 4 << 24 |
				  (sizeof(struct iphdr) + tcp_length));
	__be32 fragment = bpf_htonl(ANSWER_DONT_FRAGMENT);
	__be32 hops = bpf_htonl(ANSWER_HOPS << 24 | IPPROTO_TCP << 16);
	__u64 sum = (__u64)length + fragment + hops + from + to;

	if (!answer_has_room(answer, sizeof(struct iphdr) + sizeof(struct tcphdr)))
		return;
	answer_put(answer, length);
	answer_put(answer, fragment);
	answer_put(answer, hops | (__be32)answer_checksum(sum) << 16);
	answer->sum = 0;
	answer_put(answer, from);
	answer_put(answer, to);
	answer_put_tcp(answer, packet, challenge, tcp_length);
}

static __always_inline void answer_put_v6(struct answer *answer, const struct packet *packet,
					  const struct challenge *challenge, __u32 tcp_length)
{
	int i;

	if (!answer_has_room(answer, sizeof(struct ipv6hdr) + sizeof(struct tcphdr)))
		return;
	answer_put(answer, bpf_htonl(6u << 28));
	answer_put(answer, bpf_htonl(tcp_length << 16 | IPPROTO_TCP << 8 | ANSWER_HOPS));
	answer->sum = 0;
#pragma unroll
	for (i = 0; i < 4; i++)
		answer_put(answer, packet->destination.addr.word[i]);
#pragma unroll
	for (i = 0; i < 4; i++)
		answer_put(answer, packet->source.addr.word[i]);
	answer_put_tcp(answer, packet, challenge, tcp_length);
}

/* Bytes of the whole answer. */
static __always_inline __u32 answer_length(const struct packet *packet,
					   const struct challenge *challenge)
{
	return answer_tcp_length(&challenge->segment.options) +
	       (packet->is_v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
}

/* Writes the answer to @at, where there is room for it before @end. */
static __always_inline void answer_write(void *at, void *end, const struct packet *packet,
					 const struct challenge *challenge)
{
	struct answer answer = {.at = at, .end = end};
	__u32 tcp_length = answer_tcp_length(&challenge->segment.options);

	if (packet->is_v4)
		answer_put_v4(&answer, packet, challenge, tcp_length);
	else
		answer_put_v6(&answer, packet, challenge, tcp_length);
}

#endif
