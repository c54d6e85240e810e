/* SPDX-License-Identifier: BSD-2-Clause */
/* Named lists that are loaded from files. Whether a file is there is looked at when it is loaded: a
 * list that can't be is no reason to refuse the rest. */
#include <string.h>
#include "config/build/build.h"

static const char *const actions[] = {[FW_LIST_BLOCK] = "block", [FW_LIST_ALLOW] = "allow", NULL};

static const struct setting_row list_for = {
	"for", SCOPE_HOST, UNIT_MILLISECONDS, 0, 1000, 10ULL * 365 * 24 * 3600 * 1000, ""};

static void build_list(const struct site *site, struct config_list *list)
{
	uint64_t ms = 0;

	build_check_name(site);
	list->name = build_copy(cfg_title(site->section));
	list->line = site_line(site);
	list->file = site_path(site, "file", NULL);
	if (!list->file && !grammar_value(site->section, "file", 0))
		site_complain(site, list->line, NULL,
			      "needs a file, such as file = \"/etc/floodwall/%s.txt\"", list->name);
	list->action = (enum fw_list_action)site_choice(site, "action", actions, FW_LIST_BLOCK);
	site_setting(site, &list_for, &ms);
	list->seconds = ms / 1000;
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
			site_complain(&site, site_line(&site), NULL, "there is room for %d lists",
				      FW_LISTS_MAX);
		build_list(&site, &config->lists[config->list_count++]);
	}
}
