/* SPDX-License-Identifier: BSD-2-Clause */
/* What verbs share: opening the wall, finding settings and services, saying what is wrong. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"
#include "contract/control.h"

__attribute__((format(printf, 3, 0))) static int say(struct cli *cli, enum status status,
						     const char *format, va_list args)
{
	char text[ERROR_TEXT_SIZE + 256];
	json_t *answer;

	vsnprintf(text, sizeof(text), format, args);
	fprintf(stderr, "floodwall%s%s: %s\n", cli->verb ? " " : "",
		cli->verb ? cli->verb->name : "", text);
	if (status == STATUS_USAGE)
		fprintf(stderr, "Try: floodwall %s%s--help\n", cli->verb ? cli->verb->name : "",
			cli->verb ? " " : "");
	if (cli->json) {
		/* A text with bytes that are no UTF-8 came from the command line; stderr has it. */
		answer = json_pack("{s:s}", "error", text);
		output_json(answer ? answer : json_pack("{s:s}", "error", "see standard error"));
	}
	return status;
}

#define SAY(status)                                                                                \
	do {                                                                                       \
		va_list args;                                                                      \
		va_start(args, format);                                                            \
		say(cli, status, format, args);                                                    \
		va_end(args);                                                                      \
		return status;                                                                     \
	} while (0)

int cli_usage(struct cli *cli, const char *format, ...)
{
	SAY(STATUS_USAGE);
}

int cli_fail(struct cli *cli, const char *format, ...)
{
	SAY(STATUS_FAILED);
}

int cli_no(struct cli *cli, const char *format, ...)
{
	SAY(STATUS_NO);
}

const char *cli_meant(const struct nearest *nearest, char text[MEANT_SIZE])
{
	text[0] = '\0';
	if (nearest->name)
		snprintf(text, MEANT_SIZE, "; did you mean %s?", nearest->name);
	return text;
}

const char *cli_meant_reason(const char *word, bool rules_only, char text[MEANT_SIZE])
{
	struct nearest nearest = nearest_to(word);

	for (int i = FW_NONE + 1; i < FW_VERDICT_COUNT; i++)
		if (!rules_only || verdict_rows[i].action == FW_ACTION_DROP)
			nearest_offer(&nearest, verdict_rows[i].label);
	return cli_meant(&nearest, text);
}

int cli_wall(struct cli *cli)
{
	struct error error;

	if (geteuid() != 0)
		return cli_fail(
			cli,
			"this needs root: the filter's maps are root's. Try: sudo floodwall %s",
			cli->verb->name);
	if (wall_open(&cli->wall, &error) < 0)
		return cli_fail(cli, "%s", error.text);
	return STATUS_OK;
}

bool cli_daemon_runs(void)
{
	int fd = control_connect(CONTROL_PATH, 1);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EAGAIN;
}

int cli_config(struct cli *cli, struct config **config)
{
	const char *path = cli_option(cli, "config");
	struct error error;

	*config = NULL;
	if (!path && access(CONFIG_PATH_DEFAULT, F_OK) != 0)
		return STATUS_OK;
	if (config_load(path ? path : CONFIG_PATH_DEFAULT, config, &error) < 0)
		return cli_fail(cli, "%s", error.text);
	return STATUS_OK;
}

bool cli_setting_applies(uint32_t service, enum fw_service_kind kind, enum fw_setting setting)
{
	switch (setting_rows[setting].scope) {
	case SCOPE_HOST:
		return service == FW_HOST_SERVICE;
	case SCOPE_SERVICE:
		return service != FW_HOST_SERVICE;
	case SCOPE_LISTENER:
		return service != FW_HOST_SERVICE && kind == FW_SERVICE_LISTENER;
	}
	return false;
}

/* There is no such setting, or the service has no use for it. */
static int refuse_setting(struct cli *cli, const char *service, const struct fw_service *row,
			  int id, const char *name)
{
	bool is_host = id == FW_HOST_SERVICE;
	struct nearest nearest = nearest_to(name);
	char meant[MEANT_SIZE];

	if (setting_find(name, is_host) >= 0)
		return cli_usage(cli,
				 "%s is enforced by the proxy, and %s is not one of its listeners",
				 name, service);
	for (int i = 0; i < FW_SETTING_COUNT; i++)
		if (cli_setting_applies((uint32_t)id, row->kind, i))
			nearest_offer(&nearest, setting_rows[i].name);
	return cli_usage(cli, "%s has no setting \"%s\"%s floodwall get %s shows those it has",
			 service, name, *cli_meant(&nearest, meant) ? meant : ";", service);
}

int cli_setting(struct cli *cli, const char *path, uint32_t *service, enum fw_setting *setting)
{
	const char *dot = strchr(path, '.');
	struct fw_service row;
	struct error error;
	char name[256];
	int id, index;

	if (!dot || (size_t)(dot - path) >= sizeof(name))
		return cli_usage(cli, "\"%s\" is not NAME.SETTING, such as https.source.syn_rate",
				 path);
	memcpy(name, path, (size_t)(dot - path));
	name[dot - path] = '\0';
	id = wall_service_find(cli->wall, name, &error);
	if (id < 0)
		return cli_no(cli, "%s", error.text);
	index = setting_find(dot + 1, id == FW_HOST_SERVICE);
	wall_service(cli->wall, (uint32_t)id, &row);
	if (index < 0 || !cli_setting_applies((uint32_t)id, row.kind, index))
		return refuse_setting(cli, name, &row, id, dot + 1);
	*service = (uint32_t)id;
	*setting = index;
	return STATUS_OK;
}

json_t *cli_describe_service(struct cli *cli, uint32_t id, json_t *rows)
{
	static const char *const kinds[] = {"free", "service", "listener"};
	struct fw_service_key *list = NULL;
	json_t *bindings = json_array(), *row;
	struct fw_service service;
	char text[ADDRESS_TEXT_SIZE];
	size_t count = 0;

	if (!wall_service(cli->wall, id, &service)) {
		json_decref(bindings);
		return NULL;
	}
	if (wall_service_bindings(cli->wall, id, &list, &count, NULL) < 0)
		count = 0;
	for (size_t i = 0; i < count; i++)
		json_array_append_new(bindings, json_string(binding_format(&list[i], text)));
	free(list);
	row = json_pack("{s:i, s:s, s:s, s:o}", "id", (int)id, "name", service.name, "kind",
			id == FW_HOST_SERVICE                 ? "host"
			: service.kind <= FW_SERVICE_LISTENER ? kinds[service.kind]
							      : "unknown",
			"bindings", bindings);
	json_array_append_new(rows, row);
	return row;
}
