// SPDX-License-Identifier: BSD-2-Clause
/* What a configuration says about connections to servers, waiting for them, and retries. */
#include <stddef.h>
#include <string.h>
#include "text.h"

static void nothing_said(void **state)
{
	struct config *config = parsed(APP);
	const struct config_upstream *app = &config->upstreams[0];

	(void)state;
	assert_int_equal(app->max_connections, 1024);
	assert_int_equal(app->max_active, 0);
	assert_int_equal(app->queue, 1024);
	assert_int_equal(app->keepalive, 256);
	assert_int_equal(app->keepalive_ms, 30000);
	assert_int_equal(app->prewarm, 0);
	assert_int_equal(app->max_age_ms, 0);
	assert_int_equal(app->max_requests, 0);
	assert_int_equal(app->servers[0].max_connections, 0);
	assert_int_equal(app->retry.attempts, 3);
	assert_int_equal(app->retry.on, RETRY_BROKEN);
	assert_int_equal(app->retry.budget, 20);
	assert_int_equal(app->retry.minimum, 10);
	assert_int_equal(app->retry.concurrent, 64);
	assert_int_equal(app->retry.hedge_ms, 0);
	config_free(config);
}

static void everything_said(void **state)
{
	struct config *config = parsed(
		"upstream a { server { address = \"10.0.0.1:1\" max_connections = 7 }\n"
		" max_connections = 0 max_active = 8 queue = 0 keepalive = 9 prewarm = 9\n"
		" keepalive_time = \"1m\" max_age = \"5m\" max_requests = 1000\n"
		" retry { attempts = 1 on = {\"503\", \"504\"} budget = 5 minimum = 0 concurrent = "
		"0 } "
		"}\n"
		"upstream b { server { address = \"10.0.0.1:1\" }"
		" retry { budget = 50 hedge_after = \"150ms\" } }\n");
	const struct config_upstream *a = &config->upstreams[0], *b = &config->upstreams[1];

	(void)state;
	assert_int_equal(a->servers[0].max_connections, 7);
	assert_int_equal(a->max_connections, 0);
	assert_int_equal(a->max_active, 8);
	assert_int_equal(a->queue, 0);
	assert_int_equal(a->keepalive, 9);
	assert_int_equal(a->prewarm, 9);
	assert_int_equal(a->keepalive_ms, 60000);
	assert_int_equal(a->max_age_ms, 300000);
	assert_int_equal(a->max_requests, 1000);
	assert_int_equal(a->retry.attempts, 1);
	assert_int_equal(a->retry.on, RETRY_503 | RETRY_504);
	assert_int_equal(a->retry.budget, 5);
	assert_int_equal(a->retry.minimum, 0);
	assert_int_equal(a->retry.concurrent, 0);
	assert_int_equal(b->retry.budget, 50);
	assert_int_equal(b->retry.on, RETRY_BROKEN);
	assert_int_equal(b->retry.attempts, 3);
	assert_int_equal(b->retry.hedge_ms, 150);
	config_free(config);
}

#define SERVER " server { address = \"10.0.0.1:1\" } }\n"

static void every_fault_is_named(void **state)
{
	(void)state;
	assert_refused("upstream a { keepalive = 4\n prewarm = 5\n" SERVER
		       "upstream b { max_connections = 2 prewarm = 3" SERVER
		       "upstream c { proxy_protocol = v2\n prewarm = 1" SERVER
		       "upstream d { retry {\n attempts = 0\n on = {\"broken\", \"500\"}\n"
		       " budget = 101\n }" SERVER,
		       "f:2: upstream a: prewarm: 5: no more than 4 idle connections are kept "
		       "(keepalive, max_connections)\n"
		       "f:4: upstream b: prewarm: 3: no more than 2 idle connections are kept "
		       "(keepalive, max_connections)\n"
		       "f:6: upstream c: prewarm: a connection with a PROXY header is one "
		       "client's: it can't be opened ahead of him\n"
		       "f:8: upstream d: retry.attempts: 0 is below 1\n"
		       "f:9: upstream d: retry.on: \"500\" is not broken, 502, 503 or 504\n"
		       "f:10: upstream d: retry.budget: 101 is above 100");
}

/* Each thread has connections of HTTP/2 of its own. */
static void every_thread_needs_one(void **state)
{
	struct config *config;
	struct error warnings;

	(void)state;
	assert_refused("proxy { threads = 3 }\n"
		       "upstream a { http2 = on\n max_connections = 2" SERVER
		       "upstream b { http2 = on server { address = \"10.0.0.1:1\" "
		       "max_connections = 1 } }\n"
		       "upstream c { http2 = on max_connections = 3" SERVER
		       "upstream d { http2 = on max_connections = 0" SERVER,
		       "f:2: upstream a: http2: each of the 3 threads (proxy.threads) has a "
		       "connection of its own to each server, for which max_connections = 2 leaves "
		       "no room; raise that, lower proxy.threads, or use \"off\"\n"
		       "f:4: upstream b: http2: each of the 3 threads (proxy.threads) has a "
		       "connection of its own to each server, for which max_connections = 1 leaves "
		       "no room; raise that, lower proxy.threads, or use \"off\"");
	config = parsed("proxy { threads = 3 }\n"
			"upstream a { http2 = auto tls { } max_connections = 2" SERVER
			"upstream b { http2 = auto tls { } max_connections = 3" SERVER);
	assert_int_equal(config->upstreams[0].http2, UPSTREAM_HTTP2_OFF);
	assert_int_equal(config->upstreams[1].http2, UPSTREAM_HTTP2_AUTO);
	assert_true(config_warnings(config, &warnings));
	assert_non_null(strstr(warnings.text, "upstream a: http2: each of the 3 threads"));
	assert_null(strstr(warnings.text, "upstream b: http2"));
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_said),
		cmocka_unit_test(everything_said),
		cmocka_unit_test(every_fault_is_named),
		cmocka_unit_test(every_thread_needs_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
