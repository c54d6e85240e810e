/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands behind listeners: upstreams with their servers.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "config/build.h"
#include "contract/address.h"

static const char *const introductions[] = {
	[INTRODUCTION_OFF] = "off", [INTRODUCTION_V1] = "v1", [INTRODUCTION_V2] = "v2", NULL};

static const struct setting_row upstream_max_connections = {
	"max_connections", SCOPE_LISTENER, UNIT_COUNT, 1024, 0, 1000000, ""};
static const struct setting_row upstream_keepalive = {"keepalive", SCOPE_LISTENER, UNIT_COUNT, 64,
						      0,           65536,          ""};
static const struct setting_row upstream_keepalive_time = {
	"keepalive_time", SCOPE_LISTENER, UNIT_MILLISECONDS, 30000, 10, 3600000, ""};

static bool is_unspecified(const struct fw_addr *addr)
{
	return !addr->word[0] && !addr->word[1] && !addr->word[3] &&
	       (!addr->word[2] || fw_addr_is_v4(addr));
}

/* False: it was complained about. */
static bool build_server(const struct site *site, struct config_server *server)
{
	const struct grammar_value *written = grammar_value(site->section, "address", 0);
	struct fw_service_key keys[2];
	struct error error;
	size_t count;

	if (!written) {
		site_complain(site, site_line(site), NULL,
			      "needs an address, such as \"127.0.0.1:8000\"");
		return false;
	}
	if (binding_parse(written->text, IPPROTO_TCP, keys, &count, &error) < 0) {
		site_complain(site, written->line, "address", "%s", error.text);
		return false;
	}
	if (count != 1 || is_unspecified(&keys[0].addr)) {
		site_complain(site, written->line, "address",
			      "\"%s\": nothing can be connected to there; name one address",
			      written->text);
		return false;
	}
	*server = (struct config_server){build_copy(written->text), keys[0].addr,
					 ntohs(keys[0].port)};
	return true;
}

static void build_upstream(const struct site *site, struct config_upstream *upstream)
{
	size_t count = site_count(site, "server");
	struct site server;

	build_check_name(site);
	upstream->name = build_copy(cfg_title(site->section));
	upstream->max_connections = (uint32_t)upstream_max_connections.initial;
	upstream->keepalive = (uint32_t)upstream_keepalive.initial;
	upstream->keepalive_ms = upstream_keepalive_time.initial;
	site_number(site, &upstream_max_connections, &upstream->max_connections);
	site_number(site, &upstream_keepalive, &upstream->keepalive);
	site_setting(site, &upstream_keepalive_time, &upstream->keepalive_ms);
	upstream->proxy_protocol = (enum config_introduction)site_choice(
		site, "proxy_protocol", introductions, INTRODUCTION_OFF);
	build_upstream_tls(site, &upstream->tls);
	if (!count)
		site_complain(site, site_line(site), NULL,
			      "needs a server { address = \"…\" } at least");
	upstream->servers = build_alloc(count, sizeof(*upstream->servers));
	for (size_t i = 0; i < count; i++) {
		server = site_inside(site, "server", i);
		if (build_server(&server, &upstream->servers[upstream->server_count]))
			upstream->server_count++;
	}
}

void build_upstreams(const struct site *root)
{
	struct config *config = root->build->config;
	struct site site;

	config->upstream_count = site_count(root, "upstream");
	config->upstreams = build_alloc(config->upstream_count, sizeof(*config->upstreams));
	for (size_t i = 0; i < config->upstream_count; i++) {
		site = site_inside(root, "upstream", i);
		build_upstream(&site, &config->upstreams[i]);
	}
}
