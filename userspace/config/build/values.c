/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands in a block, by the rows of its options and settings: one reader for each kind.
 *
 * A default is read as if it had been written. It also takes the place of what was complained
 * about, so that what is looked at afterwards is of use.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/build/build.h"

enum { STATUS_MIN = 100, STATUS_MAX = 599 };

/* Something that is read: an option's value, or one of its list. */
struct value {
	const struct site *site;
	const struct config_option *option;
	const char *text;
	int line;
};

/* Always false, for a reader to return. */
static bool refuse(const struct value *value, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool refuse(const struct value *value, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	site_complain_at(value->site, value->line, value->option->name, "%s", text);
	return false;
}

static void store(uint64_t number, size_t size, void *at)
{
	switch (size) {
	case sizeof(uint8_t):
		*(uint8_t *)at = (uint8_t)number;
		break;
	case sizeof(uint16_t):
		*(uint16_t *)at = (uint16_t)number;
		break;
	case sizeof(uint32_t):
		*(uint32_t *)at = (uint32_t)number;
		break;
	default:
		*(uint64_t *)at = number;
		break;
	}
}

/* --- readers: false, it was complained about and nothing was stored --------------------------- */

static bool read_number(const struct value *value, void *at)
{
	const struct setting_row range = config_option_range(value->option);
	struct error error;
	uint64_t number;

	if (setting_parse_value(&range, value->text, &number, &error) < 0)
		return refuse(value, "%s", error.text);
	store(number, value->option->size, at);
	return true;
}

/* Where the word is in its set; −1, it was complained about. */
static int find_word(const struct value *value)
{
	const char *const *words = value->option->words;
	char allowed[128];

	for (int i = 0; words[i]; i++)
		if (!strcmp(words[i], value->text))
			return i;
	refuse(value, "\"%s\" is not %s", value->text,
	       config_words(words, allowed, sizeof(allowed)));
	return -1;
}

static bool read_word(const struct value *value, void *at)
{
	const struct config_option *option = value->option;
	int word = find_word(value);

	if (word >= 0 && option->size == sizeof(char *))
		*(const char **)at = option->words[word];
	else if (word >= 0)
		store(option->least + (uint64_t)word, option->size, at);
	return word >= 0;
}

static bool read_words(const struct value *value, void *at)
{
	int word = find_word(value);

	if (word >= 0)
		*(uint32_t *)at |= 1U << word;
	return word >= 0;
}

static bool read_text(const struct value *value, void *at)
{
	if (!*value->text)
		return refuse(value, "is empty");
	*(char **)at = build_copy(value->text);
	return true;
}

/* Files are read by a daemon that may stand anywhere. */
static bool read_path(const struct value *value, void *at)
{
	const char *instead = value->option->form;

	if (*value->text && *value->text != '/' && !instead)
		return refuse(value, "\"%s\" is not an absolute path", value->text);
	if (*value->text && *value->text != '/' && strcmp(value->text, instead) != 0)
		return refuse(value, "\"%s\" is neither an absolute path nor \"%s\"", value->text,
			      instead);
	return read_text(value, at);
}

static bool read_file(const struct value *value, void *at)
{
	struct config_file *file = at;

	file->line = value->line;
	return read_path(value, &file->path);
}

static bool read_files(const struct value *value, void *at)
{
	struct config_files *files = at;

	files->list = reallocarray(files->list, files->count + 1, sizeof(*files->list));
	if (!files->list)
		abort();
	if (!read_file(value, &files->list[files->count]))
		return false;
	files->count++;
	return true;
}

/* "200", or "200-299". */
static bool read_statuses(const struct value *value, void *at)
{
	struct config_statuses *set = at;
	char *end;
	unsigned long from = strtoul(value->text, &end, 10), to = from;

	if (*end == '-')
		to = strtoul(end + 1, &end, 10);
	if (*end || from < STATUS_MIN || to > STATUS_MAX || from > to)
		return refuse(value,
			      "\"%s\" is not a status from %d to %d, nor a range such as "
			      "\"500-599\"",
			      value->text, STATUS_MIN, STATUS_MAX);
	for (; from <= to; from++)
		set->bit[(from - STATUS_MIN) / 64] |= 1ULL << (from - STATUS_MIN) % 64;
	return true;
}

static bool (*const readers[])(const struct value *value, void *at) = {
	[KIND_COUNT] = read_number, [KIND_RATE] = read_number,   [KIND_TIME] = read_number,
	[KIND_BYTES] = read_number, [KIND_SWITCH] = read_number, [KIND_WORD] = read_word,
	[KIND_WORDS] = read_words,  [KIND_TEXT] = read_text,     [KIND_PATH] = read_path,
	[KIND_FILE] = read_file,    [KIND_FILES] = read_files,   [KIND_STATUSES] = read_statuses,
};

/* --- blocks ----------------------------------------------------------------------------------- */

static void build_option(const struct site *site, const struct config_option *option, void *at)
{
	struct value value = {.site = site, .option = option};
	const struct grammar_value *written;
	bool read = false;

	for (size_t i = 0; (written = grammar_value(site->section, option->name, i)); i++) {
		value.text = written->text;
		value.line = written->line;
		read |= readers[option->kind](&value, at);
	}
	value.text = option->initial;
	if (!read && value.text)
		readers[option->kind](&value, at);
}

void build_options(const struct site *site, enum config_block block, void *result)
{
	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];

		if (option->block == block && option->kind != KIND_CODED)
			build_option(site, option, (char *)result + option->offset);
	}
}

/* "source.syn_rate" is syn_rate in the block source. */
static const struct grammar_value *find_setting(const struct site *site, const char *name)
{
	const char *dot = strchr(name, '.');
	char group[64];

	if (!dot)
		return grammar_value(site->section, name, 0);
	snprintf(group, sizeof(group), "%.*s", (int)(dot - name), name);
	return grammar_value(cfg_getsec(site->section, group), dot + 1, 0);
}

void build_settings(const struct site *site, enum config_block block, uint64_t *settings)
{
	for (size_t i = 0; i < FW_SETTING_COUNT; i++) {
		const struct setting_row *row = &setting_rows[i];
		const struct grammar_value *written;
		struct error error;

		settings[i] = row->initial;
		if (!config_block_has_setting(block, row))
			continue;
		written = find_setting(site, row->name);
		if (written && setting_parse(row, written->text, &settings[i], &error) < 0)
			site_complain_at(site, written->line, NULL, "%s", error.text);
	}
}
