/* SPDX-License-Identifier: BSD-2-Clause */
/* What listeners say of TLS and of balancers in front of them, and servers of the PROXY protocol.
 */
#include <arpa/inet.h>
#include <string.h>
#include "contract/address.h"
#include "text.h"

#define TLS(text) "listener a { bind = \"127.0.0.1:1\" upstream = app\n tls { " text " }\n}\n" APP
#define PAIR      "certificate = \"/c\" key = \"/k\" "

static void test_tls_of_a_listener(void **state)
{
	struct config *config =
		parsed("listener a { bind = \"127.0.0.1:1\" upstream = app }\n" APP);
	const struct config_tls *tls = &config->services[0].tls;

	(void)state;
	assert_false(tls->enabled);
	config_free(config);

	config = parsed(TLS(PAIR));
	tls = &config->services[0].tls;
	assert_true(tls->enabled && tls->tickets && tls->kernel);
	assert_false(tls->strict_sni || tls->only_13 || tls->forward_client);
	assert_int_equal(tls->client_certificate, CLIENT_CERTIFICATE_NONE);
	assert_int_equal(tls->certificates.count, 1);
	assert_string_equal(tls->keys.list[0].path, "/k");
	assert_int_equal(tls->keys.list[0].line, 2);
	config_free(config);

	config = parsed(TLS("certificate = {\"/a\", \"/b\"} ocsp = \"/o\" tickets = off "
			    "strict_sni = on min_version = \"1.3\" client_ca = \"/ca\" "
			    "client_certificate = \"optional\" forward_client = on ktls = off"));
	tls = &config->services[0].tls;
	assert_int_equal(tls->certificates.count, 2);
	assert_int_equal(tls->keys.count, 0);
	assert_string_equal(tls->staples.list[0].path, "/o");
	assert_string_equal(tls->client_ca.path, "/ca");
	assert_int_equal(tls->client_certificate, CLIENT_CERTIFICATE_OPTIONAL);
	assert_true(tls->only_13 && tls->strict_sni && tls->forward_client);
	assert_false(tls->tickets || tls->kernel);
	config_free(config);

	/* Who says whose certificates clients are to have means that they are to have one. */
	config = parsed(TLS(PAIR "client_ca = \"/ca\""));
	assert_int_equal(config->services[0].tls.client_certificate, CLIENT_CERTIFICATE_REQUIRED);
	config_free(config);
}

#define BALANCED(text)                                                                             \
	"listener a { bind = \"127.0.0.1:1\" upstream = app\n proxy_protocol { " text " }\n}"      \
	"\n" APP

static void test_balancers_of_a_listener(void **state)
{
	struct config *config =
		parsed("listener a { bind = \"127.0.0.1:1\" upstream = app }\n" APP);
	struct error text;

	(void)state;
	assert_int_equal(config->services[0].balancers.count, 0);
	config_free(config);

	config = parsed(BALANCED("from = {\"10.0.0.0/8\", \"2001:db8::1\"} others = \"refuse\""));
	assert_int_equal(config->services[0].balancers.count, 2);
	assert_int_equal(config->services[0].balancers.ranges[0].length, 104);
	assert_int_equal(config->services[0].balancers.ranges[1].length, 128);
	assert_int_equal(config->services[0].balancers.others, PEERS_REFUSE);
	assert_int_equal(config->upstreams[0].proxy_protocol, INTRODUCTION_OFF);
	config_free(config);

	config =
		parsed(BALANCED("from = \"10.0.0.0/8\"") "upstream b { server { address = "
							 "\"127.0.0.1:1\" } proxy_protocol = v2 }");
	assert_int_equal(config->services[0].balancers.others, PEERS_ACCEPT);
	config_warnings(config, &text);
	assert_non_null(strstr(text.text, "unless it is allowed (floodwall allow 10.0.0.0/8)"));
	assert_int_equal(config->upstreams[1].proxy_protocol, INTRODUCTION_V2);
	config_free(config);
}

#define LISTENER(text) "listener a { bind = \"127.0.0.1:1\" upstream = app\n " text " }\n" APP

static void test_who_is_exempt(void **state)
{
	const struct fw_addr inside = {{0, 0, htonl(0xffff), htonl(0xc0000207)}};
	const struct fw_addr outside = {{0, 0, htonl(0xffff), htonl(0xc0000307)}};
	struct config *config = parsed(LISTENER("exempt = {\"192.0.2.0/24\", \"2001:db8::1\"}"));
	const struct config_service *listener = &config->services[0];

	(void)state;
	assert_int_equal(listener->exempt_count, 2);
	assert_true(prefixes_have(listener->exempt, listener->exempt_count, &inside));
	assert_false(prefixes_have(listener->exempt, listener->exempt_count, &outside));
	config_free(config);
	assert_refused(
		LISTENER("exempt = \"0.0.0.0/0\""),
		"f:2: listener a: exempt: \"0.0.0.0/0\" is everybody: a rate of 0 is for nobody");
}

static void test_faults_of_balancers(void **state)
{
	(void)state;
	assert_refused(BALANCED("others = accept"),
		       "f:2: listener a: proxy_protocol: needs the balancers' addresses: "
		       "from = {\"10.0.0.0/8\"}");
	assert_refused(
		BALANCED("from = \"0.0.0.0/0\""),
		"f:2: listener a: proxy_protocol.from: \"0.0.0.0/0\" is everybody: any client "
		"could choose its address");
	assert_refused(BALANCED("from = \"10.0.0.1/8\" others = maybe"),
		       "f:2: listener a: proxy_protocol.from: \"10.0.0.1/8\" has bits set beyond "
		       "its length; did you mean 10.0.0.0/8?\n"
		       "f:2: listener a: proxy_protocol.others: \"maybe\" is not accept or refuse");
	assert_refused("upstream b { server { address = \"127.0.0.1:1\" } proxy_protocol = v3 }",
		       "f:1: upstream b: proxy_protocol: \"v3\" is not off, v1 or v2");
}

static void test_faults_of_tls(void **state)
{
	(void)state;
	assert_refused(TLS("key = \"/k\""),
		       "f:2: listener a: tls: needs a certificate: certificate = \"/etc/ssl/…\"");
	assert_refused(TLS("certificate = \"c.pem\""),
		       "f:2: listener a: tls.certificate: \"c.pem\" is not an absolute path");
	assert_refused(TLS(PAIR "min_version = \"1.1\""),
		       "f:2: listener a: tls.min_version: \"1.1\" is not 1.2 or 1.3");
	assert_refused(TLS(PAIR "client_certificate = \"require\""),
		       "f:2: listener a: tls.client_certificate: needs client_ca: whose "
		       "certificates clients are to have");
	assert_refused(TLS(PAIR "forward_client = on"),
		       "f:2: listener a: tls.forward_client: needs client_ca: without it no client "
		       "is asked for a certificate");
	assert_refused("listener a { bind = \"127.0.0.1:1\" protocol = \"tcp\" upstream = app tls "
		       "{ " PAIR "client_ca = \"/ca\" forward_client = on } }\n" APP,
		       "f:1: listener a: tls.forward_client: protocol tcp has no header to tell it "
		       "in");
	assert_refused("service a { bind = \"127.0.0.1:1\" tls { " PAIR "} }\n",
		       "f:1: service a: tls: no such option");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tls_of_a_listener),
		cmocka_unit_test(test_faults_of_tls),
		cmocka_unit_test(test_balancers_of_a_listener),
		cmocka_unit_test(test_who_is_exempt),
		cmocka_unit_test(test_faults_of_balancers),
	};

	return cmocka_run_group_tests_name("listeners", tests, NULL, NULL);
}
