/* SPDX-License-Identifier: BSD-2-Clause */
/* Named lists that are loaded from files. Whether a file is there is looked at when it is loaded: a
 * list that can't be is no reason to refuse the rest. */
#include <string.h>
#include "config/build/build.h"

static void build_list(const struct site *site, struct config_list *list)
{
	build_check_name(site);
	list->name = build_copy(cfg_title(site->section));
	list->line = site_line(site);
	build_options(site, BLOCK_LIST, list);
	list->seconds /= 1000; /* it was written as a time, in milliseconds */
	if (!site_has(site, "file"))
		site_complain(site, NULL, "needs a file, such as file = \"/etc/floodwall/%s.txt\"",
			      list->name);
}

void build_lists(const struct site *root)
{
	struct config *config = root->build->config;
	size_t count = site_count(root, "list");
	struct site site;

	config->lists = build_alloc(count, sizeof(*config->lists));
	for (size_t i = 0; i < count; i++) {
		site = site_inside(root, "list", i);
		if (i == FW_LISTS_MAX)
			site_complain(&site, NULL, "there is room for %d lists", FW_LISTS_MAX);
		build_list(&site, &config->lists[config->list_count++]);
	}
}
