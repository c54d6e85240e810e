/* SPDX-License-Identifier: BSD-2-Clause */
/* get: live settings as they are in force. */
#include <stdio.h>
#include <string.h>
#include "cli.h"

static json_t *describe(struct wall *wall, uint32_t service, const char *name,
			enum fw_setting setting)
{
	const struct setting_row *row = &setting_rows[setting];
	uint64_t value = wall_setting(wall, service, setting);
	char path[128], text[32], initial[32];

	snprintf(path, sizeof(path), "%s.%s", name, row->name);
	return json_pack("{s:s, s:I, s:s, s:I, s:s, s:s, s:I, s:I, s:s}", "name", path, "value",
			 (json_int_t)value, "text", setting_format(row, value, text, sizeof(text)),
			 "default", (json_int_t)row->initial, "default_text",
			 setting_format(row, row->initial, initial, sizeof(initial)), "unit",
			 setting_unit_names[row->unit], "min", (json_int_t)row->min, "max",
			 (json_int_t)row->max, "meaning", row->text);
}

/* Whether the setting is one of @group, such as "source"; every one is of none. */
static bool is_of_group(enum fw_setting setting, const char *group)
{
	const char *name = setting_rows[setting].name;
	size_t length = group ? strlen(group) : 0;

	return !group || (strncmp(name, group, length) == 0 && name[length] == '.');
}

static void list_service(struct wall *wall, uint32_t id, const char *group, json_t *rows)
{
	struct fw_service service;

	if (!wall_service(wall, id, &service))
		return;
	for (int i = 0; i < FW_SETTING_COUNT; i++)
		if (cli_setting_applies(id, service.kind, i) && is_of_group(i, group))
			json_array_append_new(rows, describe(wall, id, service.name, i));
}

/* A service, or a group of its settings. */
static int list_named(struct cli *cli, const char *path, json_t *rows)
{
	const char *dot = strchr(path, '.');
	struct error error;
	char name[256];
	int id;

	snprintf(name, sizeof(name), "%.*s", dot ? (int)(dot - path) : (int)strlen(path), path);
	id = wall_service_find(cli->wall, name, &error);
	if (id < 0)
		return cli_no(cli, "%s", error.text);
	list_service(cli->wall, (uint32_t)id, dot ? dot + 1 : NULL, rows);
	return STATUS_OK;
}

static int list(struct cli *cli, json_t *rows)
{
	const char *path = cli->argc ? cli->argv[0] : NULL;
	enum fw_setting setting;
	struct fw_service row;
	uint32_t service;
	int status;

	if (!path) {
		for (uint32_t i = 0; i < FW_SERVICES_MAX; i++)
			list_service(cli->wall, i, NULL, rows);
		return STATUS_OK;
	}
	status = list_named(cli, path, rows);
	if (status != STATUS_OK || json_array_size(rows))
		return status;
	status = cli_setting(cli, path, &service, &setting);
	if (status != STATUS_OK)
		return status;
	wall_service(cli->wall, service, &row);
	json_array_append_new(rows, describe(cli->wall, service, row.name, setting));
	return STATUS_OK;
}

int cmd_get(struct cli *cli)
{
	static const struct column columns[] = {
		{"name", "SETTING"},    {"text", "VALUE"}, {"default_text", "DEFAULT"},
		{"meaning", "MEANING"}, {NULL, NULL},
	};
	json_t *rows;
	int status;

	if (cli->argc > 1)
		return cli_usage(cli, "one NAME, NAME.GROUP or NAME.SETTING, not %d", cli->argc);
	status = cli_wall(cli);
	if (status != STATUS_OK)
		return status;
	rows = json_array();
	status = list(cli, rows);
	if (status == STATUS_OK)
		return output_rows(cli, columns, rows, "");
	json_decref(rows);
	return status;
}
