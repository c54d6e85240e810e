/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.def as tables. A row whose member can't hold its kind does not compile.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/config.h"
#include "config/options.h"

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static const char *const balance_words[] = {
#define FW_BALANCE(id, word) #word,
#include "config/balance.def"
#undef FW_BALANCE
	NULL};

const struct config_place config_places[] = {
#define CONFIG_PLACE(outer, name, form, block) {BLOCK_##outer, #name, FORM_##form, BLOCK_##block},
#include "config/options.def"
};
const size_t config_place_count = sizeof(config_places) / sizeof(config_places[0]);

/* --- what a member has to be ------------------------------------------------------------------ */

/* clang-format off */
#define NUMBER uint16_t: 1, uint32_t: 1, uint64_t: 1
#define CHOICE bool: 1, uint16_t: 1, uint32_t: 1, const char *: 1

#define HOLDS_COUNT(...)     NUMBER
#define HOLDS_RATE(...)      NUMBER
#define HOLDS_TIME(...)      NUMBER
#define HOLDS_BYTES(...)     NUMBER
#define HOLDS_SWITCH         bool: 1
#define HOLDS_WORD(...)      CHOICE
#define HOLDS_WORD_FROM(...) CHOICE
#define HOLDS_WORD_OF(...)   CHOICE
#define HOLDS_WORDS(...)     uint32_t: 1
#define HOLDS_TEXT(...)      char *: 1
#define HOLDS_PATH           char *: 1
#define HOLDS_PATH_OR(...)   char *: 1
#define HOLDS_A_FILE         struct config_file: 1
#define HOLDS_FILES          struct config_files: 1
#define HOLDS_ONE_OF_FILES   struct config_files: 1
#define HOLDS_STATUSES       struct config_statuses: 1

