/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a listener ends TLS: what the block tls says, and what can be seen to be wrong with it
 * without opening a file. The files are opened by proxy/net/credentials.c.
 */
#include <string.h>
#include "config/build/build.h"

static const char *const versions[] = {"1.2", "1.3", NULL};
static const char *const kernels[] = {"off", "auto", NULL};
static const char *const demands[] = {"optional", "require", NULL};

static void build_client_certificates(const struct site *site, struct config_tls *tls)
{
	const struct grammar_value *ca = grammar_value(site->section, "client_ca", 0);
	const struct grammar_value *demand = grammar_value(site->section, "client_certificate", 0);

	tls->forward_client = site_switch(site, "forward_client", false);
	if (ca) {
		site_file(site, "client_ca", ca, &tls->client_ca);
		tls->client_certificate = site_choice(site, "client_certificate", demands, 1)
						  ? CLIENT_CERTIFICATE_REQUIRED
						  : CLIENT_CERTIFICATE_OPTIONAL;
	} else if (demand) {
		site_complain(site, demand->line, "client_certificate",
			      "needs client_ca: whose certificates clients are to have");
	} else if (tls->forward_client) {
		site_complain(site, grammar_value(site->section, "forward_client", 0)->line,
			      "forward_client",
			      "needs client_ca: without it no client is asked for a certificate");
	}
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
	site_files(&site, "certificate", &tls->certificates);
	site_files(&site, "key", &tls->keys);
	site_files(&site, "ocsp", &tls->staples);
	if (!cfg_size(site.section, "certificate"))
		site_complain(&site, tls->line, NULL,
			      "needs a certificate: certificate = \"/etc/ssl/…\"");
	tls->strict_sni = site_switch(&site, "strict_sni", false);
	tls->tickets = site_switch(&site, "tickets", true);
	tls->only_13 = site_choice(&site, "min_version", versions, 0) == 1;
	tls->kernel = site_choice(&site, "ktls", kernels, 1) == 1;
	build_client_certificates(&site, tls);
	if (tls->forward_client && service->protocol == PROTOCOL_TCP)
		site_complain(&site, grammar_value(site.section, "forward_client", 0)->line,
			      "forward_client", "protocol tcp has no header to tell it in");
}
