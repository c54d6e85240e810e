/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one listener presents: a library context for each set of names, and which one a name leads
 * to. Certificates with the same names and keys of different kinds (ECDSA, RSA) share a context,
 * and each client gets the one that it can verify. Private to tls/.
 */
#ifndef PROXY_NET_TLS_CREDENTIALS_SITE_H
#define PROXY_NET_TLS_CREDENTIALS_SITE_H

#include <openssl/ssl.h>
#include "proxy/net/tls/credentials/certificate.h"
#include "proxy/net/tls/credentials/credentials.h"

/* NULL: complained about. Takes from @certificates what it needs. */
struct tls_site *site_create(const struct config_service *listener,
			     struct certificates *certificates, const struct ticket_keys *tickets,
			     struct diagnostics *faults);
void site_free(struct tls_site *site); /* NULL is allowed */

/* The context for a client that asks for @name, in lower case ("": none): of an exact name, else of
 * a wildcard, else the first. NULL: no name matches, and the listener insists. */
SSL_CTX *site_context(const struct tls_site *site, const char *name);

/* Whether the kernel may seal what a connection sends. */
bool site_hands_over(const struct tls_site *site);

/* Whether servers are to be told about client certificates. */
bool site_forwards_client(const struct tls_site *site);

#endif
