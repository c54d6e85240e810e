/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where servers are: addresses, or names and who resolves them. No name is looked up here.
 */
#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "config/build/build.h"
#include "contract/address.h"

#define NAME_MAX_SIZE  254 /* RFC 1035 section 3.1, as text */
#define LABEL_MAX_SIZE 63
#define RESOLVERS_MAX  8

static bool is_unspecified(const struct fw_addr *addr)
{
	return !addr->word[0] && !addr->word[1] && !addr->word[3] &&
	       (!addr->word[2] || fw_addr_is_v4(addr));
}

/* Labels of letters, digits, - and _, the last of which is no number: that would be meant for an
 * address (RFC 1123 section 2.1). */
static bool is_name(const char *text, size_t length)
{
	size_t label = 0;
	bool number = true;

	if (length && text[length - 1] == '.')
		length--;
	if (!length || length >= NAME_MAX_SIZE)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '.') {
			if (!label)
				return false;
			label = 0;
			number = true;
			continue;
		}
		if (!isalnum((unsigned char)text[i]) && text[i] != '-' && text[i] != '_')
			return false;
		if (++label > LABEL_MAX_SIZE)
			return false;
		number &= isdigit((unsigned char)text[i]) != 0;
	}
	return label && !number;
}

/* "app.internal:8000". False: it is not of that form. */
static bool take_name(const char *text, struct config_server *server)
{
	const char *colon = strrchr(text, ':');
	char *end;
	unsigned long port;

	if (!colon || !is_name(text, (size_t)(colon - text)) || !isdigit((unsigned char)colon[1]))
		return false;
	port = strtoul(colon + 1, &end, 10);
	if (*end || port < 1 || port > 65535)
		return false;
	*server = (struct config_server){
		.address = build_copy(text),
		.host = build_copy(text),
		.port = (uint16_t)port,
	};
	server->host[colon - text] = '\0';
	return true;
}

bool build_whereabouts(const struct site *site, struct config_server *server)
{
	const struct grammar_value *written = grammar_value(site->section, "address", 0);
	struct fw_service_key keys[2];
	struct error error;
	size_t count;

	if (!written) {
		site_complain(site, NULL, "needs an address, such as \"127.0.0.1:8000\"");
		return false;
	}
	if (take_name(written->text, server))
		return true;
	if (binding_parse(written->text, IPPROTO_TCP, keys, &count, &error) < 0) {
		site_complain(site, "address", "%s", error.text);
		return false;
	}
	if (count != 1 || is_unspecified(&keys[0].addr)) {
		site_complain(site, "address",
			      "\"%s\": nothing can be connected to there; name one address",
			      written->text);
		return false;
	}
	*server = (struct config_server){
		.address = build_copy(written->text),
		.addr = keys[0].addr,
		.port = ntohs(keys[0].port),
	};
	return true;
}

void build_slots(const struct site *site, struct config_upstream *upstream)
{
	const struct config_server *first = &upstream->servers[upstream->server_count - 1];
	size_t room = CONFIG_SERVERS_MAX - upstream->server_count + 1;

	if (!first->host && site_has(site, "addresses"))
		site_complain(site, "addresses", "the server is given by its address: that is one");
	if (!first->host)
		return;
	if (first->addresses > room)
		site_complain(site, "addresses",
			      "%u addresses are more than there is room for: %d servers, each "
			      "address included",
			      first->addresses, CONFIG_SERVERS_MAX);
	for (uint32_t slot = 1; slot < first->addresses && slot < room; slot++) {
		upstream->servers[upstream->server_count] = *first;
		upstream->servers[upstream->server_count++].slot = (uint16_t)slot;
	}
}

/* A resolver's port may be left out. */
static bool build_resolver_server(const struct site *site, const struct grammar_value *written,
				  struct config_server *server)
{
	struct fw_service_key keys[2];
	struct fw_addr addr;
	struct error error;
	size_t count;

	*server = (struct config_server){.port = 53};
	if (address_parse(written->text, &addr, &error) == 0) {
		server->addr = addr;
	} else if (binding_parse(written->text, IPPROTO_UDP, keys, &count, &error) < 0) {
		site_complain_at(site, written->line, "servers", "%s", error.text);
		return false;
	} else if (count != 1) {
		site_complain_at(site, written->line, "servers", "\"%s\": name one address",
				 written->text);
		return false;
	} else {
		server->addr = keys[0].addr;
		server->port = ntohs(keys[0].port);
	}
	server->address = build_copy(written->text);
	return true;
}

void build_resolver(const struct site *root)
{
	struct config_resolver *resolver = &root->build->config->resolver;
	struct site site = site_inside(root, "resolver", 0);
	size_t count = cfg_size(site.section, "servers");

	build_options(&site, BLOCK_RESOLVER, resolver);
	if (resolver->min_ttl_ms > resolver->max_ttl_ms)
		site_complain(&site, NULL, "min_ttl is longer than max_ttl");
	if (count > RESOLVERS_MAX)
		site_complain(&site, "servers", "there is room for %d of them", RESOLVERS_MAX);
	resolver->servers = build_alloc(RESOLVERS_MAX, sizeof(*resolver->servers));
	for (size_t i = 0; i < count && i < RESOLVERS_MAX; i++)
		if (build_resolver_server(&site, grammar_value(site.section, "servers", i),
					  &resolver->servers[resolver->server_count]))
			resolver->server_count++;
}
