/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file in, a struct or every diagnostic about it out. Diagnostics are compared as a whole: an
 * operator reads them, so their words are part of what is promised.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include "config/config.h"
#include "text.h"

/* --- what is read ---------------------------------------------------------------------------- */

static void test_empty_file_is_all_defaults(void **state)
{
	struct config *config = parsed("");

	(void)state;
	assert_int_equal(config->service_count, 0);
	assert_int_equal(config->filter.interface_count, 0);
	assert_string_equal(config->filter.mode, "auto");
	assert_string_equal(config->filter.tier, "auto");
	assert_string_equal(config->user, "nobody");
	assert_string_equal(config->log_level, "info");
	assert_null(config->admin);
	assert_true(config->threads >= 1 && config->threads <= FW_WORKERS_MAX / 2);
	assert_int_equal(config->settings[FW_SET_HOST_MAX_CONNECTIONS], 100000);
	config_free(config);
}

static void test_every_setting_is_an_option_of_its_block(void **state)
{
	static const char listener[] = "listener a { bind = \"127.0.0.1:1\" upstream = app";

	(void)state;
	for (int i = 0; i < FW_SETTING_COUNT; i++) {
		const struct setting_row *row = &setting_rows[i];
		const char *dot = strchr(row->name, '.');
		const struct config_service *service;
		char text[512], value[64];
		struct config *config;

		setting_format(row, row->max, value, sizeof(value));
		snprintf(text, sizeof(text), "%s %.*s%s%s = %s%s }\n" APP,
			 row->scope == SCOPE_HOST ? "host {" : listener,
			 dot ? (int)(dot - row->name) : 0, row->name, dot ? " { " : "",
			 dot ? dot + 1 : row->name, value, dot ? " }" : "");
		config = parsed(text);
		service = config_service_find(config, "a");
		assert_int_equal(service ? service->settings[i] : config->settings[i], row->max);
		config_free(config);
	}
}

static void test_values_may_be_numbers_or_text_with_units(void **state)
{
	struct config *config = parsed("listener a {\n bind = {\"0.0.0.0:80\", \"[::]:80\"}\n"
				       " upstream = app\n max_connections = 20k\n"
				       " timeouts { header = 1500ms body = \"2m\" }\n"
				       " limits { header = '32k' }\n monitor = on\n}\n" APP);
	const struct config_service *a = config_service_find(config, "a");

	(void)state;
	assert_int_equal(a->settings[FW_SET_MAX_CONNECTIONS], 20000);
	assert_int_equal(a->settings[FW_SET_TIMEOUT_HEADER], 1500);
	assert_int_equal(a->settings[FW_SET_TIMEOUT_BODY], 120000);
	assert_int_equal(a->settings[FW_SET_LIMIT_HEADER], 32768);
	assert_int_equal(a->settings[FW_SET_MONITOR], 1);
	assert_int_equal(a->settings[FW_SET_TIMEOUT_WRITE], 30000);
	assert_int_equal(a->binding_count, 2);
	assert_true(fw_addr_is_v4(&a->bindings[0].addr));
	assert_false(fw_addr_is_v4(&a->bindings[1].addr));
	assert_int_equal(a->bindings[0].port, htons(80));
	config_free(config);
}

static void test_listeners_come_first_and_routes_longest_first(void **state)
{
	struct config *config =
		parsed("service ssh { bind = \"*:22\" source { connections = 5 } }\n"
		       "listener a { bind = \"127.0.0.1:80\" upstream = \"app\"\n"
		       " route \"/api/\" { upstream = \"api\" } route \"/api/v2/\" { upstream = "
		       "\"app\" } }\n"
		       "upstream api { server { address = \"10.0.0.1:1\" } server { address = "
		       "\"[2001:db8::1]:2\" }\n max_connections = 0 keepalive_time = 5s keepalive "
		       "= 3 }\n" APP);

	(void)state;
	assert_int_equal(config->service_count, 2);
	assert_int_equal(config->listener_count, 1);
	assert_string_equal(config->services[0].name, "a");
	assert_int_equal(config->services[0].route_count, 3);
	assert_string_equal(config->services[0].routes[0].prefix, "/api/v2/");
	assert_string_equal(config->services[0].routes[1].prefix, "/api/");
	assert_string_equal(config->services[0].routes[1].upstream->name, "api");
	assert_string_equal(config->services[0].routes[2].prefix, "/");
	assert_string_equal(config->services[0].routes[2].upstream->name, "app");
	assert_int_equal(config->services[1].kind, FW_SERVICE_PLAIN);
	assert_int_equal(config->services[1].binding_count, 2);
	assert_int_equal(config->services[1].settings[FW_SET_SOURCE_CONNECTIONS], 5);
	assert_int_equal(config->upstreams[0].server_count, 2);
	assert_int_equal(config->upstreams[0].servers[1].port, 2);
	assert_int_equal(config->upstreams[0].keepalive_ms, 5000);
	assert_int_equal(config->upstreams[0].keepalive, 3);
	assert_int_equal(config->upstreams[0].max_connections, 0);
	assert_int_equal(config->upstreams[1].max_connections, 1024);
	config_free(config);
}

