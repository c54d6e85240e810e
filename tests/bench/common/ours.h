/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The filter under test, in maps of its own, pinned nowhere: the host's is not touched. It has two
 * services, on every address of both families, with default settings.
 */
#ifndef BENCH_OURS_H
#define BENCH_OURS_H

#include "floodwall.h"

enum { OURS_OPEN = 1, OURS_STRICT, OURS_SERVICES };

#define OURS_OPEN_PORT   443
#define OURS_STRICT_PORT 22

struct ours {
	struct filter_bpf *skeleton;
	int program;
};

/* With cookies (tier own, a secret that offers everything) or, without, with nothing to answer. */
struct ours ours_load(enum fw_tier tier);

void ours_unload(struct ours *ours);

void ours_set(const struct ours *ours, __u32 service, enum fw_setting setting, __u64 value);
/* Puts one source on the block list. */
void ours_block(const struct ours *ours, const char *source);
/* As if the source had completed a handshake with OURS_OPEN. */
void ours_verify(const struct ours *ours, const struct fw_addr *source);
/* As if it never had; no error if it hadn't. */
void ours_forget(const struct ours *ours, const struct fw_addr *source);
/* How often the filter has given this reason, whatever the service. */
__u64 ours_count(const struct ours *ours, enum fw_verdict verdict);

/* Where the filter remembers that a flow has returned a cookie: index in the map `arrivals`. */
__u32 ours_arrival(const struct ours *ours, const char *source, __u16 source_port, __u16 port);

/* Real listeners on a port, in both families, for as long as the program runs; lo is up. */
void ours_listen(__u16 port);

struct fw_addr addr_make(const char *text);

#endif
