/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An image of the listing while it is made: lines that grow at the end, and the search trees in
 * them (floodwall.h, struct fw_listing).
 *
 * Pure memory: what the ranges mean is wall/listing.c's business, and no kernel is asked.
 */
#ifndef WALL_LISTING_IMAGE_H
#define WALL_LISTING_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include "floodwall.h"

struct image {
	union fw_line *lines;
	uint32_t count, room;
};

/* Whose leaves a tree has. */
enum image_tree { IMAGE_V4, IMAGE_V6 };

/* A part of a digit's values: up to @end, what @ref leads to. */
struct image_part {
	uint32_t end; /* last value */
	uint32_t ref;
};

void image_free(struct image *image);
/* @lines more, all zero. Returns the first one's index; −ENOMEM. */
int64_t image_take(struct image *image, size_t lines);
/*
 * A tree over @parts, which are in order, the last one up to FW_DIGIT_MAX; they are used up.
 * Returns a reference to it: the only part's own, if there is but one. −ENOMEM.
 */
int64_t image_tree(struct image *image, enum image_tree tree, struct image_part *parts,
		   size_t count);
/* What the filter would find for @addr: the number of a rule. For tests and for people. */
uint32_t image_find(const struct image *image, const struct fw_addr *addr);

#endif
