/* SPDX-License-Identifier: BSD-2-Clause */
/* rule: enforce or monitor; reasons: the table of verdicts. */
#include <stdio.h>
#include <string.h>
#include "cli.h"

static const char *const modes[] = {[FW_MODE_ENFORCE] = "enforce", [FW_MODE_MONITOR] = "monitor"};
static const char *const actions[] = {
	[FW_ACTION_PASS] = "pass",   [FW_ACTION_DROP] = "drop",   [FW_ACTION_REFUSE] = "refuse",
	[FW_ACTION_CLOSE] = "close", [FW_ACTION_FAULT] = "fault", [FW_ACTION_ANSWER] = "answer",
};

static json_t *describe(struct wall *wall, enum fw_verdict verdict)
{
	return json_pack("{s:s, s:s, s:s}", "reason", verdict_rows[verdict].label, "mode",
			 modes[wall_rule_mode(wall, verdict)], "text", verdict_rows[verdict].text);
}

int cmd_rule(struct cli *cli)
{
	static const struct column columns[] = {
		{"reason", "RULE"}, {"mode", "MODE"}, {"text", "DROPS"}, {NULL, NULL}};
	char meant[MEANT_SIZE];
	json_t *rows;
	struct error error;
	int verdict = -1, status;

	if (cli->argc > 2)
		return cli_usage(cli, "a reason and a mode, not %d words", cli->argc);
	if (cli->argc)
		verdict = verdict_find(cli->argv[0]);
	if (cli->argc && (verdict < 0 || verdict_rows[verdict].action != FW_ACTION_DROP))
		return cli_usage(cli, "\"%s\" is no rule of the filter%s floodwall rule shows them",
				 cli->argv[0],
				 *cli_meant_reason(cli->argv[0], true, meant) ? meant : ";");
	if (cli->argc == 2 && strcmp(cli->argv[1], modes[0]) != 0 &&
	    strcmp(cli->argv[1], modes[1]) != 0)
		return cli_usage(cli, "the mode is enforce or monitor, not \"%s\"", cli->argv[1]);
	status = cli_wall(cli);
	if (status != STATUS_OK)
		return status;
	if (cli->argc == 2 &&
	    wall_set_rule_mode(cli->wall, verdict, strcmp(cli->argv[1], modes[1]) == 0, &error) < 0)
		return cli_fail(cli, "%s", error.text);
	rows = json_array();
	for (int i = FW_NONE + 1; i < FW_VERDICT_COUNT; i++)
		if (verdict_rows[i].action == FW_ACTION_DROP && (verdict < 0 || verdict == i))
			json_array_append_new(rows, describe(cli->wall, i));
	return output_rows(cli, columns, rows, "");
}

int cmd_reasons(struct cli *cli)
{
	static const struct column columns[] = {{"reason", "REASON"},
						{"action", "ACTION"},
						{"status", "HTTP"},
						{"text", "TEXT"},
						{NULL, NULL}};
	json_t *rows;

	if (cli->argc)
		return cli_usage(cli, "reasons takes no arguments");
	rows = json_array();
	for (int i = FW_NONE + 1; i < FW_VERDICT_COUNT; i++) {
		const struct verdict_row *row = &verdict_rows[i];

		json_array_append_new(
			rows, json_pack("{s:s, s:s, s:o, s:s}", "reason", row->label, "action",
					actions[row->action], "status",
					row->status ? json_integer(row->status) : json_null(),
					"text", row->text));
	}
	return output_rows(cli, columns, rows, "");
}
