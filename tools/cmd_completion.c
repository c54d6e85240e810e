/* SPDX-License-Identifier: BSD-2-Clause */
/* completion: a script for bash, made from the table of verbs. */
#include <stdio.h>
#include <string.h>
#include "cli.h"
#include "config/options.h"

/* The words that an argument or option value may be: "native|generic|auto" without its bars. */
static void print_words(const char *text)
{
	for (; *text; text++)
		putchar(strchr("|[]", *text) ? ' ' : *text);
}

static void print_option_values(const struct verb *verb)
{
	for (int i = 0; i < OPTIONS_MAX && verb->options[i].name; i++) {
		const struct option_row *option = &verb->options[i];

		if (!option->value || !strchr(option->value, '|'))
			continue;
		printf("\t%s:--%s) words=\"", verb->name, option->name);
		print_words(option->value);
		printf("\" ;;\n");
	}
}

static void print_verb(const struct verb *verb)
{
	char path[96];

	printf("\t%s:*) words=\"--json --help", verb->name);
	for (int i = 0; i < OPTIONS_MAX && verb->options[i].name; i++)
		printf(" %s%s", verb->options[i].name[1] ? "--" : "-", verb->options[i].name);
	if (strcmp(verb->name, "service") == 0)
		printf(" add remove list");
	for (size_t i = 0; strcmp(verb->name, "options") == 0 && i < config_place_count; i++)
		printf(" %s", config_place_path(&config_places[i], path, sizeof(path)));
	if (strcmp(verb->name, "rule") == 0) {
		for (int i = FW_NONE + 1; i < FW_VERDICT_COUNT; i++)
			if (verdict_rows[i].action == FW_ACTION_DROP)
				printf(" %s", verdict_rows[i].label);
		printf(" enforce monitor");
	}
	if (strcmp(verb->name, "attach") == 0 || strcmp(verb->name, "detach") == 0)
		printf(" $(ls /sys/class/net)");
	printf("\" ;;\n");
}

int cmd_completion(struct cli *cli)
{
	if (cli->argc > 1 || (cli->argc == 1 && strcmp(cli->argv[0], "bash") != 0))
		return cli_usage(cli, "the only shell there is completion for is bash");
	if (cli->json) {
		json_t *names = json_array();

		for (const struct verb *verb = verbs; verb->name; verb++)
			json_array_append_new(names, json_string(verb->name));
		output_json(names);
		return STATUS_OK;
	}
	printf("# Completion of floodwall for bash, made by: floodwall completion bash\n"
	       "_floodwall()\n{\n"
	       "\tlocal words verb=${COMP_WORDS[1]} last=${COMP_WORDS[COMP_CWORD-1]}\n"
	       "\tlocal word=${COMP_WORDS[COMP_CWORD]}\n"
	       "\tif [ \"$COMP_CWORD\" = 1 ]; then verb= last=; fi\n"
	       "\tcase \"$verb:$last\" in\n"
	       "\t*:--config) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
	       "\tcheck:*) COMPREPLY=($(compgen -f -W '--json --help' -- \"$word\")); return ;;\n");
	for (const struct verb *verb = verbs; verb->name; verb++)
		print_option_values(verb);
	for (const struct verb *verb = verbs; verb->name; verb++)
		if (strcmp(verb->name, "check") != 0)
			print_verb(verb);
	printf("\t*) words=\"--help --version");
	for (const struct verb *verb = verbs; verb->name; verb++)
		printf(" %s", verb->name);
	printf("\" ;;\n\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n"
	       "complete -F _floodwall floodwall\n");
	return STATUS_OK;
}
