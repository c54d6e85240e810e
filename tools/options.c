/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A command line taken apart: the words of a verb's options, wherever they stand among its
 * arguments, and what they say.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"

static int find_option(const struct verb *verb, const char *name)
{
	for (int i = 0; i < OPTIONS_MAX && verb->options[i].name; i++)
		if (strcmp(verb->options[i].name, name) == 0)
			return i;
	return -1;
}

const char *cli_option(const struct cli *cli, const char *name)
{
	return cli->values[find_option(cli->verb, name)];
}

static int refuse_option(struct cli *cli, const char *word)
{
	struct nearest nearest = nearest_to(word);
	char names[OPTIONS_MAX][32], meant[MEANT_SIZE];

	for (int i = 0; i < OPTIONS_MAX && cli->verb->options[i].name; i++) {
		snprintf(names[i], sizeof(names[i]), "--%s", cli->verb->options[i].name);
		nearest_offer(&nearest, names[i]);
	}
	nearest_offer(&nearest, "--json");
	nearest_offer(&nearest, "--help");
	return cli_usage(cli, "there is no option %s%s", word, cli_meant(&nearest, meant));
}

/* One word that begins with -; @next is the one after it. Returns how many words it took, or −1. */
static int take_option(struct cli *cli, char *word, char *next)
{
	bool is_long = word[1] == '-';
	char *name = word + 1 + is_long, *value = is_long ? strchr(name, '=') : NULL;
	int index;

	if (value)
		*value++ = '\0';
	index = find_option(cli->verb, name);
	if (index < 0 || is_long != (name[1] != '\0')) {
		refuse_option(cli, word);
		return -1;
	}
	if (!cli->verb->options[index].value) {
		if (value) {
			cli_usage(cli, "%s takes no value", word);
			return -1;
		}
		cli->values[index] = "";
		return 1;
	}
	cli->values[index] = value ? value : next;
	if (!cli->values[index]) {
		cli_usage(cli, "%s needs %s", word, cli->verb->options[index].value);
		return -1;
	}
	return value ? 1 : 2;
}

int options_take(struct cli *cli)
{
	int kept = 0, taken, i = 0;

	while (i < cli->argc) {
		char *word = cli->argv[i];

		if (strcmp(word, "--") == 0) {
			i++;
			break;
		}
		/* -1 is a number, which nobody takes, and is told so by whoever was to take it. */
		if (word[0] != '-' || word[1] == '\0' || isdigit((unsigned char)word[1])) {
			cli->argv[kept++] = word;
			i++;
			continue;
		}
		taken = take_option(cli, word, i + 1 < cli->argc ? cli->argv[i + 1] : NULL);
		if (taken < 0)
			return STATUS_USAGE;
		i += taken;
	}
	while (i < cli->argc)
		cli->argv[kept++] = cli->argv[i++];
	cli->argc = kept;
	return STATUS_OK;
}

bool options_take_word(struct cli *cli, const char *word)
{
	bool found = false;
	int kept = 0, i = 0;

	for (; i < cli->argc && strcmp(cli->argv[i], "--") != 0; i++) {
		if (strcmp(cli->argv[i], word) == 0)
			found = true;
		else
			cli->argv[kept++] = cli->argv[i];
	}
	for (; i < cli->argc; i++)
		cli->argv[kept++] = cli->argv[i];
	cli->argc = kept;
	return found;
}

long cli_option_number(struct cli *cli, const char *name, long min, long max, long initial)
{
	const char *text = cli_option(cli, name);
	char *end;
	long number;

	if (!text)
		return initial;
	errno = 0;
	number = strtol(text, &end, 10);
	if (errno || end == text || *end || number < min || number > max) {
		cli_usage(cli, "%s%s: \"%s\" is not a number from %ld to %ld", name[1] ? "--" : "-",
			  name, text, min, max);
		return -1;
	}
	return number;
}

int64_t cli_option_time(struct cli *cli, const char *name, uint64_t min, int64_t initial)
{
	struct setting_row row = {
		.name = name,
		.unit = UNIT_MILLISECONDS,
		.min = min,
		.max = 10ULL * 365 * 24 * 3600 * 1000,
	};
	const char *text = cli_option(cli, name);
	struct error error;
	uint64_t value;

	if (!text)
		return initial;
	if (setting_parse(&row, text, &value, &error) < 0) {
		cli_usage(cli, "--%s", error.text);
		return -1;
	}
	return (int64_t)value;
}
