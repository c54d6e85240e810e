/* SPDX-License-Identifier: BSD-2-Clause */
/* What upstreams say of TLS with their servers. */
#include <string.h>
#include "text.h"

#define TLS(text) "upstream a { server { address = \"127.0.0.1:1\" }\n tls { " text " }\n}\n"

static void test_tls_of_an_upstream(void **state)
{
	struct config *config = parsed(APP);
	const struct config_upstream_tls *tls = &config->upstreams[0].tls;

	(void)state;
	assert_false(tls->enabled);
	config_free(config);

	/* Whoever asks for TLS and says no more is safe. */
	config = parsed(TLS(""));
	tls = &config->upstreams[0].tls;
	assert_true(tls->enabled && tls->verify && tls->resume);
	assert_false(tls->only_13);
	assert_null(tls->ca.path);
	assert_null(tls->name);
	assert_int_equal(tls->line, 2);
	config_free(config);

	config = parsed(TLS("ca = \"/ca\" name = \"App.test\" certificate = \"/c\" key = \"/k\" "
			    "resume = off min_version = \"1.3\""));
	tls = &config->upstreams[0].tls;
	assert_string_equal(tls->ca.path, "/ca");
	assert_string_equal(tls->name, "App.test");
	assert_string_equal(tls->certificates.list[0].path, "/c");
	assert_string_equal(tls->keys.list[0].path, "/k");
	assert_true(tls->only_13 && !tls->resume);
	config_free(config);
}

static void test_no_verification_is_told(void **state)
{
	struct config *config = parsed(TLS("verify = off name = \"2001:db8::1\""));
	struct error text;

	(void)state;
	assert_false(config->upstreams[0].tls.verify);
	config_warnings(config, &text);
	assert_non_null(strstr(text.text, "upstream a: tls.verify is off: whoever answers in a "
					  "server's place is believed"));
	config_free(config);

	config = parsed(TLS(""));
	config_warnings(config, &text);
	assert_null(strstr(text.text, "verify"));
	config_free(config);
}

static void test_faults(void **state)
{
	(void)state;
	assert_refused(TLS("verify = off ca = \"/ca\""),
		       "f:2: upstream a: tls.ca: is of no use with verify = off; give one of the "
		       "two");
	assert_refused(TLS("key = \"/k\""),
		       "f:2: upstream a: tls.key: needs a certificate, which servers are shown");
	assert_refused(TLS("ca = \"ca.pem\""),
		       "f:2: upstream a: tls.ca: \"ca.pem\" is not an absolute path");
	assert_refused(TLS("name = \"app.test:443\""),
		       "f:2: upstream a: tls.name: \"app.test:443\" is neither a host's name nor "
		       "an address");
	assert_refused(TLS("name = \"*.test\" strict = on"),
		       "f:2: upstream a: tls.strict: no such option\n"
		       "f:2: upstream a: tls.name: \"*.test\" is neither a host's name nor an "
		       "address");
	assert_refused(TLS("min_version = \"1.1\""),
		       "f:2: upstream a: tls.min_version: \"1.1\" is not 1.2 or 1.3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tls_of_an_upstream),
		cmocka_unit_test(test_no_verification_is_told),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests_name("upstream_tls", tests, NULL, NULL);
}
