/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * packaging/floodwall.conf, from which operators learn what there is: it is valid as it is, shows
 * every live setting and every other option, and what is commented out is the default.
 */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/options.h"
#include "config/read/source.h"
#include "text.h"

#define PACKAGED "packaging/floodwall.conf"

/* Read by whoever runs the tests from the tree's root. */
static char *read_packaged(void)
{
	FILE *file = fopen(PACKAGED, "re");
	char *text = calloc(1, 64 << 10);

	assert_non_null(file);
	assert_true(fread(text, 1, (64 << 10) - 1, file) > 0 && feof(file));
	fclose(file);
	return text;
}

/* Whether nothing but a sign at its beginning keeps a line from being part of the configuration. */
static bool is_statement(const char *line)
{
	static regex_t pattern;
	static bool compiled;

	if (!compiled)
		compiled = !regcomp(&pattern, "^\t*# ?\t*(}|[a-z0-9_]+( [a-z\"/]+)? ?[={])",
				    REG_EXTENDED | REG_NOSUB);
	return !regexec(&pattern, line, 0, NULL, 0);
}

/* The text with all that is commented out; lines keep their numbers. */
static char *uncommented(const char *text)
{
	char *copy = strdup(text), *rest = copy, *all = calloc(1, strlen(text) + 2), *line, *sign;

	while ((line = strsep(&rest, "\n"))) {
		sign = is_statement(line) ? strchr(line, '#') : NULL;
		if (sign)
			*sign = ' ';
		strcat(strcat(all, line), "\n");
	}
	free(copy);
	return all;
}

static void the_packaged_file_is_valid(void **state)
{
	struct config *config = NULL;
	struct error error = {""};

	(void)state;
	if (config_load(PACKAGED, &config, &error) < 0)
		fail_msg("%s", error.text);
	assert_int_equal(config->service_count, 2);
	config_free(config);
}

/* Empties the line from @from to before @to. */
static void blank(char *text, const char *from, const char *to)
{
	char *begin = strstr(text, from);

	assert_non_null(begin);
	memset(begin, ' ', (size_t)(strstr(begin, to) - begin));
}

/* But for an option that only another choice than the default gives a use, and a page that only the
 * operator has; the upstream of an example is added. */
static void what_is_commented_out_is_valid_and_the_default(void **state)
{
	static const char api[] = "upstream api { server { address = \"127.0.0.1:1\" } }\n";
	char *packaged = read_packaged(), *text = uncommented(packaged);
	const struct config_service *web;
	struct config *config;

	(void)state;
	blank(text, "hash = ", "#");
	blank(text, "file = \"/etc/floodwall/down.html\"", "type");
	text = realloc(text, strlen(text) + sizeof(api));
	config = parsed(strcat(text, api));
	web = config_service_find(config, "web");
	for (int i = 0; i < FW_SETTING_COUNT; i++) {
		bool host = setting_rows[i].scope == SCOPE_HOST;
		uint64_t shown = host ? config->settings[i] : web->settings[i];

		if (shown != setting_rows[i].initial)
			fail_msg("%s is %lu by default, not %lu", setting_rows[i].name,
				 setting_rows[i].initial, shown);
	}
	config_free(config);
	free(text);
	free(packaged);
}

static void every_setting_is_shown(void **state)
{
	char *text = read_packaged();

	(void)state;
	for (int i = 0; i < FW_SETTING_COUNT; i++) {
		const char *dot = strchr(setting_rows[i].name, '.');
		char shown[64];

		snprintf(shown, sizeof(shown), "%s = ", dot ? dot + 1 : setting_rows[i].name);
		if (!strstr(text, shown))
			fail_msg("%s is not in " PACKAGED, setting_rows[i].name);
	}
	free(text);
}

static bool is_block(const struct source *source, int index, enum config_block block)
{
	const struct source_block *found = index == SOURCE_ROOT ? NULL : &source->blocks[index];

	if (!found)
		return block == BLOCK_ROOT;
	for (size_t i = 0; i < config_place_count; i++)
		if (config_places[i].block == block && !strcmp(config_places[i].name, found->name))
			return is_block(source, found->parent, config_places[i].outer);
	return false;
}

/* Whether @line has the default as the value, or behind a value that is of more use there. */
static bool tells_default(const char *line, const struct config_option *option)
{
	char shown[64], told[64];
	const char *value;

	if (!option->initial)
		return true;
	snprintf(shown, sizeof(shown), "%s = ", option->name);
	snprintf(told, sizeof(told), "# default: \"%s\"", option->initial);
	value = strstr(line, shown);
	if (!value)
		return false;
	value += strlen(shown);
	value += strspn(value, "{\"");
	return strstr(line, told) || (!strncmp(value, option->initial, strlen(option->initial)) &&
				      strchr("\"\t }", value[strlen(option->initial)]));
}

/* Whether a block of its kind says it anywhere. */
static bool is_shown(const struct source *source, const char *packaged,
		     const struct config_option *option)
{
	char *copy = strdup(packaged), *rest = copy, *line;
	bool shown = false;
	int block;

	for (int number = 1; !shown && (line = strsep(&rest, "\n")); number++)
		shown = source_statement_find(source, option->name, number, &block) &&
			is_block(source, block, option->block) && tells_default(line, option);
	free(copy);
	return shown;
}

static void every_option_is_shown_with_its_default(void **state)
{
	char *packaged = read_packaged(), *text = uncommented(packaged);
	struct source source;
	char path[64];

	(void)state;
	assert_int_equal(source_open(&source, text), 0);
	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];
		size_t place = 0;

		while (config_places[place].block != option->block)
			place++;
		if (!is_shown(&source, packaged, option))
			fail_msg("%s.%s%s%s is not in " PACKAGED,
				 config_place_path(&config_places[place], path, sizeof(path)),
				 option->name, option->initial ? " = " : "",
				 option->initial ? option->initial : "");
	}
	source_close(&source);
	free(text);
	free(packaged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_packaged_file_is_valid),
		cmocka_unit_test(what_is_commented_out_is_valid_and_the_default),
		cmocka_unit_test(every_setting_is_shown),
		cmocka_unit_test(every_option_is_shown_with_its_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