static void test_daemon_blocks(void **state)
{
	struct config *config =
		parsed("filter { interfaces = {eth0, eth1} mode = generic tier = kernel monitor = "
		       "{land} blocks "
		       "= 4096 }\n"
		       "proxy { threads = 3 user = root access_log = \"-\" }\n"
		       "admin { address = \"[::1]:9180\" }\nlog { level = debug }\n");

	(void)state;
	assert_int_equal(config->filter.interface_count, 2);
	assert_string_equal(config->filter.interfaces[1], "eth1");
	assert_string_equal(config->filter.mode, "generic");
	assert_string_equal(config->filter.tier, "kernel");
	assert_true(config->filter.monitored[FW_LAND]);
	assert_false(config->filter.monitored[FW_MARTIAN]);
	assert_int_equal(config->filter.sizes.blocks, 4096);
	assert_int_equal(config->threads, 3);
	assert_string_equal(config->access_log, "-");
	assert_string_equal(config->admin, "[::1]:9180");
	assert_string_equal(config->log_level, "debug");
	config_free(config);
}

/* --- what is refused ------------------------------------------------------------------------- */

static void test_unknown_names_are_all_reported_with_the_nearest(void **state)
{
	(void)state;
	assert_refused("listner a { bind = 1 }\n"
		       "listener b {\n"
		       " bind = \"127.0.0.1:80\" upstream = app\n"
		       " source { syn_rat = 5 connections = 1 }\n"
		       " frobnicate = {1, 2}\n"
		       " timeouts {\n  heder = 5s\n }\n"
		       "}\n" APP,
		       "f:1: listner: no such block; did you mean listener?\n"
		       "f:4: listener b: source.syn_rat: no such option; did you mean syn_rate?\n"
		       "f:5: listener b: frobnicate: no such option\n"
		       "f:7: listener b: timeouts.heder: no such option; did you mean header?");
}

static void test_values_out_of_range_are_all_reported(void **state)
{
	(void)state;
	assert_refused(
		"listener https {\n bind = \"127.0.0.1:443\" upstream = app\n"
		" source { syn_rate = 99999999\n connections = lots }\n"
		" timeouts { header = 10 }\n backlog = 0\n}\nproxy { threads = 17 }\n" APP,
		"f:3: listener https: source.syn_rate: 99999999 is above 10000000\n"
		"f:4: listener https: source.connections: \"lots\" is not a number, such as 500 or "
		"20k\n"
		"f:5: listener https: timeouts.header: \"10\" is not a time with its unit, such as "
		"250ms, 10s, 5m or 1h\n"
		"f:6: listener https: backlog: 0 is below 1\n"
		"f:8: proxy: threads: 17 is above 16");
}

