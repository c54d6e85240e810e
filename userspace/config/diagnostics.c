/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Diagnostics are made in the order that the checks run, and read in the order of the file.
 * The first MAX_DIAGNOSTICS are kept: nobody mends more at a time.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/diagnostics.h"

#define MAX_DIAGNOSTICS 256
#define LAST_LINE_SIZE  40 /* "… and 255 more" */

static bool is_known(const struct diagnostics *diagnostics, int line, const char *text)
{
	for (size_t i = 0; i < diagnostics->count; i++)
		if (diagnostics->list[i].line == line && !strcmp(diagnostics->list[i].text, text))
			return true;
	return false;
}

void diagnostics_add(struct diagnostics *diagnostics, int line, const char *format, ...)
{
	struct diagnostic *list;
	char *text;
	va_list args;
	int length;

	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0)
		return;
	list = diagnostics->count < MAX_DIAGNOSTICS && !is_known(diagnostics, line, text)
		       ? reallocarray(diagnostics->list, diagnostics->count + 1, sizeof(*list))
		       : NULL;
	if (!list) {
		free(text);
		return;
	}
	list[diagnostics->count++] = (struct diagnostic){line, text};
	diagnostics->list = list;
}

/* Insertion sort: stable, and the lists are short and nearly sorted. */
static void sort_by_line(struct diagnostic *list, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct diagnostic moving = list[i];
		size_t to = i;

		for (; to > 0 && list[to - 1].line > moving.line; to--)
			list[to] = list[to - 1];
		list[to] = moving;
	}
}

void diagnostics_render(struct diagnostics *diagnostics, const char *name, struct error *error)
{
	size_t used = 0, room, i;
	int length;

	if (!error)
		return;
	error->text[0] = '\0';
	sort_by_line(diagnostics->list, diagnostics->count);
	for (i = 0; i < diagnostics->count; i++) {
		const struct diagnostic *diagnostic = &diagnostics->list[i];
		char where[16] = "";

		if (diagnostic->line)
			snprintf(where, sizeof(where), ":%d", diagnostic->line);
		room = sizeof(error->text) - used - LAST_LINE_SIZE;
		length = snprintf(error->text + used, room, "%s%s%s: %s", i ? "\n" : "", name,
				  where, diagnostic->text);
		if ((size_t)length >= room) {
			error->text[used] = '\0';
			break;
		}
		used += (size_t)length;
	}
	if (i < diagnostics->count)
		snprintf(error->text + used, sizeof(error->text) - used, "\n… and %zu more",
			 diagnostics->count - i);
}

void diagnostics_free(struct diagnostics *diagnostics)
{
	for (size_t i = 0; i < diagnostics->count; i++)
		free(diagnostics->list[i].text);
	free(diagnostics->list);
	*diagnostics = (struct diagnostics){0};
}
