/* SPDX-License-Identifier: BSD-2-Clause */
/* What routes say: which requests, what becomes of them; and every fault of it, with its line. */
#include <string.h>
#include "text.h"

#define LISTENER(text) "listener a { bind = \"127.0.0.1:1\"\n" text "\n}\n" APP

static void test_routes_of_a_listener(void **state)
{
	struct config *config =
		parsed(LISTENER("route \"/x\" { upstream = app host = {\"A.example\", \"*.b\"} "
				"method = {GET, \"PATCH\"} header = {\"X-A\", \"X-B: c d\"} "
				"rewrite = \"/y\" limits { request_rate = 5 active = 3 body = 1k } "
				"timeouts { request = \"2s\" } }"));
	const struct config_route *route = &config->services[0].routes[0];

	(void)state;
	assert_string_equal(route->prefix, "/x");
	assert_int_equal(route->line, 2);
	assert_int_equal(route->host_count, 2);
	assert_string_equal(route->hosts[0], "a.example");
	assert_string_equal(route->hosts[1], "*.b");
	assert_int_equal(route->methods, CONFIG_METHOD(1) | CONFIG_METHOD(7));
	assert_string_equal(route->conditions[0].name, "x-a");
	assert_null(route->conditions[0].value);
	assert_string_equal(route->conditions[1].value, "c d");
	assert_string_equal(route->rewrite, "/y");
	assert_int_equal(route->limits.request_rate, 5);
	assert_int_equal(route->limits.request_burst, 10);
	assert_int_equal(route->limits.active, 3);
	assert_int_equal(route->limits.body, 1024);
	assert_int_equal(route->limits.request_ms, 2000);
	assert_int_equal(route->limits.first_byte_ms, 0);
	config_free(config);
}

static void test_faults_of_matching(void **state)
{
	(void)state;
	assert_refused(
		LISTENER("route \"/x\" { upstream = app host = {\"a:80\"} method = get }\n"
			 "route \"/y/\" { upstream = app rewrite = \"/z\" header = \"a b\" }"),
		"f:2: listener a: route /x: host: \"a:80\" is neither a host's name, \"*.\" and a "
		"name, nor an address; a port does not belong to it\n"
		"f:2: listener a: route /x: method: \"get\" is no method that the proxy forwards\n"
		"f:3: listener a: route /y/: header: \"a b\" is neither \"Name\" nor \"Name: "
		"value\"\n"
		"f:3: listener a: route /y/: rewrite: \"/z\" has to end with a slash, as \"/y/\" "
		"does");
	assert_refused(LISTENER("route \"/x\" { upstream = app rewrite = \"/a/../b\" }"),
		       "f:2: listener a: route /x: rewrite: \"/a/../b\" is not the beginning of a "
		       "path, spelled out");
}

/* A piece for each literal and each fact. */
static void assert_text(const struct config_text *text, const char *expected)
{
	static const char *const names[FACT_COUNT] = {"",    "client",     "host", "scheme",
						      "tls", "request_id", "path", "query"};
	char said[256] = "";

	for (size_t i = 0; i < text->count; i++) {
		const struct config_piece *piece = &text->pieces[i];

		snprintf(said + strlen(said), sizeof(said) - strlen(said), "[%s]",
			 piece->fact == FACT_NONE ? piece->bytes : names[piece->fact]);
	}
	assert_string_equal(said, expected);
}

static void test_answers(void **state)
{
	struct config *config = parsed(LISTENER(
		"route \"/a\" { redirect { to = \"$scheme://$host$path$query$$\" } }\n"
		"route \"/b\" { respond { status = 503 body = \"x\" retry_after = \"2m\" } "
		"}\n"
		"route \"/c\" { respond { status = 204 } }"));
	const struct config_route *routes = config->services[0].routes;

	(void)state;
	assert_int_equal(routes[0].answer.status, 302);
	assert_text(&routes[0].answer.location, "[scheme][://][host][path][query][$]");
	assert_null(routes[0].upstream);
	assert_int_equal(routes[1].answer.status, 503);
	assert_string_equal(routes[1].answer.type, "text/plain; charset=utf-8");
	assert_int_equal(routes[1].answer.length, 1);
	assert_int_equal(routes[1].answer.retry_after_ms, 120000);
	assert_null(routes[2].answer.type);
	config_free(config);
}

