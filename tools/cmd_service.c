/* SPDX-License-Identifier: BSD-2-Clause */
/* service add, remove, list: which servers of this host are protected. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"

#define BINDINGS_MAX 128

/* What the configuration names changes with it; the proxy serves its listeners under their ids. */
static int refuse_configured(struct cli *cli, const char *name)
{
	struct fw_service service;
	int id = wall_service_find(cli->wall, name, NULL);

	if (id > 0 && wall_service(cli->wall, (uint32_t)id, &service) &&
	    service.kind == FW_SERVICE_LISTENER)
		return cli_fail(
			cli,
			"%s is a listener of the configuration: change the file, and reload "
			"floodwalld or attach again",
			name);
	return STATUS_OK;
}

static int add(struct cli *cli)
{
	struct fw_service_key keys[BINDINGS_MAX + 2];
	size_t count = 0, parsed;
	struct error error;
	int id, status;

	if (cli->argc < 3)
		return cli_usage(cli,
				 "a name and bindings are needed, such as: service add ssh *:22");
	for (int i = 2; i < cli->argc; i++) {
		if (count >= BINDINGS_MAX)
			return cli_usage(cli, "more than %d bindings", BINDINGS_MAX);
		if (binding_parse(cli->argv[i], IPPROTO_TCP, keys + count, &parsed, &error) < 0)
			return cli_usage(cli, "%s", error.text);
		count += parsed;
	}
	status = cli_wall(cli);
	if (status == STATUS_OK)
		status = refuse_configured(cli, cli->argv[1]);
	if (status != STATUS_OK)
		return status;
	id = wall_service_put(cli->wall, cli->argv[1], FW_SERVICE_PLAIN, keys, count, &error);
	if (id < 0)
		return cli_fail(cli, "%s", error.text);
	if (cli->json)
		output_json(json_pack("{s:s, s:i}", "name", cli->argv[1], "id", id));
	else
		printf("%s is protected (service %d); floodwall get %s shows its limits\n",
		       cli->argv[1], id, cli->argv[1]);
	return STATUS_OK;
}

static int drop(struct cli *cli)
{
	struct error error;
	int result, status;

	if (cli->argc != 2)
		return cli_usage(cli, "one name is needed");
	status = cli_wall(cli);
	if (status == STATUS_OK)
		status = refuse_configured(cli, cli->argv[1]);
	if (status != STATUS_OK)
		return status;
	result = wall_service_remove(cli->wall, cli->argv[1], &error);
	if (result == -ENOENT)
		return cli_no(cli, "%s", error.text);
	if (result < 0)
		return cli_fail(cli, "%s", error.text);
	if (cli->json)
		output_json(json_pack("{s:s}", "removed", cli->argv[1]));
	else
		printf("%s is not protected any more\n", cli->argv[1]);
	return STATUS_OK;
}

static int list(struct cli *cli)
{
	static const struct column columns[] = {{"id", "ID"},
						{"name", "NAME"},
						{"kind", "KIND"},
						{"bindings", "BINDINGS"},
						{NULL, NULL}};
	json_t *rows;
	int status = cli_wall(cli);

	if (status != STATUS_OK)
		return status;
	rows = json_array();
	for (uint32_t id = 1; id < FW_SERVICES_MAX; id++)
		cli_describe_service(cli, id, rows);
	return output_rows(cli, columns, rows,
			   "nothing is protected: floodwall service add NAME BINDING\n");
}

int cmd_service(struct cli *cli)
{
	const char *what = cli->argc ? cli->argv[0] : "list";

	if (strcmp(what, "add") == 0)
		return add(cli);
	if (strcmp(what, "remove") == 0)
		return drop(cli);
	if (strcmp(what, "list") == 0)
		return cli->argc > 1 ? cli_usage(cli, "list takes no arguments") : list(cli);
	return cli_usage(cli, "service add, remove or list, not \"%s\"", what);
}
