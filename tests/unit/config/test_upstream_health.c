/* SPDX-License-Identifier: BSD-2-Clause */
/* What upstreams say of their servers' health and names. */
#include <string.h>
#include "text.h"

#define UPSTREAM(text) "upstream a { server { address = \"127.0.0.1:1\" }\n" text "\n}\n"
#define SERVER(text)   "upstream a {\nserver { " text " }\n}\n"

static void test_defaults(void **state)
{
	struct config *config = parsed(APP);
	const struct config_ejection *ejection = &config->upstreams[0].ejection;

	(void)state;
	assert_int_equal(config->upstreams[0].health.check, CHECK_NONE);
	assert_int_equal(ejection->refusals, 1);
	assert_int_equal(ejection->failures, 5);
	assert_int_equal(ejection->time_ms, 2000);
	assert_int_equal(ejection->max_time_ms, 60000);
	assert_int_equal(ejection->max_ejected, 50);
	assert_int_equal(ejection->panic, 25);
	assert_int_equal(ejection->trials, 3);
	for (uint16_t status = 0; status < 1000; status++)
		assert_false(config_statuses_have(&ejection->statuses, status));
	assert_int_equal(config->resolver.min_ttl_ms, 1000);
	assert_int_equal(config->resolver.max_ttl_ms, 300000);
	assert_int_equal(config->resolver.server_count, 0);
	config_free(config);
}

static void test_checks(void **state)
{
	struct config *config = parsed(UPSTREAM("health { }"));
	const struct config_health *health = &config->upstreams[0].health;

	(void)state;
	assert_int_equal(health->check, CHECK_TCP);
	assert_int_equal(health->interval_ms, 5000);
	config_free(config);

	config = parsed(UPSTREAM(
		"health { check = \"http\" path = \"/up?full\" host = \"a.test\" body = \"all "
		"well\"\n"
		"status = {\"200-204\", \"599\"} port = 81 interval = \"1s\" timeout = \"100ms\"\n"
		"rise = 4 fall = 5 }"));
	health = &config->upstreams[0].health;
	assert_int_equal(health->check, CHECK_HTTP);
	assert_string_equal(health->path, "/up?full");
	assert_string_equal(health->host, "a.test");
	assert_string_equal(health->body, "all well");
	assert_int_equal(health->port, 81);
	assert_int_equal(health->interval_ms, 1000);
	assert_int_equal(health->timeout_ms, 100);
	assert_int_equal(health->rise, 4);
	assert_int_equal(health->fall, 5);
	assert_false(config_statuses_have(&health->statuses, 199));
	assert_true(config_statuses_have(&health->statuses, 200));
	assert_true(config_statuses_have(&health->statuses, 204));
	assert_false(config_statuses_have(&health->statuses, 205));
	assert_true(config_statuses_have(&health->statuses, 599));
	config_free(config);
}

static void test_faults_of_checks(void **state)
{
	(void)state;
	assert_refused(UPSTREAM("health { check = \"ping\" }"),
		       "f:2: upstream a: health.check: \"ping\" is not off, tcp or http");
	assert_refused(UPSTREAM("health { path = \"/\" }"),
		       "f:2: upstream a: health.path: only of use with check = \"http\"");
	assert_refused(UPSTREAM("health { check = \"http\" path = \"up\" }"),
		       "f:2: upstream a: health.path: \"up\" does not begin with a /");
	assert_refused(
		UPSTREAM("health { check = \"http\" path = \"/a b\" }"),
		"f:2: upstream a: health.path: \"/a b\" has a character that a request can't "
		"have there");
	assert_refused(UPSTREAM("health { check = \"http\" status = {\"200-100\"} }"),
		       "f:2: upstream a: health.status: \"200-100\" is not a status from 100 to "
		       "599, nor a range such as \"500-599\"");
	assert_refused(UPSTREAM("ejection { time = \"2m\" max_time = \"1m\" }"),
		       "f:2: upstream a: ejection: time is longer than max_time");
}

static void test_names(void **state)
{
	struct config *config = parsed(
		"upstream a {\nserver { address = \"app.internal:8000\" addresses = 3 }\n"
		"server { address = \"127.0.0.1:1\" }\nserver { address = \"localhost:2\" }\n}\n"
		"resolver { servers = {\"127.0.0.1\", \"[::1]:5353\"} min_ttl = \"2s\"\n"
		"max_ttl = \"1m\" timeout = \"300ms\" family = \"ipv4\" }");
	const struct config_upstream *upstream = &config->upstreams[0];

	(void)state;
	assert_int_equal(upstream->server_count, 3 + 1 + 8);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(upstream->servers[i].host, "app.internal");
		assert_string_equal(upstream->servers[i].address, "app.internal:8000");
		assert_int_equal(upstream->servers[i].port, 8000);
		assert_int_equal(upstream->servers[i].slot, i);
	}
	assert_null(upstream->servers[3].host);
	assert_string_equal(upstream->servers[11].host, "localhost");
	assert_int_equal(upstream->servers[11].slot, 7);
	assert_int_equal(config->resolver.server_count, 2);
	assert_int_equal(config->resolver.servers[0].port, 53);
	assert_int_equal(config->resolver.servers[1].port, 5353);
	assert_int_equal(config->resolver.family, FAMILY_IPV4);
	config_free(config);
}

static void test_faults_of_names(void **state)
{
	(void)state;
	assert_refused(
		SERVER("address = \"-_.x.:99999\""),
		"f:2: upstream a: server.address: \"-_.x.:99999\": the port is a number from "
		"1 to 65535");
	assert_refused(
		SERVER("address = \"a..b:1\""),
		"f:2: upstream a: server.address: a..b:1: \"a..b\" is not an address, such as "
		"192.0.2.1 or 2001:db8::1");
	assert_refused(SERVER("address = \"300.1.2.3:1\""),
		       "f:2: upstream a: server.address: 300.1.2.3:1: \"300.1.2.3\" is not an "
		       "address, such as 192.0.2.1 or 2001:db8::1");
	assert_refused(
		SERVER("address = \"1.2.3.4:1\" addresses = 2"),
		"f:2: upstream a: server.addresses: the server is given by its address: that "
		"is one");
	assert_refused(SERVER("address = \"a.test:1\" addresses = 60 }\nserver { address = "
			      "\"b.test:1\""),
		       "f:3: upstream a: server.addresses: 8 addresses are more than there is room "
		       "for: 64 servers, each address included");
	assert_refused(APP "resolver { min_ttl = \"1h\" }",
		       "f:2: resolver: min_ttl is longer than max_ttl");
	assert_refused(APP "resolver { servers = {\"dns.test\"} }",
		       "f:2: resolver: servers: \"dns.test\" has no port; write 192.0.2.1:443, "
		       "[2001:db8::1]:443 or *:443");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),         cmocka_unit_test(test_checks),
		cmocka_unit_test(test_faults_of_checks), cmocka_unit_test(test_names),
		cmocka_unit_test(test_faults_of_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
