/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a listener ends TLS: what the block tls says, and what can be seen to be wrong with it
 * without opening a file. The files are opened by proxy/net/credentials.c.
 */
#include <string.h>
#include "config/build.h"

static const char *const versions[] = {"1.2", "1.3", NULL};
static const char *const kernels[] = {"off", "auto", NULL};
static const char *const demands[] = {"optional", "require", NULL};

static bool build_switch(const struct site *site, const char *option, bool initial)
{
	const struct setting_row row = {.name = option,
					.scope = SCOPE_LISTENER,
					.unit = UNIT_SWITCH,
					.initial = initial,
					.max = 1};
	uint64_t value = initial;

	site_setting(site, &row, &value);
	return value;
}

/* The file is read by a daemon that may stand anywhere. */
static bool build_file(const struct site *site, const char *option,
		       const struct grammar_value *written, struct config_file *file)
{
	if (*written->text != '/') {
		site_complain(site, written->line, option, "\"%s\" is not an absolute path",
			      written->text);
		return false;
	}
	*file = (struct config_file){build_copy(written->text), written->line};
	return true;
}

static void build_files(const struct site *site, const char *option, struct config_files *files)
{
	size_t count = cfg_size(site->section, option);

	files->list = build_alloc(count, sizeof(*files->list));
	for (size_t i = 0; i < count; i++)
		if (build_file(site, option, grammar_value(site->section, option, i),
			       &files->list[files->count]))
			files->count++;
}

static void build_client_certificates(const struct site *site, struct config_tls *tls)
{
	const struct grammar_value *ca = grammar_value(site->section, "client_ca", 0);
	const struct grammar_value *demand = grammar_value(site->section, "client_certificate", 0);

	tls->forward_client = build_switch(site, "forward_client", false);
	if (ca) {
		build_file(site, "client_ca", ca, &tls->client_ca);
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
	build_files(&site, "certificate", &tls->certificates);
	build_files(&site, "key", &tls->keys);
	build_files(&site, "ocsp", &tls->staples);
	if (!cfg_size(site.section, "certificate"))
		site_complain(&site, tls->line, NULL,
			      "needs a certificate: certificate = \"/etc/ssl/…\"");
	tls->strict_sni = build_switch(&site, "strict_sni", false);
	tls->tickets = build_switch(&site, "tickets", true);
	tls->only_13 = site_choice(&site, "min_version", versions, 0) == 1;
	tls->kernel = site_choice(&site, "ktls", kernels, 1) == 1;
	build_client_certificates(&site, tls);
	if (tls->forward_client && service->protocol == PROTOCOL_TCP)
		site_complain(&site, grammar_value(site.section, "forward_client", 0)->line,
			      "forward_client", "protocol tcp has no header to tell it in");
}
