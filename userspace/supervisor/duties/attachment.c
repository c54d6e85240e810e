/* SPDX-License-Identifier: BSD-2-Clause */
/* Both look at the kernel anew: an interface may come, go or be attached to at any time. */
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "supervisor/duties/attachment.h"

static const struct wall_interface *find(const struct wall_interface *list, size_t count,
					 const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].attached && !strcmp(list[i].name, name))
			return &list[i];
	return NULL;
}

void attachment_report(struct wall *wall, const struct config *config)
{
	struct wall_interface *list = NULL;
	const struct wall_interface *found;
	struct error error;
	size_t count = 0;

	if (wall_interfaces(wall, &list, &count, &error) < 0) {
		log_warning("filter: can't tell where it runs: %s", error.text);
		return;
	}
	for (size_t i = 0; i < config->filter.interface_count; i++) {
		const char *name = config->filter.interfaces[i];

		found = find(list, count, name);
		if (found)
			log_info("filter: runs on %s (%s, tier %s)", name,
				 found->native ? "native" : "generic", tier_names[found->tier]);
		else
			log_warning("filter: does not run on %s: nothing is filtered there; "
				    "run: floodwall attach",
				    name);
	}
	free(list);
}

void attachment_publish(struct wall *wall, struct roster *roster)
{
	struct roster_attachment now = {.tracking = wall_is_tracking(wall)};
	struct wall_interface *list = NULL;
	size_t count = 0;

	if (wall_interfaces(wall, &list, &count, NULL) < 0)
		count = 0;
	for (size_t i = 0; i < count && now.count < ROSTER_INTERFACES; i++) {
		struct roster_interface *entry = &now.interfaces[now.count];

		if (!list[i].attached)
			continue;
		memcpy(entry->name, list[i].name, sizeof(entry->name));
		entry->native = list[i].native;
		now.count++;
	}
	free(list);
	roster_publish(roster, &now);
}
