/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a listener ends TLS: what the block tls says, and what can be seen to be wrong with it
 * without opening a file. The files are opened by proxy/net/credentials.c.
 */
#include "config/build/build.h"

static void check_client_certificates(const struct site *site, const struct config_service *service)
{
	const struct config_tls *tls = &service->tls;

	if (!site_has(site, "client_ca") && site_has(site, "client_certificate"))
		site_complain(site, "client_certificate",
			      "needs client_ca: whose certificates clients are to have");
	else if (!site_has(site, "client_ca") && tls->forward_client)
		site_complain(site, "forward_client",
			      "needs client_ca: without it no client is asked for a certificate");
	if (tls->forward_client && service->protocol == PROTOCOL_TCP)
		site_complain(site, "forward_client", "protocol tcp has no header to tell it in");
}

void build_tls(const struct site *listener, struct config_service *service)
{
	struct config_tls *tls = &service->tls;
	struct site site;

	if (!site_count(listener, "tls"))
		return;
	site = site_inside(listener, "tls", 0);
	tls->enabled = true;
	tls->line = site_line(&site);
	build_options(&site, BLOCK_TLS, tls);
	if (!tls->client_ca.path)
		tls->client_certificate = CLIENT_CERTIFICATE_NONE;
	if (!site_has(&site, "certificate"))
		site_complain(&site, NULL, "needs a certificate: certificate = \"/etc/ssl/…\"");
	check_client_certificates(&site, service);
}
