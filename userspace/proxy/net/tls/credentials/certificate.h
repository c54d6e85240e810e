/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificates as their files have them: chain, key, names, OCSP response; and whatever is wrong
 * with them, said with the line of the configuration that names the file.
 *
 * Keys and responses are not assigned by position: each belongs to the certificate that it fits.
 * Private to this folder.
 */
#ifndef PROXY_NET_TLS_CREDENTIALS_CERTIFICATE_H
#define PROXY_NET_TLS_CREDENTIALS_CERTIFICATE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>
#include "config/diagnostics.h"
#include "config/config.h"

struct certificate {
	const struct config_file *file;
	X509 *leaf;
	STACK_OF(X509) * chain; /* those that follow the leaf in its file */
	EVP_PKEY *key;
	char **names; /* DNS names of its SANs, in lower case, sorted, each one once */
	size_t name_count;
	unsigned char *staple; /* OCSP response, DER; NULL: none */
	size_t staple_size;
	time_t staple_until; /* when it is out of date */
};

struct certificates {
	const char *owner;
	struct certificate *list;
	size_t count;
};

/* What one block tls names. */
struct certificate_files {
	const char *owner; /* of the block: "listener web"; outlives what is loaded */
	const struct config_files *certificates, *keys, *staples;
};

/* All of them, with what is wrong or will be soon. What could not be read is left out. */
void certificates_load(const struct certificate_files *files, struct certificates *certificates,
		       struct diagnostics *faults, struct diagnostics *warnings);
void certificates_free(struct certificates *certificates);

/* Every certificate in the file; NULL: complained about. */
STACK_OF(X509) * certificates_read(const char *owner, const char *option,
				   const struct config_file *file, struct diagnostics *faults);

/* "OWNER: tls.OPTION: PATH: …" on the file's line. */
void certificate_complain(struct diagnostics *diagnostics, const char *owner, const char *option,
			  const struct config_file *file, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

#endif
