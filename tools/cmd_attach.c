/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attach, detach: the filter on interfaces, with the configuration's policy in it from the first
 * packet on.
 *
 * If attaching fails and there was nothing before, nothing stays behind.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"
#include "tiers.h"

static const char *const mode_names[] = {
	[WALL_AUTO] = "auto", [WALL_NATIVE] = "native", [WALL_GENERIC] = "generic"};

static int find_mode(const char *name)
{
	for (int i = 0; i < 3; i++)
		if (strcmp(mode_names[i], name) == 0)
			return i;
	return -1;
}

/* What attach is to do, beyond the interfaces. */
struct wish {
	enum wall_mode mode;
	int tier;          /* enum fw_tier, or WALL_BEST_TIER */
	enum fw_tier goal; /* the tier, or the best that this kernel can do */
	json_t *changes;   /* sysctls that were set */
	json_t *lists;     /* what is wrong with files of lists, */
	size_t unloaded;   /* and how many could not be loaded */
};

/* Interfaces from the command line, or else the configuration's. */
static int list_interfaces(struct cli *cli, const struct config *config,
			   struct wall_interface **list, size_t *count)
{
	size_t total = cli->argc ? (size_t)cli->argc : config ? config->filter.interface_count : 0;
	char **names = cli->argc ? cli->argv : config ? config->filter.interfaces : NULL;

	if (total == 0)
		return cli_usage(cli,
				 "no interface is named, and there is none in the configuration: "
				 "filter { interfaces = {\"eth0\"} }, or floodwall attach eth0");
	*list = calloc(total, sizeof(**list));
	if (!*list)
		return cli_fail(cli, "out of memory");
	for (size_t i = 0; i < total; i++) {
		if (strlen(names[i]) >= sizeof((*list)[i].name))
			return cli_usage(cli, "\"%s\" is too long for an interface", names[i]);
		strcpy((*list)[i].name, names[i]);
		for (size_t j = 0; j < i; j++)
			if (strcmp(names[i], names[j]) == 0)
				return cli_usage(cli, "%s is named twice", names[i]);
	}
	*count = total;
	return STATUS_OK;
}

static enum fw_tier best_tier(void)
{
	char why[WALL_WHY_SIZE];
	int tier = FW_TIER_OWN;

	while (!wall_tier_is_possible(tier, why))
		tier--;
	return tier;
}

/* By the command line, or else by the configuration. */
static int read_wish(struct cli *cli, const struct config *config, struct wish *wish)
{
	const char *mode = cli_option(cli, "mode"), *tier = cli_option(cli, "tier");

	mode = mode ? mode : config ? config->filter.mode : "auto";
	tier = tier ? tier : config ? config->filter.tier : "auto";
	if (find_mode(mode) < 0)
		return cli_usage(cli, "--mode is native, generic or auto, not \"%s\"", mode);
	wish->mode = find_mode(mode);
	wish->tier = tier_find(tier);
	if (wish->tier < 0 && strcmp(tier, "auto") != 0)
		return cli_usage(cli, "--tier is own, kernel, drop or auto, not \"%s\"", tier);
	wish->goal = wish->tier < 0 ? best_tier() : (enum fw_tier)wish->tier;
	return STATUS_OK;
}

/* A list that can't be loaded is no reason to leave the host without its filter. */
static void load_lists(struct cli *cli, const struct config *config, struct wish *wish)
{
	struct error error;
	char *rest = error.text, *line;

	wish->unloaded =
		wall_lists_apply(cli->wall, config, cli_option(cli, "keep") != NULL, &error);
	if (!wish->unloaded)
		return;
	fprintf(stderr, "%s\n", error.text);
	while ((line = strsep(&rest, "\n")))
		json_array_append_new(wish->lists, json_string(line));
}

