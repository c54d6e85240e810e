/* SPDX-License-Identifier: BSD-2-Clause */
/* check: is a configuration valid, and is it probably what was meant? */
#include <stdio.h>
#include <string.h>
#include "cli.h"

static json_t *lines(const char *text)
{
	json_t *array = json_array();
	size_t size;

	for (; *text; text += size + (text[size] == '\n')) {
		size = strcspn(text, "\n");
		if (size)
			json_array_append_new(array, json_stringn(text, size));
	}
	return array;
}

static int refuse(struct cli *cli, const char *path, const struct error *error)
{
	if (cli->json)
		output_json(json_pack("{s:s, s:b, s:o, s:[]}", "file", path, "valid", 0, "errors",
				      lines(error->text), "warnings"));
	else
		fprintf(stderr, "%s\n", error->text);
	return STATUS_NO;
}

int cmd_check(struct cli *cli)
{
	const char *path = cli->argc ? cli->argv[0] : CONFIG_PATH_DEFAULT;
	struct error error = {""}, warnings = {""};
	struct config *config;

	if (cli->argc > 1)
		return cli_usage(cli, "one file, not %d", cli->argc);
	if (config_load(path, &config, &error) < 0)
		return refuse(cli, path, &error);
	config_warnings(config, &warnings);
	if (cli->json) {
		output_json(
			json_pack("{s:s, s:b, s:[], s:o, s:I, s:I}", "file", path, "valid", 1,
				  "errors", "warnings", lines(warnings.text), "listeners",
				  (json_int_t)config->listener_count, "services",
				  (json_int_t)(config->service_count - config->listener_count)));
	} else {
		error_print_lines(stderr, "warning", warnings.text);
		printf("%s is valid: %zu listeners, %zu other services\n", path,
		       config->listener_count, config->service_count - config->listener_count);
	}
	config_free(config);
	return STATUS_OK;
}
