/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "contract/address.h"
#include "contract/list_text.h"
#include "contract/rows.h"

#define DIAGNOSTICS_MAX 10
#define PROGRESS_EVERY  65536
#define YEARS_10_MS     (10ULL * 365 * 24 * 3600 * 1000)

struct diagnostics {
	size_t count, used;
	char text[ERROR_TEXT_SIZE];
};

static void complain(struct diagnostics *diagnostics, const char *name, size_t line,
		     const char *what)
{
	size_t room = sizeof(diagnostics->text) - diagnostics->used;
	int written;

	if (diagnostics->count++ >= DIAGNOSTICS_MAX || room < 2)
		return;
	written = snprintf(diagnostics->text + diagnostics->used, room, "%s%s:%zu: %.200s",
			   diagnostics->used ? "\n" : "", name, line, what);
	diagnostics->used += (size_t)written < room ? (size_t)written : room - 1;
}

/* "10m" as seconds, rounded up. */
static int parse_time(const char *text, uint64_t *seconds, struct error *error)
{
	static const struct setting_row row = {.name = "the entry's time",
					       .unit = UNIT_MILLISECONDS,
					       .min = 1,
					       .max = YEARS_10_MS};
	uint64_t ms;
	int result = setting_parse(&row, text, &ms, error);

	*seconds = (ms + 999) / 1000;
	return result;
}

/* One line, which is taken apart. Returns 1 with an entry, 0 without one. */
static int parse_line(const struct list_text *text, char *line, struct fw_listed *entry,
		      struct error *error)
{
	static const char blank[] = " \t\r\n\v\f";
	uint64_t seconds = text->seconds;
	char *rest = NULL, *prefix_word, *time_word;
	struct fw_prefix prefix;

	line[strcspn(line, "#;")] = '\0';
	prefix_word = strtok_r(line, blank, &rest);
	if (!prefix_word)
		return 0;
	time_word = strtok_r(NULL, blank, &rest);
	if (prefix_parse(prefix_word, &prefix, error) < 0)
		return -EINVAL;
	if (time_word && parse_time(time_word, &seconds, error) < 0)
		return -EINVAL;
	if (time_word && strtok_r(NULL, blank, &rest))
		return error_set(error, -EINVAL,
				 "a line is a prefix and, at most, a time; comments begin with #");
	*entry = (struct fw_listed){.addr = prefix.addr, .length = prefix.length};
	if (seconds)
		entry->expires_s = (uint32_t)(text->now_s + seconds);
	return 1;
}

static int make_room(struct fw_listed **entries, size_t count, size_t *room)
{
	struct fw_listed *grown;

	if (count < *room)
		return 0;
	if (count >= LIST_TEXT_ENTRIES_MAX)
		return -E2BIG;
	*room = *room ? 2 * *room : 4096;
	grown = realloc(*entries, *room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	*entries = grown;
	return 0;
}

static int conclude(const struct list_text *text, int result, const struct diagnostics *diagnostics,
		    struct error *error)
{
	if (result == -E2BIG)
		return error_set(error, result, "%s: more than %u entries", text->name,
				 LIST_TEXT_ENTRIES_MAX);
	if (result < 0)
		return error_set(error, result, "%s: %s", text->name, strerror(-result));
	if (diagnostics->count > DIAGNOSTICS_MAX)
		return error_set(error, -EINVAL, "%s\n… and %zu more bad lines", diagnostics->text,
				 diagnostics->count - DIAGNOSTICS_MAX);
	return diagnostics->count ? error_set(error, -EINVAL, "%s", diagnostics->text) : 0;
}

int list_text_read(const struct list_text *text, FILE *file, struct fw_listed **entries,
		   size_t *count, struct error *error)
{
	struct diagnostics diagnostics = {.count = 0};
	size_t room = 0, size = 0, number = 0;
	struct error why;
	char *line = NULL;
	ssize_t length;
	int result = 0, parsed;

	*entries = NULL;
	*count = 0;
	while (result == 0 && (errno = 0, length = getline(&line, &size, file)) >= 0) {
		if (++number % PROGRESS_EVERY == 0 && text->progress)
			text->progress(text->context, number);
		result = make_room(entries, *count, &room);
		if (result < 0)
			break;
		parsed = strlen(line) == (size_t)length
				 ? parse_line(text, line, &(*entries)[*count], &why)
				 : error_set(&why, -EINVAL, "there is a NUL byte in the line");
		if (parsed < 0)
			complain(&diagnostics, text->name, number, why.text);
		*count += parsed > 0;
	}
	if (result == 0 && (ferror(file) || errno == ENOMEM))
		result = errno ? -errno : -EIO;
	free(line);
	result = conclude(text, result, &diagnostics, error);
	if (result < 0) {
		free(*entries);
		*entries = NULL;
		*count = 0;
	}
	return result;
}
