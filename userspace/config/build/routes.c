// SPDX-License-Identifier: BSD-2-Clause
/*
 * Routes of a listener, and where each leads: to an upstream, or no further than here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/build/build.h"

/* The upstream that option upstream names, or NULL with a complaint. */
static const struct config_upstream *find_upstream(const struct site *site)
{
	const struct grammar_value *written = grammar_value(site->section, "upstream", 0);
	const struct config *config = site->build->config;
	char known[256] = "";
	size_t used;

	if (!written) {
		site_complain(site, NULL, "needs an upstream");
		return NULL;
	}
	for (size_t i = 0; i < config->upstream_count; i++) {
		if (!strcmp(config->upstreams[i].name, written->text))
			return &config->upstreams[i];
		used = strlen(known);
		snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "",
			 config->upstreams[i].name);
	}
	site_complain(site, "upstream", "no upstream is called \"%s\"; there %s%s", written->text,
		      config->upstream_count ? "is " : "is none", known);
	return NULL;
}

/* Whether it takes whatever comes to its path. */
static bool is_general(const struct config_route *route)
{
	return !route->host_count && !route->methods && !route->condition_count;
}

static void build_route(const struct site *listener, const struct site *site, bool has_whole,
			struct config_service *service)
{
	struct config_route *route = &service->routes[service->route_count++];

	route->prefix = build_copy(site_title(site));
	route->line = site_line(site);
	build_route_match(site, route);
	if (service->protocol == PROTOCOL_TCP)
		site_complain(site, NULL,
			      "protocol tcp has no paths: name the upstream in the listener");
	else if (has_whole && !strcmp(route->prefix, "/") && is_general(route))
		site_complain(site, NULL, "the listener's own upstream is the route / already");
	if (!build_answer(site, &route->answer))
		route->upstream = find_upstream(site);
	else if (site_has(site, "upstream"))
		site_complain(site, "upstream", "is never asked: the route answers itself");
	build_route_limits(site, &route->limits);
	build_rules(listener, site, service, route);
}

/* The listener's own upstream: whatever no other route takes. */
static void build_whole(const struct site *listener, struct config_service *service)
{
	struct config_route *route = &service->routes[service->route_count];

	route->upstream = find_upstream(listener);
	if (!route->upstream)
		return;
	route->prefix = build_copy("/");
	route->line = site_line(listener);
	service->route_count++;
	build_rules(listener, NULL, service, route);
}

/* Longest prefix first; where they are as long, in the file's order. */
static void sort(struct config_service *service)
{
	for (size_t i = 1; i < service->route_count; i++) {
		struct config_route route = service->routes[i];
		size_t at = i;

		for (; at && strlen(service->routes[at - 1].prefix) < strlen(route.prefix); at--)
			service->routes[at] = service->routes[at - 1];
		service->routes[at] = route;
	}
}

void build_routes(const struct site *listener, struct config_service *service)
{
	size_t count = site_count(listener, "route");
	bool has_whole = site_has(listener, "upstream") || !count;
	struct site site;

	service->routes = build_alloc(count + 1, sizeof(*service->routes));
	for (size_t i = 0; i < count; i++) {
		site = site_inside(listener, "route", i);
		build_route(listener, &site, has_whole, service);
	}
	if (has_whole)
		build_whole(listener, service);
	sort(service);
	if (service->protocol == PROTOCOL_TCP &&
	    (site_count(listener, "request_headers") || site_count(listener, "response_headers")))
		site_complain(listener, NULL,
			      "protocol tcp has no header for request_headers or "
			      "response_headers to change");
}
