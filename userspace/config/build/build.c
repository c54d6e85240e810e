/* SPDX-License-Identifier: BSD-2-Clause */
/* The blocks that there is one of: filter, host, proxy, admin, log; and the order of all. */
#include <net/if.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sched.h>
#include <string.h>
#include "config/build/build.h"
#include "contract/address.h"

static void build_interfaces(const struct site *site, struct config_filter *filter)
{
	const struct grammar_value *written;
	size_t count = cfg_size(site->section, "interfaces");

	filter->interfaces = build_alloc(count, sizeof(*filter->interfaces));
	for (size_t i = 0; i < count; i++) {
		size_t before = 0;

		written = grammar_value(site->section, "interfaces", i);
		if (!*written->text || strlen(written->text) >= IF_NAMESIZE ||
		    strpbrk(written->text, "/: \t\n")) {
			site_complain_at(site, written->line, "interfaces",
					 "\"%s\" is not an interface's name", written->text);
			continue;
		}
		while (before < filter->interface_count &&
		       strcmp(filter->interfaces[before], written->text))
			before++;
		if (before < filter->interface_count)
			site_complain_at(site, written->line, "interfaces", "%s is named twice",
					 written->text);
		else
			filter->interfaces[filter->interface_count++] = build_copy(written->text);
	}
}

static void build_monitor(const struct site *site, struct config_filter *filter)
{
	const struct grammar_value *written;

	for (size_t i = 0; i < cfg_size(site->section, "monitor"); i++) {
		int verdict;

		written = grammar_value(site->section, "monitor", i);
		verdict = verdict_find(written->text);
		if (verdict < 0)
			site_complain_at(site, written->line, "monitor",
					 "\"%s\" is not a reason that the filter drops for",
					 written->text);
		else if (verdict_rows[verdict].action != FW_ACTION_DROP)
			site_complain_at(
				site, written->line, "monitor",
				"\"%s\" is not a rule of the filter: it can't be monitored",
				written->text);
		else
			filter->monitored[verdict] = true;
	}
}

static void build_filter(const struct site *site, struct config_filter *filter)
{
	build_options(site, BLOCK_FILTER, filter);
	build_interfaces(site, filter);
	build_monitor(site, filter);
}

static uint32_t usable_cpus(void)
{
	cpu_set_t set;
	int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return count < CONFIG_THREADS_MAX ? (uint32_t)count : CONFIG_THREADS_MAX;
}

static void build_proxy(const struct site *site, struct config *config)
{
	build_options(site, BLOCK_PROXY, config);
	if (!config->threads)
		config->threads = usable_cpus();
	if (site_has(site, "user") && !getpwnam(config->user))
		site_complain(site, "user", "this machine has no user \"%s\"", config->user);
}

static void build_admin(const struct site *site, struct config *config)
{
	struct fw_service_key keys[2];
	struct error error;
	size_t count;

	build_options(site, BLOCK_ADMIN, config);
	if (!config->admin)
		return;
	if (binding_parse(config->admin, IPPROTO_TCP, keys, &count, &error) < 0)
		site_complain(site, "address", "%s", error.text);
	else if (count != 1)
		site_complain(site, "address", "\"%s\": name one address", config->admin);
}

void build_config(struct build *build, cfg_t *tree)
{
	struct config *config = build->config;
	struct site root = site_root(build, tree), site;

	site = site_inside(&root, "filter", 0);
	build_filter(&site, &config->filter);
	site = site_inside(&root, "host", 0);
	build_settings(&site, BLOCK_HOST, config->settings);
	site = site_inside(&root, "proxy", 0);
	build_proxy(&site, config);
	site = site_inside(&root, "admin", 0);
	build_admin(&site, config);
	site = site_inside(&root, "log", 0);
	build_options(&site, BLOCK_LOG, config);
	build_lists(&root);
	build_resolver(&root);
	build_upstreams(&root);
	build_services(&root);
}
