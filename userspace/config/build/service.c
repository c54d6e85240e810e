/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Services of the filter: listeners (with the proxy behind them) and plain ones, their bindings and
 * settings. No two may have the same name or the same binding.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "config/build/build.h"
#include "contract/address.h"

#define BINDINGS_MAX 512 /* of all services: the map bindings has room for twice as many */

/* Who has the binding already, the service that is being built included. */
static const struct config_service *find_binding(const struct config *config,
						 const struct fw_service_key *key)
{
	for (size_t i = 0; i < config->service_count; i++)
		for (size_t j = 0; j < config->services[i].binding_count; j++)
			if (!memcmp(&config->services[i].bindings[j], key, sizeof(*key)))
				return &config->services[i];
	return NULL;
}

static size_t count_bindings(const struct config *config)
{
	size_t count = 0;

	for (size_t i = 0; i < config->service_count; i++)
		count += config->services[i].binding_count;
	return count;
}

static void add_binding(const struct site *site, const struct grammar_value *written,
			const struct fw_service_key *key, struct config_service *service)
{
	const struct config *config = site->build->config;
	const struct config_service *owner = find_binding(config, key);
	char text[ADDRESS_TEXT_SIZE];

	if (owner == service)
		site_complain_at(site, written->line, "bind", "%s is given twice",
				 binding_format(key, text));
	else if (owner)
		site_complain_at(site, written->line, "bind", "%s belongs to %s %s already",
				 binding_format(key, text),
				 owner->kind == FW_SERVICE_LISTENER ? "listener" : "service",
				 owner->name);
	else if (count_bindings(config) == BINDINGS_MAX)
		site_complain_at(site, written->line, "bind",
				 "there is room for %d bindings of all services", BINDINGS_MAX);
	else
		service->bindings[service->binding_count++] = *key;
}

static void build_bindings(const struct site *site, struct config_service *service)
{
	uint8_t proto = service->protocol == PROTOCOL_UDP ? IPPROTO_UDP : IPPROTO_TCP;
	size_t count = cfg_size(site->section, "bind"), found;
	const struct grammar_value *written;
	struct fw_service_key keys[2];
	struct error error;

	if (!count)
		site_complain(site, NULL,
			      "needs a binding: bind = {\"0.0.0.0:443\", \"[::]:443\"}");
	service->bindings = build_alloc(2 * count, sizeof(*service->bindings));
	for (size_t i = 0; i < count; i++) {
		written = grammar_value(site->section, "bind", i);
		if (binding_parse(written->text, proto, keys, &found, &error) < 0) {
			site_complain_at(site, written->line, "bind", "%s", error.text);
			continue;
		}
		for (size_t j = 0; j < found; j++)
			add_binding(site, written, &keys[j], service);
	}
}

static void check_name(const struct site *site, struct config_service *service)
{
	const struct config_service *other;

	build_check_name(site);
	if (!strcmp(service->name, "host"))
		site_complain(site, NULL,
			      "\"host\" is the name of the host itself; choose another");
	other = config_service_find(site->build->config, service->name);
	if (other != service)
		site_complain(site, NULL,
			      "%s has that name already: listeners and services share their names",
			      other->kind == FW_SERVICE_LISTENER ? "a listener" : "a service");
}

static void build_service(const struct site *site, enum config_block block,
			  struct config_service *service)
{
	service->name = build_copy(cfg_title(site->section));
	service->kind = block == BLOCK_LISTENER ? FW_SERVICE_LISTENER : FW_SERVICE_PLAIN;
	site->build->config->service_count++;
	check_name(site, service);
	build_settings(site, block, service->settings);
	build_options(site, block, service);
	build_bindings(site, service);
}

static void build_listener(const struct site *site, struct config_service *service)
{
	build_service(site, BLOCK_LISTENER, service);
	service->exempt =
		build_ranges(site, "exempt", "a rate of 0 is for nobody", &service->exempt_count);
	build_balancers(site, service);
	build_tls(site, service);
	build_forwarding(site, service);
	build_routes(site, service);
}

void build_services(const struct site *root)
{
	struct config *config = root->build->config;
	size_t listeners = site_count(root, "listener"), plain = site_count(root, "service");
	struct site site;

	config->services = build_alloc(listeners + plain, sizeof(*config->services));
	for (size_t i = 0; i < listeners + plain; i++) {
		bool listener = i < listeners;

		site = site_inside(root, listener ? "listener" : "service",
				   listener ? i : i - listeners);
		if (i == FW_SERVICES_MAX - 1) {
			site_complain(&site, NULL, "there is room for %d listeners and services",
				      FW_SERVICES_MAX - 1);
			break;
		}
		if (listener)
			build_listener(&site, &config->services[i]);
		else
			build_service(&site, BLOCK_SERVICE, &config->services[i]);
		config->listener_count += listener;
	}
}
