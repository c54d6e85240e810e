/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a listener's clients come back to a session of theirs: what the library asks about tickets,
 * answered by the keys in tickets.h. Private to this folder.
 */
#ifndef PROXY_NET_TLS_CREDENTIALS_RESUMPTION_H
#define PROXY_NET_TLS_CREDENTIALS_RESUMPTION_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include "config/config.h"
#include "proxy/net/tls/credentials/tickets.h"

/* Sessions of @context are resumed by @tickets, which outlive it, and only under this listener and
 * with the same demands on client certificates, @authorities (NULL: none) included; NULL for
 * @tickets: not at all. The context's app data is taken. False: the library refuses. */
bool resumption_prepare(SSL_CTX *context, const struct config_service *listener,
			STACK_OF(X509) * authorities, const struct ticket_keys *tickets);

#endif
