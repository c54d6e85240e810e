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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_settings(const uint64_t *settings)
{
	for (int i = 0; i < FW_SETTING_COUNT; i++)
		if (settings[i] < setting_rows[i].min || settings[i] > setting_rows[i].max)
			abort();
}

static void check(const struct config *config)
{
	if (config->threads < 1 || config->threads > FW_WORKERS_MAX ||
	    config->service_count >= FW_SERVICES_MAX)
		abort();
	check_settings(config->settings);
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
			if (!service->routes[j].upstream->server_count ||
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
