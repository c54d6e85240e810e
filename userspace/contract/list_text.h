/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A list of prefixes as text: one address or CIDR block a line, and behind it, if it is not for
 * ever, for how long ("10m", "24h"). What follows # or ; is a comment, empty lines are nothing.
 */
#ifndef CONTRACT_LIST_TEXT_H
#define CONTRACT_LIST_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/error.h"
#include "floodwall.h"

#define LIST_TEXT_ENTRIES_MAX (1u << 24)

struct list_text {
	const char *name; /* of the file, for errors */
	uint64_t now_s;   /* CLOCK_MONOTONIC, seconds: what times on the lines count from */
	uint64_t seconds; /* of entries whose line names no time; 0: for ever */
	/* Called now and then with the lines read so far; may be NULL. */
	void (*progress)(void *context, size_t lines);
	void *context;
};

/*
 * Reads to the end. *@entries is malloc'd, in the order of the file. All or nothing: −EINVAL, and
 * @error has a line "file:line: what is wrong" for each of the first bad lines; −ENOMEM, −E2BIG,
 * −EIO.
 */
int list_text_read(const struct list_text *text, FILE *file, struct fw_listed **entries,
		   size_t *count, struct error *error);

#endif
