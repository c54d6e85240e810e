/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration file. Whatever the text: it is read, or refused with a diagnostic that names
 * the file; and what was read keeps every promise of config.h.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "config/config.h"
#include "config/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_settings(const uint64_t *settings)
{
	for (int i = 0; i < FW_SETTING_COUNT; i++)
		if (settings[i] < setting_rows[i].min || settings[i] > setting_rows[i].max)
			abort();
}

/* What has no default may be zero. */
static void check_options(enum config_block block, const void *values)
{
	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];
		uint64_t value = 0;

		if (option->block != block || !config_option_is_number(option))
			continue;
		memcpy(&value, (const char *)values + option->offset, option->size);
		if ((value || option->initial) && (value < option->least || value > option->most))
			abort();
	}
}

static void check_upstream(const struct config_upstream *upstream)
{
	if (!upstream->server_count || upstream->server_count > CONFIG_SERVERS_MAX)
		abort();
	check_options(BLOCK_UPSTREAM, upstream);
	check_options(BLOCK_RETRY, &upstream->retry);
	check_options(BLOCK_EJECTION, &upstream->ejection);
	if (upstream->health.check != CHECK_NONE)
		check_options(BLOCK_HEALTH, &upstream->health);
}

static void check(const struct config *config)
{
	if (config->threads < 1 || config->threads > FW_WORKERS_MAX ||
	    config->service_count >= FW_SERVICES_MAX)
		abort();
	check_settings(config->settings);
	check_options(BLOCK_FILTER, &config->filter);
	check_options(BLOCK_PROXY, config);
	check_options(BLOCK_RESOLVER, &config->resolver);
	for (size_t i = 0; i < config->upstream_count; i++)
		check_upstream(&config->upstreams[i]);
	for (size_t i = 0; i < config->service_count; i++) {
		const struct config_service *service = &config->services[i];

		check_settings(service->settings);
		if (!service->binding_count || strlen(service->name) >= FW_NAME_SIZE ||
		    config_service_find(config, service->name) != service ||
		    (service->kind == FW_SERVICE_LISTENER) != (i < config->listener_count))
			abort();
		for (size_t j = 0; j < service->binding_count; j++)
			if (!service->bindings[j].port)
				abort();
		for (size_t j = 0; j < service->route_count; j++)
			if (!service->routes[j].upstream == !service->routes[j].answer.status ||
			    *service->routes[j].prefix != '/')
				abort();
		if (i < config->listener_count && !service->route_count)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config = NULL;
	struct error error = {""};
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	if (config_parse(text, "fuzz", &config, &error) == 0) {
		check(config);
		config_warnings(config, &error);
		config_free(config);
	} else if (config || strncmp(error.text, "fuzz:", 5)) {
		abort();
	}
	free(text);
	return 0;
}
