/* SPDX-License-Identifier: BSD-2-Clause */
/* The warden may not look at lists itself: finding their map takes privileges. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "supervisor/duties/lists.h"

void lists_load(struct wall *wall, const struct config *config, bool keep_live)
{
	struct error diagnostics;
	size_t failed = wall_lists_apply(wall, config, keep_live, &diagnostics);

	if (failed)
		log_lines(LOG_LEVEL_ERROR, "lists", diagnostics.text);
}

void lists_publish(struct wall *wall, struct roster *roster)
{
	struct wall_listing *listing = malloc(sizeof(*listing));
	struct roster_lists now = {.count = 0};

	if (listing && wall_named_all(wall, listing, NULL) == 0) {
		now.bytes = listing->bytes;
		for (; now.count < listing->count; now.count++) {
			const struct wall_named *named = &listing->list[now.count];
			struct roster_list *entry = &now.lists[now.count];

			memcpy(entry->name, named->row.name, sizeof(entry->name));
			entry->allows = named->row.action == FW_LIST_ALLOW;
			entry->entries = named->row.entries;
			entry->packets = named->packets;
		}
	}
	free(listing);
	roster_publish_lists(roster, &now);
}

static bool any_expires(struct wall *wall)
{
	struct wall_listing *listing = malloc(sizeof(*listing));
	bool found = false;

	if (listing && wall_named_all(wall, listing, NULL) == 0)
		for (size_t i = 0; i < listing->count; i++)
			found |= listing->list[i].row.expiring != 0;
	free(listing);
	return found;
}

/* With a wall of its own: a parent's lock would be the child's as well. */
static int tidy(void)
{
	struct wall *wall;
	struct error error;
	int expired;

	if (nice(10) < 0 && errno)
		log_debug("lists: nice: %s", strerror(errno));
	expired = wall_open(&wall, &error);
	if (expired == 0) {
		expired = wall_named_expire(wall, &error);
		wall_close(wall);
	}
	if (expired < 0)
		log_warning("lists are not tidied: %s", error.text);
	else if (expired)
		log_debug("lists: %d entries had expired", expired);
	return expired < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

void lists_tidy(struct wall *wall)
{
	pid_t pid;

	if (!any_expires(wall))
		return;
	pid = fork();
	if (pid == 0)
		_exit(tidy());
	if (pid < 0)
		log_warning("lists are not tidied: fork: %s", strerror(errno));
}