static void test_bindings(void **state)
{
	(void)state;
	assert_refused("listener a {\n upstream = app\n}\n" APP,
		       "f:1: listener a: needs a binding: bind = {\"0.0.0.0:443\", \"[::]:443\"}");
	assert_refused(
		"listener a { bind = \"0.0.0.0:80\" upstream = app }\n"
		"service b {\n bind = {\"0.0.0.0:80\",\n\"0.0.0.0:81\", \"0.0.0.0:81\"} }\n" APP,
		"f:3: service b: bind: 0.0.0.0:80 belongs to listener a already\n"
		"f:4: service b: bind: 0.0.0.0:81 is given twice");
	assert_refused(
		"service b { bind = {\"80\", \"localhost:80\", \"[::1:80\", \"1.2.3.4:0\"} }",
		"f:1: service b: bind: \"80\" has no port; write 192.0.2.1:443, "
		"[2001:db8::1]:443 or *:443\n"
		"f:1: service b: bind: localhost:80: \"localhost\" is not an address, such as "
		"192.0.2.1 or 2001:db8::1\n"
		"f:1: service b: bind: \"[::1:80\": the bracket is not closed before the port\n"
		"f:1: service b: bind: \"1.2.3.4:0\": the port is a number from 1 to 65535");
	/* The same port by another protocol is another binding. */
	config_free(parsed("service a { bind = \"0.0.0.0:53\" protocol = udp }\n"
			   "service b { bind = \"0.0.0.0:53\" }\n"));
}

static void test_names(void **state)
{
	(void)state;
	assert_refused(
		"listener \"We b\" { bind = \"127.0.0.1:80\" upstream = app }\n"
		"service host { bind = \"127.0.0.1:81\" }\n"
		"service abcdefghijklmnopqrstuvwxyz0123456 { bind = \"127.0.0.1:82\" }\n" APP,
		"f:1: listener We b: the name may only have the characters a-z, 0-9, _ and -\n"
		"f:2: service host: \"host\" is the name of the host itself; choose another\n"
		"f:3: service abcdefghijklmnopqrstuvwxyz0123456: the name is longer than 31 "
		"characters");
	assert_refused("service a { bind = \"127.0.0.1:80\" }\n"
		       "service a { bind = \"127.0.0.1:81\" }\n"
		       "listener a { bind = \"127.0.0.1:82\" upstream = app }\n"
		       "upstream app { }\n" APP,
		       "f:1: service a: a listener has that name already: listeners and services "
		       "share their names\n"
		       "f:2: service a: defined already on line 1\n"
		       "f:4: upstream app: needs a server { address = \"…\" } at least\n"
		       "f:5: upstream app: defined already on line 4");
}

static void test_upstreams_and_routes(void **state)
{
	(void)state;
	assert_refused("listener a {\n bind = \"127.0.0.1:80\"\n}\n",
		       "f:1: listener a: needs an upstream");
	assert_refused("listener a { bind = \"127.0.0.1:80\"\n upstream = ap }\n" APP,
		       "f:2: listener a: upstream: no upstream is called \"ap\"; there is app");
	assert_refused("listener a { bind = \"127.0.0.1:80\" protocol = tcp upstream = app\n"
		       " route \"/x\" { upstream = app } }\n" APP,
		       "f:2: listener a: route /x: protocol tcp has no paths: name the upstream in "
		       "the listener");
	assert_refused(
		"listener a { bind = \"127.0.0.1:80\" upstream = app\n"
		" route \"/\" { upstream = app }\n route \"x\" { upstream = app }\n"
		" route \"/y\" { }\n}\n" APP,
		"f:2: listener a: route /: the listener's own upstream is the route / already\n"
		"f:3: listener a: route x: a route begins with a slash\n"
		"f:4: listener a: route /y: needs an upstream");
	assert_refused(
		"upstream a {\n server { }\n server { address = \"0.0.0.0:80\" }\n"
		" server { address = \"1.2.3.4\" }\n}\n",
		"f:2: upstream a: server: needs an address, such as \"127.0.0.1:8000\"\n"
		"f:3: upstream a: server.address: \"0.0.0.0:80\": nothing can be connected to "
		"there; name one address\n"
		"f:4: upstream a: server.address: \"1.2.3.4\" has no port; write "
		"192.0.2.1:443, [2001:db8::1]:443 or *:443");
}

static void test_an_option_given_twice(void **state)
{
	(void)state;
	assert_refused("service a {\n bind = \"127.0.0.1:80\"\n source { connections = 1 }\n"
		       " source { connections = 2 }\n bind = \"127.0.0.1:81\"\n}\n",
		       "f:4: service a: source.connections: given twice\n"
		       "f:5: service a: bind: given twice");
}

static void test_what_only_a_listener_has(void **state)
{
	(void)state;
	assert_refused("service a {\n bind = \"127.0.0.1:80\"\n timeouts { header = 5s } }\n",
		       "f:3: service a: timeouts: only a listener has it: the proxy enforces it");
}

