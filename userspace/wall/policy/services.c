/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Services: names for ids, and the bindings by which packets find them.
 *
 * The filter reads while this writes, so the order is the invariant: a service is complete before
 * a binding leads to it, and no binding leads to it any more before it goes.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "wall/internal.h"

#define HOST_NAME "host"

int wall_service_name_check(const char *name, struct error *error)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	if (length == 0 || name[length] || length >= FW_NAME_SIZE)
		return error_set(error, -EINVAL,
				 "\"%s\" is no name for a service: 1 to %d of a-z 0-9 _ -", name,
				 FW_NAME_SIZE - 1);
	if (strcmp(name, HOST_NAME) == 0)
		return error_set(error, -EINVAL, "\"%s\" is the host itself, which has no bindings",
				 name);
	return 0;
}

bool wall_service(struct wall *wall, uint32_t id, struct fw_service *service)
{
	*service = (struct fw_service){0};
	if (id == FW_HOST_SERVICE) {
		strcpy(service->name, HOST_NAME);
		service->kind = FW_SERVICE_PLAIN;
		return true;
	}
	if (id >= FW_SERVICES_MAX || wall_map_lookup(wall, MAP_SERVICES, &id, service, NULL) < 0)
		return false;
	service->name[FW_NAME_SIZE - 1] = '\0';
	return service->kind != FW_SERVICE_FREE;
}

int wall_service_find(struct wall *wall, const char *name, struct error *error)
{
	struct fw_service service;

	for (uint32_t id = 0; id < FW_SERVICES_MAX; id++)
		if (wall_service(wall, id, &service) && strcmp(service.name, name) == 0)
			return (int)id;
	return error_set(error, -ENOENT,
			 "there is no service \"%s\"; floodwall service list shows those there are",
			 name);
}

/* A freed id's counts must not be taken for the new service's. */
static int clear_counts(struct wall *wall, uint32_t id, struct error *error)
{
	int cpus = libbpf_num_possible_cpus();
	struct fw_counter *zero;
	uint32_t index;
	int result = 0;

	zero = cpus > 0 ? calloc((size_t)cpus, sizeof(*zero)) : NULL;
	if (!zero)
		return error_set(error, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < FW_VERDICTS_MAX && result == 0; i++) {
		index = fw_counter_index(id, i);
		result = wall_map_update(wall, MAP_COUNTERS, &index, zero, error);
	}
	free(zero);
	for (uint32_t worker = 0; worker < FW_WORKERS_MAX; worker++)
		memset((void *)&wall->board[fw_board_verdict(worker, id, 0)], 0,
		       (FW_VERDICTS_MAX + FW_METRICS_MAX) * sizeof(*wall->board));
	return result;
}

int wall_service_claim(struct wall *wall, struct error *error)
{
	struct fw_service service;
	uint32_t id = FW_HOST_SERVICE + 1;
	int result;

	while (id < FW_SERVICES_MAX && wall_service(wall, id, &service))
		id++;
	if (id == FW_SERVICES_MAX)
		return error_set(error, -ENOSPC, "there are %d services, which is the most",
				 FW_SERVICES_MAX - 1);
	result = clear_counts(wall, id, error);
	for (int i = 0; i < FW_SETTING_COUNT && result == 0; i++)
		result = wall_set(wall, id, i, setting_rows[i].initial, error);
	return result < 0 ? result : (int)id;
}

int wall_service_write(struct wall *wall, uint32_t id, const struct fw_service *service,
		       const struct fw_service_key *bindings, size_t count, struct error *error)
{
	int result = wall_map_update(wall, MAP_SERVICES, &id, service, error);

	for (size_t i = 0; i < count && result == 0; i++)
		result = wall_map_update(wall, MAP_BINDINGS, &bindings[i], &id, error);
	return result;
}

static bool is_among(const struct fw_service_key *key, const struct fw_service_key *list,
		     size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (memcmp(key, &list[i], sizeof(*key)) == 0)
			return true;
	return false;
}

int wall_service_prune(struct wall *wall, uint32_t id, const struct fw_service_key *kept,
		       size_t count, struct error *error)
{
	struct fw_service_key *list;
	size_t listed;
	int result = wall_service_bindings(wall, id, &list, &listed, error);

	if (result < 0)
		return result;
	for (size_t i = 0; i < listed; i++)
		if (!is_among(&list[i], kept, count))
			bpf_map_delete_elem(wall->maps[MAP_BINDINGS].fd, &list[i]);
	free(list);
	return 0;
}

/* Whether every binding is free or leads to @name already. */
static int check_bindings(struct wall *wall, const char *name,
			  const struct fw_service_key *bindings, size_t count, struct error *error)
{
	char text[ADDRESS_TEXT_SIZE];
	struct fw_service owner;
	uint32_t id;

	for (size_t i = 0; i < count; i++) {
		if (bpf_map_lookup_elem(wall->maps[MAP_BINDINGS].fd, &bindings[i], &id) < 0)
			continue;
		if (wall_service(wall, id, &owner) && strcmp(owner.name, name) != 0)
			return error_set(error, -EEXIST, "%s belongs to service %s",
					 binding_format(&bindings[i], text), owner.name);
	}
	return 0;
}

int wall_service_forget(struct wall *wall, uint32_t id, struct error *error)
{
	struct fw_service none = {0};
	int result = wall_service_prune(wall, id, NULL, 0, error);

	return result < 0 ? result : wall_map_update(wall, MAP_SERVICES, &id, &none, error);
}

static int put(struct wall *wall, const char *name, enum fw_service_kind kind,
	       const struct fw_service_key *bindings, size_t count, struct error *error)
{
	int id, result = check_bindings(wall, name, bindings, count, error);
	struct fw_service service = {.kind = kind};
	bool is_new;

	if (result < 0)
		return result;
	id = wall_service_find(wall, name, NULL);
	is_new = id < 0;
	if (is_new)
		id = wall_service_claim(wall, error);
	if (id < 0)
		return id;
	strcpy(service.name, name);
	result = wall_service_write(wall, (uint32_t)id, &service, bindings, count, error);
	if (result < 0 && is_new)
		wall_service_forget(wall, (uint32_t)id, NULL);
	if (result == 0)
		result = wall_service_prune(wall, (uint32_t)id, bindings, count, error);
	return result < 0 ? result : id;
}

int wall_service_put(struct wall *wall, const char *name, enum fw_service_kind kind,
		     const struct fw_service_key *bindings, size_t count, struct error *error)
{
	int result = wall_service_name_check(name, error);

	if (result < 0)
		return result;
	wall_lock(wall);
	result = put(wall, name, kind, bindings, count, error);
	wall_unlock(wall);
	return result;
}

int wall_service_remove(struct wall *wall, const char *name, struct error *error)
{
	int result = wall_service_name_check(name, error);

	if (result < 0)
		return result;
	wall_lock(wall);
	result = wall_service_find(wall, name, error);
	if (result > 0)
		result = wall_service_forget(wall, (uint32_t)result, error);
	wall_unlock(wall);
	return result;
}

int wall_service_bindings(struct wall *wall, uint32_t id, struct fw_service_key **list,
			  size_t *count, struct error *error)
{
	void *keys, *values;
	size_t total, kept = 0;
	int result = wall_map_dump(wall, MAP_BINDINGS, sizeof(**list), sizeof(id), &keys, &values,
				   &total, error);

	if (result < 0)
		return result;
	*list = keys;
	for (size_t i = 0; i < total; i++)
		if (((uint32_t *)values)[i] == id)
			(*list)[kept++] = (*list)[i];
	*count = kept;
	free(values);
	return 0;
}
