/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How TLS is spoken with an upstream's servers: what the block tls says, and what can be seen to be
 * wrong with it without opening a file. The files are opened by proxy/net/credentials.c.
 */
#include <stdlib.h>
#include <string.h>
#include "config/build/build.h"
#include "contract/address.h"

enum { NAME_MAX_LENGTH = 253 }; /* RFC 1035 section 2.3.4 */

static const char *const versions[] = {"1.2", "1.3", NULL};

static bool is_host_name(const char *text)
{
	size_t length = strlen(text);

	return length <= NAME_MAX_LENGTH && *text != '.' && *text != '-' &&
	       text[length - 1] != '.' && !strstr(text, "..") &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") ==
		       length;
}

/* Also an address, as certificates may have one. */
static char *build_name(const struct site *site)
{
	char *name = site_text(site, "name");
	struct fw_addr address;
	struct error unread;

	if (!name || address_parse(name, &address, &unread) == 0 || is_host_name(name))
		return name;
	site_complain(site, grammar_value(site->section, "name", 0)->line, "name",
		      "\"%s\" is neither a host's name nor an address", name);
	return name;
}

static void build_trust(const struct site *site, struct config_upstream_tls *tls)
{
	const struct grammar_value *ca = grammar_value(site->section, "ca", 0);

	tls->verify = site_switch(site, "verify", true);
	tls->name = build_name(site);
	if (ca)
		site_file(site, "ca", ca, &tls->ca);
	if (ca && !tls->verify)
		site_complain(site, ca->line, "ca",
			      "is of no use with verify = off; give one of the two");
}

void build_upstream_tls(const struct site *upstream, struct config_upstream_tls *tls)
{
	struct site site;

	if (!site_count(upstream, "tls"))
		return;
	site = site_inside(upstream, "tls", 0);
	tls->enabled = true;
	tls->line = site_line(&site);
	build_trust(&site, tls);
	site_files(&site, "certificate", &tls->certificates);
	site_files(&site, "key", &tls->keys);
	if (tls->keys.count && !cfg_size(site.section, "certificate"))
		site_complain(&site, tls->keys.list[0].line, "key",
			      "needs a certificate, which servers are shown");
	tls->resume = site_switch(&site, "resume", true);
	tls->only_13 = site_choice(&site, "min_version", versions, 0) == 1;
}