static void test_faults_of_answers(void **state)
{
	(void)state;
	assert_refused(
		LISTENER(
			"route \"/a\" { upstream = app redirect { to = \"/$tls\" status = 300 } }\n"
			"route \"/b\" { respond { status = 204 body = \"x\" } }\n"
			"route \"/c\" { respond { file = \"/nonexistent\" } }\n"
			"route \"/d\" { redirect { } respond { } }\n"
			"route \"/e\" { redirect { to = \"/a b\" } }\n"
			"route \"/f\" { respond { type = \"a\\r\\nb\" status = 100 } }\n"
			"route \"/g\" { redirect { to = \"/$path\" } }"),
		"f:2: listener a: route /a: redirect.status: \"300\" is not 301, 302, 303, 307 or "
		"308\n"
		"f:2: listener a: route /a: redirect.to: \"$tls\" stands for nothing here; there "
		"are $host, $scheme, $path, $query, and $$ for the sign\n"
		"f:2: listener a: route /a: upstream: is never asked: the route answers itself\n"
		"f:3: listener a: route /b: respond: status 204 has no body\n"
		"f:4: listener a: route /c: respond.file: /nonexistent: No such file or directory\n"
		"f:5: listener a: route /d: has a redirect and a respond: which is it?\n"
		"f:5: listener a: route /d: redirect: needs a target: to = "
		"\"https://$host$path$query\"\n"
		"f:6: listener a: route /e: redirect.to: \"/a b\" is no target: printable ASCII "
		"without spaces\n"
		"f:7: listener a: route /f: respond.status: 100 is below 200\n"
		"f:7: listener a: route /f: respond.type: \"a\r\nb\" is no media type\n"
		"f:8: listener a: route /g: redirect.to: \"/$path\" leads to a host that the "
		"client chooses: $path begins with a slash itself");
}

#define BOTH(listener, route)                                                                      \
	LISTENER("request_headers { " listener " }\n"                                              \
		 "route \"/\" { upstream = app request_headers { " route " } }")

/* "-name" for what goes, then "name: value". */
static void assert_rules(const char *listener_and_route, const char *expected)
{
	struct config *config = parsed(listener_and_route);
	const struct config_rules *rules = &config->services[0].routes[0].request;
	char said[512] = "";

	for (size_t i = 0; i < rules->drop_count; i++)
		snprintf(said + strlen(said), sizeof(said) - strlen(said), "-%s ", rules->drop[i]);
	for (size_t i = 0; i < rules->line_count; i++)
		snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s:%s ",
			 rules->lines[i].name,
			 rules->lines[i].value.count ? rules->lines[i].value.pieces[0].bytes : "");
	assert_string_equal(said, expected);
	config_free(config);
}

static void test_rules_of_both_are_one(void **state)
{
	(void)state;
	assert_rules(BOTH("remove = A set = \"B: 1\" add = \"C:  2 \"", ""), "-A -B B:1 C:2 ");
	assert_rules(BOTH("set = \"B: 1\"", "set = \"b: 2\""), "-B b:2 ");
	assert_rules(BOTH("set = \"B: 1\" add = \"C: 2\"", "remove = {B, c}"), "-B -c ");
	assert_rules(BOTH("add = \"C: 2\"", "add = \"C: 3\""), "C:2 C:3 ");
	assert_rules(BOTH("set = \"E:\"", ""), "-E E: ");
}

static void test_what_no_rule_touches(void **state)
{
	static const char *const names[] = {"Host",
					    "content-length",
					    "Transfer-Encoding",
					    "Connection",
					    "Upgrade",
					    "Expect",
					    "Keep-Alive",
					    "TE",
					    "Trailer",
					    "Proxy",
					    "Proxy-X",
					    "HTTP2-Settings",
					    "X-Client-Cert-A",
					    "Content_Length",
					    "X-Forwarded-For",
					    "x_forwarded.host",
					    "Forwarded",
					    "X-Request-Id",
					    "traceparent"};
	struct config *config = NULL;
	struct error error;
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(text, sizeof(text), BOTH("remove = \"%s\"", "add = \"%s: x\""), names[i],
			 names[i]);
		assert_int_equal(config_parse(text, "f", &config, &error), -EINVAL);
		assert_non_null(strstr(error.text, "f:2: listener a: request_headers.remove: "));
		assert_non_null(
			strstr(error.text, "f:3: listener a: route /: request_headers.add: "));
	}
	assert_refused(BOTH("set = \"A: \x01\"", "add = {\"B\", \"C D: 1\", \"E: $request_id\"}"),
		       "f:2: listener a: request_headers.set: a value has printable ASCII, spaces "
		       "and tabs, no line ends\n"
		       "f:3: listener a: route /: request_headers.add: \"B\" is not \"Name: "
		       "value\"\n"
		       "f:3: listener a: route /: request_headers.add: \"C D\" is not a field's "
		       "name\n"
		       "f:3: listener a: route /: request_headers.add: there is no $request_id: "
		       "forwarding.x_request_id does not say replace or keep");
}

/* What could outgrow a head's buffer. */
static void test_lines_have_a_cap(void **state)
{
	struct config *config = NULL;
	struct error error;
	char text[8192], value[1100];

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = 0;
	snprintf(text, sizeof(text), BOTH("set = \"A: %s\"", "add = \"B: %s\""), value, value);
	assert_int_equal(config_parse(text, "f", &config, &error), -EINVAL);
	assert_string_equal(error.text, "f:3: listener a: route /: request_headers: the lines that "
					"are written may come to more than 2048 bytes");
}

