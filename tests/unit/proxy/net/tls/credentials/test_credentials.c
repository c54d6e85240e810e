/* SPDX-License-Identifier: BSD-2-Clause */
/* Files on disk to what a listener presents, and an upstream: which name leads to which, and every
 * fault in its words. */
#include "../../files.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "proxy/net/tls/credentials/site.h"

static struct config *config;
static struct credentials *credentials;
static struct error error, warnings;

static int make_files(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	write_pair("web", "DNS:Web.test,DNS:*.wild.test", false, 90 * DAY);
	write_pair("rsa", "DNS:*.wild.test,DNS:web.test", true, 90 * DAY);
	write_pair("other", "DNS:other.test,DNS:deep.wild.test", false, 90 * DAY);
	write_pair("bare", NULL, false, 90 * DAY);
	write_pair("old", "DNS:old.test", false, -60);
	write_pair("soon", "DNS:soon.test", false, 5 * DAY + 60);
	return 0;
}

/* @tls: a block's inside, with @ for the folder, between the rest of a file. Returns what loading
 * did. */
static int load_within(const char *before, const char *tls, const char *behind)
{
	char text[2048];
	size_t used = (size_t)snprintf(text, sizeof(text), "%s", before);

	for (; *tls; tls++) {
		if (*tls == '@')
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s/", folder);
		else
			text[used++] = *tls;
	}
	snprintf(text + used, sizeof(text) - used, "%s", behind);
	if (config_parse(text, "f", &config, &error) < 0)
		fail_msg("refused: %s", error.text);
	return credentials_load(config, NULL, &credentials, &warnings, &error);
}

static int load(const char *tls)
{
	return load_within("listener a {\n bind = \"127.0.0.1:1\"\n upstream = app\n tls {\n", tls,
			   "\n}\n}\nupstream app { server { address = \"127.0.0.1:8000\" } }\n");
}

static int load_upstream(const char *tls)
{
	return load_within("upstream b {\n server { address = \"127.0.0.1:1\" }\n tls {\n", tls,
			   "\n}\n}\nupstream c { server { address = \"127.0.0.1:2\" } }\n");
}

static void unload(void)
{
	credentials_free(credentials);
	credentials = NULL;
	config_free(config);
	config = NULL;
}

static void assert_refused(const char *tls, int line, const char *option, const char *file,
			   const char *text)
{
	char expected[512];

	assert_int_equal(load(tls), -EINVAL);
	assert_null(credentials);
	snprintf(expected, sizeof(expected), "f:%d: listener a: tls.%s: %s: %s", line, option,
		 path_of(file), text);
	if (!strstr(error.text, expected))
		fail_msg("\"%s\" is not in \"%s\"", expected, error.text);
	unload();
}

/* --- what is presented ----------------------------------------------------------------------- */

static SSL_CTX *context_for(const char *name)
{
	return site_context(credentials_site(credentials, &config->services[0]), name);
}

static void test_names_lead_to_certificates(void **state)
{
	SSL_CTX *web, *other;

	(void)state;
	assert_int_equal(load("certificate = {\"@web.pem\", \"@rsa.pem\", \"@other.pem\"}\n"
			      "key = {\"@other.key\", \"@rsa.key\", \"@web.key\"}"),
			 0);
	assert_string_equal(warnings.text, "");
	web = context_for("web.test");
	other = context_for("other.test");
	assert_ptr_not_equal(web, other);
	assert_ptr_equal(context_for("any.wild.test"), web);
	/* Exact before wildcard; one label for a star; the first for what nobody has. */
	assert_ptr_equal(context_for("deep.wild.test"), other);
	assert_ptr_equal(context_for("a.b.wild.test"), web);
	assert_ptr_equal(context_for(".wild.test"), web);
	assert_ptr_equal(context_for("wild.test"), web);
	assert_ptr_equal(context_for("*.other.test"), web);
	assert_ptr_equal(context_for("unknown"), web);
	assert_ptr_equal(context_for(""), web);
	/* Of the pair, both are there. */
	assert_int_equal(SSL_CTX_set_current_cert(web, SSL_CERT_SET_FIRST), 1);
	assert_int_equal(SSL_CTX_set_current_cert(web, SSL_CERT_SET_NEXT), 1);
	assert_int_equal(SSL_CTX_set_current_cert(other, SSL_CERT_SET_FIRST), 1);
	assert_int_equal(SSL_CTX_set_current_cert(other, SSL_CERT_SET_NEXT), 0);
	unload();
}

static void test_a_strict_listener_has_its_names_alone(void **state)
{
	(void)state;
	assert_int_equal(load("certificate = {\"@bare.pem\", \"@web.pem\"}\n"
			      "key = {\"@bare.key\", \"@web.key\"} strict_sni = on"),
			 0);
	assert_non_null(context_for("web.test"));
	assert_non_null(context_for("x.wild.test"));
	assert_null(context_for("unknown"));
	assert_null(context_for("wild.test"));
	assert_non_null(context_for("")); /* who names no host asks for nothing in particular */
	unload();
}

