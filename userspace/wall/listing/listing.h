/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The compiler of named lists: from entries to an image that the filter can look things up in.
 *
 * What the image means: an address is allowed while any list that allows has an entry for it; else
 * it is blocked while any list that blocks has. It follows that of the entries which cover an
 * address only two matter, the longest-lasting of each action, and those two are its rule. A packet
 * counts for the list of the entry that decided; of entries that last equally long, for the
 * narrowest one's.
 *
 * Expiry is exact to the second, unless there are more different moments than an image has rules
 * (65,536): then all are rounded up to as few seconds as suffice (fw_listing.granularity_s).
 */
#ifndef WALL_LISTING_LISTING_H
#define WALL_LISTING_LISTING_H

#include <stdbool.h>
#include "base/error.h"
#include "wall/listing/image.h"

/* A named list and its entries, tidy. A list without a name is none. */
struct listing_source {
	struct fw_list row;
	const struct fw_listed *entries;
	size_t count;
};

/* Sorts entries and leaves out what another one makes redundant; how many and why is noted in
 * @row. */
void listing_tidy(struct fw_listed *entries, size_t *count, struct fw_list *row);
/* Compiles; what has expired at @now_s (CLOCK_MONOTONIC, seconds) is left out. The caller frees
 * @image. −ENOMEM. */
int listing_compile(const struct listing_source sources[FW_LISTS_MAX], uint64_t now_s,
		    struct image *image, struct error *error);

/* The lists of an image. @sources point into it. */
void listing_read(const struct image *image, struct listing_source sources[FW_LISTS_MAX]);

/*
 * With the kernel (wall/installed.c): puts the image into the map @listing, in one step; NULL
 * empties the map. @meta, the filter's, then says whether there is one. −ENOMEM: the kernel has no
 * memory for it.
 */
int listing_install(int listing, struct fw_meta *meta, const struct image *image,
		    struct error *error);
/* Maps what is installed into memory; an image without lines if there is none. munmap() by
 * listing_unmap(). */
int listing_map(int listing, struct image *image, struct error *error);
void listing_unmap(struct image *image);

#endif
