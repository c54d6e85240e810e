/* SPDX-License-Identifier: BSD-2-Clause */
/* The directory of pins, read and removed without looking into the maps. */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "wall/internal.h"
#include "wall/pins.h"

static DIR *open_pins(struct error *error)
{
	DIR *directory = opendir(WALL_PINS);

	if (!directory)
		error_set(error, -errno, "cannot open %s: %s%s", WALL_PINS, strerror(errno),
			  errno == EACCES ? " (this needs root)" : "");
	return directory;
}

/* Id of the map pinned at @name; 0: it is no map. */
static uint32_t map_id(const char *name)
{
	char path[sizeof(WALL_PINS) + 256];
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);
	int fd;

	if (strncmp(name, "link_", 5) == 0)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", WALL_PINS, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		info.id = 0;
	close(fd);
	return info.id;
}

int pins_read(struct pins *pins, struct error *error)
{
	DIR *directory = open_pins(error);
	struct dirent *entry;
	uint32_t id;

	pins->count = 0;
	if (!directory)
		return -errno;
	while ((entry = readdir(directory)) && pins->count < PINS_MAX) {
		id = entry->d_name[0] == '.' ? 0 : map_id(entry->d_name);
		if (id)
			pins->ids[pins->count++] = id;
	}
	closedir(directory);
	return 0;
}

bool pins_are_used_by(const struct pins *pins, int program)
{
	uint32_t ids[PINS_MAX];
	struct bpf_prog_info info = {.nr_map_ids = PINS_MAX, .map_ids = (uintptr_t)ids};
	uint32_t size = sizeof(info);

	if (bpf_obj_get_info_by_fd(program, &info, &size) < 0)
		return false;
	for (uint32_t i = 0; i < info.nr_map_ids && i < PINS_MAX; i++)
		for (size_t j = 0; j < pins->count; j++)
			if (ids[i] == pins->ids[j])
				return true;
	return false;
}

int pins_remove(struct error *error)
{
	DIR *directory = open_pins(error);
	struct dirent *entry;
	int result = 0;

	if (!directory)
		return -errno;
	while ((entry = readdir(directory)))
		if (entry->d_name[0] != '.' && unlinkat(dirfd(directory), entry->d_name, 0) < 0)
			result = -errno;
	closedir(directory);
	if (result == 0 && rmdir(WALL_PINS) < 0)
		result = -errno;
	return result == 0 ? 0
			   : error_set(error, result, "cannot remove %s: %s", WALL_PINS,
				       strerror(-result));
}
