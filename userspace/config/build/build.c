/* SPDX-License-Identifier: BSD-2-Clause */
/* The blocks that there is one of: filter, host, proxy, admin, log; and the order of all. */
#include <net/if.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sched.h>
#include <string.h>
#include "config/build/build.h"
#include "contract/address.h"

/* Generations of the proxy share the board, each with rows of its own: there is room for three that
 * drain beside the one that serves. */
#define THREADS_MAX (FW_WORKERS_MAX / 4)

static const char *const modes[] = {"auto", "native", "generic", NULL};
static const char *const tiers[] = {"auto", "own", "kernel", "drop", NULL};
static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};

static const struct setting_row filter_connections = {"connections", SCOPE_HOST, UNIT_COUNT, 0,
						      1024,          16777216,   ""};
static const struct setting_row filter_sources = {"sources", SCOPE_HOST, UNIT_COUNT, 0,
						  1024,      16777216,   ""};
static const struct setting_row filter_blocks = {"blocks", SCOPE_HOST, UNIT_COUNT, 0,
						 1024,     16777216,   ""};
static const struct setting_row filter_questions = {"questions", SCOPE_HOST, UNIT_COUNT, 0,
						    1024,        16777216,   ""};
static const struct setting_row proxy_threads = {"threads", SCOPE_HOST,  UNIT_COUNT, 0,
						 1,         THREADS_MAX, ""};
static const struct setting_row proxy_drain = {"drain",  SCOPE_HOST, UNIT_MILLISECONDS, 30000, 0,
					       86400000, ""};

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
			site_complain(site, written->line, "interfaces",
				      "\"%s\" is not an interface's name", written->text);
			continue;
		}
		while (before < filter->interface_count &&
		       strcmp(filter->interfaces[before], written->text))
			before++;
		if (before < filter->interface_count)
			site_complain(site, written->line, "interfaces", "%s is named twice",
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
			site_complain(site, written->line, "monitor",
				      "\"%s\" is not a reason that the filter drops for",
				      written->text);
		else if (verdict_rows[verdict].action != FW_ACTION_DROP)
			site_complain(site, written->line, "monitor",
				      "\"%s\" is not a rule of the filter: it can't be monitored",
				      written->text);
		else
			filter->monitored[verdict] = true;
	}
}

static void build_filter(const struct site *site, struct config_filter *filter)
{
	build_interfaces(site, filter);
	build_monitor(site, filter);
	filter->mode = build_copy(modes[site_choice(site, "mode", modes, 0)]);
	filter->tier = build_copy(tiers[site_choice(site, "tier", tiers, 0)]);
	filter->cgroup = site_text(site, "cgroup");
	filter->cookie_secret = site_path(site, "cookie_secret", NULL);
	site_number(site, &filter_connections, &filter->sizes.connections);
	site_number(site, &filter_sources, &filter->sizes.sources);
	site_number(site, &filter_questions, &filter->sizes.questions);
	site_number(site, &filter_blocks, &filter->sizes.blocks);
}

static uint32_t usable_cpus(void)
{
	cpu_set_t set;
	int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return count < THREADS_MAX ? (uint32_t)count : THREADS_MAX;
}

static void build_proxy(const struct site *site, struct config *config)
{
	config->threads = usable_cpus();
	site_number(site, &proxy_threads, &config->threads);
	config->drain_ms = proxy_drain.initial;
	site_setting(site, &proxy_drain, &config->drain_ms);
	config->access_log = site_path(site, "access_log", "-");
	config->user = site_text(site, "user");
	if (!config->user)
		config->user = build_copy("nobody");
	else if (!getpwnam(config->user))
		site_complain(site, grammar_value(site->section, "user", 0)->line, "user",
			      "this machine has no user \"%s\"", config->user);
}

static void build_admin(const struct site *site, struct config *config)
{
	struct fw_service_key keys[2];
	struct error error;
	size_t count;
	int line;

	config->admin = site_text(site, "address");
	if (!config->admin)
		return;
	line = grammar_value(site->section, "address", 0)->line;
	if (binding_parse(config->admin, IPPROTO_TCP, keys, &count, &error) < 0)
		site_complain(site, line, "address", "%s", error.text);
	else if (count != 1)
		site_complain(site, line, "address", "\"%s\": name one address", config->admin);
}

void build_config(struct build *build, cfg_t *tree)
{
	struct config *config = build->config;
	struct site root = site_root(build, tree), site;

	site = site_inside(&root, "filter", 0);
	build_filter(&site, &config->filter);
	site = site_inside(&root, "host", 0);
	for (size_t i = 0; i < FW_SETTING_COUNT; i++) {
		config->settings[i] = setting_rows[i].initial;
		if (grammar_has_setting("host", &setting_rows[i]))
			site_setting(&site, &setting_rows[i], &config->settings[i]);
	}
	site = site_inside(&root, "proxy", 0);
	build_proxy(&site, config);
	site = site_inside(&root, "admin", 0);
	build_admin(&site, config);
	site = site_inside(&root, "log", 0);
	config->log_level = build_copy(log_levels[site_choice(&site, "level", log_levels, 2)]);
	build_lists(&root);
	build_resolver(&root);
	build_upstreams(&root);
	build_services(&root);
}
