/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who the filter is measured against. Each returns the descriptor of its program.
 */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include "prefixes.h"

struct lru_bpf;

int peers_open_trivial(void);
/* Debian's xdp-filter, from the object file that `xdp-filter load` would take, with one blocked
 * source of each family. */
int peers_open_xdp_filter(const char *file, const char *blocked_v4, const char *blocked_v6);
/* The least program with an LPM trie, which holds the list; the one before is gone. */
int peers_open_lpm(const struct prefixes *list);
/* The least program that writes every source into an LRU hash. */
int peers_open_lru_insert(void);
/* A rate for each source in an LRU hash of so many entries. */
struct lru_bpf *peers_load_lru_limit(__u32 entries, __u64 rate, __u64 burst);

#endif
