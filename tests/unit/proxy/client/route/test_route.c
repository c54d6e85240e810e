/* SPDX-License-Identifier: BSD-2-Clause */
/* Which route a request takes; for thousands of tables and requests, the one that the rule as it is
 * told in docs/routing.md leads to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "config/config.h"
#include "proxy/client/route/route.h"

#define APP "upstream app { server { address = \"127.0.0.1:8000\" } }\n"

static const struct http_limits limits = {.target = 8192, .header = 65536, .fields = 100};
static struct http_request request;
static char head[2048];

static struct config *parsed(const char *routes)
{
	struct config *config = NULL;
	struct error error;
	char text[16384];

	snprintf(text, sizeof(text), "listener a { bind = \"127.0.0.1:1\" %s }\n" APP, routes);
	if (config_parse(text, "f", &config, &error) < 0)
		fail_msg("%s", error.text);
	return config;
}

/* "GET host/path", and fields. */
static struct route *find(struct router *router, const char *method, const char *host,
			  const char *path, const char *fields)
{
	int length = snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", method,
			      path, host, fields);

	http_request_init(&request);
	assert_int_equal(http_request_parse(&request, head, (size_t)length, &limits), length);
	return router_find(router, &request, head);
}

/* The line of the route, in a configuration that has one a line; 0: none. */
static int line_of(struct router *router, const char *method, const char *host, const char *path,
		   const char *fields)
{
	const struct route *route = find(router, method, host, path, fields);

	return route ? route->config->line : 0;
}

