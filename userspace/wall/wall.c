/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A wall's life: open what is pinned, check that it is of our layout, map what is read without a
 * system call, and let go again.
 *
 * Nothing here changes what is pinned, except wall_remove() and wall_discard().
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "wall/internal.h"
#include "wall/pins.h"
#include "layout.h"

const char *const wall_map_names[MAP_COUNT] = {
#define MAP(id, name) #name,
	WALL_MAP_LIST(MAP)
#undef MAP
};

static const char *const pin_paths[MAP_COUNT] = {
#define MAP(id, name) WALL_PINS "/" #name,
	WALL_MAP_LIST(MAP)
#undef MAP
};

const char *wall_pin_path(const char *map)
{
	for (int i = 0; i < MAP_COUNT; i++)
		if (strcmp(wall_map_names[i], map) == 0)
			return pin_paths[i];
	return NULL;
}

void wall_lock(const struct wall *wall)
{
	while (flock(wall->directory, LOCK_EX) < 0 && errno == EINTR)
		;
}

void wall_unlock(const struct wall *wall)
{
	flock(wall->directory, LOCK_UN);
}

bool wall_is_pinned(const struct wall *wall)
{
	struct stat status;

	return fstat(wall->directory, &status) == 0 && status.st_nlink > 0;
}

int wall_lock_pinned(const struct wall *wall, struct error *error)
{
	wall_lock(wall);
	if (wall_is_pinned(wall))
		return 0;
	wall_unlock(wall);
	return error_set(error, -ENOENT,
			 "Floodwall was removed meanwhile (floodwall detach --all); try again");
}

static int open_map(struct wall *wall, enum wall_map map, struct error *error)
{
	struct wall_map_handle *handle = &wall->maps[map];
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);

	handle->fd = bpf_obj_get(pin_paths[map]);
	if (handle->fd < 0)
		return error_set(error, errno == ENOENT ? -EPROTO : -errno, "cannot open %s: %s",
				 pin_paths[map], strerror(errno));
	if (bpf_obj_get_info_by_fd(handle->fd, &info, &size) < 0)
		return error_set(error, -errno, "cannot examine %s: %s", pin_paths[map],
				 strerror(errno));
	handle->id = info.id;
	handle->entries = info.max_entries;
	/* Values of an array are kept at multiples of eight bytes. */
	handle->size = (size_t)info.max_entries * ((info.value_size + 7) & ~7u);
	return 0;
}

static int map_memory(struct wall *wall, enum wall_map map, int protection, struct error *error)
{
	struct wall_map_handle *handle = &wall->maps[map];

	handle->memory = mmap(NULL, handle->size, protection, MAP_SHARED, handle->fd, 0);
	if (handle->memory != MAP_FAILED)
		return 0;
	handle->memory = NULL;
	return error_set(error, -errno, "cannot map %s into memory: %s", pin_paths[map],
			 strerror(errno));
}

static int check_layout(struct wall *wall, struct error *error)
{
	struct fw_meta meta = {0};
	uint32_t zero = 0;

	/* A meta of another size would have another hash, but reading it here must be safe. */
	if (wall->maps[MAP_META].size == sizeof(meta) &&
	    bpf_map_lookup_elem(wall->maps[MAP_META].fd, &zero, &meta) < 0)
		return error_set(error, -errno, "cannot read %s: %s", pin_paths[MAP_META],
				 strerror(errno));
	if (meta.layout == FW_LAYOUT)
		return 0;
	return error_set(
		error, -EPROTO,
		"the maps in %s were made by another version of Floodwall (layout %016" PRIx64
		", this one has %016" PRIx64 "). The filter goes on with its last policy. To "
		"replace it: floodwall detach --all, which forgets lists, counts and live "
		"settings, then floodwall attach. What is to be kept the version that made them "
		"still shows: floodwall blocks, allows, list show NAME --entries, diff",
		WALL_PINS, (uint64_t)meta.layout, (uint64_t)FW_LAYOUT);
}

