/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Named lists that the configuration names, read from their files. What can't be read is told and
 * left as it is, so that a feed that failed once takes nothing away.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "contract/list_text.h"
#include "wall/internal.h"

/* What is to change, as it is collected. */
struct changes {
	struct wall_named_new *loads;
	const char **drops;
	size_t load_count, drop_count;
};

static void complain(struct error *diagnostics, const struct config *config,
		     const struct config_list *list, const char *text)
{
	size_t used = strlen(diagnostics->text);

	snprintf(diagnostics->text + used, sizeof(diagnostics->text) - used, "%s%s:%d: list %s: %s",
		 used ? "\n" : "", config->path, list->line, list->name, text);
}

static void tell_consequence(struct error *diagnostics, const struct config_list *list)
{
	size_t used = strlen(diagnostics->text);

	snprintf(diagnostics->text + used, sizeof(diagnostics->text) - used,
		 "\nlist %s stays as it is", list->name);
}

static int read_file(const struct config_list *list, struct wall_named_new *new,
		     struct error *error)
{
	struct list_text text = {
		.name = list->file, .now_s = clock_now_ns() / CLOCK_SEC, .seconds = list->seconds};
	FILE *file = fopen(list->file, "re");
	int result;

	if (!file)
		return error_set(error, -errno, "%s: %s", list->file, strerror(errno));
	*new = (struct wall_named_new){list->name, list->action, true, NULL, 0};
	result = list_text_read(&text, file, &new->entries, &new->count, error);
	fclose(file);
	if (result < 0 || new->count)
		return result;
	free(new->entries);
	return error_set(error, -EINVAL, "%s has no entries", list->file);
}

static bool is_named(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->list_count; i++)
		if (strcmp(config->lists[i].name, name) == 0)
			return true;
	return false;
}

static bool is_there(const struct wall_listing *there, const char *name)
{
	for (size_t i = 0; i < there->count; i++)
		if (strcmp(there->list[i].row.name, name) == 0)
			return true;
	return false;
}

/* Returns how many files could not be read. */
static size_t collect(const struct config *config, const struct wall_listing *there, bool keep_live,
		      struct changes *changes, struct error *diagnostics)
{
	struct error error;
	size_t failed = 0;

	for (size_t i = 0; i < there->count; i++)
		if (there->list[i].row.from_file && !is_named(config, there->list[i].row.name))
			changes->drops[changes->drop_count++] = there->list[i].row.name;
	for (size_t i = 0; i < config->list_count; i++) {
		if (keep_live && is_there(there, config->lists[i].name))
			continue;
		if (read_file(&config->lists[i], &changes->loads[changes->load_count], &error) <
		    0) {
			complain(diagnostics, config, &config->lists[i], error.text);
			tell_consequence(diagnostics, &config->lists[i]);
			failed++;
		} else {
			changes->load_count++;
		}
	}
	return failed;
}

size_t wall_lists_check(const struct config *config, struct error *diagnostics)
{
	struct wall_named_new read;
	struct error error;
	size_t failed = 0;

	diagnostics->text[0] = '\0';
	for (size_t i = 0; i < config->list_count; i++) {
		if (read_file(&config->lists[i], &read, &error) == 0) {
			free(read.entries);
			continue;
		}
		complain(diagnostics, config, &config->lists[i], error.text);
		failed++;
	}
	return failed;
}

size_t wall_lists_apply(struct wall *wall, const struct config *config, bool keep_live,
			struct error *diagnostics)
{
	struct wall_listing *there = malloc(sizeof(*there));
	struct changes changes = {.load_count = 0};
	size_t failed = 0;
	struct error error;

	diagnostics->text[0] = '\0';
	changes.loads = calloc(config->list_count + 1, sizeof(*changes.loads));
	changes.drops = calloc(FW_LISTS_MAX, sizeof(*changes.drops));
	if (!there || !changes.loads || !changes.drops) {
		error_set(diagnostics, -ENOMEM, "lists: out of memory");
		failed = config->list_count;
	} else if (wall_named_all(wall, there, diagnostics) < 0) {
		failed = config->list_count;
	} else {
		failed = collect(config, there, keep_live, &changes, diagnostics);
		if ((changes.load_count || changes.drop_count) &&
		    wall_named_change(wall, changes.loads, changes.load_count, changes.drops,
				      changes.drop_count, &error) < 0) {
			for (size_t i = 0; i < config->list_count; i++)
				complain(diagnostics, config, &config->lists[i], error.text);
			failed = config->list_count;
		}
	}
	for (size_t i = 0; i < changes.load_count; i++)
		free(changes.loads[i].entries);
	free(changes.loads);
	free(changes.drops);
	free(there);
	return failed;
}
