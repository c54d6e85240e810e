/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * floodwall: loads, tunes and explains the filter. The table of verbs, help made from it, and main.
 *
 * No daemon is needed: every verb works on the pinned maps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/version.h"
#include "cli.h"

const struct verb verbs[] = {
#define FW_VERB(verb, takes, line, help, ...) {#verb, cmd_##verb, takes, line, help, {__VA_ARGS__}},
#include "verbs.def"
#undef FW_VERB
	{.name = NULL},
};

static const char help_tail[] =
	"\n"
	"Every verb takes --json and --help. Status: 0 done; 1 the answer is no (different, "
	"absent,\n"
	"invalid); 2 the command line is wrong; 3 it failed, and standard error says why.\n"
	"FLOODWALL_DEBUG=1 in the environment shows all that libbpf and libxdp have to say.\n";

const struct verb *verb_find(const char *name)
{
	for (const struct verb *verb = verbs; verb->name; verb++)
		if (strcmp(verb->name, name) == 0)
			return verb;
	return NULL;
}

static int refuse_verb(struct cli *cli, const char *name)
{
	struct nearest nearest = nearest_to(name);
	char meant[MEANT_SIZE];

	for (const struct verb *verb = verbs; verb->name; verb++)
		nearest_offer(&nearest, verb->name);
	return cli_usage(cli, "there is no verb \"%s\"%s", name, cli_meant(&nearest, meant));
}

static void help(FILE *out)
{
	fprintf(out,
		"Usage: floodwall VERB …\n"
		"Keeps TCP services reachable under floods: an XDP filter and what it knows.\n\n");
	for (const struct verb *verb = verbs; verb->name; verb++)
		fprintf(out, "  %-10s  %s\n", verb->name, verb->summary);
	fputs(help_tail, out);
}

/* An option's text may go over several lines. */
static void help_option(const struct option_row *option)
{
	char name[64];
	const char *line = option->text;
	int size;

	snprintf(name, sizeof(name), "%s%s%s%s", option->name[1] ? "--" : "-", option->name,
		 option->value ? " " : "", option->value ? option->value : "");
	for (const char *left = name; *line; left = "") {
		size = (int)strcspn(line, "\n");
		printf("  %-28s  %.*s\n", left, size, line);
		line += size + (line[size] == '\n');
	}
}

static void help_verb(const struct verb *verb)
{
	printf("Usage: floodwall %s%s%s%s\n%s\n", verb->name, *verb->arguments ? " " : "",
	       verb->arguments, verb->options[0].name ? " [OPTION…]" : "", verb->summary);
	if (verb->text)
		printf("\n%s\n", verb->text);
	printf("\n");
	for (const struct option_row *option = verb->options; option->name; option++)
		help_option(option);
	printf("  %-28s  %s\n", "--json", "answer as JSON");
	fputs(help_tail, stdout);
}

static int run(struct cli *cli, const char *name)
{
	bool wants_help = options_take_word(cli, "--help") || options_take_word(cli, "-h");
	int status;

	cli->json = options_take_word(cli, "--json");
	cli->verb = verb_find(name);
	if (!cli->verb)
		return refuse_verb(cli, name);
	if (wants_help) {
		help_verb(cli->verb);
		return STATUS_OK;
	}
	status = options_take(cli);
	if (status != STATUS_OK)
		return status;
	status = cli->verb->run(cli);
	wall_close(cli->wall);
	return status;
}

int main(int argc, char **argv)
{
	struct cli cli = {0};
	int first = 1, status;

	if (argc > 2 &&
	    strcmp(argv[1], "--json") == 0) { /* it may stand in front of the verb too */
		argv[1] = argv[2];
		argv[2] = "--json";
	}
	if (argc < 2) {
		help(stderr);
		return STATUS_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
		printf("floodwall %s\n", FLOODWALL_VERSION);
		return STATUS_OK;
	}
	if (strcmp(argv[1], "help") == 0 && argc > 2 && verb_find(argv[2])) {
		help_verb(verb_find(argv[2]));
		return STATUS_OK;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		help(stdout);
		return STATUS_OK;
	}
	cli.argc = argc - first - 1;
	cli.argv = argv + first + 1;
	status = run(&cli, argv[1]);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("floodwall: cannot write the answer");
		return STATUS_FAILED;
	}
	return status;
}
