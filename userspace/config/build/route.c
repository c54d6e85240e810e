/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which requests are a route's: by host, path, method and fields; and how many of them it takes.
 */
#include <ctype.h>
#include <string.h>
#include "config/build/build.h"

#define HOSTS_MAX      64
#define CONDITIONS_MAX 8
#define NAME_MAX_SIZE  253 /* of a host (RFC 1035) */

static const char *const methods[] = {
#define HTTP_METHOD(id, token, content) token,
#include "contract/methods.def"
#undef HTTP_METHOD
};

enum { METHODS = sizeof(methods) / sizeof(methods[0]) };
_Static_assert(METHODS < 63, "a set of methods has 64 bits");

static void check_prefix(const struct site *site, const char *prefix)
{
	if (*prefix != '/')
		site_complain(site, NULL, "a route begins with a slash");
	for (const char *c = prefix; *c; c++) {
		if (*c <= ' ' || *c > '~' || *c == '?' || *c == '#') {
			site_complain(site, NULL,
				      "a route is the beginning of a path: no space, control "
				      "character, \"?\" or \"#\"");
			return;
		}
	}
}

/* A name, an address, or [address]; "*." may stand in front of a name. No port. */
static bool is_host(const char *text)
{
	const char *name = strncmp(text, "*.", 2) ? text : text + 2;

	if (*name == '[')
		return name == text &&
		       strspn(name + 1, "0123456789abcdefABCDEF:.") == strlen(name) - 2 &&
		       name[strlen(name) - 1] == ']';
	return *name && *name != '.' && strlen(text) <= NAME_MAX_SIZE &&
	       name[strlen(name) - 1] != '.' && !strstr(name, "..") &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789-._") == strlen(name);
}

static void build_hosts(const struct site *site, struct config_route *route)
{
	size_t count = cfg_size(site->section, "host");

	route->hosts = build_alloc(count, sizeof(*route->hosts));
	for (size_t i = 0; i < count; i++) {
		const struct grammar_value *written = grammar_value(site->section, "host", i);
		char *host;

		if (!is_host(written->text)) {
			site_complain_at(
				site, written->line, "host",
				"\"%s\" is neither a host's name, \"*.\" and a name, nor an "
				"address; a port does not belong to it",
				written->text);
			continue;
		}
		if (i >= HOSTS_MAX) {
			site_complain_at(site, written->line, "host",
					 "there is room for %d of them", HOSTS_MAX);
			return;
		}
		host = route->hosts[route->host_count++] = build_copy(written->text);
		for (; *host; host++)
			*host = (char)tolower((unsigned char)*host);
	}
}

static void build_methods(const struct site *site, struct config_route *route)
{
	for (size_t i = 0; i < cfg_size(site->section, "method"); i++) {
		const struct grammar_value *written = grammar_value(site->section, "method", i);
		size_t nth = 0;

		while (nth < METHODS && strcmp(methods[nth], written->text))
			nth++;
		if (nth == METHODS)
			site_complain_at(site, written->line, "method",
					 "\"%s\" is no method that the proxy forwards",
					 written->text);
		else
			route->methods |= CONFIG_METHOD(nth + 1);
	}
}

/* "Name", or "Name: value". */
static void build_conditions(const struct site *site, struct config_route *route)
{
	size_t count = cfg_size(site->section, "header");

	route->conditions = build_alloc(count, sizeof(*route->conditions));
	for (size_t i = 0; i < count; i++) {
		const struct grammar_value *written = grammar_value(site->section, "header", i);
		const char *colon = strchr(written->text, ':');
		struct config_condition condition = {.name = build_copy(written->text)};

		if (colon) {
			condition.name[colon - written->text] = '\0';
			colon += 1 + strspn(colon + 1, " \t");
			condition.value = build_copy(colon);
		}
		for (char *c = condition.name; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		route->conditions[route->condition_count++] = condition;
		if (!*condition.name ||
		    strspn(condition.name, "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~") !=
			    strlen(condition.name))
			site_complain_at(site, written->line, "header",
					 "\"%s\" is neither \"Name\" nor \"Name: value\"",
					 written->text);
		if (i == CONDITIONS_MAX) {
			site_complain_at(site, written->line, "header",
					 "there is room for %d of them", CONDITIONS_MAX);
			return;
		}
	}
}

/* What takes the prefix's place has to end as that does, or the rest would stick to it. */
static void check_rewrite(const struct site *site, const struct config_route *route)
{
	size_t length = strlen(route->prefix);

	if (!route->rewrite)
		return;
	if (*route->rewrite != '/' || strpbrk(route->rewrite, " \t\r\n?#%\\") ||
	    strstr(route->rewrite, "/.") || strlen(route->rewrite) > 1024)
		site_complain(site, "rewrite", "\"%s\" is not the beginning of a path, spelled out",
			      route->rewrite);
	else if (length && route->prefix[length - 1] == '/' &&
		 route->rewrite[strlen(route->rewrite) - 1] != '/')
		site_complain(site, "rewrite", "\"%s\" has to end with a slash, as \"%s\" does",
			      route->rewrite, route->prefix);
}

void build_route_match(const struct site *site, struct config_route *route)
{
	check_prefix(site, route->prefix);
	build_hosts(site, route);
	build_methods(site, route);
	build_conditions(site, route);
	build_options(site, BLOCK_ROUTE, route);
	check_rewrite(site, route);
}

void build_route_limits(const struct site *route, struct config_route_limits *limits)
{
	struct site site = site_inside(route, "limits", 0);

	build_options(&site, BLOCK_ROUTE_LIMITS, limits);
	/* Twice a second's worth at once, as sources have it by default elsewhere. */
	if (!limits->request_burst)
		limits->request_burst = limits->request_rate ? 2 * limits->request_rate : 1;
	if (!limits->source_burst)
		limits->source_burst = limits->source_rate ? 2 * limits->source_rate : 1;
	site = site_inside(route, "timeouts", 0);
	build_options(&site, BLOCK_ROUTE_TIMEOUTS, limits);
}
