// SPDX-License-Identifier: BSD-2-Clause
#include "cookie.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "filter.h"

enum { TSVAL = 0x01020304, ISN = 0x7ffffff0 };

/* By bytes, as a frame that is copied afterwards is made of bytes to the compiler. */
static void write_number(__be32 *field, uint32_t value)
{
	__be32 big = htonl(value);

	memcpy(field, &big, sizeof(big));
}

static uint8_t *options_of(struct frame *frame)
{
	return frame->data + frame->transport + sizeof(struct tcphdr);
}

static bool is_v4(const struct frame *frame)
{
	return frame->data[frame->ip] >> 4 == 4;
}

/* In the order of Linux: MSS, SACK, timestamps, window scale, each padded in front. */
static size_t write_options(uint8_t *to, unsigned int options, bool v4)
{
	uint16_t mss = v4 ? 1460 : 1440;
	uint8_t *at = to;

	if (options & COOKIE_MSS) {
		memcpy(at, (uint8_t[]){2, 4, mss >> 8, mss & 0xff}, 4);
		at += 4;
	}
	if (options & COOKIE_TIMESTAMPS) {
		memcpy(at, options & COOKIE_SACK ? "\4\2" : "\1\1", 2);
		memcpy(at + 2, "\10\12\1\2\3\4\0\0\0\0", 10);
		at += 12;
	} else if (options & COOKIE_SACK) {
		memcpy(at, "\1\1\4\2", 4);
		at += 4;
	}
	if (options & COOKIE_SCALE) {
		memcpy(at, "\1\3\3\11", 4); /* 9 */
		at += 4;
	}
	return at - to;
}

struct frame cookie_syn(const char *source, const char *destination, unsigned int options)
{
	bool v4 = !strchr(source, ':');
	uint8_t bytes[40], flags = FRAME_SYN;
	size_t size = write_options(bytes, options, v4);
	struct frame made;

	if (options & COOKIE_ECN)
		flags |= FRAME_ECE | FRAME_CWR;
	made = frame(.source = source, .destination = destination, .flags = flags,
		     .tcp_options = size);
	memcpy(options_of(&made), bytes, size);
	write_number(&frame_tcp(&made)->seq, ISN);
	return made;
}

static uint32_t add(const void *data, size_t size, uint32_t sum)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		sum += i % 2 ? bytes[i] : bytes[i] << 8;
	return sum;
}

/* 0 if what was added holds its own checksum. */
static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

void cookie_assert_checksums(struct frame *answer)
{
	size_t end = answer->length;
	uint32_t sum;

	if (is_v4(answer)) {
		struct iphdr *ip = frame_ipv4(answer);

		end = answer->ip + ntohs(ip->tot_len);
		assert_int_equal(ip->ihl, 5);
		assert_int_equal(fold(add(ip, sizeof(*ip), 0)), 0);
		sum = add(&ip->saddr, 8, 0);
	} else {
		struct ipv6hdr *ip = frame_ipv6(answer);

		end = answer->ip + sizeof(*ip) + ntohs(ip->payload_len);
		sum = add(&ip->saddr, 32, 0);
	}
	assert_true(end <= answer->length);
	assert_int_equal(end, answer->transport + frame_tcp(answer)->doff * 4);
	/* Nothing behind the headers but what Ethernet pads anyway. */
	assert_true(answer->length == end || answer->length <= 60);
	sum += IPPROTO_TCP + (end - answer->transport);
	assert_int_equal(fold(add(frame_tcp(answer), end - answer->transport, sum)), 0);
}

static void assert_addresses_turned(struct frame *asked, struct frame *answer)
{
	assert_memory_equal(asked->data, answer->data + 6, 6);
	assert_memory_equal(asked->data + 6, answer->data, 6);
	if (is_v4(asked)) {
		assert_int_equal(frame_ipv4(asked)->saddr, frame_ipv4(answer)->daddr);
		assert_int_equal(frame_ipv4(asked)->daddr, frame_ipv4(answer)->saddr);
		assert_int_equal(frame_ipv4(answer)->frag_off, htons(0x4000));
		assert_int_equal(frame_ipv4(answer)->ttl, 64);
	} else {
		assert_memory_equal(&frame_ipv6(asked)->saddr, &frame_ipv6(answer)->daddr, 16);
		assert_memory_equal(&frame_ipv6(asked)->daddr, &frame_ipv6(answer)->saddr, 16);
		assert_int_equal(frame_ipv6(answer)->hop_limit, 64);
	}
}

