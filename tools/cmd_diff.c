/* SPDX-License-Identifier: BSD-2-Clause */
/* diff: the live policy against the configuration; each difference is a row {what, live, file}. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"

static void differ(json_t *rows, const char *what, const char *live, const char *file)
{
	json_array_append_new(
		rows, json_pack("{s:s, s:s?, s:s?}", "what", what, "live", live, "file", file));
}

static void diff_settings(struct wall *wall, uint32_t id, const struct fw_service *service,
			  const uint64_t *wanted, json_t *rows)
{
	char what[128], live[32], file[32];
	uint64_t value;

	for (int i = 0; i < FW_SETTING_COUNT; i++) {
		value = wall_setting(wall, id, i);
		if (!cli_setting_applies(id, service->kind, i) || value == wanted[i])
			continue;
		snprintf(what, sizeof(what), "%s.%s", service->name, setting_rows[i].name);
		differ(rows, what, setting_format(&setting_rows[i], value, live, sizeof(live)),
		       setting_format(&setting_rows[i], wanted[i], file, sizeof(file)));
	}
}

static bool has_binding(const struct fw_service_key *list, size_t count,
			const struct fw_service_key *key)
{
	for (size_t i = 0; i < count; i++)
		if (memcmp(&list[i], key, sizeof(*key)) == 0)
			return true;
	return false;
}

static int diff_bindings(struct wall *wall, uint32_t id, const struct config_service *wanted,
			 json_t *rows, struct error *error)
{
	struct fw_service_key *live;
	char what[128], text[ADDRESS_TEXT_SIZE];
	size_t count;
	int result = wall_service_bindings(wall, id, &live, &count, error);

	if (result < 0)
		return result;
	snprintf(what, sizeof(what), "%s: binding", wanted->name);
	for (size_t i = 0; i < count; i++)
		if (!has_binding(wanted->bindings, wanted->binding_count, &live[i]))
			differ(rows, what, binding_format(&live[i], text), NULL);
	for (size_t i = 0; i < wanted->binding_count; i++)
		if (!has_binding(live, count, &wanted->bindings[i]))
			differ(rows, what, NULL, binding_format(&wanted->bindings[i], text));
	free(live);
	return 0;
}

static const char *kind_name(uint32_t kind)
{
	return kind == FW_SERVICE_LISTENER ? "listener" : "service";
}

static int diff_services(struct wall *wall, const struct config *config, json_t *rows,
			 struct error *error)
{
	struct fw_service service;
	char what[64];
	int id, result = 0;

	for (size_t i = 0; i < config->service_count && result == 0; i++) {
		const struct config_service *wanted = &config->services[i];

		id = wall_service_find(wall, wanted->name, NULL);
		snprintf(what, sizeof(what), "service %s", wanted->name);
		if (id < 0) {
			differ(rows, what, NULL, kind_name(wanted->kind));
			continue;
		}
		wall_service(wall, (uint32_t)id, &service);
		if (service.kind != wanted->kind)
			differ(rows, what, kind_name(service.kind), kind_name(wanted->kind));
		diff_settings(wall, (uint32_t)id, &service, wanted->settings, rows);
		result = diff_bindings(wall, (uint32_t)id, wanted, rows, error);
	}
	for (uint32_t i = 1; i < FW_SERVICES_MAX; i++) {
		if (!wall_service(wall, i, &service) || config_service_find(config, service.name))
			continue;
		snprintf(what, sizeof(what), "service %s", service.name);
		differ(rows, what, kind_name(service.kind), NULL);
	}
	return result;
}

static int diff(struct wall *wall, const struct config *config, json_t *rows, struct error *error)
{
	static const char *const modes[] = {"enforce", "monitor"};
	struct fw_service host;
	char what[64];

	wall_service(wall, FW_HOST_SERVICE, &host);
	diff_settings(wall, FW_HOST_SERVICE, &host, config->settings, rows);
	for (int i = FW_NONE + 1; i < FW_VERDICT_COUNT; i++) {
		bool live = wall_rule_mode(wall, i) == FW_MODE_MONITOR;

		if (verdict_rows[i].action != FW_ACTION_DROP || live == config->filter.monitored[i])
			continue;
		snprintf(what, sizeof(what), "rule %s", verdict_rows[i].label);
		differ(rows, what, modes[live], modes[!live]);
	}
	return diff_services(wall, config, rows, error);
}

int cmd_diff(struct cli *cli)
{
	static const struct column columns[] = {
		{"what", "WHAT"}, {"live", "LIVE"}, {"file", "FILE"}, {NULL, NULL}};
	const char *path = cli_option(cli, "config");
	struct config *config;
	struct error error;
	bool differs;
	json_t *rows;
	int status;

	if (cli->argc)
		return cli_usage(
			cli, "diff takes no arguments; the configuration is named with --config");
	status = cli_wall(cli);
	if (status != STATUS_OK)
		return status;
	if (config_load(path ? path : CONFIG_PATH_DEFAULT, &config, &error) < 0)
		return cli_fail(cli, "%s", error.text);
	rows = json_array();
	if (diff(cli->wall, config, rows, &error) < 0) {
		status = cli_fail(cli, "%s", error.text);
	} else {
		differs = json_array_size(rows) > 0;
		status = differs ? STATUS_NO : STATUS_OK;
		if (cli->json)
			output_json(json_pack("{s:s, s:O}", "config", config->path, "differences",
					      rows));
		else if (differs)
			output_table(columns, rows);
		else
			printf("what is live is what %s says\n", config->path);
	}
	json_decref(rows);
	config_free(config);
	return status;
}
