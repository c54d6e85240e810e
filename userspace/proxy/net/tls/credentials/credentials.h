/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a configuration's listeners prove themselves by: certificates, private keys, and the keys of
 * session tickets; and what servers of its upstreams have to prove, and are shown.
 *
 * The supervisor reads the files, as root, before a proxy is started or the running one replaced; a
 * proxy inherits the result and opens none. So a reload with a wrong file changes nothing, and a
 * proxy that is restarted after a crash has the very certificates that its configuration came with.
 */
#ifndef PROXY_NET_TLS_CREDENTIALS_CREDENTIALS_H
#define PROXY_NET_TLS_CREDENTIALS_CREDENTIALS_H

#include "base/error.h"
#include "config/config.h"
#include "proxy/net/tls/credentials/tickets.h"

struct credentials;
/* Of one listener. */
struct tls_site;
/* Of one server. */
struct tls_peer;

/*
 * Reads every file that @config's tls blocks name. On failure @error holds every diagnostic, a line
 * each: "floodwall.conf:12: listener a: tls.key: /etc/…: can't be read: …". @warnings: what is
 * allowed and will not be for long, in the same form; "" for nothing. @tickets outlives it; NULL:
 * no session is resumed.
 */
int credentials_load(const struct config *config, const struct ticket_keys *tickets,
		     struct credentials **credentials, struct error *warnings, struct error *error);
/* Private keys are wiped from memory. NULL is allowed. */
void credentials_free(struct credentials *credentials);

/* NULL: the listener has no TLS. @listener: of the configuration that was loaded. */
const struct tls_site *credentials_site(const struct credentials *credentials,
					const struct config_service *listener);
/* The @nth server of an upstream. NULL: it is spoken with in plain text. */
struct tls_peer *credentials_peer(const struct credentials *credentials,
				  const struct config_upstream *upstream, size_t nth);

#endif
