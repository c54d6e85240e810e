/* SPDX-License-Identifier: BSD-2-Clause */
/* Where in the file something is said, and diagnostics about it. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "config/build/build.h"

#define LABEL_SIZE 192

struct site site_root(struct build *build, cfg_t *tree)
{
	return (struct site){build, tree, SOURCE_ROOT};
}

struct site site_inside(const struct site *outer, const char *name, size_t nth)
{
	return (struct site){
		.build = outer->build,
		.section = cfg_getnsec(outer->section, name, (unsigned int)nth),
		.block = source_block_find(outer->build->source, outer->block, name, nth),
	};
}

size_t site_count(const struct site *outer, const char *name)
{
	return cfg_size(outer->section, name);
}

int site_line(const struct site *site)
{
	return site->block < 0 ? 0 : site->build->source->blocks[site->block].line;
}

const char *site_title(const struct site *site)
{
	return site->build->source->blocks[site->block].title;
}

bool site_has(const struct site *site, const char *option)
{
	return grammar_value(site->section, option, 0);
}

static void complain(const struct site *site, int line, const char *option, const char *format,
		     va_list args)
{
	char label[LABEL_SIZE], text[1024];

	vsnprintf(text, sizeof(text), format, args);
	if (option)
		source_block_label(site->build->source, site->block, label, sizeof(label));
	else
		source_block_name(site->build->source, site->block, label, sizeof(label));
	diagnostics_add(site->build->diagnostics, line, "%s%s%s%s", label, option ? option : "",
			option ? ": " : "", text);
}

void site_complain(const struct site *site, const char *option, const char *format, ...)
{
	const struct grammar_value *written =
		option ? grammar_value(site->section, option, 0) : NULL;
	va_list args;

	va_start(args, format);
	complain(site, written ? written->line : site_line(site), option, format, args);
	va_end(args);
}

void site_complain_at(const struct site *site, int line, const char *option, const char *format,
		      ...)
{
	va_list args;

	va_start(args, format);
	complain(site, line, option, format, args);
	va_end(args);
}

void *build_alloc(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory)
		abort();
	return memory;
}

char *build_copy(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		abort();
	return copy;
}

void build_check_name(const struct site *site)
{
	const char *name = cfg_title(site->section);

	if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != strlen(name) || !*name)
		site_complain(site, NULL,
			      "the name may only have the characters a-z, 0-9, _ and -");
	else if (strlen(name) >= FW_NAME_SIZE)
		site_complain(site, NULL, "the name is longer than %d characters",
			      FW_NAME_SIZE - 1);
}
