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

#define NO_OPTIONS                                                                                 \
	{                                                                                          \
		{                                                                                  \
			NULL, NULL, NULL                                                           \
		}                                                                                  \
	}

/* clang-format off */
const struct verb verbs[] = {
	{"attach", cmd_attach, "[INTERFACE…]",
	 "load the filter, or replace it, and apply the configuration",
	 "Without INTERFACE those of the configuration are taken. All or nothing: if one interface\n"
	 "refuses, none is changed. A program that is not Floodwall's is never replaced. Where the\n"
	 "filter runs already it is exchanged without a gap, and every list, count and connection\n"
	 "stays. floodwall upgrade does that without the configuration.\n"
	 "The configuration is " CONFIG_PATH_DEFAULT " if that exists, or the one named.\n"
	 "No sysctl is changed without --set-sysctls; which ones a tier wants otherwise is said.\n"
	 "Tables keep the sizes they were made with until floodwall detach --all.",
	 {{"mode", "native|generic|auto", "where XDP runs: in the driver, after it, or where it can\n(auto keeps the mode of an interface that has the filter)"},
	  {"config", "FILE", "the configuration"},
	  {"tier", "own|kernel|drop|auto", "how newcomers are challenged: by our SYN cookies, by the\nkernel's, or not at all; auto: the first of them that can be"},
	  {"set-sysctls", NULL, "set the sysctls that the tier wants, and say how to keep them"},
	  {"cgroup", "PATH", "track connections of this cgroup-v2 directory only"},
	  {"keep", NULL, "keep live settings that differ from the configuration"}}},
	{"detach", cmd_detach, "[INTERFACE…]",
	 "take the filter off interfaces (all of them, if none is named)",
	 "Maps stay, and connections are still tracked, so that attaching again goes on with the\n"
	 "same lists, settings and counts. With --all everything is removed and forgotten; a running\n"
	 "floodwalld has to be restarted then.",
	 {{"all", NULL, "remove the filter, tracking and every map"}}},
	{"upgrade", cmd_upgrade, "",
	 "put this version's programs in the place of those that run",
	 "Wherever the filter is attached its program is exchanged in one step, and so are admission\n"
	 "and tracking: no packet goes unfiltered, and policy, lists, counts, verified sources,\n"
	 "connections, modes and tiers stay. Programs that are the same stay as well. A running floodwalld goes on with\n"
	 "the same maps; restart it to have its new version too.\n"
	 "If this version's maps are of another form nothing is done, and what to do is said.",
	 {{"force", NULL, "exchange programs that are the same, too"}}},
	{"status", cmd_status, "",
	 "what is attached, how full the tables are, what was passed and dropped",
	 "Faults (what Floodwall could not do, and let pass) and rules in monitor mode are marked\n"
	 "with !!. Status 0 if the filter is attached somewhere and connections are tracked, else 1.",
	 NO_OPTIONS},
	{"set", cmd_set, "NAME.SETTING VALUE",
	 "change a live setting: it counts from the next packet or request on",
	 "NAME is a service, or host. Times have a unit (250ms, 10s, 5m, 1h), bytes may (64k, 10m),\n"
	 "switches are on or off. floodwall get shows names and values, floodwall diff what differs\n"
	 "from the configuration.\n"
	 "The answer says which map, key and value were written. bpftool does the same:\n"
	 "    bpftool map update pinned /sys/fs/bpf/floodwall/settings \\\n"
	 "        key hex 46 00 00 00 value hex 14 00 00 00 00 00 00 00\n"
	 "where the key is service id × 64 + number of the setting, and both are little-endian.",
	 NO_OPTIONS},
	{"get", cmd_get, "[NAME[.SETTING]]",
	 "live settings of a service, of the host, or of everything", NULL,
	 NO_OPTIONS},
	{"diff", cmd_diff, "",
	 "how the live policy differs from the configuration",
	 "Status 0 if it does not, 1 if it does.",
	 {{"config", "FILE", "the configuration (" CONFIG_PATH_DEFAULT ")"}}},
	{"service", cmd_service, "add NAME BINDING… | remove NAME | list",
	 "protect any TCP server of this host",
	 "BINDING is ADDRESS:PORT, [ADDRESS]:PORT, or *:PORT for IPv4 and IPv6. Adding a service\n"
	 "that exists gives it these bindings. A new one has the default settings. What the\n"
	 "configuration names is a service as well; it changes with the configuration only.",
	 NO_OPTIONS},
	{"block", cmd_block, "CIDR…", "drop everything from these sources",
	 "Blocking what is blocked replaces time and note. The allow list is asked first.",
	 {{"for", "TIME", "until then (10m, 24h); for ever if not given"},
	  {"note", "TEXT", "a word on why, up to 39 bytes"}}},
	{"unblock", cmd_unblock, "CIDR…", "take sources off the block list",
	 "Status 1 if one was not on it.",
	 NO_OPTIONS},
	{"blocks", cmd_blocks, "", "the block list", NULL, NO_OPTIONS},
	{"allow", cmd_allow, "CIDR…", "ask nothing of these sources", NULL,
	 {{"for", "TIME", "until then (10m, 24h); for ever if not given"},
	  {"note", "TEXT", "a word on why, up to 39 bytes"}}},
	{"unallow", cmd_unallow, "CIDR…", "take sources off the allow list",
	 "Status 1 if one was not on it.",
	 NO_OPTIONS},
	{"allows", cmd_allows, "", "the allow list", NULL, NO_OPTIONS},
	{"list", cmd_list, "load NAME FILE | drop NAME | show [NAME|ADDRESS]",
	 "lists of any size, loaded from files and replaced whole",
	 "A line of FILE (- is standard input) is an address or a CIDR block and, if it is not for\n"
	 "ever, a time (10m, 24h); comments begin with # or ;. If one line is wrong nothing is loaded.\n"
	 "Loading a NAME that exists replaces that list: every packet meets the old or the new one.\n"
	 "Lists of the configuration (list NAME { file = … }) are loaded when it is applied.\n"
	 "A source that any list allows passes, whatever blocks it; show ADDRESS says what lists have\n"
	 "it. Single addresses for a while are\n"
	 "for floodwall block, which needs no file.",
	 {{"action", "block|allow", "what becomes of the sources (block)"},
	  {"for", "TIME", "of lines that name no time; for ever if not given"},
	  {"entries", NULL, "show NAME with every entry"}}},
	{"rekey", cmd_rekey, "[FILE]",
	 "a new secret for SYN cookies; handshakes that are under way go on",
	 "The secret is the one in FILE, or in the configuration's filter.cookie_secret, which other\n"
	 "hosts have too; else a random one. Those before it are accepted for two minutes more. There\n"
	 "is room for three of them: if all are needed, status is 1, and nothing was done.\n"
	 "A FILE has 32 hexadecimal digits, and nobody but its owner can read it.",
	 {{"write", "FILE", "only make a file with a new secret, for all hosts of a fleet"},
	  {"config", "FILE", "the configuration"},
	  {"wait", NULL, "until there is room"},
	  {"force", NULL, "if there is no room, forget the oldest secret"}}},
	{"top", cmd_top, "", "who holds the most connections, and who is dropped most",
	 "Drops are estimated from sampled events: each one tells how many packets it stands for.\n"
	 "With --json each refresh is an object on a line of its own.",
	 {{"by", "source|prefix", "IPv4 address or IPv6 /64; or its /24 or /48"},
	  {"n", "N", "lines of each table (10)"},
	  {"once", NULL, "print once and end"},
	  {"interval", "TIME", "between refreshes (2s)"}}},
	{"upstreams", cmd_upstreams, "", "servers of upstreams: how each of them is",
	 "up: requests go there. trial: it was ejected, and gets a few. ejected: requests met errors,\n"
	 "or it was much slower than its peers. down: the active checks say so. nowhere: its name has\n"
	 "no address. With a + the state is ignored, since too few are up.\n"
	 "The proxy writes the figures twice a second; without one they are those of its end.",
	 NO_OPTIONS},
	{"events", cmd_events, "", "the newest sampled events",
	 "With --follow and --json each event is an object on a line of its own.",
	 {{"follow", NULL, "go on as they happen"},
	  {"reason", "REASON", "only these"},
	  {"n", "N", "at most so many, the newest (20)"}}},
	{"rule", cmd_rule, "[REASON [monitor|enforce]]",
	 "rules of the filter: enforced, or only counted and sampled",
	 "In monitor mode a packet that the rule condemns is counted as \"would\" and goes on.",
	 NO_OPTIONS},
	{"check", cmd_check, "[FILE]", "check a configuration",
	 "FILE is " CONFIG_PATH_DEFAULT " if not given. Every mistake is a line with file and line\n"
	 "number. Nothing is applied. Status 0 if it is valid, 1 if not.",
	 NO_OPTIONS},
	{"reload", cmd_reload, "",
	 "have floodwalld take its configuration over, and say how that went",
	 "Waits until the new configuration serves. Whatever is wrong with it is said with file and\n"
	 "line, and then nothing has changed. No connection is lost: those that are open belong to the\n"
	 "proxy that served before, which has proxy.drain to finish what it has begun.\n"
	 "Status 0 if it was taken over, 1 if it was refused.",
	 {{"binary", NULL, "go over to the floodwalld that is installed, too; it is asked first\nwhether it can"},
	  {"timeout", "SECONDS", "for the answer; 120 if not given"}}},
	{"reasons", cmd_reasons, "", "every reason to pass, drop, refuse or close", NULL, NO_OPTIONS},
	{"completion", cmd_completion, "bash", "completion for a shell",
	 "    floodwall completion bash > /etc/bash_completion.d/floodwall",
	 NO_OPTIONS},
	{NULL, NULL, NULL, NULL, NULL, NO_OPTIONS},
};
/* clang-format on */

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
		cli_usage(cli, "there is no option %s", word);
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

/* Takes options out of cli->argv, wherever they stand; after -- there are none. */
static int take_options(struct cli *cli)
{
	int kept = 0, taken, i = 0;

	while (i < cli->argc) {
		char *word = cli->argv[i];

		if (strcmp(word, "--") == 0) {
			i++;
			break;
		}
		if (word[0] != '-' || word[1] == '\0') {
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

/* Whether @word is among the arguments, in front of any --; it is taken out. */
static bool take_word(struct cli *cli, const char *word)
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

static int run(struct cli *cli, const char *name)
{
	bool wants_help = take_word(cli, "--help") || take_word(cli, "-h");
	int status;

	cli->json = take_word(cli, "--json");
	cli->verb = verb_find(name);
	if (!cli->verb)
		return cli_usage(cli, "there is no verb \"%s\"", name);
	if (wants_help) {
		help_verb(cli->verb);
		return STATUS_OK;
	}
	status = take_options(cli);
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