static void test_forwarding(void **state)
{
	struct config *config = parsed(LISTENER("upstream = app"));
	const struct config_forwarding *forwarding = &config->services[0].forwarding;

	(void)state;
	assert_int_equal(forwarding->tell[TOLD_FOR], TELL_KEEP);
	assert_int_equal(forwarding->tell[TOLD_PROTO], TELL_REPLACE);
	assert_int_equal(forwarding->tell[TOLD_HOST], TELL_REMOVE);
	assert_int_equal(forwarding->tell[TOLD_FORWARDED], TELL_REMOVE);
	assert_int_equal(forwarding->tell[TOLD_REQUEST_ID], TELL_OFF);
	assert_int_equal(forwarding->tell[TOLD_TRACE], TELL_OFF);
	assert_int_equal(forwarding->trusted_count, 0);
	assert_null(forwarding->deadline);
	config_free(config);
	/* Nobody else's word about it goes on, of any route. */
	config = parsed(LISTENER("upstream = app forwarding { deadline = X-Time }"));
	assert_string_equal(config->services[0].forwarding.deadline, "X-Time");
	assert_int_equal(config->services[0].routes[0].request.drop_count, 1);
	assert_string_equal(config->services[0].routes[0].request.drop[0], "X-Time");
	config_free(config);
	assert_refused(LISTENER("upstream = app forwarding { deadline = Host }"),
		       "f:2: listener a: forwarding.deadline: Host frames a message or concerns "
		       "one connection: it is the proxy's own to say");
	assert_refused(LISTENER("upstream = app forwarding { deadline = X-Time } "
				"request_headers { add = \"x-time: 1\" }"),
		       "f:2: listener a: request_headers.add: x-time is what "
		       "forwarding.deadline is for");
	assert_refused(
		LISTENER("upstream = app forwarding { trust = {\"0.0.0.0/0\"} forwarded = keep }"),
		"f:2: listener a: forwarding.forwarded: \"keep\" is not off, remove, "
		"replace or append\n"
		"f:2: listener a: forwarding.trust: \"0.0.0.0/0\" is everybody: any client could "
		"say who it is");
	assert_refused("listener a { bind = \"127.0.0.1:1\" protocol = tcp upstream = app "
		       "forwarding { } }\n" APP,
		       "f:1: listener a: forwarding: protocol tcp has no header to tell it in");
}

static void assert_warned(const char *routes, const char *warning)
{
	struct config *config = parsed(routes);
	struct error text;

	config_warnings(config, &text);
	if (!warning)
		assert_null(strstr(text.text, "never reached"));
	else if (!strstr(text.text, warning))
		fail_msg("no \"%s\" among: %s", warning, text.text);
	config_free(config);
}

static void test_routes_that_are_never_reached(void **state)
{
	(void)state;
	assert_warned(LISTENER("route \"/\" { upstream = app }\nroute \"/\" { upstream = app }"),
		      "listener a: route / on line 3 is never reached: the one on line 2 comes "
		      "first and takes everything");
	assert_warned(LISTENER("route \"/\" { upstream = app method = {GET, POST} }\n"
			       "route \"/\" { upstream = app method = GET header = \"X\" }"),
		      "line 3 is never reached: the one on line 2");
	assert_warned(LISTENER("route \"/\" { upstream = app host = {a, b} header = \"X\" }\n"
			       "route \"/\" { upstream = app host = {b, c} header = \"X: 1\" }"),
		      "line 3 is never reached for host b: the one on line 2");
	/* Each of these takes something that the one before does not. */
	assert_warned(LISTENER("route \"/\" { upstream = app host = a }\n"
			       "route \"/\" { upstream = app host = b method = GET }\n"
			       "route \"/\" { upstream = app host = b }\n"
			       "route \"/x\" { upstream = app header = \"X: 1\" }\n"
			       "route \"/x\" { upstream = app header = \"X\" }\n"
			       "route \"/x\" { upstream = app }\n"
			       "route \"/x/\" { upstream = app }\n"
			       "route \"/\" { upstream = app }"),
		      NULL);
	/* The listener's own upstream comes last. */
	assert_warned(LISTENER("upstream = app route \"/\" { upstream = app method = GET }"), NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes_of_a_listener),
		cmocka_unit_test(test_faults_of_matching),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_faults_of_answers),
		cmocka_unit_test(test_rules_of_both_are_one),
		cmocka_unit_test(test_what_no_rule_touches),
		cmocka_unit_test(test_lines_have_a_cap),
		cmocka_unit_test(test_forwarding),
		cmocka_unit_test(test_routes_that_are_never_reached),
	};

	return cmocka_run_group_tests_name("routes", tests, NULL, NULL);
}
