/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An image of the listing while it is made: lines that grow at the end, and the search trees in
 * them (floodwall.h, struct fw_listing).
 *
 * Pure memory: what the ranges mean is wall/listing.c's business, and no kernel is asked.
 */
#ifndef WALL_IMAGE_H
#define WALL_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include "floodwall.h"

struct image {
	union fw_line *lines;
	uint32_t count, room;
};

/* How the keys of a tree are kept. */
enum image_tree { IMAGE_V4, IMAGE_V6 };

/* A part of the key space: up to @end, what @ref leads to. */
struct image_part {
	uint64_t end; /* last key */
	uint32_t ref;
};

void image_free(struct image *image);
/* @lines more, all zero. Returns the first one's index; −ENOMEM. */
int64_t image_take(struct image *image, size_t lines);
/*
 * A tree over @parts, which are in order and end at the last key there is; they are used up.
 * Returns a reference to it: the only part's own, if there is but one. −ENOMEM.
 */
int64_t image_tree(struct image *image, enum image_tree tree, struct image_part *parts,
		   size_t count);
/* What the filter would find for @addr: the number of a rule. For tests and for people. */
uint32_t image_find(const struct image *image, const struct fw_addr *addr);

#endif
