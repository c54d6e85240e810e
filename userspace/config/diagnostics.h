/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything that is wrong with one file, collected while it is read, so that an operator mends it
 * in one go. Rendered in the file's order, "name:line: text" each.
 */
#ifndef CONFIG_DIAGNOSTICS_H
#define CONFIG_DIAGNOSTICS_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

struct diagnostic {
	int line;
	char *text;
};

struct diagnostics {
	struct diagnostic *list;
	size_t count;
};

/* @line 0: about the file as a whole. A diagnostic that was made before about the same line is not
 * made again. */
void diagnostics_add(struct diagnostics *diagnostics, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A line each; what does not fit is counted in a last line. */
void diagnostics_render(struct diagnostics *diagnostics, const char *name, struct error *error);
void diagnostics_free(struct diagnostics *diagnostics);

#endif
