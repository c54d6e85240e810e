/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract's word on sources that are kept out for a while: how the proxy asks for it, and
 * where the filter finds it. Part of floodwall.h, which includes it.
 */
#ifndef FLOODWALL_OUTCAST_H
#define FLOODWALL_OUTCAST_H

#include "floodwall.h"

/*
 * Who is shut out: sources that may open no connection to a service for a while. A source's hash
 * (level FW_LEVEL_SOURCE) chooses a line, and there a slot, one word:
 *
 *     upper half of the hash | until when, CLOCK_MONOTONIC in units of 2^FW_SHUT_TICK_BITS ns
 *
 * which lasts for four years from boot. A time in the past, or 0, means nothing. User space writes,
 * the filter reads; the latest of all times is in fw_meta.
 */
struct fw_shut_line {
	__u64 slot[8];
};

#define FW_SHUT_TICK_BITS 25

/*
 * A complaint: a thread of the proxy would have a source shut out. The proxy may write nothing that
 * the filter reads, so it asks who may, by a ring for each worker. The writer fills a place, then
 * moves `written` on; the reader takes what is there for a claim, and checks it. What it says in
 * `read` is for the writer, who wakes it only if it had read everything.
 */
struct fw_complaint {
	struct fw_addr source;
	__u64 until_ns; /* CLOCK_MONOTONIC */
	__u32 service;
	__u32 zero;
};

struct fw_complaints {
	__u64 written; /* since ever; the newest is at (written − 1) % FW_COMPLAINTS */
	__u64 read;    /* what `written` was when they were looked at last */
	struct fw_complaint ring[FW_COMPLAINTS];
};

/* Where a source's hash lives among those who are shut out. */
static inline __u32 fw_shut_line_index(__u64 hash)
{
	return (__u32)hash & (FW_SHUT_LINES - 1);
}

/* Until when a line says that the source of @hash is shut out; 0: it does not. */
static inline __u64 fw_shut_until(const struct fw_shut_line *line, __u64 hash)
{
	__u64 word;
	int i;

	for (i = 0; i < 8; i++) {
		word = *(const volatile __u64 *)&line->slot[i];
		if (word && (word ^ hash) >> 32 == 0)
			return (word & 0xffffffff) << FW_SHUT_TICK_BITS;
	}
	return 0;
}

#endif