void cookie_assert_answers(struct frame *asked, struct frame *answer, unsigned int options)
{
	struct tcphdr *question = frame_tcp(asked), *tcp = frame_tcp(answer);
	uint8_t expected[40], *got = options_of(answer);
	size_t size = write_options(expected, options, is_v4(asked)), at;

	assert_addresses_turned(asked, answer);
	assert_int_equal(tcp->source, question->dest);
	assert_int_equal(tcp->dest, question->source);
	assert_int_equal(ntohl(tcp->ack_seq), ISN + 1u);
	assert_int_equal(answer->data[answer->transport + 13],
			 FRAME_SYN | FRAME_ACK | (options & COOKIE_ECN ? FRAME_ECE : 0));
	assert_int_equal(tcp->doff * 4, sizeof(*tcp) + size);
	if (options & COOKIE_TIMESTAMPS) {
		at = (options & COOKIE_MSS ? 4 : 0) + 4;
		memcpy(expected + at, got + at, 4);       /* TSval is the cookie's */
		memcpy(expected + at + 4, "\1\2\3\4", 4); /* TSecr */
	}
	if (options & COOKIE_SCALE)
		expected[size - 1] = FILTER_SCALE;
	assert_memory_equal(got, expected, size);
	assert_true(answer->length <= asked->length);
	cookie_assert_checksums(answer);
}

struct frame cookie_ack(struct frame *asked, struct frame *answer, unsigned int options,
			uint16_t payload)
{
	bool timestamps = options & COOKIE_TIMESTAMPS;
	struct frame ack = frame(.source = is_v4(asked) ? "0.0.0.0" : "::",
				 .destination = is_v4(asked) ? "0.0.0.0" : "::", .flags = FRAME_ACK,
				 .tcp_options = timestamps ? 12 : 0, .payload = payload);
	struct tcphdr *tcp = frame_tcp(&ack);
	uint8_t *stamps = options_of(&ack);

	if (is_v4(asked))
		memcpy(&frame_ipv4(&ack)->saddr, &frame_ipv4(asked)->saddr, 8);
	else
		memcpy(&frame_ipv6(&ack)->saddr, &frame_ipv6(asked)->saddr, 32);
	write_number(&tcp->seq, ISN + 1u);
	write_number(&tcp->ack_seq, ntohl(frame_tcp(answer)->seq) + 1);
	if (timestamps) {
		memcpy(stamps, "\1\1\10\12\1\2\3\5", 8);
		memcpy(stamps + 8, options_of(answer) + (options & COOKIE_MSS ? 4 : 0) + 4, 4);
	}
	return ack;
}

bool cookie_forge(struct frame *ack, int field, unsigned int options)
{
	struct tcphdr *tcp = frame_tcp(ack);
	uint8_t *tsecr = options_of(ack) + 8;
	size_t source = is_v4(ack) ? 12 : 8, size = is_v4(ack) ? 4 : 16;

	switch (field) {
	case COOKIE_FIELD_SOURCE:
		ack->data[ack->ip + source + size - 1] ^= 1;
		return true;
	case COOKIE_FIELD_DESTINATION:
		ack->data[ack->ip + source + 2 * size - 1] ^= 1;
		return true;
	case COOKIE_FIELD_PORT:
		tcp->source ^= htons(1);
		return true;
	case COOKIE_FIELD_SEQ:
		tcp->seq = htonl(ntohl(tcp->seq) + 1);
		return true;
	case COOKIE_FIELD_ACK_LOW:
		tcp->ack_seq ^= htonl(1u << 10);
		return true;
	case COOKIE_FIELD_ACK_MSS:
		tcp->ack_seq ^= htonl(1u << 29);
		return true;
	case COOKIE_FIELD_ACK_SLOT:
		tcp->ack_seq ^= htonl(1u << 31);
		return true;
	case COOKIE_FIELD_ACK_CHOICES:
		tcp->ack_seq ^= htonl(1u << 27);
		return true;
	case COOKIE_FIELD_TSECR_CHOICES:
		tsecr[3] ^= 0x20;
		return options & COOKIE_TIMESTAMPS;
	case COOKIE_FIELD_TSECR_TIME:
		tsecr[0] ^= 0x40;
		return options & COOKIE_TIMESTAMPS;
	default:
		return false;
	}
}
