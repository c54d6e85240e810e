/* SPDX-License-Identifier: BSD-2-Clause */
/* See options.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "address.h"
#include "options.h"

void options_refuse(const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, " (see --help)\n");
	exit(2);
}

static void show_help(const char *about, const struct option_row *rows, size_t count)
{
	static const char *const wants[] = {
		[OPTION_TEXT] = "TEXT", [OPTION_COUNT] = "N",       [OPTION_SECONDS] = "S",
		[OPTION_SWITCH] = "",   [OPTION_PREFIX] = "PREFIX", [OPTION_ENDPOINT] = "ADDR:PORT",
	};

	printf("%s: %s\n\n", program_invocation_short_name, about);
	for (size_t i = 0; i < count; i++)
		printf("  --%-16s %-9s  %s\n", rows[i].name, wants[rows[i].type], rows[i].text);
	exit(0);
}

static void read_value(const struct option_row *row, const char *text)
{
	char *end = NULL;
	bool good = true;

	errno = 0;
	switch (row->type) {
	case OPTION_TEXT:
		*(const char **)row->value = text;
		break;
	case OPTION_COUNT:
		*(uint64_t *)row->value = strtoull(text, &end, 10);
		good = *text >= '0' && *text <= '9' && !*end && !errno;
		break;
	case OPTION_SECONDS:
		*(double *)row->value = strtod(text, &end);
		good = *text && !*end && !errno && *(double *)row->value >= 0;
		break;
	case OPTION_ENDPOINT:
		good = endpoint_parse(text, row->value);
		break;
	case OPTION_PREFIX:
		good = prefix_parse(text, row->value);
		break;
	case OPTION_SWITCH:
		break;
	}
	if (!good)
		options_refuse("--%s: can't read '%s'", row->name, text);
}

void options_read(int argc, char **argv, const char *about, const struct option_row *rows,
		  size_t count)
{
	for (int i = 1; i < argc; i++) {
		const struct option_row *row = NULL;

		if (!strcmp(argv[i], "--help"))
			show_help(about, rows, count);
		for (size_t j = 0; j < count && !strncmp(argv[i], "--", 2); j++)
			if (!strcmp(argv[i] + 2, rows[j].name))
				row = &rows[j];
		if (!row)
			options_refuse("unknown option '%s'", argv[i]);
		if (row->type == OPTION_SWITCH) {
			*(bool *)row->value = true;
			continue;
		}
		if (++i == argc)
			options_refuse("--%s wants a value", row->name);
		read_value(row, argv[i]);
	}
}
