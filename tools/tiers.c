/* SPDX-License-Identifier: BSD-2-Clause */
#include "tiers.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/sysctl.h"

#define KEEP_FILE "/etc/sysctl.d/60-floodwall.conf"

static const char *text_of(const json_t *row, const char *key)
{
	return json_string_value(json_object_get(row, key));
}

json_t *tiers_describe_sysctls(enum fw_tier tier)
{
	struct wall_sysctl list[WALL_SYSCTLS_MAX];
	size_t count = wall_sysctls(tier, list);
	json_t *rows = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(rows,
				      json_pack("{s:s, s:s, s:s, s:b, s:s}", "name", list[i].name,
						"value", list[i].value, "wanted", list[i].wanted,
						"required", list[i].required, "why", list[i].why));
	return rows;
}

void tiers_print_sysctls(const json_t *rows)
{
	const json_t *row;
	size_t index;

	json_array_foreach(rows, index, row)
	{
		const char *name = text_of(row, "name"), *wanted = text_of(row, "wanted");

		printf("%s is %s, and %s %s: %s\n", name, text_of(row, "value"),
		       json_is_true(json_object_get(row, "required")) ? "has to be" : "better",
		       wanted, text_of(row, "why"));
		printf("    sysctl -w %s=%s, or floodwall attach --set-sysctls\n", name, wanted);
	}
}

int tiers_set_sysctls(struct cli *cli, enum fw_tier tier, json_t *changes)
{
	struct wall_sysctl list[WALL_SYSCTLS_MAX];
	size_t count = wall_sysctls(tier, list);
	int result;

	for (size_t i = 0; i < count; i++) {
		result = sysctl_write(list[i].name, list[i].wanted);
		if (result < 0)
			return cli_fail(cli,
					"cannot set %s to %s: %s. In a container only its host can",
					list[i].name, list[i].wanted, strerror(-result));
		json_array_append_new(changes,
				      json_pack("{s:s, s:s, s:s}", "name", list[i].name, "before",
						list[i].value, "after", list[i].wanted));
	}
	return STATUS_OK;
}

void tiers_undo_sysctls(const json_t *changes)
{
	const json_t *row;
	size_t index;

	json_array_foreach(changes, index, row)
		sysctl_write(text_of(row, "name"), text_of(row, "before"));
}

void tiers_print_changes(const json_t *changes)
{
	const json_t *row;
	size_t index;

	json_array_foreach(changes, index, row)
	{
		const char *name = text_of(row, "name"), *after = text_of(row, "after");

		printf("%s is %s now; it was %s. To have it after the next boot, too:\n", name,
		       after, text_of(row, "before"));
		printf("    echo %s=%s >>" KEEP_FILE "\n", name, after);
	}
}

static json_t *describe_interface(const struct wall_interface *interface)
{
	char lacks[WALL_WHYS_SIZE], vlan[16];
	bool hides = wall_hides_vlan(interface->name, vlan);

	wall_tier_lacks(interface->tier, lacks);
	return json_pack("{s:s, s:s, s:s, s:s?, s:b, s:b, s:s?}", "name", interface->name, "mode",
			 interface->native ? "native" : "generic", "tier",
			 tier_names[interface->tier], "tier_lacks", lacks[0] ? lacks : NULL,
			 "admission", interface->admits, "asks", interface->asks, "hidden_vlan",
			 hides ? vlan : NULL);
}

json_t *tiers_describe(struct wall *wall, struct error *error)
{
	enum fw_tier best = FW_TIER_DROP;
	json_t *rows = json_array();
	struct wall_interface *list;
	char how[512] = "";
	size_t count;

	if (wall_interfaces(wall, &list, &count, error) < 0) {
		json_decref(rows);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		best = list[i].tier > best ? list[i].tier : best;
		json_array_append_new(rows, describe_interface(&list[i]));
	}
	free(list);
	if (best == FW_TIER_OWN)
		wall_cookies_differ(wall, how, sizeof(how));
	return json_pack("{s:o, s:o, s:s?}", "interfaces", rows, "sysctls",
			 tiers_describe_sysctls(best), "cookies_differ", how[0] ? how : NULL);
}

void tiers_print_alarms(const json_t *said)
{
	const char *differ = text_of(said, "cookies_differ");
	const json_t *row;
	size_t index;

	json_array_foreach(json_object_get(said, "interfaces"), index, row)
	{
		if (strcmp(text_of(row, "tier"), "own") == 0 &&
		    !json_is_true(json_object_get(row, "admission")))
			printf("!! %s: admission is gone, so that nobody who gets a SYN cookie is "
			       "let in: floodwall attach\n",
			       text_of(row, "name"));
	}
	json_array_foreach(json_object_get(said, "sysctls"), index, row)
	{
		if (json_is_true(json_object_get(row, "required")))
			printf("!! %s is %s: %s: sysctl -w %s=%s\n", text_of(row, "name"),
			       text_of(row, "value"), text_of(row, "why"), text_of(row, "name"),
			       text_of(row, "wanted"));
	}
	if (differ)
		printf("!! the sysctls are not what SYN cookies go by: %s: floodwall attach\n",
		       differ);
}
