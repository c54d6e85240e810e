/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How TLS is spoken with an upstream's servers: what the block tls says, and what can be seen to be
 * wrong with it without opening a file. The files are opened by proxy/net/credentials.c.
 */
#include <string.h>
#include "config/build/build.h"
#include "contract/address.h"

enum { NAME_MAX_LENGTH = 253 }; /* RFC 1035 section 2.3.4 */

static bool is_host_name(const char *text)
{
	size_t length = strlen(text);

	return length <= NAME_MAX_LENGTH && *text != '.' && *text != '-' &&
	       text[length - 1] != '.' && !strstr(text, "..") &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") ==
		       length;
}

/* Also an address, as certificates may have one. */
static bool can_be_proved(const char *name)
{
	struct fw_addr address;
	struct error unread;

	return address_parse(name, &address, &unread) == 0 || is_host_name(name);
}

void build_upstream_tls(const struct site *upstream, struct config_upstream_tls *tls)
{
	struct site site;

	if (!site_count(upstream, "tls"))
		return;
	site = site_inside(upstream, "tls", 0);
	tls->enabled = true;
	tls->line = site_line(&site);
	build_options(&site, BLOCK_UPSTREAM_TLS, tls);
	if (tls->name && !can_be_proved(tls->name))
		site_complain(&site, "name", "\"%s\" is neither a host's name nor an address",
			      tls->name);
	if (site_has(&site, "ca") && !tls->verify)
		site_complain(&site, "ca", "is of no use with verify = off; give one of the two");
	if (tls->keys.count && !site_has(&site, "certificate"))
		site_complain(&site, "key", "needs a certificate, which servers are shown");
}