static void paths(void **state)
{
	struct config *config = parsed("\n"
				       "route \"/\" { upstream = app }\n"
				       "route \"/api\" { upstream = app }\n"
				       "route \"/api/\" { upstream = app }\n"
				       "route \"/api-v2\" { upstream = app }\n"
				       "route \"/api/x/y\" { upstream = app }\n"
				       "route \"/z/\" { upstream = app }\n");
	struct router *router = router_create(&config->services[0], 0);
	static const struct {
		const char *path;
		int line;
	} rows[] = {
		{"/", 2},         {"/a", 2},      {"/ap", 2},          {"/api", 3},
		{"/api?/x", 3},   {"/api/", 4},   {"/api/x", 4},       {"/apis", 2},
		{"/api;x", 2},    {"/api%2f", 2}, {"/api-v2", 5},      {"/api-v2/", 5},
		{"/api-v3", 2},   {"/API", 2},    {"/api/x/y", 6},     {"/api/x/y/z", 6},
		{"/api/x/yz", 4}, {"/z", 2},      {"/z/", 7},          {"/zz", 2},
		{"//api", 2},     {"/%61pi", 3},  {"/%61%70i/%78", 4}, {"/api%2Fx", 2},
		{"/ap%2569", 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (line_of(router, "GET", "h", rows[i].path, "") != rows[i].line)
			fail_msg("%s leads elsewhere than to line %d", rows[i].path, rows[i].line);
	assert_int_equal(line_of(router, "OPTIONS", "h", "*", ""), 2);
	router_free(router);
	config_free(config);
}

static void hosts(void **state)
{
	struct config *config =
		parsed("\n"
		       "route \"/\" { upstream = app host = \"a.example\" }\n"
		       "route \"/\" { upstream = app host = \"*.example\" }\n"
		       "route \"/\" { upstream = app host = {\"*.b.example\", \"[::1]\"} }\n"
		       "route \"/x\" { upstream = app }\n"
		       "route \"/y\" { upstream = app host = \"*.example\" method = \"POST\" }\n");
	struct router *router = router_create(&config->services[0], 0);
	static const struct {
		const char *host, *path;
		int line;
	} rows[] = {
		{"a.example", "/", 2},      {"A.Example", "/", 2},    {"a.example:8080", "/", 2},
		{"a.example.", "/", 2},     {"a.example.:1", "/", 2}, {"b.example", "/", 3},
		{"c.a.example", "/", 3},    {"c.b.example", "/", 4},  {"d.c.b.example", "/", 4},
		{"xb.example", "/", 3},     {"example", "/", 0},      {"example", "/x", 5},
		{"a.example.org", "/x", 5}, {"[::1]", "/", 4},        {"[::1]:80", "/", 4},
		{"[::2]", "/x", 5},         {"a.example", "/x", 2},   {"other", "/y", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (line_of(router, "GET", rows[i].host, rows[i].path, "") != rows[i].line)
			fail_msg("%s%s leads elsewhere than to line %d", rows[i].host, rows[i].path,
				 rows[i].line);
	/* Conditions that do not hold lead on: to a shorter path, then to a wider host. */
	assert_int_equal(line_of(router, "POST", "b.example", "/y", ""), 6);
	assert_int_equal(line_of(router, "GET", "b.example", "/y", ""), 3);
	router_free(router);
	config_free(config);
}

static void conditions(void **state)
{
	struct config *config =
		parsed("\n"
		       "route \"/\" { upstream = app header = {\"X-A: 1\", \"x-b\"} }\n"
		       "route \"/\" { upstream = app method = {\"PUT\"} header = \"X-A: 1\" }\n"
		       "route \"/\" { upstream = app method = {\"PUT\", \"DELETE\"} }\n"
		       "route \"/\" { upstream = app header = \"X-A\" }\n");
	struct router *router = router_create(&config->services[0], 0);

	(void)state;
	assert_int_equal(line_of(router, "GET", "h", "/", "x-a: 1\r\nX-B:\r\n"), 2);
	assert_int_equal(line_of(router, "GET", "h", "/", "X-A: 0\r\nX-A: 1\r\nX-B: b\r\n"), 2);
	assert_int_equal(line_of(router, "PUT", "h", "/", "X-A: 1\r\n"), 3);
	assert_int_equal(line_of(router, "PUT", "h", "/", ""), 4);
	assert_int_equal(line_of(router, "DELETE", "h", "/", "X-A: 1\r\n"), 4);
	assert_int_equal(line_of(router, "GET", "h", "/", "X-A: 11\r\n"), 5);
	assert_int_equal(line_of(router, "GET", "h", "/", "X-AA: 1\r\n"), 0);
	router_free(router);
	config_free(config);
}

/* --- the rule, spelled out -----------------------------------------------------------------------
 */

static uint32_t draw(uint32_t below)
{
	static uint64_t seed = 88172645463325252ULL;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed % below);
}

/* How exactly a route's host is the request's: 0, not at all; 1, as it names none. */
static size_t exactness(const struct config_route *route, const char *host)
{
	size_t best = !route->host_count, length = strlen(host);

	for (size_t i = 0; i < route->host_count; i++) {
		const char *own = route->hosts[i];
		size_t rank = 0, tail = strlen(own) - 1;

		if (!strcmp(own, host))
			rank = 10000;
		else if (*own == '*' && tail < length && !strcmp(host + length - tail, own + 1))
			rank = 1 + tail;
		best = rank > best ? rank : best;
	}
	return best;
}

static bool path_fits(const char *prefix, const char *path)
{
	size_t length = strlen(prefix);

	return !strncmp(prefix, path, length) &&
	       (!path[length] || path[length] == '/' || prefix[length - 1] == '/');
}

static const struct config_route *find_slowly(const struct config_service *listener,
					      const char *host, const char *path, uint64_t method)
{
	const struct config_route *best = NULL;

	for (size_t i = 0; i < listener->route_count; i++) {
		const struct config_route *route = &listener->routes[i];
		size_t rank = exactness(route, host);

		if (!rank || !path_fits(route->prefix, path) ||
		    (route->methods && !(route->methods & method)))
			continue;
		if (!best || rank > exactness(best, host) ||
		    (rank == exactness(best, host) &&
		     (strlen(route->prefix) > strlen(best->prefix) ||
		      (!strcmp(route->prefix, best->prefix) && route->line < best->line))))
			best = route;
	}
	return best;
}

static void make_path(char *out, const char *const *segments, uint32_t count)
{
	char *at = out;

	for (uint32_t i = draw(4); i > 0; i--)
		at += sprintf(at, "/%s", segments[draw(count)]);
	if (at == out || draw(3) == 0)
		strcpy(at, "/");
}

static void any_table_and_request(void **state)
{
	static const char *const segments[] = {"a", "ab", "a-b", "b", "abc", "a."};
	static const char *const names[] = {"a",   "b.a",   "c.b.a", "x.c.b.a", "b",
					    "*.a", "*.b.a", "*.b",   "*.c.b.a", "xb.a"};
	static const char *const methods[] = {"GET", "POST"};
	char text[8192], path[64], *at;

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct config *config;
		struct router *router;

		at = text;
		for (uint32_t i = 1 + draw(20); i > 0; i--) {
			make_path(path, segments, 6);
			at += sprintf(at, "\nroute \"%s\" { upstream = app", path);
			if (draw(3))
				at += sprintf(at, " host = {\"%s\", \"%s\"}", names[draw(10)],
					      names[draw(10)]);
			if (!draw(3))
				at += sprintf(at, " method = \"%s\"", methods[draw(2)]);
			at += sprintf(at, " }");
		}
		config = parsed(text);
		router = router_create(&config->services[0], 0);
		for (int i = 0; i < 100; i++) {
			const char *host = names[draw(5)], *method = methods[draw(2)];
			const struct config_route *expected;
			const struct route *found;

			make_path(path, segments, 5);
			found = find(router, method, host, path, "");
			expected = find_slowly(&config->services[0], host, path,
					       CONFIG_METHOD(request.method));
			if ((found ? found->config : NULL) != expected)
				fail_msg("%s %s%s: line %d, not %d, of%s", method, host, path,
					 found ? found->config->line : 0,
					 expected ? expected->line : 0, text);
		}
		router_free(router);
		config_free(config);
	}
}

/* --- what servers are told ----------------------------------------------------------------------
 */

static void policies(void **state)
{
	struct config *config = parsed("upstream = app forwarding { trust = {\"10.0.0.0/8\"} "
				       "x_forwarded_host = off traceparent = keep }");
	struct router *router = router_create(&config->services[0], 0);
	const uint32_t usual = HTTP_KIND(HTTP_X_FORWARDED_FOR) | HTTP_KIND(HTTP_X_FORWARDED_PROTO) |
			       HTTP_KIND(HTTP_TRACEPARENT);
	const struct http_policy *policy = router_policy(router, false);
	struct fw_addr address;
	struct error error;

	(void)state;
	assert_int_equal(policy->drop,
			 usual | HTTP_KIND(HTTP_FORWARDED) | HTTP_KIND(HTTP_TRACESTATE));
	assert_int_equal(policy->say, usual);
	assert_int_equal(policy->keep, 0);
	assert_int_equal(router_policy(router, true)->keep,
			 HTTP_KIND(HTTP_X_FORWARDED_FOR) | HTTP_KIND(HTTP_TRACEPARENT));
	assert_int_equal(address_parse("10.1.2.3", &address, &error), 0);
	assert_true(router_trusts(router, &address));
	assert_int_equal(address_parse("11.1.2.3", &address, &error), 0);
	assert_false(router_trusts(router, &address));
	router_free(router);
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),      cmocka_unit_test(hosts),
		cmocka_unit_test(conditions), cmocka_unit_test(any_table_and_request),
		cmocka_unit_test(policies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