static int attach(struct cli *cli, const struct config *config, struct wall_interface *list,
		  size_t count, struct wish *wish)
{
	const char *cgroup = cli_option(cli, "cgroup");
	const struct config_sizes usual = {0}, *sizes = &usual;
	struct error error;
	bool is_new;
	int result;

	if (config) {
		cgroup = cgroup ? cgroup : config->filter.cgroup;
		sizes = &config->filter.sizes;
	}
	result = wall_open(&cli->wall, &error);
	is_new = result == -ENOENT;
	wall_close(cli->wall);
	cli->wall = NULL;
	if (result == 0 || is_new)
		result = wall_open_or_create(&cli->wall, sizes, cgroup, &error);
	if (result == 0 && config)
		result = wall_apply(cli->wall, config, cli_option(cli, "keep") != NULL, &error);
	if (result == 0 && config)
		load_lists(cli, config, wish);
	if (result == 0)
		result = wall_attach(cli->wall, list, count, wish->mode, wish->tier, &error);
	if (result == 0)
		return STATUS_OK;
	if (is_new && cli->wall)
		wall_remove(cli->wall, NULL);
	return cli_fail(cli, "%s", error.text);
}

/* Sysctls first: what they are decides about the tier. */
static int set_and_attach(struct cli *cli, const struct config *config, struct wall_interface *list,
			  size_t count, struct wish *wish)
{
	int status = STATUS_OK;

	if (geteuid() != 0)
		return cli_fail(cli, "this needs root. Try: sudo floodwall attach");
	if (cli_option(cli, "set-sysctls"))
		status = tiers_set_sysctls(cli, wish->goal, wish->changes);
	if (status == STATUS_OK)
		status = attach(cli, config, list, count, wish);
	if (status != STATUS_OK)
		tiers_undo_sysctls(wish->changes);
	return status;
}

static json_t *describe_interface(const struct wall_interface *interface)
{
	const char *fallback = interface->fallback, *tier_why = interface->tier_why;
	const char *asks_why = interface->asks_why;
	char vlan[16];
	bool hides = wall_hides_vlan(interface->name, vlan);

	return json_pack("{s:s, s:s, s:s?, s:s, s:s?, s:b, s:s?, s:s?}", "name", interface->name,
			 "mode", interface->native ? "native" : "generic", "fallback",
			 fallback[0] ? fallback : NULL, "tier", tier_names[interface->tier],
			 "tier_why", tier_why[0] ? tier_why : NULL, "asks", interface->asks,
			 "asks_why", asks_why[0] ? asks_why : NULL, "hidden_vlan",
			 hides ? vlan : NULL);
}

static json_t *describe(const struct wall_interface *list, size_t count)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(rows, describe_interface(&list[i]));
	return rows;
}

static void print_interface(const struct wall_interface *interface)
{
	static const char *const texts[] = {
		[FW_TIER_DROP] = "are dropped",
		[FW_TIER_KERNEL] = "get a SYN cookie of the kernel's, which keeps their MSS alone",
		[FW_TIER_OWN] = "get a SYN cookie, which keeps all their options"};
	char vlan[16];

	printf("%s: filtering in %s mode\n", interface->name,
	       interface->native ? "native" : "generic");
	if (interface->fallback[0])
		printf("    native mode was refused: %s\n", interface->fallback);
	printf("    newcomers over a limit %s (tier %s)\n", texts[interface->tier],
	       tier_names[interface->tier]);
	if (interface->tier_why[0])
		printf("    no better tier: %s\n", interface->tier_why);
	if (!interface->asks)
		printf("    what leaves is not noted, so unsolicited answers pass: %s\n",
		       interface->asks_why);
	if (wall_hides_vlan(interface->name, vlan))
		printf("    its driver takes VLAN tags off, so who comes by %s is answered without "
		       "one, in vain:\n        ethtool -K %s rxvlan off\n",
		       vlan, interface->name);
}