static void test_a_listener_without_tls_has_no_site(void **state)
{
	(void)state;
	assert_int_equal(config_parse("listener a { bind = \"127.0.0.1:1\" upstream = app }\n"
				      "upstream app { server { address = \"127.0.0.1:8000\" } }\n",
				      "f", &config, &error),
			 0);
	assert_int_equal(credentials_load(config, NULL, &credentials, &warnings, &error), 0);
	assert_null(credentials_site(credentials, &config->services[0]));
	unload();
}

/* --- what is wrong --------------------------------------------------------------------------- */

static void test_faults_are_told_where_they_are(void **state)
{
	(void)state;
	assert_refused("certificate = \"@web.pem\"\nkey = \"@other.key\"", 6, "key", "other.key",
		       "the key belongs to none of the certificates");
	assert_refused("certificate = {\"@web.pem\",\n\"@other.pem\"}\nkey = \"@web.key\"", 6,
		       "certificate", "other.pem", "none of the keys belongs to this certificate");
	assert_refused("certificate = \"@web.pem\"", 5, "certificate", "web.pem",
		       "there is no private key in it (PEM: BEGIN PRIVATE KEY)");
	assert_refused("certificate = \"@web.key\"\nkey = \"@web.key\"", 5, "certificate",
		       "web.key", "there is no certificate in it (PEM: BEGIN CERTIFICATE)");
	assert_refused("certificate = \"@none.pem\"\nkey = \"@web.key\"", 5, "certificate",
		       "none.pem", "can't be read: No such file or directory");
	assert_refused("certificate = \"@old.pem\"\nkey = \"@old.key\"", 5, "certificate",
		       "old.pem", "expired on ");
	assert_refused("certificate = \"@web.pem\"\nkey = \"@web.key\"\nclient_ca = \"@web.key\"",
		       7, "client_ca", "web.key",
		       "there is no certificate in it (PEM: BEGIN CERTIFICATE)");
	assert_refused("certificate = \"@web.pem\"\nkey = \"@web.key\"\nocsp = \"@web.pem\"", 7,
		       "ocsp", "web.pem", "it is not a successful OCSP response (DER)");
}

static void test_every_fault_is_told_at_once(void **state)
{
	(void)state;
	assert_int_equal(load("certificate = {\"@old.pem\", \"@none.pem\"}\nkey = {\"@old.key\", "
			      "\"@web.key\"}"),
			 -EINVAL);
	assert_non_null(strstr(error.text, "expired on"));
	assert_non_null(strstr(error.text, "none.pem: can't be read"));
	assert_non_null(strstr(error.text, "web.key: the key belongs to none"));
	unload();
}

static void test_what_will_be_wrong_is_told_too(void **state)
{
	(void)state;
	chmod(path_of("soon.key"), 0644);
	assert_int_equal(load("certificate = \"@soon.pem\"\nkey = \"@soon.key\""), 0);
	assert_non_null(strstr(warnings.text, "f:5: listener a: tls.certificate: "));
	assert_non_null(strstr(warnings.text, "expires in 5 days"));
	assert_non_null(strstr(warnings.text, "every user of this machine can read"));
	unload();
}

static void assert_upstream_refused(const char *tls, const char *complaint)
{
	assert_int_equal(load_upstream(tls), -EINVAL);
	if (!strstr(error.text, complaint))
		fail_msg("\"%s\" is not in \"%s\"", complaint, error.text);
	unload();
}

static void test_upstreams_have_theirs(void **state)
{
	(void)state;
	assert_int_equal(load_upstream("ca = \"@web.pem\"\ncertificate = \"@web.pem\"\n"
				       "key = \"@web.key\""),
			 0);
	assert_non_null(credentials_peer(credentials, &config->upstreams[0], 0));
	assert_null(credentials_peer(credentials, &config->upstreams[1], 0));
	unload();
	assert_upstream_refused("ca = \"@none.pem\"", "f:4: upstream b: tls.ca: ");
	assert_upstream_refused("ca = \"@web.key\"", "there is no certificate in it");
	assert_upstream_refused("verify = off\ncertificate = \"@web.pem\"\nkey = \"@other.key\"",
				"f:6: upstream b: tls.key: ");
	assert_upstream_refused("verify = off\ncertificate = \"@old.pem\"\nkey = \"@old.key\"",
				"expired on ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_lead_to_certificates),
		cmocka_unit_test(test_a_strict_listener_has_its_names_alone),
		cmocka_unit_test(test_a_listener_without_tls_has_no_site),
		cmocka_unit_test(test_faults_are_told_where_they_are),
		cmocka_unit_test(test_every_fault_is_told_at_once),
		cmocka_unit_test(test_what_will_be_wrong_is_told_too),
		cmocka_unit_test(test_upstreams_have_theirs),
	};

	return cmocka_run_group_tests_name("credentials", tests, make_files, remove_files);
}
