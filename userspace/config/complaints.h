/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything that is wrong with one file, collected while it is read, so that an operator mends it
 * in one go. Rendered in the file's order, "name:line: text" each.
 */
#ifndef CONFIG_COMPLAINTS_H
#define CONFIG_COMPLAINTS_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

struct complaint {
	int line;
	char *text;
};

struct complaints {
	struct complaint *list;
	size_t count;
};

/* @line 0: about the file as a whole. A complaint that was made before about the same line is not
 * made again. */
void complaints_add(struct complaints *complaints, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A line each; what does not fit is counted in a last line. */
void complaints_render(struct complaints *complaints, const char *name, struct error *error);
void complaints_free(struct complaints *complaints);

#endif
