/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists for the bench: so many prefixes drawn at random, the same ones in every run, as an image of
 * the filter's and as the entries of an LPM trie.
 */
#ifndef BENCH_PREFIXES_H
#define BENCH_PREFIXES_H

#include <stdbool.h>
#include <stddef.h>
#include "floodwall.h"

struct prefixes {
	struct fw_listed *entries; /* none inside another */
	size_t count;
	bool v6;
};

/* @count different prefixes: half of them hosts, the others of every length from /24 (/32) on.
 * Ends the program if that can't be. */
struct prefixes prefixes_make(size_t count, bool v6);
void prefixes_free(struct prefixes *prefixes);
/* An address at random from inside a prefix at random. */
struct fw_addr prefixes_draw(const struct prefixes *prefixes);

/* Puts them in force, compiled, as a list that blocks. 0 or −errno. */
int prefixes_install(const struct prefixes *prefixes, int listing_map, struct fw_meta *meta);
/* Adds them to a trie whose keys are length and address. 0 or −errno. */
int prefixes_fill_trie(const struct prefixes *prefixes, int trie_map);

#endif
