/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Complaints are made in the order that the checks run, and read in the order of the file.
 * The first MAX_COMPLAINTS are kept: nobody mends more at a time.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/complaints.h"

#define MAX_COMPLAINTS 256
#define LAST_LINE_SIZE 40 /* "… and 255 more" */

static bool is_known(const struct complaints *complaints, int line, const char *text)
{
	for (size_t i = 0; i < complaints->count; i++)
		if (complaints->list[i].line == line && !strcmp(complaints->list[i].text, text))
			return true;
	return false;
}

void complaints_add(struct complaints *complaints, int line, const char *format, ...)
{
	struct complaint *list;
	char *text;
	va_list args;
	int length;

	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0)
		return;
	list = complaints->count < MAX_COMPLAINTS && !is_known(complaints, line, text)
		       ? reallocarray(complaints->list, complaints->count + 1, sizeof(*list))
		       : NULL;
	if (!list) {
		free(text);
		return;
	}
	list[complaints->count++] = (struct complaint){line, text};
	complaints->list = list;
}

/* Insertion sort: stable, and the lists are short and nearly sorted. */
static void sort_by_line(struct complaint *list, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct complaint moving = list[i];
		size_t to = i;

		for (; to > 0 && list[to - 1].line > moving.line; to--)
			list[to] = list[to - 1];
		list[to] = moving;
	}
}

void complaints_render(struct complaints *complaints, const char *name, struct error *error)
{
	size_t used = 0, room, i;
	int length;

	if (!error)
		return;
	error->text[0] = '\0';
	sort_by_line(complaints->list, complaints->count);
	for (i = 0; i < complaints->count; i++) {
		const struct complaint *complaint = &complaints->list[i];
		char where[16] = "";

		if (complaint->line)
			snprintf(where, sizeof(where), ":%d", complaint->line);
		room = sizeof(error->text) - used - LAST_LINE_SIZE;
		length = snprintf(error->text + used, room, "%s%s%s: %s", i ? "\n" : "", name,
				  where, complaint->text);
		if ((size_t)length >= room) {
			error->text[used] = '\0';
			break;
		}
		used += (size_t)length;
	}
	if (i < complaints->count)
		snprintf(error->text + used, sizeof(error->text) - used, "\n… and %zu more",
			 complaints->count - i);
}

void complaints_free(struct complaints *complaints)
{
	for (size_t i = 0; i < complaints->count; i++)
		free(complaints->list[i].text);
	free(complaints->list);
	*complaints = (struct complaints){0};
}
