/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the file may say, but the machine will not honour, or the operator hardly meant. Compares
 * with the machine as it is now; nothing here refuses anything.
 */
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include "base/sysctl.h"
#include "config/config.h"
#include "contract/secret_file.h"

struct warnings {
	struct error *text;
	size_t used;
	int count;
};

static void warn(struct warnings *warnings, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void warn(struct warnings *warnings, const char *format, ...)
{
	size_t room = sizeof(warnings->text->text) - warnings->used;
	char *at = warnings->text->text + warnings->used;
	char line[512];
	va_list args;
	int length;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	length = snprintf(at, room, "%s%s", warnings->count ? "\n" : "", line);
	if ((size_t)length < room)
		warnings->used += (size_t)length;
	else
		*at = '\0'; /* no room: only counted */
	warnings->count++;
}

static void warn_backlogs(struct warnings *warnings, const struct config *config)
{
	unsigned long somaxconn = sysctl_number("net.core.somaxconn", 0, 0);

	for (size_t i = 0; somaxconn && i < config->listener_count; i++)
		if (config->services[i].backlog > somaxconn)
			warn(warnings,
			     "listener %s: backlog: the kernel cuts %u to %lu; raise "
			     "net.core.somaxconn",
			     config->services[i].name, config->services[i].backlog, somaxconn);
}

/* A proxied connection takes two descriptors, its own and the upstream's. */
static void warn_descriptors(struct warnings *warnings, const struct config *config)
{
	uint64_t wanted = config->settings[FW_SET_HOST_MAX_CONNECTIONS];
	struct rlimit limit;

	if (!config->listener_count || getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
	    limit.rlim_max == RLIM_INFINITY || wanted <= limit.rlim_max / 2)
		return;
	warn(warnings,
	     "host: max_connections: %llu connections need twice as many descriptors; started "
	     "from here the proxy has %llu, and refuses some %llu (its unit: LimitNOFILE=)",
	     (unsigned long long)wanted, (unsigned long long)limit.rlim_max,
	     (unsigned long long)(wanted - limit.rlim_max / 2));
}

static void warn_listeners(struct warnings *warnings, const struct config *config)
{
	uint64_t host = config->settings[FW_SET_HOST_MAX_CONNECTIONS];

	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_service *listener = &config->services[i];
		const uint64_t *settings = listener->settings;

		if (settings[FW_SET_MAX_CONNECTIONS] > host)
			warn(warnings,
			     "listener %s: max_connections: %llu is above the host's %llu",
			     listener->name, (unsigned long long)settings[FW_SET_MAX_CONNECTIONS],
			     (unsigned long long)host);
		if (settings[FW_SET_SOURCE_CONNECTIONS] == 0 &&
		    settings[FW_SET_SOURCE_SYN_RATE] == 0)
			warn(warnings,
			     "listener %s: source.connections and source.syn_rate are both 0: "
			     "one address may take everything",
			     listener->name);
	}
}

/* The same of a host's: NULL, if none is named. */
static void warn_hidden(struct warnings *warnings, const struct config_service *listener,
			const struct config_route *route, const char *host)
{
	const struct config_route *by = config_route_hidden_by(listener, route, host);

	if (by)
		warn(warnings,
		     "listener %s: route %s on line %d is never reached%s%s: the one on line %d "
		     "comes first and takes everything",
		     listener->name, route->prefix, route->line, host ? " for host " : "",
		     host ? host : "", by->line);
}

static bool takes_everything(const struct config_route *route)
{
	return !strcmp(route->prefix, "/") && !route->host_count && !route->methods &&
	       !route->condition_count;
}

static void warn_routes(struct warnings *warnings, const struct config *config)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_service *listener = &config->services[i];
		bool whole = listener->protocol == PROTOCOL_TCP;

		for (size_t j = 0; j < listener->route_count; j++) {
			const struct config_route *route = &listener->routes[j];

			whole = whole || takes_everything(route);
			if (!route->host_count)
				warn_hidden(warnings, listener, route, NULL);
			for (size_t k = 0; k < route->host_count; k++)
				warn_hidden(warnings, listener, route, route->hosts[k]);
		}
		if (!whole)
			warn(warnings,
			     "listener %s: no route for /: other paths are answered with 404",
			     listener->name);
	}
}

