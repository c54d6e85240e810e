/* SPDX-License-Identifier: BSD-2-Clause */
/* How values are taken from blocks. */
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

void site_complain(const struct site *site, int line, const char *option, const char *format, ...)
{
	char label[LABEL_SIZE], text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (option)
		source_block_label(site->build->source, site->block, label, sizeof(label));
	else
		source_block_name(site->build->source, site->block, label, sizeof(label));
	complaints_add(site->build->complaints, line, "%s%s%s%s", label, option ? option : "",
		       option ? ": " : "", text);
}

void site_setting(const struct site *site, const struct setting_row *row, uint64_t *value)
{
	const char *dot = strchr(row->name, '.');
	const struct grammar_value *written;
	cfg_t *section = site->section;
	struct error error;
	char group[64];

	if (dot) {
		snprintf(group, sizeof(group), "%.*s", (int)(dot - row->name), row->name);
		section = cfg_getsec(section, group);
	}
	written = section ? grammar_value(section, dot ? dot + 1 : row->name, 0) : NULL;
	if (written && setting_parse(row, written->text, value, &error) < 0)
		site_complain(site, written->line, NULL, "%s", error.text);
}

void site_number(const struct site *site, const struct setting_row *row, uint32_t *value)
{
	uint64_t wide = *value;

	site_setting(site, row, &wide);
	*value = (uint32_t)wide;
}

int site_choice(const struct site *site, const char *option, const char *const *words, int initial)
{
	const struct grammar_value *written = grammar_value(site->section, option, 0);
	char allowed[128] = "";

	if (!written)
		return initial;
	for (int i = 0; words[i]; i++) {
		size_t used = strlen(allowed);

		if (!strcmp(words[i], written->text))
			return i;
		snprintf(allowed + used, sizeof(allowed) - used, "%s%s",
			 i == 0 ? "" : (words[i + 1] ? ", " : " or "), words[i]);
	}
	site_complain(site, written->line, option, "\"%s\" is not %s", written->text, allowed);
	return initial;
}

bool site_switch(const struct site *site, const char *option, bool initial)
{
	const struct setting_row row = {.name = option,
					.scope = SCOPE_LISTENER,
					.unit = UNIT_SWITCH,
					.initial = initial,
					.max = 1};
	uint64_t value = initial;

	site_setting(site, &row, &value);
	return value;
}

/* The file is read by a daemon that may stand anywhere. */
bool site_file(const struct site *site, const char *option, const struct grammar_value *written,
	       struct config_file *file)
{
	if (*written->text != '/') {
		site_complain(site, written->line, option, "\"%s\" is not an absolute path",
			      written->text);
		return false;
	}
	*file = (struct config_file){build_copy(written->text), written->line};
	return true;
}

void site_files(const struct site *site, const char *option, struct config_files *files)
{
	size_t count = cfg_size(site->section, option);

	files->list = build_alloc(count, sizeof(*files->list));
	for (size_t i = 0; i < count; i++)
		if (site_file(site, option, grammar_value(site->section, option, i),
			      &files->list[files->count]))
			files->count++;
}

char *site_text(const struct site *site, const char *option)
{
	const struct grammar_value *written = grammar_value(site->section, option, 0);

	if (!written)
		return NULL;
	if (!*written->text) {
		site_complain(site, written->line, option, "is empty");
		return NULL;
	}
	return build_copy(written->text);
}

char *site_path(const struct site *site, const char *option, const char *instead)
{
	char *path = site_text(site, option);

	if (!path || *path == '/' || (instead && !strcmp(path, instead)))
		return path;
	site_complain(site, grammar_value(site->section, option, 0)->line, option,
		      "\"%s\" is %s an absolute path%s%s%s", path, instead ? "neither" : "not",
		      instead ? " nor \"" : "", instead ? instead : "", instead ? "\"" : "");
	return path;
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
		site_complain(site, site_line(site), NULL,
			      "the name may only have the characters a-z, 0-9, _ and -");
	else if (strlen(name) >= FW_NAME_SIZE)
		site_complain(site, site_line(site), NULL, "the name is longer than %d characters",
			      FW_NAME_SIZE - 1);
}
