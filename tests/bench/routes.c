/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long it takes to find a request's route among many: of one host, by path; and among as many
 * hosts, each with one. Beside it a list that is gone through, longest path first, as routes are
 * often kept. Requests are for routes drawn at random.
 *
 *     routes LOOKUPS      case, subject, metric and value, a line a figure
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/measure.h"
#include "proxy/client/route/route.h"

enum { MOST = 1000, ROUNDS = 3 };

static struct config_route routes[MOST];
static char prefixes[MOST][64], hosts[MOST][64];
static char *host_lists[MOST][1];
static char heads[MOST][256];
static struct http_request requests[MOST];

static uint32_t draw(uint32_t below)
{
	static uint64_t state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state % below);
}

/* @count routes of one host, or of as many; and a request for each. */
static void fill(uint32_t count, bool by_host)
{
	static const struct http_limits limits = {.target = 8192, .header = 65536, .fields = 100};

	for (uint32_t i = 0; i < count; i++) {
		snprintf(prefixes[i], sizeof(prefixes[i]), by_host ? "/" : "/api/v%u/service-%u",
			 i % 3, i);
		snprintf(hosts[i], sizeof(hosts[i]), "tenant-%u.example.com", i);
		host_lists[i][0] = hosts[i];
		routes[i] = (struct config_route){
			.prefix = prefixes[i], .hosts = host_lists[i], .host_count = by_host};
		snprintf(heads[i], sizeof(heads[i]), "GET %s%s HTTP/1.1\r\nHost: %s\r\n\r\n",
			 prefixes[i], by_host ? "" : "/item?id=1", hosts[i]);
		http_request_init(&requests[i]);
		if (http_request_parse(&requests[i], heads[i], strlen(heads[i]), &limits) <= 0)
			fail("the request %s is not taken", heads[i]);
	}
}

/* What a list costs: every prefix, until one fits. */
static const struct config_route *find_in_list(uint32_t count, uint32_t nth)
{
	struct http_slice path = http_slice(heads[nth], requests[nth].path);
	struct http_slice host = http_slice(heads[nth], requests[nth].host);

	for (uint32_t i = 0; i < count; i++) {
		size_t length = strlen(routes[i].prefix);

		if (routes[i].host_count &&
		    !http_slice_equal(host,
				      (struct http_slice){hosts[i], (uint32_t)strlen(hosts[i])}))
			continue;
		if (length <= path.length && !memcmp(routes[i].prefix, path.at, length) &&
		    (length == 1 || length == path.length || path.at[length] == '/'))
			return &routes[i];
	}
	return NULL;
}

static void measure(const char *name, uint32_t count, int lookups)
{
	const struct config_service listener = {.routes = routes, .route_count = count};
	struct router *router = router_create(&listener, 0);
	uint64_t begun;

	if (!router)
		fail("no memory");
	begun = measure_now_ns();
	for (int i = 0; i < lookups; i++) {
		uint32_t nth = draw(count);
		const struct route *found = router_find(router, &requests[nth], heads[nth]);

		if (!found || found->config != &routes[nth])
			fail("%s: the wrong route for %s", name, heads[nth]);
	}
	printf("%s_%u\tfloodwall\tns\t%g\n", name, count,
	       (double)(measure_now_ns() - begun) / lookups);
	begun = measure_now_ns();
	for (int i = 0; i < lookups; i++) {
		uint32_t nth = draw(count);

		if (find_in_list(count, nth) != &routes[nth])
			fail("%s: the list has the wrong route for %s", name, heads[nth]);
	}
	printf("%s_%u\tlist\tns\t%g\n", name, count, (double)(measure_now_ns() - begun) / lookups);
	router_free(router);
}

int main(int argc, char **argv)
{
	static const uint32_t counts[] = {2, 10, 100, 1000};
	int lookups = argc > 1 ? atoi(argv[1]) : 100000;

	measure_prepare();
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			fill(counts[i], false);
			measure("paths", counts[i], lookups);
			fill(counts[i], true);
			measure("hosts", counts[i], lookups);
		}
	}
	return 0;
}
