/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Routes once they are built: which of them hides which, and their end.
 */
#include <stdlib.h>
#include <string.h>
#include "config/config.h"
#include "config/options.h"

/* Whether a request that meets @asked meets @condition as well. */
static bool is_implied(const struct config_condition *condition,
		       const struct config_condition *asked)
{
	return !strcmp(condition->name, asked->name) &&
	       (!condition->value || (asked->value && !strcmp(condition->value, asked->value)));
}

/* Whether @first takes whatever @second would, of one host and path. */
static bool takes_all_of(const struct config_route *first, const struct config_route *second)
{
	if (first->methods && (!second->methods || second->methods & ~first->methods))
		return false;
	for (size_t i = 0; i < first->condition_count; i++) {
		size_t j = 0;

		while (j < second->condition_count &&
		       !is_implied(&first->conditions[i], &second->conditions[j]))
			j++;
		if (j == second->condition_count)
			return false;
	}
	return true;
}

static bool has_host(const struct config_route *route, const char *host)
{
	if (!host)
		return !route->host_count;
	for (size_t i = 0; i < route->host_count; i++)
		if (!strcmp(route->hosts[i], host))
			return true;
	return false;
}

const struct config_route *config_route_hidden_by(const struct config_service *listener,
						  const struct config_route *route,
						  const char *host)
{
	for (const struct config_route *first = listener->routes; first < route; first++)
		if (!strcmp(first->prefix, route->prefix) && has_host(first, host) &&
		    takes_all_of(first, route))
			return first;
	return NULL;
}

static void free_text(struct config_text *text)
{
	for (size_t i = 0; i < text->count; i++)
		free(text->pieces[i].bytes);
	free(text->pieces);
}

static void free_rules(struct config_rules *rules)
{
	for (size_t i = 0; i < rules->drop_count; i++)
		free(rules->drop[i]);
	free(rules->drop);
	for (size_t i = 0; i < rules->line_count; i++) {
		free(rules->lines[i].name);
		free_text(&rules->lines[i].value);
	}
	free(rules->lines);
}

void config_route_free(struct config_route *route)
{
	for (size_t i = 0; i < route->host_count; i++)
		free(route->hosts[i]);
	free(route->hosts);
	for (size_t i = 0; i < route->condition_count; i++) {
		free(route->conditions[i].name);
		free(route->conditions[i].value);
	}
	free(route->conditions);
	free_text(&route->answer.location);
	config_options_free(BLOCK_ROUTE, route);
	config_options_free(BLOCK_RESPOND, &route->answer);
	free(route->answer.body);
	free_rules(&route->request);
	free_rules(&route->response);
	free(route->prefix);
}
