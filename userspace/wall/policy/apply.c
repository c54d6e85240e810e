/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Policy from the file.
 *
 * What can fail is checked first. Then every binding is written before any is taken away, so that
 * a port that moves from one service to another is never without one.
 *
 * Whether the host's own settings were ever applied is kept in row 0 of the map `services`: that is
 * what makes them "there already" for keep_live.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include "contract/secret_file.h"
#include "wall/internal.h"
#include "wall/policy/secrets.h"

static bool is_in_file(const struct config *config, const char *name)
{
	return config_service_find(config, name) != NULL;
}

/* A binding that leads to a service which stays and which the file does not name is taken. */
static int check_bindings(struct wall *wall, const struct config *config,
			  const struct config_service *wanted, struct error *error)
{
	char text[ADDRESS_TEXT_SIZE];
	struct fw_service owner;
	uint32_t id;

	for (size_t i = 0; i < wanted->binding_count; i++) {
		if (bpf_map_lookup_elem(wall->maps[MAP_BINDINGS].fd, &wanted->bindings[i], &id) < 0)
			continue;
		if (wall_service(wall, id, &owner) && !owner.from_file &&
		    !is_in_file(config, owner.name))
			return error_set(
				error, -EEXIST,
				"%s: %s belongs to service %s, which was added by hand; "
				"remove that (floodwall service remove %s) or bind another "
				"port",
				wanted->name, binding_format(&wanted->bindings[i], text),
				owner.name, owner.name);
	}
	return 0;
}

/* Whether the file's services fit beside the others. Those that go are still there while the new
 * ones come, so they count as well. */
static int check_room(struct wall *wall, const struct config *config, struct error *error)
{
	struct fw_service service;
	size_t needed = config->service_count, bindings = 0;

	for (uint32_t id = 1; id < FW_SERVICES_MAX; id++)
		needed += wall_service(wall, id, &service) && !is_in_file(config, service.name);
	for (size_t i = 0; i < config->service_count; i++)
		bindings += config->services[i].binding_count;
	if (needed > FW_SERVICES_MAX - 1)
		return error_set(error, -ENOSPC,
				 "%zu services, with those there are, are more than %d", needed,
				 FW_SERVICES_MAX - 1);
	if (bindings > wall->maps[MAP_BINDINGS].entries / 2)
		return error_set(error, -ENOSPC, "%zu bindings are more than %u", bindings,
				 wall->maps[MAP_BINDINGS].entries / 2);
	return 0;
}

static int check(struct wall *wall, const struct config *config, struct error *error)
{
	int result = check_room(wall, config, error);

	for (size_t i = 0; i < config->service_count && result == 0; i++)
		result = wall_service_name_check(config->services[i].name, error);
	for (size_t i = 0; i < config->service_count && result == 0; i++)
		result = check_bindings(wall, config, &config->services[i], error);
	return result;
}

static int apply_service(struct wall *wall, const struct config_service *wanted, bool keep_live,
			 struct error *error)
{
	struct fw_service service = {.kind = wanted->kind, .from_file = 1};
	int id = wall_service_find(wall, wanted->name, NULL), result = 0;
	bool is_new = id < 0;

	strcpy(service.name, wanted->name); /* checked to fit */
	if (is_new)
		id = wall_service_claim(wall, error);
	if (id < 0)
		return id;
	for (int i = 0; i < FW_SETTING_COUNT && result == 0; i++)
		if (setting_rows[i].scope != SCOPE_HOST && (is_new || !keep_live))
			result = wall_set(wall, (uint32_t)id, i, wanted->settings[i], error);
	if (result == 0)
		result = wall_service_write(wall, (uint32_t)id, &service, wanted->bindings,
					    wanted->binding_count, error);
	return result;
}

/* Takes away the bindings that moved or went, and the services that the file does not name any
 * more.
 */
static int prune(struct wall *wall, const struct config *config, struct error *error)
{
	const struct config_service *wanted;
	struct fw_service service;
	int result = 0;

	for (uint32_t id = 1; id < FW_SERVICES_MAX && result == 0; id++) {
		if (!wall_service(wall, id, &service))
			continue;
		wanted = config_service_find(config, service.name);
		if (wanted)
			result = wall_service_prune(wall, id, wanted->bindings,
						    wanted->binding_count, error);
		else if (service.from_file)
			result = wall_service_forget(wall, id, error);
	}
	return result;
}

static int apply_host(struct wall *wall, const struct config *config, bool keep_live,
		      struct error *error)
{
	struct fw_service host = {.name = "host", .kind = FW_SERVICE_PLAIN}, row = {0};
	uint32_t id = FW_HOST_SERVICE;
	int result = wall_map_lookup(wall, MAP_SERVICES, &id, &row, error);

	if (result < 0 || (keep_live && row.kind != FW_SERVICE_FREE))
		return result;
	for (int i = 0; i < FW_SETTING_COUNT && result == 0; i++)
		if (setting_rows[i].scope == SCOPE_HOST)
			result = wall_set(wall, id, i, config->settings[i], error);
	for (int i = FW_NONE + 1; i < FW_VERDICT_COUNT && result == 0; i++)
		if (verdict_rows[i].action == FW_ACTION_DROP)
			result = wall_set_rule_mode(wall, i,
						    config->filter.monitored[i] ? FW_MODE_MONITOR
										: FW_MODE_ENFORCE,
						    error);
	return result < 0 ? result : wall_map_update(wall, MAP_SERVICES, &id, &host, error);
}

static int apply(struct wall *wall, const struct config *config, bool keep_live,
		 struct error *error)
{
	int result = check(wall, config, error);

	if (result == 0)
		result = apply_host(wall, config, keep_live, error);
	for (size_t i = 0; i < config->service_count && result == 0; i++)
		result = apply_service(wall, &config->services[i], keep_live, error);
	return result < 0 ? result : prune(wall, config, error);
}

int wall_apply(struct wall *wall, const struct config *config, bool keep_live, struct error *error)
{
	const char *file = config->filter.cookie_secret;
	uint64_t key[2];
	int result = file ? secret_file_read(file, key, error) : 0;

	if (result < 0)
		return error_wrap(error, result, "cookie_secret");
	wall_lock(wall);
	result = apply(wall, config, keep_live, error);
	if (result == 0)
		result = secrets_apply(wall, file ? key : NULL, error);
	wall_unlock(wall);
	explicit_bzero(key, sizeof(key));
	return result;
}
