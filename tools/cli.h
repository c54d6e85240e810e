/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line: verbs are rows of one table (verbs.def), and what every verb needs is here.
 *
 * A verb builds its answer as JSON first; the text is made from the same values. So the two can't
 * disagree, and --json is complete by construction.
 */
#ifndef TOOLS_CLI_H
#define TOOLS_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/clock.h"
#include "base/error.h"
#include "base/nearest.h"
#include "config/config.h"
#include "wall/wall.h"

/* Exit statuses. */
enum status {
	STATUS_OK,
	STATUS_NO,     /* the answer is no: different, absent, invalid */
	STATUS_USAGE,  /* the command line is wrong; nothing was done */
	STATUS_FAILED, /* it could not be done; standard error says why and what to do */
};

/* An option of a verb. A name of one letter is written -n, any other --name. */
struct option_row {
	const char *name;
	const char *value; /* what stands after it, for people; NULL: nothing does */
	const char *text;
};

#define OPTIONS_MAX 8

struct cli;

struct verb {
	const char *name;
	int (*run)(struct cli *cli); /* returns enum status */
	const char *arguments;       /* for people: "CIDR…" */
	const char *summary;         /* one line */
	const char *text;            /* the rest of the help; NULL: nothing more */
	struct option_row options[OPTIONS_MAX];
};

/* A command line, taken apart. */
struct cli {
	const struct verb *verb;
	bool json;
	int argc; /* what is left: arguments without verb and options */
	char **argv;
	const char *values[OPTIONS_MAX]; /* of the verb's options; NULL: not given */
	struct wall *wall;               /* open once cli_wall() was called */
};

/* Takes the verb's options out of cli->argv, wherever they stand; after -- there are none. Returns
 * enum status. */
int options_take(struct cli *cli);
/* Whether @word is among the arguments, in front of any --; it is taken out. */
bool options_take_word(struct cli *cli, const char *word);
/* Value of the verb's option, "" for one that takes none; NULL: not given. */
const char *cli_option(const struct cli *cli, const char *name);
/* The option as a number of @min to @max, or @initial; −1 after saying what is wrong. */
long cli_option_number(struct cli *cli, const char *name, long min, long max, long initial);
/* The option as a time ("10m") in milliseconds, or @initial; −1 after saying what is wrong. */
int64_t cli_option_time(struct cli *cli, const char *name, uint64_t min, int64_t initial);

/* Opens cli->wall; STATUS_OK or what to return. main() closes it. */
int cli_wall(struct cli *cli);
/* Whether a floodwalld answers on this host. */
bool cli_daemon_runs(void);
/* The configuration that --config names, or the usual one if it exists; NULL: neither. STATUS_OK or
 * what to return. */
int cli_config(struct cli *cli, struct config **config);
/* "https.source.syn_rate" → service id and setting; STATUS_OK or what to return. */
int cli_setting(struct cli *cli, const char *path, uint32_t *service, enum fw_setting *setting);
/* Appends {"id", "name", "kind", "bindings"} of a service to @rows and returns it; NULL: the id is
 * free. */
json_t *cli_describe_service(struct cli *cli, uint32_t id, json_t *rows);
/* Whether a service of that kind has a use for the setting. */
bool cli_setting_applies(uint32_t service, enum fw_service_kind kind, enum fw_setting setting);

/* Say what is wrong: on standard error, and as {"error": …} with --json. Return the status. */
int cli_usage(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
int cli_fail(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
int cli_no(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "; did you mean …?" for the end of a diagnostic, or "". */
#define MEANT_SIZE 96
const char *cli_meant(const struct nearest *nearest, char text[MEANT_SIZE]);
/* The same for a reason: of every kind, or of the filter's rules alone. */
const char *cli_meant_reason(const char *word, bool rules_only, char text[MEANT_SIZE]);

/* A column of a table: the key in the rows, and its heading. */
struct column {
	const char *key;
	const char *heading;
};

/* Prints and releases an answer. */
void output_json(json_t *answer);
/* Prints an array of objects as a table, numbers to the right; columns end with a NULL key. Nothing
 * is printed for no rows. */
void output_table(const struct column *columns, const json_t *rows);
/* The answer of a verb that lists things: JSON if that was asked for, else a table, or @none for no
 * rows. Releases @rows; returns STATUS_OK. */
int output_rows(const struct cli *cli, const struct column *columns, json_t *rows,
		const char *none);
/* "2 days", "3 h", "10 s": about how long, for people. */
const char *output_duration(uint64_t ns, char buffer[32]);
/* "2026-03-01T12:00:00.123Z" of nanoseconds since 1970. */
const char *output_time(uint64_t ns, char buffer[40]);

/* Rows of servers that are older than this are of a proxy that is gone: it writes twice a second.
 */
#define SERVERS_OLD_NS (3 * CLOCK_SEC)

extern const struct verb verbs[];
const struct verb *verb_find(const char *name);

#define FW_VERB(verb, ...) int cmd_##verb(struct cli *cli);
#include "verbs.def"
#undef FW_VERB

#endif
