/* SPDX-License-Identifier: BSD-2-Clause */
/* upgrade: this version's programs in the place of those that run. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"

struct programs {
	struct wall_program *list;
	size_t count;
};

static const struct wall_program *find(const struct programs *programs,
				       const struct wall_program *like)
{
	for (size_t i = 0; i < programs->count; i++)
		if (strcmp(programs->list[i].name, like->name) == 0 &&
		    strcmp(programs->list[i].place, like->place) == 0)
			return &programs->list[i];
	return NULL;
}

/* {"id", "tag"}, or null. */
static json_t *describe_program(const struct wall_program *program)
{
	char tag[17] = "";

	if (!program)
		return json_null();
	for (int i = 0; i < 8; i++)
		snprintf(tag + 2 * i, 3, "%02x", program->tag[i]);
	return json_pack("{s:I, s:s}", "id", (json_int_t)program->id, "tag", tag);
}

static void describe(json_t *rows, const struct wall_program *before,
		     const struct wall_program *after)
{
	const struct wall_program *either = after ? after : before;

	json_array_append_new(rows, json_pack("{s:s, s:s, s:b, s:o, s:o}", "name", either->name,
					      "place", either->place, "replaced",
					      !before || !after || before->id != after->id,
					      "before", describe_program(before), "after",
					      describe_program(after)));
}

/* What runs now in the order of its places, and then what runs no more. */
static json_t *compare(const struct programs *before, const struct programs *after)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < after->count; i++)
		describe(rows, find(before, &after->list[i]), &after->list[i]);
	for (size_t i = 0; i < before->count; i++)
		if (!find(after, &before->list[i]))
			describe(rows, &before->list[i], NULL);
	return rows;
}

static void print_program(const json_t *program)
{
	if (json_is_null(program))
		printf("nothing");
	else
		printf("%" JSON_INTEGER_FORMAT " (%s)",
		       json_integer_value(json_object_get(program, "id")),
		       json_string_value(json_object_get(program, "tag")));
}

/* The kernel keeps 15 letters of a name; for people there are words. */
static const char *name_for_people(const char *name)
{
	static const char *const words[][2] = {{"floodwall_filte", "filter"},
					       {"floodwall_admit", "admission of SYN cookies"},
					       {"floodwall_quest", "questions that leave"},
					       {"floodwall_track", "tracking of connections"}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i][0], name) == 0)
			return words[i][1];
	return name;
}

static void print(const json_t *rows)
{
	const json_t *row;
	size_t index;

	json_array_foreach(rows, index, row)
	{
		bool replaced = json_is_true(json_object_get(row, "replaced"));

		printf("%s, %s: ", json_string_value(json_object_get(row, "place")),
		       name_for_people(json_string_value(json_object_get(row, "name"))));
		print_program(json_object_get(row, "before"));
		if (replaced) {
			printf(" -> ");
			print_program(json_object_get(row, "after"));
			printf("\n");
		} else {
			printf(" stays\n");
		}
	}
}

static int upgrade(struct cli *cli, struct programs *before, struct programs *after)
{
	bool unchanged_too = cli_option(cli, "force") != NULL;
	struct error error;
	json_t *rows;

	if (wall_programs(cli->wall, &before->list, &before->count, &error) < 0)
		return cli_fail(cli, "%s", error.text);
	if (before->count == 0)
		return cli_no(cli, "no program of Floodwall's runs; floodwall attach starts them");
	if (wall_upgrade(cli->wall, unchanged_too, &error) < 0 ||
	    wall_programs(cli->wall, &after->list, &after->count, &error) < 0)
		return cli_fail(cli, "%s", error.text);
	rows = compare(before, after);
	if (cli->json) {
		output_json(json_pack("{s:o}", "programs", rows));
		return STATUS_OK;
	}
	print(rows);
	json_decref(rows);
	return STATUS_OK;
}

int cmd_upgrade(struct cli *cli)
{
	struct programs before = {.count = 0}, after = {.count = 0};
	int status;

	if (cli->argc)
		return cli_usage(cli, "upgrade takes no arguments: it goes wherever the filter is");
	status = cli_wall(cli);
	if (status != STATUS_OK)
		return status;
	status = upgrade(cli, &before, &after);
	free(before.list);
	free(after.list);
	return status;
}
