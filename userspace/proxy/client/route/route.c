// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/route/route.h"
#include <stdlib.h>
#include <string.h>

#define NO_NODE UINT32_MAX

/* A path that routes of a host begin with. */
struct node {
	const char *prefix;
	uint32_t length;
	uint32_t parent;       /* the longest other one that it begins with; NO_NODE: none does */
	uint32_t first, count; /* its routes: in host->routes, as they are asked */
};

/* One host, or all below one (".example.com"), or, named by nobody, every other. */
struct host {
	struct http_slice name;
	uint32_t hash;
	struct host *wider; /* is asked next; NULL: nobody is left */
	struct node *nodes; /* sorted by prefix */
	uint32_t node_count;
	struct route **routes;
};

struct router {
	struct route *only; /* that takes everything; NULL: there is more to it */
	struct route *routes;
	size_t route_count;
	struct host *hosts; /* the last is every other's */
	size_t host_count;
	struct host **table; /* by hash; a power of two, half of it empty at least */
	uint32_t mask;
	uint32_t longest; /* prefix */
	bool has_wildcards;
	struct http_policy policy[2];
	const struct config_forwarding *forwarding;
};

/* --- hosts ---------------------------------------------------------------------------------------
 *
 * A name is hashed from its end, so that on the way each domain around it has its own hash already
 * (FNV-1a).
 */

enum { HASH_START = 2166136261u, HASH_FACTOR = 16777619u };

static uint32_t hash_byte(uint32_t hash, char byte)
{
	return (hash ^ (uint8_t)(byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte)) * HASH_FACTOR;
}

static struct host *look_up(const struct router *router, struct http_slice name, uint32_t hash)
{
	struct host *host;

	for (uint32_t i = hash & router->mask; (host = router->table[i]);
	     i = (i + 1) & router->mask)
		if (host->hash == hash && http_slice_equal(host->name, name))
			return host;
	return NULL;
}

/* The most exact entry for @name. With @domain: of those for the domains that it is in. */
static struct host *find_host(const struct router *router, struct http_slice name, bool domain)
{
	struct host *best = &router->hosts[router->host_count - 1], *found;
	uint32_t hash = HASH_START;

	for (uint32_t i = name.length; i-- > 0;) {
		hash = hash_byte(hash, name.at[i]);
		if (i && name.at[i] == '.' && router->has_wildcards) {
			found = look_up(router, (struct http_slice){name.at + i, name.length - i},
					hash);
			best = found ? found : best;
		}
	}
	found = domain ? NULL : look_up(router, name, hash);
	return found ? found : best;
}

struct http_slice route_host(const struct http_request *request, const char *data)
{
	struct http_slice host = http_slice(data, request->host);
	const char *colon;

	if (host.length && *host.at == '[') {
		colon = memchr(host.at, ']', host.length);
		host.length = (uint32_t)(colon + 1 - host.at);
		return host;
	}
	colon = host.length ? memchr(host.at, ':', host.length) : NULL;
	if (colon)
		host.length = (uint32_t)(colon - host.at);
	if (host.length > 1 && host.at[host.length - 1] == '.')
		host.length--;
	return host;
}

/* --- paths ---------------------------------------------------------------------------------------
 */

static struct http_slice path_of(const struct http_request *request, const char *data)
{
	struct http_slice path = http_slice(data, request->path);
	const char *query = memchr(path.at, '?', path.length);

	if (query)
		path.length = (uint32_t)(query - path.at);
	/* "*" asks about the server as a whole. */
	return *path.at == '*' ? (struct http_slice){"/", 1} : path;
}

static int compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
	int order = memcmp(a, b, a_length < b_length ? a_length : b_length);

	return order ? order : (a_length > b_length) - (a_length < b_length);
}

