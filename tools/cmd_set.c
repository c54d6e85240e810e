/* SPDX-License-Identifier: BSD-2-Clause */
/* set: one live setting, and what was written where. */
#include <inttypes.h>
#include <stdio.h>
#include "cli.h"

/* "14 00 00 00" of a little-endian number. */
static char *hex(uint64_t number, int bytes, char *buffer)
{
	char *end = buffer;

	for (int i = 0; i < bytes; i++)
		end += sprintf(end, "%s%02x", i ? " " : "",
			       (unsigned int)(number >> (8 * i) & 0xff));
	return buffer;
}

static json_t *answer(const struct cli *cli, uint32_t service, enum fw_setting setting,
		      uint64_t old, uint64_t value)
{
	const struct setting_row *row = &setting_rows[setting];
	uint32_t key = fw_setting_index(service, setting);
	char from[32], to[32], key_hex[16], value_hex[32], line[192];

	snprintf(line, sizeof(line), "bpftool map update pinned %s key hex %s value hex %s",
		 wall_pin_path("settings"), hex(key, 4, key_hex), hex(value, 8, value_hex));
	return json_pack("{s:s, s:I, s:s, s:I, s:s, s:s, s:s, s:I, s:s}", "name", cli->argv[0],
			 "old", (json_int_t)old, "old_text",
			 setting_format(row, old, from, sizeof(from)), "value", (json_int_t)value,
			 "text", setting_format(row, value, to, sizeof(to)), "map", "settings",
			 "pin", wall_pin_path("settings"), "key", (json_int_t)key, "bpftool", line);
}

static const char *word(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

int cmd_set(struct cli *cli)
{
	enum fw_setting setting;
	uint64_t value, old;
	struct error error;
	uint32_t service;
	json_t *said;
	int status;

	if (cli->argc != 2)
		return cli_usage(cli, "NAME.SETTING and VALUE are needed, such as "
				      "https.source.syn_rate 20");
	status = cli_wall(cli);
	if (status == STATUS_OK)
		status = cli_setting(cli, cli->argv[0], &service, &setting);
	if (status != STATUS_OK)
		return status;
	if (setting_parse(&setting_rows[setting], cli->argv[1], &value, &error) < 0)
		return cli_usage(cli, "%s", error.text);
	old = wall_setting(cli->wall, service, setting);
	if (wall_set(cli->wall, service, setting, value, &error) < 0)
		return cli_fail(cli, "%s", error.text);
	said = answer(cli, service, setting, old, value);
	if (cli->json) {
		output_json(said);
		return STATUS_OK;
	}
	printf("%s: %s, was %s\n", cli->argv[0], word(said, "text"), word(said, "old_text"));
	printf("map settings, key %u (service %u × %d + setting %d), value %" PRIu64 ":\n    %s\n",
	       fw_setting_index(service, setting), service, FW_SETTINGS_MAX, (int)setting, value,
	       word(said, "bpftool"));
	json_decref(said);
	return STATUS_OK;
}
