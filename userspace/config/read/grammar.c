/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables of options, and libConfuse driven by them.
 *
 * libConfuse ends at the first name that it does not know. Then the name is complained about, its
 * statement is erased from the text, and the text is read again: so every diagnostic comes out, and
 * each pass removes one statement, which bounds the passes.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "base/nearest.h"
#include "config/options.h"
#include "config/read/grammar.h"

#define MAX_OPTIONS 64 /* of one block */
#define MAX_BLOCKS  64 /* kinds of block, the groups of settings included */
#define NAME_SIZE   32
#define LABEL_SIZE  192

struct table {
	cfg_opt_t options[MAX_OPTIONS + 1];
	size_t count;
	char names[MAX_OPTIONS][NAME_SIZE];
};

struct grammar {
	struct table tables[MAX_BLOCKS];
	size_t count;
};

/* libConfuse's callbacks carry no pointer of ours, and its scanner is global anyway: one file is
 * read at a time. */
struct reading {
	struct source *source;
	struct diagnostics *diagnostics;
	cfg_opt_t *assigned[1024]; /* options that have a value */
	size_t assigned_count;
	char unknown[NAME_SIZE * 2]; /* the name that ended this pass, or empty */
	int unknown_line;
	bool broken; /* text that is not of the form */
};

static struct reading *reading;

static struct table *new_table(struct grammar *grammar)
{
	if (grammar->count == MAX_BLOCKS)
		abort(); /* the tables above outgrew it: every run would end here */
	return &grammar->tables[grammar->count++];
}

static cfg_opt_t *add_entry(struct table *table, const char *name, size_t length)
{
	if (table->count == MAX_OPTIONS || length >= NAME_SIZE)
		abort();
	memcpy(table->names[table->count], name, length);
	table->options[table->count].name = table->names[table->count];
	return &table->options[table->count++];
}

/* --- values ---------------------------------------------------------------------------------- */

static void complain_twice(cfg_t *section, const cfg_opt_t *option)
{
	char label[LABEL_SIZE] = "";
	int block;

	if (source_statement_find(reading->source, option->name, section->line, &block))
		source_block_label(reading->source, block, label, sizeof(label));
	diagnostics_add(reading->diagnostics, section->line, "%s%s: given twice", label,
			option->name);
}

/* A block keeps its table of options for as long as it lives, so that the option's address tells
 * whether it was assigned before. A list's later values come with nvalues > 1. */
static void note_assignment(cfg_t *section, cfg_opt_t *option)
{
	if (option->nvalues > 1)
		return;
	for (size_t i = 0; i < reading->assigned_count; i++)
		if (reading->assigned[i] == option)
			complain_twice(section, option);
	if (reading->assigned_count < sizeof(reading->assigned) / sizeof(reading->assigned[0]))
		reading->assigned[reading->assigned_count++] = option;
}

static int keep_value(cfg_t *section, cfg_opt_t *option, const char *text, void *result)
{
	size_t size = strlen(text) + 1;
	struct grammar_value *value = malloc(sizeof(*value) + size);

	if (!value)
		return -1;
	value->line = section->line;
	memcpy(value->text, text, size);
	*(void **)result = value;
	note_assignment(section, option);
	return 0;
}

static void add_option(struct table *table, const char *name, bool list)
{
	cfg_opt_t *option = add_entry(table, name, strlen(name));

	option->type = CFGT_PTR;
	option->flags = list ? CFGF_LIST : CFGF_NONE;
	option->parsecb = keep_value;
	option->freecb = free;
}

/* --- tables ---------------------------------------------------------------------------------- */

static struct table *add_block(struct grammar *grammar, struct table *parent, const char *name,
			       cfg_flag_t flags)
{
	struct table *table = new_table(grammar);
	cfg_opt_t *block = add_entry(parent, name, strlen(name));

	block->type = CFGT_SEC;
	block->flags = flags;
	block->subopts = table->options;
	return table;
}

