/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way of a file: text (source.c), tree (grammar.c), meaning (build*.c); and what is allowed but
 * probably not meant (warnings.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/build/build.h"
#include "config/options.h"

#define FILE_SIZE_MAX (1 << 20)

int config_parse(const char *text, const char *name, struct config **config, struct error *error)
{
	struct diagnostics diagnostics = {0};
	struct config *built = calloc(1, sizeof(*built));
	struct source source = {0};
	cfg_t *tree = NULL;
	int result = -ENOMEM;
	bool whole;

	error_set(error, result, "%s: out of memory", name);
	if (!built || source_open(&source, text) < 0)
		goto out;
	tree = grammar_parse(&source, &diagnostics, &whole);
	if (!tree)
		goto out;
	built->path = strdup(name);
	if (whole)
		build_config(&(struct build){&source, &diagnostics, built}, tree);
	result = diagnostics.count ? -EINVAL : 0;
	if (result < 0) {
		diagnostics_render(&diagnostics, name, error);
	} else {
		*config = built;
		built = NULL;
	}
out:
	if (tree)
		cfg_free(tree);
	source_close(&source);
	diagnostics_free(&diagnostics);
	config_free(built);
	return result;
}

int config_load(const char *path, struct config **config, struct error *error)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t length;
	int result;

	if (!file)
		return error_set(error, -errno, "%s: %s", path, strerror(errno));
	text = calloc(1, FILE_SIZE_MAX + 1);
	length = text ? fread(text, 1, FILE_SIZE_MAX + 1, file) : 0;
	if (!text)
		result = error_set(error, -ENOMEM, "%s: out of memory", path);
	else if (ferror(file))
		result = error_set(error, -EIO, "%s: can't be read: %s", path, strerror(errno));
	else if (length > FILE_SIZE_MAX)
		result = error_set(error, -EFBIG, "%s: is larger than %d bytes", path,
				   FILE_SIZE_MAX);
	else if (memchr(text, '\0', length))
		result = error_set(error, -EINVAL, "%s: is not text: it has a NUL byte", path);
	else
		result = config_parse(text, path, config, error);
	free(text);
	fclose(file);
	return result;
}

const struct config_service *config_service_find(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->service_count; i++)
		if (!strcmp(config->services[i].name, name))
			return &config->services[i];
	return NULL;
}

static void free_service(struct config_service *service)
{
	for (size_t i = 0; i < service->route_count; i++)
		config_route_free(&service->routes[i]);
	config_options_free(BLOCK_FORWARDING, &service->forwarding);
	config_options_free(BLOCK_TLS, &service->tls);
	free(service->forwarding.trusted);
	free(service->routes);
	free(service->exempt);
	free(service->balancers.ranges);
	free(service->bindings);
	free(service->name);
}

static void free_server(struct config_server *server)
{
	free(server->address);
	free(server->host);
}

static void free_upstream(struct config_upstream *upstream)
{
	for (size_t i = 0; i < upstream->server_count; i++)
		if (!upstream->servers[i].slot)
			free_server(&upstream->servers[i]);
	free(upstream->servers);
	config_options_free(BLOCK_UPSTREAM_TLS, &upstream->tls);
	config_options_free(BLOCK_HEALTH, &upstream->health);
	free(upstream->balance.key_name);
	free(upstream->name);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->service_count; i++)
		free_service(&config->services[i]);
	for (size_t i = 0; i < config->upstream_count; i++)
		free_upstream(&config->upstreams[i]);
	for (size_t i = 0; i < config->resolver.server_count; i++)
		free_server(&config->resolver.servers[i]);
	free(config->resolver.servers);
	for (size_t i = 0; i < config->filter.interface_count; i++)
		free(config->filter.interfaces[i]);
	for (size_t i = 0; i < config->list_count; i++) {
		config_options_free(BLOCK_LIST, &config->lists[i]);
		free(config->lists[i].name);
	}
	free(config->lists);
	free(config->services);
	free(config->upstreams);
	free(config->filter.interfaces);
	config_options_free(BLOCK_FILTER, &config->filter);
	config_options_free(BLOCK_PROXY, config);
	config_options_free(BLOCK_ADMIN, config);
	free(config->path);
	free(config);
}
