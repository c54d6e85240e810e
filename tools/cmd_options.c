/* SPDX-License-Identifier: BSD-2-Clause */
/* options: what the configuration may say, live settings included. */
#include <stdio.h>
#include <string.h>
#include "base/nearest.h"
#include "cli.h"
#include "config/options.h"

#define BLOCK_SIZE 64
#define NAME_SIZE  128 /* of a block and an option */

/* What is listed: everything, or what has the part that was asked for in its name. */
struct listing {
	const char *asked; /* NULL: everything */
	json_t *rows;
	struct nearest nearest; /* part of a name */
};

/* Writes "upstream.health.rise" and says whether it is asked for: "health" and "health.rise" are
 * parts of it, but "heal" is not. */
static bool is_asked(struct listing *listing, const char *block, const char *name, char *path)
{
	char all[NAME_SIZE + 2], part[NAME_SIZE + 2];

	snprintf(path, NAME_SIZE, "%s.%s", block, name);
	if (!listing->asked)
		return true;
	nearest_offer(&listing->nearest, name);
	snprintf(all, sizeof(all), ".%s.", path);
	snprintf(part, sizeof(part), ".%s.", listing->asked);
	return strstr(all, part);
}

/* The least and the most in the kind's unit; NULL: it is no number. */
static void add(struct listing *listing, json_t *row, const struct setting_row *range)
{
	if (range) {
		json_object_set_new(row, "min", json_integer((json_int_t)range->min));
		json_object_set_new(row, "max", json_integer((json_int_t)range->max));
	}
	json_array_append_new(listing->rows, row);
}

static void list_option(struct listing *listing, const char *block,
			const struct config_option *option)
{
	static const char *const kinds[] = {
		[KIND_WORD] = "word",       [KIND_WORDS] = "word", [KIND_TEXT] = "text",
		[KIND_PATH] = "path",       [KIND_FILE] = "path",  [KIND_FILES] = "path",
		[KIND_STATUSES] = "status", [KIND_CODED] = "text",
	};
	bool number = config_option_is_number(option);
	struct setting_row range = {0};
	char path[NAME_SIZE], values[128];

	if (!is_asked(listing, block, option->name, path))
		return;
	if (number)
		range = config_option_range(option);
	add(listing,
	    json_pack("{s:s, s:s, s:s?, s:s, s:s, s:b, s:b}", "name", path, "values",
		      config_option_values(option, values, sizeof(values)), "default",
		      option->initial, "meaning", option->text, "kind",
		      number ? setting_unit_names[range.unit] : kinds[option->kind], "list",
		      option->list, "live", 0),
	    number ? &range : NULL);
}

static void list_setting(struct listing *listing, const char *block, const struct setting_row *row)
{
	char path[NAME_SIZE], values[128], initial[32];

	if (!is_asked(listing, block, row->name, path))
		return;
	add(listing,
	    json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b}", "name", path, "values",
		      setting_range(row, values, sizeof(values)), "default",
		      setting_format(row, row->initial, initial, sizeof(initial)), "meaning",
		      row->text, "kind", setting_unit_names[row->unit], "list", 0, "live", 1),
	    row);
}

static void list_block(struct listing *listing, const struct config_place *place)
{
	char path[BLOCK_SIZE];

	config_place_path(place, path, sizeof(path));
	nearest_offer(&listing->nearest, place->name);
	for (size_t i = 0; i < config_option_count; i++)
		if (config_options[i].block == place->block)
			list_option(listing, path, &config_options[i]);
	for (size_t i = 0; i < FW_SETTING_COUNT; i++)
		if (config_block_has_setting(place->block, &setting_rows[i]))
			list_setting(listing, path, &setting_rows[i]);
}

int cmd_options(struct cli *cli)
{
	static const struct column columns[] = {
		{"name", "OPTION"}, {"values", "VALUES"},   {"default", "DEFAULT"},
		{"live", "LIVE"},   {"meaning", "MEANING"}, {NULL, NULL},
	};
	struct listing listing = {.asked = cli->argc ? cli->argv[0] : NULL};

	if (cli->argc > 1)
		return cli_usage(cli, "one BLOCK or OPTION, not %d", cli->argc);
	listing.nearest = nearest_to(listing.asked ? listing.asked : "");
	listing.rows = json_array();
	for (size_t i = 0; i < config_place_count; i++)
		list_block(&listing, &config_places[i]);
	if (json_array_size(listing.rows))
		return output_rows(cli, columns, listing.rows, "");
	json_decref(listing.rows);
	if (listing.nearest.name)
		return cli_no(cli, "no block or option is called \"%s\"; did you mean %s?",
			      listing.asked, listing.nearest.name);
	return cli_no(cli, "no block or option is called \"%s\"; floodwall options lists all",
		      listing.asked);
}
