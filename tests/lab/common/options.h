/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Command lines of the lab's programs: a table of long options, read into variables.
 *
 * A wrong command line ends the program with status 2 and says why; --help lists the table.
 */
#ifndef LAB_OPTIONS_H
#define LAB_OPTIONS_H

#include <stddef.h>

enum option_type {
	OPTION_TEXT,     /* const char * */
	OPTION_COUNT,    /* uint64_t */
	OPTION_SECONDS,  /* double */
	OPTION_SWITCH,   /* bool: given or not */
	OPTION_ENDPOINT, /* struct endpoint */
	OPTION_PREFIX,   /* struct prefix */
};

struct option_row {
	const char *name; /* without the dashes */
	enum option_type type;
	void *value; /* holds the default before */
	const char *text;
};

/* Reads all of argv, or exits. @about is the first line of --help. */
void options_read(int argc, char **argv, const char *about, const struct option_row *rows,
		  size_t count);

/* Says what is wrong with the command line and exits with status 2. */
_Noreturn void options_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
