/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage 6: sources that are shut out for a while, since their connections ended for cause again and
 * again. Who they are the proxy found out, and user space wrote down: struct fw_shut_line.
 *
 * It is asked of attempts alone: a connection that is there already goes on, for whoever shares the
 * address. Only completed handshakes bring a source here, several of them; a forger would have to
 * guess as many cookies, of which without timestamps one ACK in 2^23 hits (cookie.h).
 */
#ifndef FLOODWALL_SHUT_H
#define FLOODWALL_SHUT_H

#include "expect.h"
#include "maps.h"

/* @hash: of the source. One look tells that nobody is shut out. */
static __always_inline enum fw_verdict shut_judge(__u64 hash, __u64 now)
{
	__u32 index = fw_shut_line_index(hash);
	struct fw_shut_line *line;

	if (likely(meta.shut_ns <= now))
		return FW_NONE;
	line = bpf_map_lookup_elem(&shut, &index);
	return line && fw_shut_until(line, hash) > now ? FW_SOURCE_CONDUCT : FW_NONE;
}

#endif
