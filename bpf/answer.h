/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The answer to a SYN, from its IP header on: a SYN-ACK whose numbers are a cookie. It has an
 * option only where the SYN had it, and no data.
 *
 * Pure: no map, no packet, no clock. What challenge.h writes.
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
	ANSWER_WINDOW = 29200,   /* twenty segments; the socket's first segment opens it */
	ANSWER_OPTION_WORDS = 5, /* MSS 1, SACK and timestamps 3, window scale 1 */
	ANSWER_DONT_FRAGMENT = 0x4000,
};

/* What goes into it: what the SYN says, and what we say to it. */
struct challenge {
	struct cookie_segment segment;
	struct cookie cookie;
	__u32 window_scale;
	__u16 mss;
	bool is_stacks; /* the cookie is one of the stack's */
};

/* What is not written yet is zero. */
union answer {
	struct segment_v4 v4;
	struct segment_v6 v6;
	__be32 word[sizeof(struct segment_v6) / 4 + ANSWER_OPTION_WORDS];
};

/* The sum of @count words, for a checksum. */
static __always_inline __u64 answer_add(const void *words, __u32 count)
{
	const __be32 *word = words;
	__u64 sum = 0;
	__u32 i;

#pragma unroll
	for (i = 0; i < count; i++)
		sum += word[i];
	return sum;
}

/* The Internet checksum (RFC 1071) of what was added; the order of bytes doesn't matter to it. */
static __always_inline __u16 answer_checksum(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

/* The options in the kernel's order, each on a word's boundary. How many words they take. */
static __always_inline __u32 answer_put_options(__be32 *to, const struct challenge *challenge)
{
	const struct cookie_options *options = &challenge->segment.options;
	__u32 words = 0;

	if (options->mss)
		to[words++] = bpf_htonl(COOKIE_WORD_MSS << 16 | challenge->mss);
	if (options->timestamps) {
		to[words++] =
			bpf_htonl(options->sack ? COOKIE_WORD_SACK_STAMPS : COOKIE_WORD_STAMPS);
		to[words++] = bpf_htonl(challenge->cookie.tsval);
		to[words++] = bpf_htonl(options->tsval);
	} else if (options->sack) {
		to[words++] = bpf_htonl(COOKIE_WORD_SACK);
	}
	if (options->window_scale != COOKIE_NO_SCALE)
		to[words++] = bpf_htonl(COOKIE_WORD_SCALE << 8 | challenge->window_scale);
	return words;
}

/* The TCP header, with its options. @addresses: their sum, which the checksum covers too. The
 * length of both. */
static __always_inline __u32 answer_put_tcp(struct tcphdr *tcp, const struct packet *packet,
					    const struct challenge *challenge, __u64 addresses)
{
	__u32 length = sizeof(*tcp) + 4 * answer_put_options((__be32 *)(tcp + 1), challenge);

	tcp->source = packet->destination.port;
	tcp->dest = packet->source_port;
	tcp->seq = bpf_htonl(challenge->cookie.isn);
	tcp->ack_seq = bpf_htonl(challenge->segment.seq + 1);
	tcp->doff = length / 4;
	tcp->syn = 1;
	tcp->ack = 1;
	tcp->ece = challenge->segment.options.ecn;
	tcp->window = bpf_htons(ANSWER_WINDOW);
	tcp->check = answer_checksum(addresses + bpf_htonl(IPPROTO_TCP << 16 | length) +
				     answer_add(tcp, sizeof(*tcp) / 4 + ANSWER_OPTION_WORDS));
	return length;
}

static __always_inline __u32 answer_put_v4(struct segment_v4 *answer, const struct packet *packet,
					   const struct challenge *challenge)
{
	struct iphdr *ip = &answer->ip;
	__u32 length;

	ip->saddr = packet->destination.addr.word[3];
	ip->daddr = packet->source.addr.word[3];
	length = sizeof(*ip) +
		 answer_put_tcp(&answer->tcp, packet, challenge, answer_add(&ip->saddr, 2));
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tot_len = bpf_htons(length);
	ip->frag_off = bpf_htons(ANSWER_DONT_FRAGMENT);
	ip->ttl = ANSWER_HOPS;
	ip->protocol = IPPROTO_TCP;
	ip->check = answer_checksum(answer_add(ip, sizeof(*ip) / 4));
	return length;
}

static __always_inline __u32 answer_put_v6(struct segment_v6 *answer, const struct packet *packet,
					   const struct challenge *challenge)
{
	struct ipv6hdr *ip = &answer->ip;
	__u32 length;

	__builtin_memcpy(&ip->saddr, &packet->destination.addr, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &packet->source.addr, sizeof(ip->daddr));
	length = answer_put_tcp(&answer->tcp, packet, challenge, answer_add(&ip->saddr, 8));
	ip->version = 6;
	ip->payload_len = bpf_htons(length);
	ip->nexthdr = IPPROTO_TCP;
	ip->hop_limit = ANSWER_HOPS;
	return sizeof(*ip) + length;
}

/* Puts the answer together; its length. A global function, so that the verifier looks at its
 * branches apart from those of the caller. */
__noinline int answer_compose(union answer *answer, const struct packet *packet,
			      const struct challenge *challenge)
{
	if (!answer || !packet || !challenge)
		return 0;
	if (fw_addr_is_v4(&packet->source.addr))
		return answer_put_v4(&answer->v4, packet, challenge);
	return answer_put_v6(&answer->v6, packet, challenge);
}

#endif
