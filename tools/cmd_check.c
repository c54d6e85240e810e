/* SPDX-License-Identifier: BSD-2-Clause */
/* check: is a configuration valid, and is it probably what was meant? */
#include <stdio.h>
#include <string.h>
#include "cli.h"

static json_t *append_lines(json_t *array, const char *text)
{
	size_t size;

	for (; *text; text += size + (text[size] == '\n')) {
		size = strcspn(text, "\n");
		if (size)
			json_array_append_new(array, json_stringn(text, size));
	}
	return array;
}

static json_t *lines(const char *text)
{
	return append_lines(json_array(), text);
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

/* Certificates and keys are what this program can't judge. */
static bool has_tls(const struct config *config)
{
	for (size_t i = 0; i < config->listener_count; i++)
		if (config->services[i].tls.enabled)
			return true;
	for (size_t i = 0; i < config->upstream_count; i++)
		if (config->upstreams[i].tls.enabled)
			return true;
	return false;
}

static void tell(struct cli *cli, const char *path, const struct config *config)
{
	struct error warnings = {""}, unread = {""};
	size_t listeners = config->listener_count, others = config->service_count - listeners;

	config_warnings(config, &warnings);
	wall_lists_check(config, &unread);
	if (cli->json) {
		output_json(json_pack("{s:s, s:b, s:[], s:o, s:I, s:I}", "file", path, "valid", 1,
				      "errors", "warnings",
				      append_lines(lines(warnings.text), unread.text), "listeners",
				      (json_int_t)listeners, "services", (json_int_t)others));
		return;
	}
	error_print_lines(stderr, "warning", warnings.text);
	error_print_lines(stderr, "warning", unread.text);
	printf("%s is valid: %zu listener%s, %zu other service%s\n", path, listeners,
	       listeners == 1 ? "" : "s", others, others == 1 ? "" : "s");
	if (has_tls(config))
		printf("certificates and keys were not looked at: floodwalld --check does that\n");
}

int cmd_check(struct cli *cli)
{
	const char *path = cli->argc ? cli->argv[0] : CONFIG_PATH_DEFAULT;
	struct error error = {""};
	struct config *config;

	if (cli->argc > 1)
		return cli_usage(cli, "one file, not %d", cli->argc);
	if (config_load(path, &config, &error) < 0)
		return refuse(cli, path, &error);
	tell(cli, path, config);
	config_free(config);
	return STATUS_OK;
}