static void warn_servers(struct warnings *warnings, const struct config *config)
{
	size_t servers = 0;

	for (size_t i = 0; i < config->upstream_count; i++) {
		const struct config_upstream *upstream = &config->upstreams[i];

		servers += upstream->server_count;
		if (upstream->health.check != CHECK_NONE &&
		    upstream->health.timeout_ms > upstream->health.interval_ms)
			warn(warnings,
			     "upstream %s: health.timeout is longer than health.interval: checks "
			     "come less often than that",
			     upstream->name);
	}
	if (servers > FW_SERVERS_MAX)
		warn(warnings,
		     "upstreams: of %zu servers, each address that a name may have included, the "
		     "first %d are shown (floodwall upstreams, /metrics)",
		     servers, FW_SERVERS_MAX);
}

/* The filter sees who sends packets, and knows of nobody whom he sends them for. */
static void warn_balancers(struct warnings *warnings, const struct config *config)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_service *listener = &config->services[i];
		const uint64_t *settings = listener->settings;
		char range[ADDRESS_TEXT_SIZE];

		if (listener->balancers.count &&
		    (settings[FW_SET_SOURCE_CONNECTIONS] || settings[FW_SET_SOURCE_SYN_RATE]))
			warn(warnings,
			     "listener %s: proxy_protocol: to the filter a balancer is one source; "
			     "unless it is allowed (floodwall allow %s), all its clients together "
			     "have source.connections and source.syn_rate",
			     listener->name, prefix_format(&listener->balancers.ranges[0], range));
	}
}

static void warn_upstreams(struct warnings *warnings, const struct config *config)
{
	for (size_t i = 0; i < config->upstream_count; i++) {
		const struct config_upstream *upstream = &config->upstreams[i];
		bool used = false;

		for (size_t j = 0; j < config->listener_count; j++)
			for (size_t k = 0; k < config->services[j].route_count; k++)
				used |= config->services[j].routes[k].upstream == upstream;
		if (!used)
			warn(warnings, "upstream %s: no listener leads to it", upstream->name);
		if (upstream->retry.hedge_ms && upstream->server_count < 2)
			warn(warnings,
			     "upstream %s: retry.hedge_after: there is no other server to ask",
			     upstream->name);
		if (upstream->http2_left_out)
			warn(warnings,
			     "upstream %s: http2: each of the %u threads would have a connection "
			     "of its own to each server, for which max_connections leaves no "
			     "room: HTTP/1.1 is spoken instead",
			     upstream->name, config->threads);
		if (upstream->tls.enabled && !upstream->tls.verify)
			warn(warnings,
			     "upstream %s: tls.verify is off: whoever answers in a server's place "
			     "is believed; name its authority by tls.ca instead",
			     upstream->name);
	}
}

static void warn_host(struct warnings *warnings, const struct config *config)
{
	struct error error;
	uint64_t key[2];

	if (config->filter.cookie_secret &&
	    secret_file_read(config->filter.cookie_secret, key, &error) < 0)
		warn(warnings, "filter: cookie_secret: %s", error.text);
	explicit_bzero(key, sizeof(key));
	for (size_t i = 0; i < config->filter.interface_count; i++)
		if (!if_nametoindex(config->filter.interfaces[i]))
			warn(warnings, "filter: interfaces: there is no interface %s now",
			     config->filter.interfaces[i]);
	if (config->admin && strncmp(config->admin, "127.", 4) &&
	    strncmp(config->admin, "[::1]", 5))
		warn(warnings,
		     "admin: address: %s is not the loopback: whoever reaches it reads the "
		     "addresses of clients in /events",
		     config->admin);
	if (config->listener_count && !strcmp(config->user, "root"))
		warn(warnings, "proxy: user: the proxy faces clients as root");
}

int config_warnings(const struct config *config, struct error *text)
{
	struct error unread;
	struct warnings warnings = {.text = text ? text : &unread};

	warnings.text->text[0] = '\0';
	warn_backlogs(&warnings, config);
	warn_descriptors(&warnings, config);
	warn_listeners(&warnings, config);
	warn_routes(&warnings, config);
	warn_servers(&warnings, config);
	warn_balancers(&warnings, config);
	warn_upstreams(&warnings, config);
	warn_host(&warnings, config);
	return warnings.count;
}