#define CONFIG_BLOCK(id, type) typedef struct type block_##id __attribute__((unused));
#define CONFIG_OPTION(id, name, kind, initial, member, text) \
	_Static_assert(_Generic(((block_##id *)NULL)->member, HOLDS_##kind, default: 0), \
		       #id "." #name " does not fit into " #member);
#include "config/options.def"

/* --- the rows --------------------------------------------------------------------------------- */

#define NUMBER_OF(kind_, from, to) .kind = KIND_##kind_, .least = (from), .most = (to)
#define WORDS_OF(...) .words = (const char *const[]){__VA_ARGS__, NULL}

#define COUNT(from, to)       NUMBER_OF(COUNT, from, to)
#define RATE(from, to)        NUMBER_OF(RATE, from, to)
#define TIME(from, to)        NUMBER_OF(TIME, from, to)
#define BYTES(from, to)       NUMBER_OF(BYTES, from, to)
#define SWITCH                NUMBER_OF(SWITCH, 0, 1)
#define WORD(...)             .kind = KIND_WORD, WORDS_OF(__VA_ARGS__)
#define WORD_FROM(first, ...) .kind = KIND_WORD, .least = (first), WORDS_OF(__VA_ARGS__)
#define WORD_OF(array)        .kind = KIND_WORD, .words = (array)
#define WORDS(...)            .kind = KIND_WORDS, .list = true, WORDS_OF(__VA_ARGS__)
#define TEXT(what)            .kind = KIND_TEXT, .form = (what)
#define PATH                  .kind = KIND_PATH
#define PATH_OR(word)         .kind = KIND_PATH, .form = (word)
#define A_FILE                .kind = KIND_FILE
#define FILES                 .kind = KIND_FILES, .list = true
#define ONE_OF_FILES          .kind = KIND_FILES
#define STATUSES              .kind = KIND_STATUSES, .list = true
#define ONE_(what)            .kind = KIND_CODED, .form = (what)
#define LIST_(what)           .kind = KIND_CODED, .form = (what), .list = true
/* clang-format on */

const struct config_option config_options[] = {
#define CONFIG_OPTION(id, name_, kind_, initial_, member, text_)                                   \
	{.block = BLOCK_##id,                                                                      \
	 .name = #name_,                                                                           \
	 kind_,                                                                                    \
	 .initial = initial_,                                                                      \
	 .offset = offsetof(block_##id, member),                                                   \
	 .size = sizeof(((block_##id *)NULL)->member),                                             \
	 .text = text_},
#define CONFIG_CODED(id, name_, kind_, initial_, text_)                                            \
	{.block = BLOCK_##id, .name = #name_, kind_, .initial = initial_, .text = text_},
#include "config/options.def"
};
const size_t config_option_count = sizeof(config_options) / sizeof(config_options[0]);

/* --- what they say ---------------------------------------------------------------------------- */

struct setting_row config_option_range(const struct config_option *option)
{
	static const enum setting_unit units[] = {
		[KIND_COUNT] = UNIT_COUNT,       [KIND_RATE] = UNIT_PER_SECOND,
		[KIND_TIME] = UNIT_MILLISECONDS, [KIND_BYTES] = UNIT_BYTES,
		[KIND_SWITCH] = UNIT_SWITCH,
	};

	return (struct setting_row){.name = option->name,
				    .unit = units[option->kind],
				    .min = option->least,
				    .max = option->most};
}

const char *config_words(const char *const *words, char *buffer, size_t size)
{
	size_t used = 0;

	*buffer = '\0';
	for (size_t i = 0; words[i] && used < size; i++)
		used += (size_t)snprintf(buffer + used, size - used, "%s%s",
					 i == 0 ? "" : (words[i + 1] ? ", " : " or "), words[i]);
	return buffer;
}

const char *config_option_values(const struct config_option *option, char *buffer, size_t size)
{
	struct setting_row range;
	size_t used;

	if (config_option_is_number(option)) {
		range = config_option_range(option);
		return setting_range(&range, buffer, size);
	}
	if (option->words)
		config_words(option->words, buffer, size);
	else if (option->kind == KIND_STATUSES)
		snprintf(buffer, size, "STATUS");
	else if (option->kind == KIND_TEXT || option->kind == KIND_CODED)
		snprintf(buffer, size, "%s", option->form);
	else
		snprintf(buffer, size, "/PATH%s%s", option->form ? " or " : "",
			 option->form ? option->form : "");
	used = strlen(buffer);
	snprintf(buffer + used, size - used, "%s", option->list ? "…" : "");
	return buffer;
}

const char *config_place_path(const struct config_place *place, char *buffer, size_t size)
{
	size_t used = 0;

	*buffer = '\0';
	for (size_t i = 0; i < config_place_count; i++) {
		if (config_places[i].block != place->outer)
			continue;
		config_place_path(&config_places[i], buffer, size);
		used = strlen(buffer);
		break;
	}
	snprintf(buffer + used, size - used, "%s%s", used ? "." : "", place->name);
	return buffer;
}

bool config_block_has_setting(enum config_block block, const struct setting_row *row)
{
	switch (block) {
	case BLOCK_HOST:
		return row->scope == SCOPE_HOST;
	case BLOCK_LISTENER:
		return row->scope != SCOPE_HOST;
	case BLOCK_SERVICE:
		return row->scope == SCOPE_SERVICE;
	default:
		return false;
	}
}

void config_options_free(enum config_block block, void *values)
{
	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];
		void *at = (char *)values + option->offset;
		struct config_files *files = at;

		if (option->block != block)
			continue;
		if (option->kind == KIND_TEXT || option->kind == KIND_PATH)
			free(*(char **)at);
		else if (option->kind == KIND_FILE)
			free(((struct config_file *)at)->path);
		for (size_t j = 0; option->kind == KIND_FILES && j < files->count; j++)
			free(files->list[j].path);
		if (option->kind == KIND_FILES)
			free(files->list);
	}
}