static int map_memories(struct wall *wall, struct error *error)
{
	static const struct {
		enum wall_map map;
		int protection;
	} mapped[] = {
		{MAP_META, PROT_READ},
		{MAP_SETTINGS, PROT_READ},
		{MAP_MODES, PROT_READ},
		{MAP_CONNECTIONS, PROT_READ},
		{MAP_EVENTS, PROT_READ},
		{MAP_BOARD, PROT_READ | PROT_WRITE},
		{MAP_RECORDS, PROT_READ | PROT_WRITE},
		{MAP_SERVERS, PROT_READ | PROT_WRITE},
		{MAP_COMPLAINTS, PROT_READ | PROT_WRITE},
		{MAP_SHUT, PROT_READ},
	};
	int result = 0;

	for (size_t i = 0; i < sizeof(mapped) / sizeof(mapped[0]) && result == 0; i++)
		result = map_memory(wall, mapped[i].map, mapped[i].protection, error);
	if (result < 0)
		return result;
	wall->meta = wall->maps[MAP_META].memory;
	wall->settings = wall->maps[MAP_SETTINGS].memory;
	wall->modes = wall->maps[MAP_MODES].memory;
	wall->connections = wall->maps[MAP_CONNECTIONS].memory;
	wall->events = wall->maps[MAP_EVENTS].memory;
	wall->board = wall->maps[MAP_BOARD].memory;
	wall->servers = wall->maps[MAP_SERVERS].memory;
	wall->complaints = wall->maps[MAP_COMPLAINTS].memory;
	wall->shut = wall->maps[MAP_SHUT].memory;
	wall->records = wall->maps[MAP_RECORDS].memory;
	wall->connection_mask = wall->maps[MAP_CONNECTIONS].entries - 1;
	wall->seed[0] = wall->meta->seed[0];
	wall->seed[1] = wall->meta->seed[1];
	return 0;
}

