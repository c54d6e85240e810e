/* SPDX-License-Identifier: BSD-2-Clause */
/* rekey: a new secret for SYN cookies, or a file with one. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "contract/secret_file.h"
#include "cli.h"

static int write_file(struct cli *cli, const char *path)
{
	struct error error;

	if (cli->argc || cli_option(cli, "wait") || cli_option(cli, "force"))
		return cli_usage(cli,
				 "--write FILE only makes the file: nothing else goes with it");
	if (secret_file_write(path, &error) < 0)
		return cli_fail(cli, "%s", error.text);
	if (cli->json)
		output_json(json_pack("{s:s}", "written", path));
	else
		printf("%s: a new secret; copy it to every host of the fleet, then run floodwall "
		       "rekey on each\n",
		       path);
	return STATUS_OK;
}

/* The file that is named, or the configuration's; NULL: a random secret. */
static int choose_file(struct cli *cli, const struct config *config, const char **file)
{
	struct wall_secret now;
	struct error error;

	*file = cli->argc ? cli->argv[0] : config ? config->filter.cookie_secret : NULL;
	if (*file || config)
		return STATUS_OK;
	if (wall_secret(cli->wall, &now, &error) < 0)
		return cli_fail(cli, "%s", error.text);
	if (now.shared)
		return cli_usage(cli,
				 "the secret is shared with other hosts, but no file is named, "
				 "and there is no configuration that does");
	return STATUS_OK;
}

/* With --wait, until there is room for one more. */
static int take(struct cli *cli, const char *file, struct error *error)
{
	bool force = cli_option(cli, "force") != NULL, wait = cli_option(cli, "wait") != NULL;
	struct wall_secret now;
	int result;

	while ((result = wall_rekey(cli->wall, file, force, error)) == -EBUSY && wait) {
		if (wall_secret(cli->wall, &now, error) < 0)
			return -EIO;
		if (now.room_ns > clock_now_ns())
			usleep((useconds_t)((now.room_ns - clock_now_ns()) / 1000 + 1));
	}
	return result;
}

static int report(struct cli *cli, const char *file, const struct wall_secret *before)
{
	struct wall_secret now;
	struct error error;
	char fingerprint[9];
	bool changed;

	if (wall_secret(cli->wall, &now, &error) < 0)
		return cli_fail(cli, "%s", error.text);
	changed = now.made_ns != before->made_ns;
	snprintf(fingerprint, sizeof(fingerprint), "%08" PRIx32, now.fingerprint);
	if (cli->json)
		output_json(json_pack("{s:b, s:s?, s:s, s:I}", "changed", changed, "file", file,
				      "fingerprint", fingerprint, "accepted",
				      (json_int_t)now.accepted));
	else if (!changed)
		printf("the secret in %s is in force already (fingerprint %s)\n", file,
		       fingerprint);
	else
		printf("SYN cookies have a new secret%s%s (fingerprint %s); still accepted: %zu "
		       "before it\n",
		       file ? " from " : "", file ? file : "", fingerprint, now.accepted);
	return STATUS_OK;
}

static int rekey(struct cli *cli, const struct config *config)
{
	struct wall_secret before;
	struct error error;
	const char *file;
	int result, status = choose_file(cli, config, &file);

	if (status != STATUS_OK)
		return status;
	if (wall_secret(cli->wall, &before, &error) < 0)
		return cli_fail(cli, "%s", error.text);
	result = take(cli, file, &error);
	if (result == -EBUSY)
		return cli_no(cli, "%s", error.text);
	return result < 0 ? cli_fail(cli, "%s", error.text) : report(cli, file, &before);
}

int cmd_rekey(struct cli *cli)
{
	const char *path = cli_option(cli, "write");
	struct config *config;
	int status;

	if (path)
		return write_file(cli, path);
	if (cli->argc > 1)
		return cli_usage(cli, "one file, not %d", cli->argc);
	status = cli_wall(cli);
	if (status == STATUS_OK)
		status = cli_config(cli, &config);
	if (status != STATUS_OK)
		return status;
	status = rekey(cli, config);
	config_free(config);
	return status;
}