static void print(const struct cli *cli, const struct config *config,
		  const struct wall_interface *list, size_t count, const struct wish *wish)
{
	json_t *sysctls = tiers_describe_sysctls(wish->goal);

	if (cli->json) {
		output_json(json_pack("{s:o, s:b, s:s?, s:o, s:O, s:O}", "interfaces",
				      describe(list, count), "tracking",
				      wall_is_tracking(cli->wall), "config",
				      config ? config->path : NULL, "sysctls", sysctls,
				      "sysctls_set", wish->changes, "list_errors", wish->lists));
		return;
	}
	for (size_t i = 0; i < count; i++)
		print_interface(&list[i]);
	tiers_print_changes(wish->changes);
	tiers_print_sysctls(sysctls);
	json_decref(sysctls);
	if (config && config->list_count)
		printf("%zu services and %zu lists of %s applied\n", config->service_count,
		       config->list_count - wish->unloaded, config->path);
	else if (config)
		printf("%zu services of %s applied\n", config->service_count, config->path);
	else
		printf("no configuration: floodwall service add NAME BINDING protects a server\n");
}

int cmd_attach(struct cli *cli)
{
	struct wish wish = {.changes = json_array(), .lists = json_array()};
	struct wall_interface *list = NULL;
	struct config *config;
	size_t count = 0;
	int status = cli_config(cli, &config);

	if (status == STATUS_OK)
		status = read_wish(cli, config, &wish);
	if (status == STATUS_OK)
		status = list_interfaces(cli, config, &list, &count);
	if (status == STATUS_OK)
		status = set_and_attach(cli, config, list, count, &wish);
	if (status == STATUS_OK)
		print(cli, config, list, count, &wish);
	json_decref(wish.changes);
	json_decref(wish.lists);
	free(list);
	config_free(config);
	return status;
}

static int remove_all(struct cli *cli)
{
	struct error error;
	int result;

	if (cli->argc)
		return cli_usage(cli, "--all takes no interfaces");
	if (geteuid() != 0)
		return cli_fail(cli, "this needs root. Try: sudo floodwall detach --all");
	result = wall_discard(&error); /* of whatever layout */
	if (result == -ENOENT)
		return cli_no(cli, "Floodwall is not loaded: there is nothing to remove");
	if (result < 0)
		return cli_fail(cli, "%s", error.text);
	if (cli->json) {
		output_json(json_pack("{s:b}", "removed", 1));
		return STATUS_OK;
	}
	printf("the filter, tracking and every map are removed\n");
	if (cli_daemon_runs())
		printf("!! floodwalld goes on with maps that nobody else sees: systemctl restart "
		       "floodwalld, or stop it\n");
	return STATUS_OK;
}

static int detach(struct cli *cli, json_t *names)
{
	struct wall_interface *list;
	struct error error;
	size_t count;

	if (wall_interfaces(cli->wall, &list, &count, &error) < 0)
		return cli_fail(cli, "%s", error.text);
	for (int i = 0; i < cli->argc; i++)
		json_array_append_new(names, json_string(cli->argv[i]));
	for (size_t i = 0; i < count && !cli->argc; i++)
		json_array_append_new(names, json_string(list[i].name));
	free(list);
	if (json_array_size(names) == 0)
		return cli_no(cli, "the filter is attached nowhere");
	switch (wall_detach(cli->wall, (const char *const *)cli->argv, (size_t)cli->argc, &error)) {
	case 0:
		return STATUS_OK;
	case -ENOENT:
		return cli_no(cli, "%s", error.text);
	default:
		return cli_fail(cli, "%s", error.text);
	}
}

int cmd_detach(struct cli *cli)
{
	json_t *names, *name;
	size_t index;
	int status;

	if (cli_option(cli, "all"))
		return remove_all(cli);
	status = cli_wall(cli);
	if (status != STATUS_OK)
		return status;
	names = json_array();
	status = detach(cli, names);
	if (status == STATUS_OK && !cli->json)
		json_array_foreach(names, index, name)
			printf("%s: not filtered any more\n", json_string_value(name));
	if (status == STATUS_OK && cli->json)
		output_json(json_pack("{s:O}", "detached", names));
	json_decref(names);
	return status;
}
