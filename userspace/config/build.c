/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How values are taken from blocks, and the blocks that there is one of: filter, host, proxy,
 * admin, log.
 */
#include <net/if.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "config/build.h"
#include "contract/address.h"

#define LABEL_SIZE 192

/* Generations of the proxy share the board, each with rows of its own: there is room for three that
 * drain beside the one that serves. */
#define THREADS_MAX (FW_WORKERS_MAX / 4)

/* --- values from blocks ---------------------------------------------------------------------- */

struct site site_root(struct build *build, cfg_t *tree)
{
	return (struct site){build, tree, SOURCE_ROOT};
}

struct site site_inside(const struct site *outer, const char *name, size_t nth)
{
	return (struct site){
		.build = outer->build,
		.section = cfg_getnsec(outer->section, name, (unsigned int)nth),
		.block = source_block_find(outer->build->source, outer->block, name, nth),
	};
}

size_t site_count(const struct site *outer, const char *name)
{
	return cfg_size(outer->section, name);
}

int site_line(const struct site *site)
{
	return site->block < 0 ? 0 : site->build->source->blocks[site->block].line;
}

const char *site_title(const struct site *site)
{
	return site->build->source->blocks[site->block].title;
}

void site_complain(const struct site *site, int line, const char *option, const char *format, ...)
{
	char label[LABEL_SIZE], text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (option)
		source_block_label(site->build->source, site->block, label, sizeof(label));
	else
		source_block_name(site->build->source, site->block, label, sizeof(label));
	complaints_add(site->build->complaints, line, "%s%s%s%s", label, option ? option : "",
		       option ? ": " : "", text);
}

void site_setting(const struct site *site, const struct setting_row *row, uint64_t *value)
{
	const char *dot = strchr(row->name, '.');
	const struct grammar_value *written;
	cfg_t *section = site->section;
	struct error error;
	char group[64];

	if (dot) {
		snprintf(group, sizeof(group), "%.*s", (int)(dot - row->name), row->name);
		section = cfg_getsec(section, group);
	}
	written = section ? grammar_value(section, dot ? dot + 1 : row->name, 0) : NULL;
	if (written && setting_parse(row, written->text, value, &error) < 0)
		site_complain(site, written->line, NULL, "%s", error.text);
}

void site_number(const struct site *site, const struct setting_row *row, uint32_t *value)
{
	uint64_t wide = *value;

	site_setting(site, row, &wide);
	*value = (uint32_t)wide;
}

int site_choice(const struct site *site, const char *option, const char *const *words, int initial)
{
	const struct grammar_value *written = grammar_value(site->section, option, 0);
	char allowed[128] = "";

	if (!written)
		return initial;
	for (int i = 0; words[i]; i++) {
		size_t used = strlen(allowed);

		if (!strcmp(words[i], written->text))
			return i;
		snprintf(allowed + used, sizeof(allowed) - used, "%s%s",
			 i == 0 ? "" : (words[i + 1] ? ", " : " or "), words[i]);
	}
	site_complain(site, written->line, option, "\"%s\" is not %s", written->text, allowed);
	return initial;
}

bool site_switch(const struct site *site, const char *option, bool initial)
{
	const struct setting_row row = {.name = option,
					.scope = SCOPE_LISTENER,
					.unit = UNIT_SWITCH,
					.initial = initial,
					.max = 1};
	uint64_t value = initial;

	site_setting(site, &row, &value);
	return value;
}

/* The file is read by a daemon that may stand anywhere. */
bool site_file(const struct site *site, const char *option, const struct grammar_value *written,
	       struct config_file *file)
{
	if (*written->text != '/') {
		site_complain(site, written->line, option, "\"%s\" is not an absolute path",
			      written->text);
		return false;
	}
	*file = (struct config_file){build_copy(written->text), written->line};
	return true;
}

void site_files(const struct site *site, const char *option, struct config_files *files)
{
	size_t count = cfg_size(site->section, option);

	files->list = build_alloc(count, sizeof(*files->list));
	for (size_t i = 0; i < count; i++)
		if (site_file(site, option, grammar_value(site->section, option, i),
			      &files->list[files->count]))
			files->count++;
}

char *site_text(const struct site *site, const char *option)
{
	const struct grammar_value *written = grammar_value(site->section, option, 0);

	if (!written)
		return NULL;
	if (!*written->text) {
		site_complain(site, written->line, option, "is empty");
		return NULL;
	}
	return build_copy(written->text);
}

char *site_path(const struct site *site, const char *option, const char *instead)
{
	char *path = site_text(site, option);

	if (!path || *path == '/' || (instead && !strcmp(path, instead)))
		return path;
	site_complain(site, grammar_value(site->section, option, 0)->line, option,
		      "\"%s\" is %s an absolute path%s%s%s", path, instead ? "neither" : "not",
		      instead ? " nor \"" : "", instead ? instead : "", instead ? "\"" : "");
	return path;
}

void *build_alloc(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory)
		abort();
	return memory;
}

char *build_copy(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		abort();
	return copy;
}

void build_check_name(const struct site *site)
{
	const char *name = cfg_title(site->section);

	if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != strlen(name) || !*name)
		site_complain(site, site_line(site), NULL,
			      "the name may only have the characters a-z, 0-9, _ and -");
	else if (strlen(name) >= FW_NAME_SIZE)
		site_complain(site, site_line(site), NULL, "the name is longer than %d characters",
			      FW_NAME_SIZE - 1);
}

/* --- single blocks --------------------------------------------------------------------------- */

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
