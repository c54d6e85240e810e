/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A folder of certificates for tests, each signed by itself, and their keys; it goes with
 * remove_files().
 */
#ifndef TESTS_NET_FILES_H
#define TESTS_NET_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#define DAY (24 * 3600)

static char folder[] = "/tmp/floodwall-credentials-XXXXXX";

static inline const char *path_of(const char *name)
{
	static char path[4][128];
	static int next;

	next = (next + 1) % 4;
	snprintf(path[next], sizeof(path[next]), "%s/%s", folder, name);
	return path[next];
}

static inline void add_extension(X509 *certificate, int kind, const char *text)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, kind, text);
	assert_non_null(extension);
	X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
}

/* NAME.pem and NAME.key, for @names ("DNS:a.test,DNS:b.test"), for @seconds from now; without
 * names, an authority's. */
static inline void write_pair(const char *name, const char *names, bool rsa, long seconds)
{
	EVP_PKEY *key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	X509_NAME *subject = X509_get_subject_name(certificate);
	char file[64];
	FILE *out;

	assert_non_null(key);
	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -DAY * 10);
	X509_gmtime_adj(X509_getm_notAfter(certificate), seconds);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
				   0);
	X509_set_issuer_name(certificate, subject);
	X509_set_pubkey(certificate, key);
	if (names)
		add_extension(certificate, NID_subject_alt_name, names);
	else
		add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);

	snprintf(file, sizeof(file), "%s.pem", name);
	out = fopen(path_of(file), "w");
	assert_true(out && PEM_write_X509(out, certificate) == 1);
	fclose(out);
	snprintf(file, sizeof(file), "%s.key", name);
	out = fopen(path_of(file), "w");
	assert_true(out && PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1);
	fclose(out);
	chmod(path_of(file), 0600);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static inline int remove_files(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

#endif