/* The options of settings: "group.leaf" in a block of their own. */
static void add_settings(struct grammar *grammar, struct table *table, enum config_block block)
{
	struct table *groups[MAX_OPTIONS] = {NULL};

	for (size_t i = 0; i < FW_SETTING_COUNT; i++) {
		const char *name = setting_rows[i].name, *dot = strchr(name, '.');
		char group[NAME_SIZE];
		size_t at = 0;

		if (!config_block_has_setting(block, &setting_rows[i]))
			continue;
		if (!dot) {
			add_option(table, name, false);
			continue;
		}
		memcpy(group, name, (size_t)(dot - name));
		group[dot - name] = '\0';
		while (at < table->count && strcmp(table->names[at], group))
			at++;
		if (at == table->count)
			groups[at] = add_block(grammar, table, group, CFGF_NONE);
		add_option(groups[at], dot + 1, false);
	}
}

/* Several routes may begin with the same path: libConfuse must not take the later for the earlier.
 * Their titles are found in the source. */
static int forget_title(cfg_t *section, cfg_opt_t *option)
{
	unsigned int last = cfg_opt_size(option) - 1;
	cfg_t *route = cfg_opt_getnsec(option, last);

	(void)section;
	free(route->title);
	return asprintf(&route->title, "\001%u", last) < 0 ? -1 : 0;
}

/* What stands in a block: its options, its settings, and the blocks inside it. */
static void fill_table(struct grammar *grammar, struct table *table, enum config_block block)
{
	static const cfg_flag_t flags[] = {
		[FORM_ONE] = CFGF_NONE,
		[FORM_OPTIONAL] = CFGF_NODEFAULT,
		[FORM_MANY] = CFGF_MULTI,
		[FORM_NAMED] = CFGF_MULTI | CFGF_TITLE,
	};

	for (size_t i = 0; i < config_option_count; i++)
		if (config_options[i].block == block)
			add_option(table, config_options[i].name, config_options[i].list);
	add_settings(grammar, table, block);
	for (size_t i = 0; i < config_place_count; i++) {
		const struct config_place *place = &config_places[i];
		struct table *inner;

		if (place->outer != block)
			continue;
		inner = add_block(grammar, table, place->name, flags[place->form]);
		if (place->block == BLOCK_ROUTE)
			table->options[table->count - 1].validcb = forget_title;
		fill_table(grammar, inner, place->block);
	}
}

/* --- diagnostics ----------------------------------------------------------------------------- */

/* What the operator may have meant: near enough to be a slip of the pen, or NULL. */
static const char *find_meant(const cfg_t *section, const char *name)
{
	struct nearest nearest = nearest_to(name);

	for (size_t i = 0; section->opts[i].name; i++)
		nearest_offer(&nearest, section->opts[i].name);
	return nearest.name;
}

static bool is_name_of_listener_setting(const char *name)
{
	for (size_t i = 0; i < FW_SETTING_COUNT; i++) {
		const char *full = setting_rows[i].name, *dot = strchr(full, '.');

		if (setting_rows[i].scope == SCOPE_LISTENER &&
		    (!strcmp(full, name) || (dot && !strcmp(dot + 1, name)) ||
		     (dot && strlen(name) == (size_t)(dot - full) &&
		      !strncmp(full, name, strlen(name)))))
			return true;
	}
	return false;
}

static void complain_unknown(const cfg_t *section, const char *name)
{
	const char *meant = find_meant(section, name);
	char label[LABEL_SIZE] = "";
	int block = SOURCE_ROOT;

	if (source_statement_find(reading->source, name, section->line, &block))
		source_block_label(reading->source, block, label, sizeof(label));
	if (meant)
		diagnostics_add(reading->diagnostics, section->line,
				"%s%s: no such %s; did you mean %s?", label, name,
				block == SOURCE_ROOT ? "block" : "option", meant);
	else if (!strcmp(section->name, "service") && is_name_of_listener_setting(name))
		diagnostics_add(reading->diagnostics, section->line,
				"%s%s: only a listener has it: the proxy enforces it", label, name);
	else
		diagnostics_add(reading->diagnostics, section->line, "%s%s: no such %s", label,
				name, block == SOURCE_ROOT ? "block" : "option");
}

