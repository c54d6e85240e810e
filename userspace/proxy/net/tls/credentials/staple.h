/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OCSP responses (RFC 6960) from files, for stapling to handshakes: each goes to the certificate
 * that it speaks of, and counts until it says that there will be a newer one. Who fetches them is
 * not our affair: the proxy calls nobody. Private to this folder.
 */
#ifndef PROXY_NET_TLS_CREDENTIALS_STAPLE_H
#define PROXY_NET_TLS_CREDENTIALS_STAPLE_H

#include "proxy/net/tls/credentials/certificate.h"

/* Reads the response in @file and staples it to that of @certificates which it is about. What is
 * wrong is a fault, or, if it is only out of date, a warning. */
void staple_load(const struct config_file *file, const struct certificates *certificates,
		 struct diagnostics *faults, struct diagnostics *warnings);

#endif
