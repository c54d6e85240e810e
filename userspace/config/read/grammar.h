/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which blocks and options there are, and the file read by them into libConfuse's tree.
 *
 * Every value is kept as it was written, with its line: what it means is decided in build/. Options
 * come from options.def, and from settings.def: "source.syn_rate" is syn_rate in a block source.
 */
#ifndef CONFIG_READ_GRAMMAR_H
#define CONFIG_READ_GRAMMAR_H

#include <confuse.h>
#include "config/diagnostics.h"
#include "config/read/source.h"

/* A value as written. */
struct grammar_value {
	int line;
	char text[];
};

/*
 * Reads all of @source, and says in @diagnostics which names are not known, which options are given
 * twice, and where the form is wrong. What was complained about is missing from the tree. Returns
 * the tree, for cfg_free(), even then; NULL without memory. *@whole: the text could be read to its
 * end; otherwise nothing follows from what the tree lacks.
 */
cfg_t *grammar_parse(struct source *source, struct diagnostics *diagnostics, bool *whole);

/* The @nth value of an option (0 for one that is no list), or NULL. */
const struct grammar_value *grammar_value(cfg_t *section, const char *option, size_t nth);

#endif