static void on_error(cfg_t *section, const char *format, va_list args)
{
	va_list copy;
	const char *name;
	char text[256];

	if (strstr(format, "no such option")) {
		va_copy(copy, args);
		name = va_arg(copy, const char *);
		snprintf(reading->unknown, sizeof(reading->unknown), "%s", name);
		reading->unknown_line = section->line;
		complain_unknown(section, name);
		va_end(copy);
		return;
	}
	vsnprintf(text, sizeof(text), format, args);
	diagnostics_add(reading->diagnostics, section->line, "%s", text);
	reading->broken = true;
}

/* libConfuse would let a later block of the same title replace the earlier one; routes apart. */
static void erase_duplicates(struct source *source, struct diagnostics *diagnostics)
{
	for (size_t i = 0; i < source->count; i++) {
		for (size_t j = 0; source->blocks[i].title && j < i; j++) {
			const struct source_block *a = &source->blocks[j], *b = &source->blocks[i];
			char label[LABEL_SIZE];

			if (a->parent != b->parent || strcmp(a->name, b->name) || !a->title ||
			    strcmp(a->title, b->title) || !strcmp(b->name, "route"))
				continue;
			diagnostics_add(diagnostics, b->line, "%sdefined already on line %d",
					source_block_name(source, (int)i, label, sizeof(label)),
					a->line);
			if (source_statement_erase(source, b->name, b->line))
				i = (size_t)-1; /* the list is a new one */
			break;
		}
	}
}

/* libConfuse takes the end of the text for the end of every block. */
static bool is_closed(const struct source *source, struct diagnostics *diagnostics)
{
	char label[LABEL_SIZE];

	if (source->unclosed == SOURCE_ROOT)
		return true;
	diagnostics_add(diagnostics, source->blocks[source->unclosed].line,
			"%sthis block is never closed: a } is missing",
			source_block_name(source, source->unclosed, label, sizeof(label)));
	return false;
}

/* --- reading --------------------------------------------------------------------------------- */

static cfg_t *parse_once(const struct table *root, const struct source *source)
{
	cfg_t *tree = cfg_init((cfg_opt_t *)root->options, CFGF_NONE);

	if (!tree)
		return NULL;
	cfg_set_error_function(tree, on_error);
	reading->assigned_count = 0;
	reading->unknown[0] = '\0';
	cfg_parse_buf(tree, source->text);
	return tree;
}

cfg_t *grammar_parse(struct source *source, struct diagnostics *diagnostics, bool *whole)
{
	struct grammar *grammar = calloc(1, sizeof(*grammar));
	struct reading now = {.source = source, .diagnostics = diagnostics};
	struct table *root;
	cfg_t *tree = NULL;

	if (!grammar)
		return NULL;
	root = new_table(grammar);
	fill_table(grammar, root, BLOCK_ROOT);
	erase_duplicates(source, diagnostics);
	reading = &now;
	while ((tree = parse_once(root, source)) && now.unknown[0] &&
	       source_statement_erase(source, now.unknown, now.unknown_line))
		cfg_free(tree);
	reading = NULL;
	*whole = !now.broken && is_closed(source, diagnostics);
	free(grammar);
	return tree;
}

const struct grammar_value *grammar_value(cfg_t *section, const char *option, size_t nth)
{
	cfg_opt_t *found = cfg_getopt(section, option);

	return found && nth < cfg_opt_size(found) ? cfg_opt_getnptr(found, (unsigned int)nth)
						  : NULL;
}