/* Whether @path begins with the node's prefix, and that ends where a segment does. */
static bool is_below(struct http_slice path, const struct node *node)
{
	return node->length <= path.length && !memcmp(node->prefix, path.at, node->length) &&
	       (node->length == path.length || node->prefix[node->length - 1] == '/' ||
		path.at[node->length] == '/');
}

/* Of what sorts before a path or is it, the last begins with all that the path begins with, too. */
static uint32_t find_node(const struct host *host, struct http_slice path)
{
	uint32_t low = 0, high = host->node_count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (compare(host->nodes[middle].prefix, host->nodes[middle].length, path.at,
			    path.length) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? low - 1 : NO_NODE;
}

/* --- conditions ----------------------------------------------------------------------------------
 */

static bool holds(const struct config_condition *condition, const struct http_head *head,
		  const char *data)
{
	for (uint32_t i = 0; i < head->count; i++) {
		struct http_slice value = http_slice(data, head->field[i].value);

		if (http_slice_equal(http_slice(data, head->field[i].name),
				     (struct http_slice){condition->name,
							 (uint32_t)strlen(condition->name)}) &&
		    (!condition->value || (strlen(condition->value) == value.length &&
					   !memcmp(condition->value, value.at, value.length))))
			return true;
	}
	return false;
}

static bool takes(const struct route *route, const struct http_request *request, const char *data)
{
	const struct config_route *config = route->config;

	if (config->methods && !(config->methods & CONFIG_METHOD(request->method)))
		return false;
	for (size_t i = 0; i < config->condition_count; i++)
		if (!holds(&config->conditions[i], &request->head, data))
			return false;
	return true;
}

static struct route *find_route(const struct router *router, const struct http_request *request,
				const char *data, struct http_slice path)
{
	for (const struct host *host = find_host(router, route_host(request, data), false); host;
	     host = host->wider) {
		for (uint32_t at = find_node(host, path); at != NO_NODE;
		     at = host->nodes[at].parent) {
			const struct node *node = &host->nodes[at];

			if (!is_below(path, node))
				continue;
			for (uint32_t i = 0; i < node->count; i++)
				if (takes(host->routes[node->first + i], request, data))
					return host->routes[node->first + i];
		}
	}
	return NULL;
}

/* By what its path is read as: as much of that as may decide. */
__attribute__((noinline)) static struct route *find_encoded(const struct router *router,
							    const struct http_request *request,
							    const char *data,
							    struct http_slice path)
{
	char plain[HTTP_HEAD_MAX];
	uint32_t used, length = http_path_read(plain, router->longest + 1, path, &used);

	return find_route(router, request, data, (struct http_slice){plain, length});
}

struct route *router_find(struct router *router, const struct http_request *request,
			  const char *data)
{
	struct http_slice path;

	if (router->only)
		return router->only;
	path = path_of(request, data);
	return memchr(path.at, '%', path.length) ? find_encoded(router, request, data, path)
						 : find_route(router, request, data, path);
}

/* --- what servers are told ----------------------------------------------------------------------
 */

static struct http_policy policy_of(const struct config_forwarding *forwarding, bool trusted)
{
	static const enum http_kind kinds[TOLD_COUNT] = {
		[TOLD_FOR] = HTTP_X_FORWARDED_FOR,     [TOLD_PROTO] = HTTP_X_FORWARDED_PROTO,
		[TOLD_HOST] = HTTP_X_FORWARDED_HOST,   [TOLD_FORWARDED] = HTTP_FORWARDED,
		[TOLD_REQUEST_ID] = HTTP_X_REQUEST_ID, [TOLD_TRACE] = HTTP_TRACEPARENT,
	};
	struct http_policy policy = {0};

	for (int i = 0; i < TOLD_COUNT; i++) {
		enum config_telling telling = forwarding->tell[i];
		uint32_t kind = HTTP_KIND(kinds[i]);

		policy.drop |= telling != TELL_OFF ? kind : 0;
		policy.say |= telling == TELL_REPLACE || telling == TELL_KEEP ? kind : 0;
		policy.keep |= telling == TELL_KEEP && trusted ? kind : 0;
	}
	/* What belongs to a trace goes with it. */
	if (policy.drop & HTTP_KIND(HTTP_TRACEPARENT))
		policy.drop |= HTTP_KIND(HTTP_TRACESTATE);
	return policy;
}

const struct http_policy *router_policy(const struct router *router, bool trusted)
{
	return &router->policy[trusted];
}

bool router_trusts(const struct router *router, const struct fw_addr *source)
{
	return prefixes_have(router->forwarding->trusted, router->forwarding->trusted_count,
			     source);
}

/* --- made once ----------------------------------------------------------------------------------
 */

static struct http_slice name_of(const char *host)
{
	host += *host == '*';
	return (struct http_slice){host, (uint32_t)strlen(host)};
}

static struct host *add_host(struct router *router, struct http_slice name)
{
	struct host *host;
	uint32_t hash = HASH_START, at;

	for (uint32_t i = name.length; i-- > 0;)
		hash = hash_byte(hash, name.at[i]);
	host = look_up(router, name, hash);
	if (host)
		return host;
	host = &router->hosts[router->host_count++];
	*host = (struct host){.name = name, .hash = hash};
	for (at = hash & router->mask; router->table[at]; at = (at + 1) & router->mask)
		;
	router->table[at] = host;
	router->has_wildcards |= *name.at == '.';
	return host;
}

static bool belongs(const struct config_route *route, const struct host *host)
{
	for (size_t i = 0; i < route->host_count; i++)
		if (http_slice_equal(name_of(route->hosts[i]), host->name))
			return true;
	return !route->host_count && !host->name.length;
}

static int compare_prefixes(const struct route *a, const struct route *b)
{
	return compare(a->prefix.at, a->prefix.length, b->prefix.at, b->prefix.length);
}

/* By prefix; those of one prefix in the order that they have. */
static int compare_routes(const void *left, const void *right)
{
	const struct route *a = *(struct route *const *)left, *b = *(struct route *const *)right;
	int order = compare_prefixes(a, b);

	return order ? order : (a->index > b->index) - (a->index < b->index);
}

static bool begins_with(struct http_slice text, const struct node *node)
{
	return node->length <= text.length && !memcmp(node->prefix, text.at, node->length);
}

static void add_node(struct host *host, struct http_slice prefix, uint32_t first)
{
	struct node *node = &host->nodes[host->node_count];

	*node = (struct node){prefix.at, prefix.length, host->node_count - 1, first, 0};
	/* The one before, or what that begins with: NO_NODE is −1. */
	while (node->parent != NO_NODE && !begins_with(prefix, &host->nodes[node->parent]))
		node->parent = host->nodes[node->parent].parent;
	host->node_count++;
}

static bool fill_host(struct router *router, struct host *host)
{
	uint32_t count = 0;

	for (size_t i = 0; i < router->route_count; i++)
		count += belongs(router->routes[i].config, host);
	host->nodes = calloc(count + 1, sizeof(*host->nodes));
	host->routes = calloc(count + 1, sizeof(struct route *));
	if (!host->nodes || !host->routes)
		return false;
	count = 0;
	for (size_t i = 0; i < router->route_count; i++)
		if (belongs(router->routes[i].config, host))
			host->routes[count++] = &router->routes[i];
	qsort(host->routes, count, sizeof(struct route *), compare_routes);
	for (uint32_t i = 0; i < count; i++) {
		if (!i || compare_prefixes(host->routes[i], host->routes[i - 1]))
			add_node(host, host->routes[i]->prefix, i);
		host->nodes[host->node_count - 1].count++;
	}
	return true;
}

static bool make_hosts(struct router *router)
{
	size_t names = 1, size = 2;
	bool done = true;

	for (size_t i = 0; i < router->route_count; i++)
		names += router->routes[i].config->host_count;
	while (size < 2 * names)
		size *= 2;
	router->mask = (uint32_t)size - 1;
	router->hosts = calloc(names, sizeof(*router->hosts));
	router->table = calloc(size, sizeof(struct host *));
	if (!router->hosts || !router->table)
		return false;
	for (size_t i = 0; i < router->route_count; i++)
		for (size_t j = 0; j < router->routes[i].config->host_count; j++)
			add_host(router, name_of(router->routes[i].config->hosts[j]));
	router->host_count++; /* every other; found by nobody's name */
	for (size_t i = 0; i < router->host_count && done; i++) {
		struct host *host = &router->hosts[i];

		if (i + 1 < router->host_count)
			host->wider = find_host(router, host->name, true);
		done = fill_host(router, host);
	}
	return done;
}

static bool make_names(const struct config_rules *rules, struct route_names *names)
{
	names->list = calloc(rules->drop_count + 1, sizeof(*names->list));
	for (size_t i = 0; names->list && i < rules->drop_count; i++)
		names->list[names->count++] =
			(struct http_slice){rules->drop[i], (uint32_t)strlen(rules->drop[i])};
	return names->list != NULL;
}

static bool is_plain(const struct config_rules *rules)
{
	return !rules->drop_count && !rules->line_count;
}

static bool make_prefix(struct route *route, const char *text)
{
	const struct http_slice raw = {text, (uint32_t)strlen(text)};
	char *prefix = malloc(raw.length + 1);
	uint32_t used;

	if (prefix)
		route->prefix =
			(struct http_slice){prefix, http_path_read(prefix, raw.length, raw, &used)};
	return prefix;
}

static bool make_route(struct route *route, const struct config_route *config)
{
	const struct config_route_limits *limits = &config->limits;

	route->config = config;
	route->plain = is_plain(&config->request) && !config->rewrite;
	route->plain_back = is_plain(&config->response);
	route->limited =
		limits->request_rate || limits->source_rate || limits->active || limits->body;
	return make_prefix(route, config->prefix) &&
	       make_names(&config->request, &route->request_drop) &&
	       make_names(&config->response, &route->response_drop);
}

static bool takes_everything(const struct config_route *route)
{
	return !strcmp(route->prefix, "/") && !route->host_count && !route->methods &&
	       !route->condition_count;
}

struct router *router_create(const struct config_service *listener, uint32_t first)
{
	struct router *router = calloc(1, sizeof(*router));
	bool done;

	if (!router)
		return NULL;
	router->forwarding = &listener->forwarding;
	for (int trusted = 0; trusted < 2; trusted++)
		router->policy[trusted] = policy_of(&listener->forwarding, trusted);
	router->routes = aligned_alloc(64, (listener->route_count + 1) * sizeof(*router->routes));
	done = router->routes != NULL;
	if (done)
		memset(router->routes, 0, (listener->route_count + 1) * sizeof(*router->routes));
	for (uint32_t i = 0; done && i < listener->route_count; i++) {
		struct route *route = &router->routes[router->route_count++];

		route->index = i;
		route->number = first + i;
		done = make_route(route, &listener->routes[i]);
		if (done && route->prefix.length > router->longest)
			router->longest = route->prefix.length;
	}
	done = done && make_hosts(router);
	if (!done) {
		router_free(router);
		return NULL;
	}
	if (router->route_count == 1 && takes_everything(router->routes[0].config))
		router->only = &router->routes[0];
	return router;
}

void router_free(struct router *router)
{
	if (!router)
		return;
	for (size_t i = 0; router->hosts && i < router->host_count; i++) {
		free(router->hosts[i].nodes);
		free(router->hosts[i].routes);
	}
	for (size_t i = 0; i < router->route_count; i++) {
		free((char *)(uintptr_t)router->routes[i].prefix.at);
		free(router->routes[i].request_drop.list);
		free(router->routes[i].response_drop.list);
	}
	free(router->hosts);
	free(router->table);
	free(router->routes);
	free(router);
}
