/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Errors as text. What does not fit is cut off, from the end: the context in front, which says
 * where, survives.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"

int error_set(struct error *error, int code, const char *format, ...)
{
	va_list args;

	if (error) {
		va_start(args, format);
		vsnprintf(error->text, sizeof(error->text), format, args);
		va_end(args);
	}
	return code;
}

int error_wrap(struct error *error, int code, const char *format, ...)
{
	char inner[ERROR_TEXT_SIZE];
	va_list args;
	size_t used;

	if (!error)
		return code;
	memcpy(inner, error->text, sizeof(inner));
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	used = strlen(error->text);
	snprintf(error->text + used, sizeof(error->text) - used, ": %.*s",
		 (int)(sizeof(error->text) - used), inner);
	return code;
}

void error_print_lines(FILE *file, const char *prefix, const char *text)
{
	while (*text) {
		size_t length = strcspn(text, "\n");

		fprintf(file, "%s: %.*s\n", prefix, (int)length, text);
		text += length + (text[length] == '\n');
	}
}
