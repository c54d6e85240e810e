/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rows of options.def as tables: which blocks the configuration has, where they stand, and what
 * may be said in each. What was written is read by build/, by these rows.
 */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "contract/rows.h"

enum config_block {
	BLOCK_ROOT,
#define CONFIG_BLOCK(id, type) BLOCK_##id,
#include "config/options.def"
};

/* How often a block may be written. */
enum config_form { FORM_ONE, FORM_OPTIONAL, FORM_MANY, FORM_NAMED };

struct config_place {
	enum config_block outer;
	const char *name;
	enum config_form form;
	enum config_block block;
};

enum config_kind {
	KIND_COUNT,
	KIND_RATE,
	KIND_TIME,
	KIND_BYTES,
	KIND_SWITCH, /* a number, too, as those above */
	KIND_WORD,
	KIND_WORDS,
	KIND_TEXT,
	KIND_PATH,
	KIND_FILE,
	KIND_FILES,
	KIND_STATUSES,
	KIND_CODED,
};

/* A row of options.def. */
struct config_option {
	enum config_block block;
	const char *name;
	enum config_kind kind;
	bool list;                /* { "one", "two" } may be written */
	uint64_t least, most;     /* of a number; of a WORD, least is the first one's value */
	const char *const *words; /* of WORD and WORDS, to NULL */
	const char *form;         /* what is written, for people; of a PATH the word instead */
	const char *initial;      /* NULL: none */
	size_t offset, size;      /* in the block's struct; CODED has no place there */
	const char *text;
};

extern const struct config_place config_places[];
extern const size_t config_place_count;
extern const struct config_option config_options[];
extern const size_t config_option_count;

static inline bool config_option_is_number(const struct config_option *option)
{
	return option->kind <= KIND_SWITCH;
}

/* The range of one that is a number, as a row that setting_parse() takes. */
struct setting_row config_option_range(const struct config_option *option);
/* "off, tcp or http": @words to NULL. Returns @buffer. */
const char *config_words(const char *const *words, char *buffer, size_t size);
/* What may be written, for people: "50ms to 1h", "off, tcp or http", "CIDR…". */
const char *config_option_values(const struct config_option *option, char *buffer, size_t size);
/* "upstream.health". Returns @buffer. */
const char *config_place_path(const struct config_place *place, char *buffer, size_t size);
/* Whether the block has an option for the live setting, too. */
bool config_block_has_setting(enum config_block block, const struct setting_row *row);
/* Releases what the options of a block hold; not the struct itself. */
void config_options_free(enum config_block block, void *values);

#endif