static int open_directory(struct error *error)
{
	int directory = open(WALL_PINS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (directory >= 0)
		return directory;
	if (errno == ENOENT)
		return error_set(error, -ENOENT,
				 "Floodwall is not loaded: there are no maps in %s. To load it: "
				 "floodwall attach INTERFACE",
				 WALL_PINS);
	return error_set(error, -errno, "cannot open %s: %s%s", WALL_PINS, strerror(errno),
			 errno == EACCES ? " (this needs root)" : "");
}

static int open_everything(struct wall *wall, struct error *error)
{
	int result;

	wall->directory = open_directory(error);
	if (wall->directory < 0)
		return wall->directory;
	result = open_map(wall, MAP_META, error);
	if (result == 0)
		result = check_layout(wall, error);
	for (int i = MAP_META + 1; i < MAP_COUNT && result == 0; i++)
		result = open_map(wall, i, error);
	return result < 0 ? result : map_memories(wall, error);
}

int wall_open(struct wall **wall, struct error *error)
{
	struct wall *opened = calloc(1, sizeof(*opened));
	int result;

	if (!opened)
		return error_set(error, -ENOMEM, "out of memory");
	opened->directory = -1;
	for (int i = 0; i < MAP_COUNT; i++)
		opened->maps[i].fd = -1;
	wall_words_forget();
	result = open_everything(opened, error);
	if (result < 0) {
		wall_close(opened);
		return result;
	}
	*wall = opened;
	return 0;
}

int wall_open_or_create(struct wall **wall, const struct config_sizes *sizes, const char *cgroup,
			struct error *error)
{
	int made = wall_maps_make(sizes, error), result;

	if (made < 0 && made != -EEXIST)
		return made;
	result = wall_open(wall, error);
	if (result < 0)
		return result;
	result = wall_track(*wall, cgroup, error);
	if (result == 0)
		return 0;
	if (made == 0) /* nothing was there before, so nothing stays */
		wall_remove(*wall, NULL);
	wall_close(*wall);
	*wall = NULL;
	return result;
}

int wall_remove(struct wall *wall, struct error *error)
{
	int result;

	wall_lock(wall);
	result = pins_remove(error);
	wall_unlock(wall);
	return result;
}

int wall_discard(struct error *error)
{
	const struct wall any = {.directory = open_directory(error)}; /* of whatever layout */
	struct pins pins;
	int result = any.directory;

	if (result < 0)
		return result;
	result = wall_lock_pinned(&any, error);
	if (result == 0)
		result = pins_read(&pins, error);
	if (result == 0)
		result = interfaces_detach_all(&pins, error);
	if (result == 0)
		result = pins_remove(error);
	close(any.directory); /* and lets go of the lock */
	return result;
}

void wall_close(struct wall *wall)
{
	if (!wall)
		return;
	for (int i = 0; i < MAP_COUNT; i++) {
		if (wall->maps[i].memory)
			munmap(wall->maps[i].memory, wall->maps[i].size);
		if (wall->maps[i].fd >= 0)
			close(wall->maps[i].fd);
	}
	if (wall->shut_writing)
		munmap(wall->shut_writing, wall->maps[MAP_SHUT].size);
	if (wall->directory >= 0)
		close(wall->directory);
	free(wall->sights);
	free(wall);
}

int wall_map_update(struct wall *wall, enum wall_map map, const void *key, const void *value,
		    struct error *error)
{
	if (bpf_map_update_elem(wall->maps[map].fd, key, value, BPF_ANY) == 0)
		return 0;
	/* A full hash says E2BIG, a full trie ENOSPC. */
	if (errno == E2BIG || errno == ENOSPC)
		return error_set(error, -ENOSPC, "%s is full: it holds %u entries",
				 wall_map_names[map], wall->maps[map].entries);
	return error_set(error, -errno, "cannot write %s: %s", pin_paths[map], strerror(errno));
}

int wall_map_lookup(struct wall *wall, enum wall_map map, const void *key, void *value,
		    struct error *error)
{
	if (bpf_map_lookup_elem(wall->maps[map].fd, key, value) == 0)
		return 0;
	return error_set(error, -errno, "cannot read %s: %s", pin_paths[map], strerror(errno));
}

int wall_map_dump(struct wall *wall, enum wall_map map, size_t key_size, size_t value_size,
		  void **keys, void **values, size_t *count, struct error *error)
{
	const uint32_t most = 4096;
	size_t room = 0, used = 0, interrupted = 0;
	uint64_t cursor[8], *from = NULL; /* as large as the largest key */
	uint32_t got;
	void *grown;
	int result = 0;

	*keys = *values = NULL;
	do {
		if (room - used < most) {
			room += most + room / 2;
			grown = realloc(*keys, room * key_size);
			*keys = grown ? grown : *keys;
			result = grown ? 0 : -ENOMEM;
			grown = realloc(*values, room * value_size);
			*values = grown ? grown : *values;
			if (result < 0 || !grown) {
				result = -ENOMEM;
				break;
			}
		}
		got = most;
		result = bpf_map_lookup_batch(wall->maps[map].fd, from, cursor,
					      (char *)*keys + used * key_size,
					      (char *)*values + used * value_size, &got, NULL) < 0
				 ? -errno
				 : 0;
		/* EINTR: a key went just when it was about to be read; the cursor is behind it. */
		if (result == 0 || result == -ENOENT || (result == -EINTR && got > 0)) {
			used += got;
			from = cursor;
		}
		interrupted += result == -EINTR;
	} while (result == 0 || (result == -EINTR && interrupted < 1000));
	*count = used;
	if (result == -ENOENT) /* the end */
		return 0;
	free(*keys);
	free(*values);
	*keys = *values = NULL;
	*count = 0;
	return error_set(error, result, "cannot read %s: %s", pin_paths[map], strerror(-result));
}
