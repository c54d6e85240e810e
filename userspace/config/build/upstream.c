/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands behind listeners: upstreams with their servers.
 */
#include <stdlib.h>
#include <string.h>
#include "config/build/build.h"

static const char *const introductions[] = {
	[INTRODUCTION_OFF] = "off", [INTRODUCTION_V1] = "v1", [INTRODUCTION_V2] = "v2", NULL};

/* A number of a block: its row, and where it goes. Times are 64 bits wide, counts 32. */
struct number {
	struct setting_row row;
	size_t offset;
};

#define COUNT(name, initial, most)                                                                 \
	{                                                                                          \
#name, SCOPE_LISTENER, UNIT_COUNT, initial, 0, most, ""                            \
	}
#define TIME(name, initial, least)                                                                 \
	{                                                                                          \
#name, SCOPE_LISTENER, UNIT_MILLISECONDS, initial, least, 86400000, ""             \
	}
#define AT(member) offsetof(struct config_upstream, member)

static const struct number upstream_numbers[] = {
	{COUNT(max_connections, 1024, 1000000), AT(max_connections)},
	{COUNT(max_active, 0, 1000000), AT(max_active)},
	{COUNT(queue, 1024, 1000000), AT(queue)},
	{COUNT(keepalive, 256, 65536), AT(keepalive)},
	{TIME(keepalive_time, 30000, 10), AT(keepalive_ms)},
	{COUNT(prewarm, 0, 65536), AT(prewarm)},
	{TIME(max_age, 0, 0), AT(max_age_ms)},
	{COUNT(max_requests, 0, 1000000000), AT(max_requests)},
};
static const struct number retry_numbers[] = {
	{{"attempts", SCOPE_LISTENER, UNIT_COUNT, 3, 1, 64, ""}, AT(retry.attempts)},
	{COUNT(budget, 20, 100), AT(retry.budget)},
	{COUNT(minimum, 10, 1000000), AT(retry.minimum)},
	{COUNT(concurrent, 64, 1000000), AT(retry.concurrent)},
	{TIME(hedge_after, 0, 0), AT(retry.hedge_ms)},
};
static const struct number server_numbers[] = {
	{COUNT(max_connections, 0, 1000000), offsetof(struct config_server, max_connections)},
};

/* @site NULL: the block is not there, and everything is as it is by default. */
static void build_numbers(const struct site *site, const struct number *numbers, size_t count,
			  void *result)
{
	for (size_t i = 0; i < count; i++) {
		const struct setting_row *row = &numbers[i].row;
		void *at = (char *)result + numbers[i].offset;
		uint64_t value = row->initial;

		if (site)
			site_setting(site, row, &value);
		if (row->unit == UNIT_MILLISECONDS)
			*(uint64_t *)at = value;
		else
			*(uint32_t *)at = (uint32_t)value;
	}
}

#define BUILD_NUMBERS(site, numbers, result)                                                       \
	build_numbers(site, numbers, sizeof(numbers) / sizeof((numbers)[0]), result)

/* False: it was complained about. */
static bool build_server(const struct site *site, struct config_server *server)
{
	if (!build_whereabouts(site, server))
		return false;
	BUILD_NUMBERS(site, server_numbers, server);
	build_share(site, server);
	return true;
}

static const char *const retry_words[] = {"broken", "502", "503", "504", NULL};

/* Which failures: a bit for each word's place. */
static uint32_t build_retry_on(const struct site *site)
{
	size_t count = cfg_size(site->section, "on");
	uint32_t on = 0;

	for (size_t i = 0; i < count; i++) {
		const struct grammar_value *written = grammar_value(site->section, "on", i);
		size_t word = 0;

		while (retry_words[word] && strcmp(retry_words[word], written->text))
			word++;
		if (retry_words[word])
			on |= 1U << word;
		else
			site_complain(site, written->line, "on",
				      "\"%s\" is not broken, 502, 503 or 504", written->text);
	}
	return count ? on : RETRY_BROKEN;
}

static void build_retry(const struct site *upstream, struct config_upstream *result)
{
	struct site site;

	result->retry.on = RETRY_BROKEN;
	if (!site_count(upstream, "retry")) {
		BUILD_NUMBERS(NULL, retry_numbers, result);
		return;
	}
	site = site_inside(upstream, "retry", 0);
	BUILD_NUMBERS(&site, retry_numbers, result);
	result->retry.on = build_retry_on(&site);
}

/* Links that are used once can't be opened ahead, nor more of them than are kept. */
static void check_prewarm(const struct site *site, struct config_upstream *upstream)
{
	const struct grammar_value *written = grammar_value(site->section, "prewarm", 0);
	uint32_t most = upstream->max_connections && upstream->max_connections < upstream->keepalive
				? upstream->max_connections
				: upstream->keepalive;

	if (!upstream->prewarm)
		return;
	if (upstream->proxy_protocol)
		site_complain(site, written->line, "prewarm",
			      "a connection with a PROXY header is one client's: it can't be "
			      "opened ahead of him");
	else if (upstream->prewarm > most)
		site_complain(site, written->line, "prewarm",
			      "%u: no more than %u idle connections are kept (keepalive, "
			      "max_connections)",
			      upstream->prewarm, most);
}

static const char *const http2_words[] = {[UPSTREAM_HTTP2_OFF] = "off",
					  [UPSTREAM_HTTP2_AUTO] = "auto",
					  [UPSTREAM_HTTP2_ON] = "on",
					  NULL};

/* Several clients' requests share a connection, of which a PROXY header would name one. */
static void build_http2(const struct site *site, struct config_upstream *upstream)
{
	const struct grammar_value *written = grammar_value(site->section, "http2", 0);

	upstream->http2 = (enum config_upstream_http2)site_choice(site, "http2", http2_words,
								  UPSTREAM_HTTP2_OFF);
	if (upstream->http2 != UPSTREAM_HTTP2_OFF && upstream->proxy_protocol)
		site_complain(site, written->line, "http2",
			      "a connection with a PROXY header is one client's: requests of "
			      "several can't share it; use \"off\"");
	else if (upstream->http2 == UPSTREAM_HTTP2_AUTO && !upstream->tls.enabled)
		site_complain(site, written->line, "http2",
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
	const struct grammar_value *written = grammar_value(site->section, "http2", 0);
	uint32_t cap = least_cap(upstream);

	if (upstream->http2 == UPSTREAM_HTTP2_OFF || !cap || cap >= threads)
		return;
	if (upstream->http2 == UPSTREAM_HTTP2_ON)
		site_complain(site, written->line, "http2",
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
	struct site server;

	build_check_name(site);
	upstream->name = build_copy(cfg_title(site->section));
	BUILD_NUMBERS(site, upstream_numbers, upstream);
	upstream->proxy_protocol = (enum config_introduction)site_choice(
		site, "proxy_protocol", introductions, INTRODUCTION_OFF);
	build_upstream_tls(site, &upstream->tls);
	build_http2(site, upstream);
	build_retry(site, upstream);
	check_prewarm(site, upstream);
	if (!count)
		site_complain(site, site_line(site), NULL,
			      "needs a server { address = \"…\" } at least");
	build_balance(site, &upstream->balance);
	upstream->servers = build_alloc(CONFIG_SERVERS_MAX, sizeof(*upstream->servers));
	for (size_t i = 0; i < count; i++) {
		server = site_inside(site, "server", i);
		if (upstream->server_count == CONFIG_SERVERS_MAX) {
			site_complain(&server, site_line(&server), NULL,
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
