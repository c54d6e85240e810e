/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands behind listeners: upstreams with their servers.
 */
#include "config/build/build.h"

/* A backup has the last priority. What is written counts from 1. */
static void build_priority(const struct site *site, struct config_server *server)
{
	if (server->backup && site_has(site, "priority"))
		site_complain(site, "backup", "is the last priority: give one or the other");
	else if (server->backup)
		server->priority = CONFIG_PRIORITIES;
	server->priority--;
}

/* False: it was complained about. */
static bool build_server(const struct site *site, struct config_server *server)
{
	if (!build_whereabouts(site, server))
		return false;
	build_options(site, BLOCK_SERVER, server);
	build_priority(site, server);
	return true;
}

/* Links that are used once can't be opened ahead, nor more of them than are kept. */
static void check_prewarm(const struct site *site, const struct config_upstream *upstream)
{
	uint32_t most = upstream->max_connections && upstream->max_connections < upstream->keepalive
				? upstream->max_connections
				: upstream->keepalive;

	if (!upstream->prewarm)
		return;
	if (upstream->proxy_protocol)
		site_complain(site, "prewarm",
			      "a connection with a PROXY header is one client's: it can't be "
			      "opened ahead of him");
	else if (upstream->prewarm > most)
		site_complain(site, "prewarm",
			      "%u: no more than %u idle connections are kept (keepalive, "
			      "max_connections)",
			      upstream->prewarm, most);
}

/* Several clients' requests share a connection, of which a PROXY header would name one. */
static void check_http2(const struct site *site, const struct config_upstream *upstream)
{
	if (upstream->http2 != UPSTREAM_HTTP2_OFF && upstream->proxy_protocol)
		site_complain(site, "http2",
			      "a connection with a PROXY header is one client's: requests of "
			      "several can't share it; use \"off\"");
	else if (upstream->http2 == UPSTREAM_HTTP2_AUTO && !upstream->tls.enabled)
		site_complain(site, "http2",
			      "servers say in their TLS handshake whether they speak it: "
			      "\"auto\" needs a block tls; use \"on\" or \"off\"");
}

/* What the threads may have at least; 0: as many as they like. */
static uint32_t least_cap(const struct config_upstream *upstream)
{
	uint32_t least = upstream->max_connections;

	for (size_t i = 0; i < upstream->server_count; i++) {
		uint32_t cap = upstream->servers[i].max_connections;

		if (cap && (!least || cap < least))
			least = cap;
	}
	return least;
}

/* A connection of HTTP/2 is one thread's: under such a cap some would wait for others for ever.
 * Connections of HTTP/1 go from one to the other. */
static void check_http2_caps(const struct site *site, struct config_upstream *upstream,
			     uint32_t threads)
{
	uint32_t cap = least_cap(upstream);

	if (upstream->http2 == UPSTREAM_HTTP2_OFF || !cap || cap >= threads)
		return;
	if (upstream->http2 == UPSTREAM_HTTP2_ON)
		site_complain(site, "http2",
			      "each of the %u threads (proxy.threads) has a connection of its own "
			      "to each server, for which max_connections = %u leaves no room; "
			      "raise that, lower proxy.threads, or use \"off\"",
			      threads, cap);
	upstream->http2_left_out = upstream->http2 == UPSTREAM_HTTP2_AUTO;
	upstream->http2 = UPSTREAM_HTTP2_OFF;
}

static void build_upstream(const struct site *site, struct config_upstream *upstream)
{
	size_t count = site_count(site, "server");
	struct site retry = site_inside(site, "retry", 0), server;

	build_check_name(site);
	upstream->name = build_copy(cfg_title(site->section));
	build_options(site, BLOCK_UPSTREAM, upstream);
	build_options(&retry, BLOCK_RETRY, &upstream->retry);
	build_upstream_tls(site, &upstream->tls);
	check_http2(site, upstream);
	check_prewarm(site, upstream);
	if (!count)
		site_complain(site, NULL, "needs a server { address = \"…\" } at least");
	build_balance(site, &upstream->balance);
	upstream->servers = build_alloc(CONFIG_SERVERS_MAX, sizeof(*upstream->servers));
	for (size_t i = 0; i < count; i++) {
		server = site_inside(site, "server", i);
		if (upstream->server_count == CONFIG_SERVERS_MAX) {
			site_complain(&server, NULL,
				      "there is room for %d servers, each address that a name may "
				      "have included",
				      CONFIG_SERVERS_MAX);
			break;
		}
		if (build_server(&server, &upstream->servers[upstream->server_count])) {
			upstream->server_count++;
			build_slots(&server, upstream);
		}
	}
	check_http2_caps(site, upstream, site->build->config->threads);
	build_health(site, &upstream->health);
	build_ejection(site, &upstream->ejection);
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