static void test_filter_and_daemon_blocks(void **state)
{
	(void)state;
	assert_refused(
		"filter {\n interfaces = {\"eth0\", \"eth0\", \"far too long a name\"}\n"
		" mode = \"fast\" tier = \"best\"\n monitor = {\"nonsense\", \"bad_host\"}\n}\n"
		"proxy { user = \"no such user\"\n access_log = \"access.log\" }\n"
		"admin { address = \"*:9180\" }\nlog { level = 3 }\n"
		"host { max_connections = 0 }\n",
		"f:2: filter: interfaces: eth0 is named twice\n"
		"f:2: filter: interfaces: \"far too long a name\" is not an interface's name\n"
		"f:3: filter: mode: \"fast\" is not auto, native or generic\n"
		"f:3: filter: tier: \"best\" is not auto, own, kernel or drop\n"
		"f:4: filter: monitor: \"nonsense\" is not a reason that the filter drops for\n"
		"f:4: filter: monitor: \"bad_host\" is not a rule of the filter: it can't be "
		"monitored\n"
		"f:6: proxy: user: this machine has no user \"no such user\"\n"
		"f:7: proxy: access_log: \"access.log\" is neither an absolute path nor \"-\"\n"
		"f:8: admin: address: \"*:9180\": name one address\n"
		"f:9: log: level: \"3\" is not error, warning, info or debug\n"
		"f:10: host: max_connections: 0 is below 1");
}

static void test_form(void **state)
{
	(void)state;
	assert_refused("listener a {\n bind \"127.0.0.1:80\"\n}\n",
		       "f:2: missing equal sign after option 'bind'");
	assert_refused("proxy {\n threads = 2\n",
		       "f:1: proxy: this block is never closed: a } is missing");
	assert_refused("proxy { user = \"nobody }\n", "f:2: premature end of file");
	assert_refused("proxy { threads = 2 } }\n", "f:1: unexpected closing brace");
}

static void test_lines_hold_after_comments_and_long_strings(void **state)
{
	(void)state;
	assert_refused("/* one\n two */ /* still two */\n# three { \" }\n// four\n"
		       "log { /* five */\n level = \"loud # // /*\" # six\n}\nlgo { }\n",
		       "f:6: log: level: \"loud # // /*\" is not error, warning, info or debug\n"
		       "f:8: lgo: no such block; did you mean log?");
}

static void test_diagnostics_without_end_are_counted(void **state)
{
	struct config *config = NULL;
	struct error error = {""};
	char text[8192] = "service a {\n bind = \"127.0.0.1:1\"\n";

	(void)state;
	for (int i = 0; i < 150; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " zzz%d_unknown = 1\n",
			 i);
	strcat(text, "}\n");
	assert_int_equal(config_parse(text, "f", &config, &error), -EINVAL);
	assert_true(strlen(error.text) < sizeof(error.text));
	assert_non_null(strstr(error.text, "f:3: service a: zzz0_unknown: no such option\n"));
	assert_non_null(strstr(error.text, "\n… and "));
}

static void test_files_that_can_not_be_read(void **state)
{
	struct config *config = NULL;
	struct error error;

	(void)state;
	assert_int_equal(config_load("/nonexistent", &config, &error), -ENOENT);
	assert_string_equal(error.text, "/nonexistent: No such file or directory");
	assert_int_equal(config_load("/", &config, &error), -EIO);
	assert_int_equal(config_load("/dev/zero", &config, &error), -EFBIG);
	assert_null(config);
}

/* Cut off anywhere, a file is read or refused; a sanitizer watches. */
static void test_every_truncation_is_survived(void **state)
{
	static const char text[] =
		"listener a { bind = {\"*:80\"} source { syn_rate = 5 }\n"
		" route \"/\" { upstream = 'app' } frob { x = { 1, 2 } } }\n" APP;
	char part[sizeof(text)];

	(void)state;
	for (size_t length = 0; length < sizeof(text); length++) {
		struct config *config = NULL;
		struct error error;

		memcpy(part, text, length);
		part[length] = '\0';
		if (config_parse(part, "f", &config, &error) == 0)
			config_free(config);
	}
}

