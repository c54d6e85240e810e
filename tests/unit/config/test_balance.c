// SPDX-License-Identifier: BSD-2-Clause
/* What a configuration says about how servers are chosen. */
#include <stddef.h>
#include "text.h"

static void nothing_said_is_in_turn(void **state)
{
	struct config *config = parsed(APP);
	const struct config_upstream *app = &config->upstreams[0];

	(void)state;
	assert_int_equal(app->balance.policy, BALANCE_ROUND_ROBIN);
	assert_int_equal(app->balance.slow_start_ms, 0);
	assert_int_equal(app->balance.failover_percent, 0);
	assert_int_equal(app->servers[0].weight, 1);
	assert_int_equal(app->servers[0].priority, 0);
	config_free(config);
}

static void everything_said(void **state)
{
	struct config *config =
		parsed("upstream a { balance = least_connections slow_start = \"30s\" "
		       "failover_below = 60\n"
		       " server { address = \"10.0.0.1:1\" weight = 256 priority = 2 }\n"
		       " server { address = \"10.0.0.2:1\" backup = on } }\n"
		       "upstream b { balance = latency server { address = \"10.0.0.1:1\" } }\n"
		       "upstream c { balance = hash server { address = \"10.0.0.1:1\" } }\n"
		       "upstream d { balance = hash hash = \"header:X-User\"\n"
		       " server { address = \"10.0.0.1:1\" } }\n"
		       "upstream e { balance = hash hash = \"cookie:Session\"\n"
		       " server { address = \"10.0.0.1:1\" } }\n");
	const struct config_upstream *upstream = config->upstreams;

	(void)state;
	assert_int_equal(upstream[0].balance.policy, BALANCE_LEAST);
	assert_int_equal(upstream[0].balance.slow_start_ms, 30000);
	assert_int_equal(upstream[0].balance.failover_percent, 60);
	assert_int_equal(upstream[0].servers[0].weight, 256);
	assert_int_equal(upstream[0].servers[0].priority, 1);
	assert_int_equal(upstream[0].servers[1].priority, CONFIG_PRIORITIES - 1);
	assert_int_equal(upstream[1].balance.policy, BALANCE_LATENCY);
	assert_int_equal(upstream[2].balance.policy, BALANCE_HASH);
	assert_int_equal(upstream[2].balance.key, KEY_SOURCE);
	assert_int_equal(upstream[3].balance.key, KEY_HEADER);
	assert_string_equal(upstream[3].balance.key_name, "x-user");
	assert_int_equal(upstream[4].balance.key, KEY_COOKIE);
	assert_string_equal(upstream[4].balance.key_name, "Session");
	config_free(config);
}

#define SERVER " server { address = \"10.0.0.1:1\" }"

static void every_fault_is_named(void **state)
{
	(void)state;
	assert_refused(
		"upstream a {\n balance = random\n hash = source\n failover_below = 101\n" SERVER
		" }\n"
		"upstream b { balance = hash\n hash = \"header:\"\n slow_start = 30\n" SERVER " }\n"
		"upstream c {\n server { address = \"10.0.0.1:1\"\n weight = 0\n priority = 9 }\n"
		" server { address = \"10.0.0.1:1\" priority = 2 backup = on } }\n",
		"f:2: upstream a: balance: \"random\" is not round_robin, least_connections, "
		"latency or hash\n"
		"f:3: upstream a: hash: is of no use without balance = \"hash\"\n"
		"f:4: upstream a: failover_below: 101 is above 100\n"
		"f:7: upstream b: hash: \"header:\" is not \"source\", \"header:NAME\" or "
		"\"cookie:NAME\"\n"
		"f:8: upstream b: slow_start: \"30\" is not a time with its unit, such as 250ms, "
		"10s, 5m or 1h\n"
		"f:12: upstream c: server.weight: 0 is below 1\n"
		"f:13: upstream c: server.priority: 9 is above 8\n"
		"f:14: upstream c: server.backup: is the last priority: give one or the other");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_said_is_in_turn),
		cmocka_unit_test(everything_said),
		cmocka_unit_test(every_fault_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
