/* SPDX-License-Identifier: BSD-2-Clause */
/* SYNs with any combination of options, what a good answer to one is, and the ACK that follows. */
#ifndef PACKET_COOKIE_H
#define PACKET_COOKIE_H

#include <stdbool.h>
#include "frame.h"

/* What a SYN has. The ACK has timestamps where both ends do them. */
enum {
	COOKIE_MSS = 1,
	COOKIE_SCALE = 2,
	COOKIE_SACK = 4,
	COOKIE_ECN = 8,
	COOKIE_TIMESTAMPS = 16,
	COOKIE_COMBINATIONS = 32,

	COOKIE_MTU = 1500, /* of the interface that the filter is told of */
};

/* What a cookie covers: one thing of an ACK each. */
enum {
	COOKIE_FIELD_SOURCE,
	COOKIE_FIELD_DESTINATION,
	COOKIE_FIELD_PORT,
	COOKIE_FIELD_SEQ,
	COOKIE_FIELD_ACK_LOW,
	COOKIE_FIELD_ACK_MSS,
	COOKIE_FIELD_ACK_SLOT,
	COOKIE_FIELD_ACK_CHOICES,
	COOKIE_FIELD_TSECR_CHOICES,
	COOKIE_FIELD_TSECR_TIME,
	COOKIE_FIELDS,
};

/* @options of the above, as most stacks order them. */
struct frame cookie_syn(const char *source, const char *destination, unsigned int options);

/* The answer is the one to @asked that a host gives which does @options, as RFC 9293 has it. */
void cookie_assert_answers(struct frame *asked, struct frame *answer, unsigned int options);
/* The answer's lengths and checksums are right. */
void cookie_assert_checksums(struct frame *answer);

/* The segment that completes the handshake, with @payload bytes. */
struct frame cookie_ack(struct frame *asked, struct frame *answer, unsigned int options,
			uint16_t payload);
/* Changes one field of an ACK; false: it has none of that kind. */
bool cookie_forge(struct frame *ack, int field, unsigned int options);

#endif