static void test_warnings(void **state)
{
	struct config *config =
		parsed("listener a {\n bind = \"127.0.0.1:80\"\n backlog = 1000000\n"
		       " max_connections = 200000\n route \"/x\" { upstream = app }\n"
		       " source { connections = 0 syn_rate = 0 }\n}\n" APP
		       "upstream spare { server { address = \"127.0.0.1:1\" } }\n"
		       "filter { interfaces = nosuchif0 }\nadmin { address = \"0.0.0.0:9\" }\n");
	struct error text;

	(void)state;
	assert_true(config_warnings(config, &text) >= 7);
	assert_non_null(strstr(text.text, "listener a: backlog: the kernel cuts 1000000 to "));
	assert_non_null(strstr(text.text,
			       "listener a: max_connections: 200000 is above the host's 100000"));
	assert_non_null(strstr(text.text, "one address may take everything"));
	assert_non_null(strstr(text.text, "no route for /"));
	assert_non_null(strstr(text.text, "upstream spare: no listener leads to it"));
	assert_non_null(strstr(text.text, "there is no interface nosuchif0 now"));
	assert_non_null(strstr(text.text, "admin: address: 0.0.0.0:9 is not the loopback"));
	config_free(config);
}

static void test_lists_and_the_fleets_secret(void **state)
{
	struct config *config = parsed("filter { cookie_secret = \"/etc/key\" }\n"
				       "list drop {\n file = \"/a/b\"\n}\n"
				       "list good { file = \"/c\" action = allow for = 24h }\n");

	(void)state;
	assert_string_equal(config->filter.cookie_secret, "/etc/key");
	assert_int_equal(config->list_count, 2);
	assert_string_equal(config->lists[0].name, "drop");
	assert_string_equal(config->lists[0].file, "/a/b");
	assert_int_equal(config->lists[0].action, FW_LIST_BLOCK);
	assert_int_equal(config->lists[0].seconds, 0);
	assert_int_equal(config->lists[0].line, 2);
	assert_int_equal(config->lists[1].action, FW_LIST_ALLOW);
	assert_int_equal(config->lists[1].seconds, 24 * 3600);
	config_free(config);
	assert_refused("filter { cookie_secret = \"key\" }\n"
		       "list a { }\n"
		       "list b { file = \"x\" }\n"
		       "list c { file = \"/x\" action = \"drop\" }\n"
		       "list d { file = \"/x\" for = 7 }\n"
		       "list e { path = \"/x\" file = \"/x\" }\n"
		       "list E { file = \"/x\" }\n",
		       "f:1: filter: cookie_secret: \"key\" is not an absolute path\n"
		       "f:2: list a: needs a file, such as file = \"/etc/floodwall/a.txt\"\n"
		       "f:3: list b: file: \"x\" is not an absolute path\n"
		       "f:4: list c: action: \"drop\" is not block or allow\n"
		       "f:5: list d: for: \"7\" is not a time with its unit, such as 250ms, 10s, "
		       "5m or 1h\n"
		       "f:6: list e: path: no such option\n"
		       "f:7: list E: the name may only have the characters a-z, 0-9, _ and -");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_file_is_all_defaults),
		cmocka_unit_test(test_every_setting_is_an_option_of_its_block),
		cmocka_unit_test(test_values_may_be_numbers_or_text_with_units),
		cmocka_unit_test(test_listeners_come_first_and_routes_longest_first),
		cmocka_unit_test(test_daemon_blocks),
		cmocka_unit_test(test_unknown_names_are_all_reported_with_the_nearest),
		cmocka_unit_test(test_values_out_of_range_are_all_reported),
		cmocka_unit_test(test_bindings),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_upstreams_and_routes),
		cmocka_unit_test(test_an_option_given_twice),
		cmocka_unit_test(test_what_only_a_listener_has),
		cmocka_unit_test(test_filter_and_daemon_blocks),
		cmocka_unit_test(test_lists_and_the_fleets_secret),
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_lines_hold_after_comments_and_long_strings),
		cmocka_unit_test(test_diagnostics_without_end_are_counted),
		cmocka_unit_test(test_files_that_can_not_be_read),
		cmocka_unit_test(test_every_truncation_is_survived),
		cmocka_unit_test(test_warnings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
