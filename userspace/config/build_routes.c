// SPDX-License-Identifier: BSD-2-Clause
/*
 * Routes: which upstream a listener's requests go to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/build.h"

/* The upstream that option upstream names, or NULL with a complaint. */
static const struct config_upstream *find_upstream(const struct site *site)
{
	const struct grammar_value *written = grammar_value(site->section, "upstream", 0);
	const struct config *config = site->build->config;
	char known[256] = "";
	size_t used;

	if (!written) {
		site_complain(site, site_line(site), NULL, "needs an upstream");
		return NULL;
	}
	for (size_t i = 0; i < config->upstream_count; i++) {
		if (!strcmp(config->upstreams[i].name, written->text))
			return &config->upstreams[i];
		used = strlen(known);
		snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "",
			 config->upstreams[i].name);
	}
	site_complain(site, written->line, "upstream", "no upstream is called \"%s\"; there %s%s",
		      written->text, config->upstream_count ? "is " : "is none", known);
	return NULL;
}

static void check_prefix(const struct site *site, const char *prefix)
{
	if (*prefix != '/')
		site_complain(site, site_line(site), NULL, "a route begins with a slash");
	for (const char *c = prefix; *c; c++) {
		if (*c <= ' ' || *c > '~' || *c == '?' || *c == '#') {
			site_complain(site, site_line(site), NULL,
				      "a route is the beginning of a path: no space, control "
				      "character, \"?\" or \"#\"");
			return;
		}
	}
}

static void add_route(struct config_service *service, const char *prefix,
		      const struct config_upstream *upstream)
{
	size_t at = service->route_count++;

	/* Longest first: a request takes the first that matches. */
	for (; at > 0 && strlen(service->routes[at - 1].prefix) < strlen(prefix); at--)
		service->routes[at] = service->routes[at - 1];
	service->routes[at] = (struct config_route){build_copy(prefix), upstream};
}

void build_routes(const struct site *listener, struct config_service *service)
{
	size_t count = site_count(listener, "route");
	const struct grammar_value *whole = grammar_value(listener->section, "upstream", 0);
	const struct config_upstream *upstream;
	struct site site;

	service->routes = build_alloc(count + 1, sizeof(*service->routes));
	if (whole || !count) {
		upstream = find_upstream(listener);
		if (upstream)
			add_route(service, "/", upstream);
	}
	for (size_t i = 0; i < count; i++) {
		const char *prefix;

		site = site_inside(listener, "route", i);
		prefix = cfg_title(site.section);
		check_prefix(&site, prefix);
		if (service->protocol == PROTOCOL_TCP)
			site_complain(&site, site_line(&site), NULL,
				      "protocol tcp has no paths: name the upstream in the "
				      "listener");
		else if (whole && !strcmp(prefix, "/"))
			site_complain(&site, site_line(&site), NULL,
				      "the listener's own upstream is the route / already");
		upstream = find_upstream(&site);
		if (upstream)
			add_route(service, prefix, upstream);
	}
}
