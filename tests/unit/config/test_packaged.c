/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * packaging/floodwall.conf, from which operators learn what there is: it is valid as it is, shows
 * every live setting, and what is commented out is the default.
 */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_packaged_file_is_valid),
		cmocka_unit_test(what_is_commented_out_is_valid_and_the_default),
		cmocka_unit_test(every_setting_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
