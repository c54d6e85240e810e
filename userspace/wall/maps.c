/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The maps: made once, pinned, and from then on shared by every program and process.
 *
 * They appear all at once: made and filled in a directory of another name, which is then renamed.
 * So nobody ever sees maps that are half there, and of two who make them at the same time one
 * finds, after all, that there are some.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "wall/internal.h"
#include "filter.skel.h"
#include "layout.h"

#define CONNECTIONS_MAX (1u << 24)

static int mount_bpffs(struct error *error)
{
	struct statfs fs;

	if (statfs(WALL_BPFFS, &fs) == 0 && fs.f_type == BPF_FS_MAGIC)
		return 0;
	if (mount("bpf", WALL_BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") == 0)
		return 0;
	return error_set(error, -errno, "cannot mount the BPF file system on %s: %s%s", WALL_BPFFS,
			 strerror(errno),
			 errno == EPERM ? " (this needs root, outside of a container)" : "");
}

/*
 * Buckets for that many sources. A bucket has FW_CONNECTION_SLOTS slots; at two entries a bucket on
 * average, two in ten thousand are full.
 */
static uint32_t connection_buckets(uint32_t connections)
{
	uint32_t buckets = 64;

	while (buckets < connections / 2)
		buckets *= 2;
	return buckets;
}

static int size_maps(struct filter_bpf *skeleton, const struct config_sizes *sizes,
		     struct error *error)
{
	uint32_t most = CONNECTIONS_MAX;

	if (sizes->connections > most || sizes->sources > most || sizes->blocks > most ||
	    sizes->questions > most)
		return error_set(error, -EINVAL, "a table of more than %u entries is refused",
				 most);
	if (sizes->connections)
		bpf_map__set_max_entries(skeleton->maps.connections,
					 connection_buckets(sizes->connections));
	if (sizes->sources)
		bpf_map__set_max_entries(skeleton->maps.sources, sizes->sources);
	if (sizes->questions)
		bpf_map__set_max_entries(skeleton->maps.questions, sizes->questions);
	if (sizes->blocks) {
		bpf_map__set_max_entries(skeleton->maps.block_hosts, sizes->blocks);
		bpf_map__set_max_entries(skeleton->maps.block_prefixes, sizes->blocks);
	}
	return 0;
}

/* The name under which a map of maps.h is pinned. A variable's map bears its section's:
 * ".data.meta". */
static const char *pin_name(const struct bpf_map *map)
{
	const char *dot = strrchr(bpf_map__name(map), '.');

	return dot ? dot + 1 : bpf_map__name(map);
}

/* −1: it is none of maps.h, as libbpf's own for a program's constants. */
static int map_index(const struct bpf_map *map)
{
	for (int i = 0; i < MAP_COUNT; i++)
		if (strcmp(wall_map_names[i], pin_name(map)) == 0)
			return i;
	return -1;
}

/* Pins each map of maps.h in @directory once it is loaded. −ENOTSUP: WALL_MAP_LIST lacks one. */
static int name_pins(struct bpf_object *object, const char *directory, struct error *error)
{
	char path[128];
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		if (map_index(map) < 0 && bpf_map__is_internal(map))
			continue;
		if (map_index(map) < 0)
			return error_set(error, -ENOTSUP, "the wall does not know %s of maps.h",
					 bpf_map__name(map));
		snprintf(path, sizeof(path), "%s/%s", directory, pin_name(map));
		bpf_map__set_pin_path(map, path);
	}
	return 0;
}

static int fill_settings(int fd)
{
	uint64_t initial;
	uint32_t index;

	for (uint32_t service = 0; service < FW_SERVICES_MAX; service++) {
		for (int i = 0; i < FW_SETTING_COUNT; i++) {
			index = fw_setting_index(service, i);
			initial = setting_rows[i].initial;
			if (bpf_map_update_elem(fd, &index, &initial, BPF_ANY) < 0)
				return -errno;
		}
	}
	return 0;
}

static int fill_maps(struct filter_bpf *skeleton, struct error *error)
{
	struct fw_meta meta = {.layout = FW_LAYOUT, .epoch = 1};
	uint32_t zero = 0;

	if (getrandom(meta.seed, sizeof(meta.seed), 0) != sizeof(meta.seed))
		return error_set(error, -EIO, "the kernel gives no random numbers");
	if (fill_settings(bpf_map__fd(skeleton->maps.settings)) < 0 ||
	    bpf_map_update_elem(bpf_map__fd(skeleton->maps.data_meta), &zero, &meta, BPF_ANY) < 0)
		return error_set(error, -errno, "cannot fill the new maps: %s", strerror(errno));
	return 0;
}

/* Removes a directory of pins of ours. */
static void discard(const char *directory)
{
	struct dirent *entry;
	DIR *dir = opendir(directory);

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	rmdir(directory);
}

static int refused(int code, struct error *error)
{
	const char *hint = "";

	if (access("/sys/kernel/btf/vmlinux", R_OK) != 0)
		hint = "; Floodwall needs a kernel that describes its types: there is no "
		       "/sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF)";
	else if (code == EPERM)
		hint = " (this needs root)";
	return error_set(error, -code, "the kernel refused the maps: %s%s%s", strerror(code),
			 wall_words(), hint);
}

static int make_in(const char *directory, const struct config_sizes *sizes, struct error *error)
{
	struct filter_bpf *skeleton = filter_bpf__open();
	struct bpf_program *program;
	int result;

	if (!skeleton)
		return error_set(error, -errno, "cannot read the built-in filter: %s",
				 strerror(errno));
	bpf_object__for_each_program(program, skeleton->obj)
		bpf_program__set_autoload(program, false);
	result = size_maps(skeleton, sizes, error);
	if (result == 0)
		result = name_pins(skeleton->obj, directory, error);
	if (result == 0 && bpf_object__load(skeleton->obj) < 0)
		result = refused(errno, error);
	if (result == 0)
		result = fill_maps(skeleton, error);
	filter_bpf__destroy(skeleton);
	return result;
}

int wall_maps_make(const struct config_sizes *sizes, struct error *error)
{
	char directory[64];
	int result = mount_bpffs(error);

	if (result < 0)
		return result;
	if (access(WALL_PINS, F_OK) == 0)
		return -EEXIST;
	wall_words_forget();
	snprintf(directory, sizeof(directory), "%s-%d", WALL_PINS,
		 getpid()); /* bpffs has no dots */
	discard(directory);
	if (mkdir(directory, 0700) < 0)
		return error_set(error, -errno, "cannot make %s: %s", directory, strerror(errno));
	result = make_in(directory, sizes, error);
	if (result == 0 && rename(directory, WALL_PINS) < 0)
		result = errno == ENOTEMPTY || errno == EEXIST
				 ? -EEXIST
				 : error_set(error, -errno, "cannot rename %s to %s: %s", directory,
					     WALL_PINS, strerror(errno));
	if (result < 0)
		discard(directory);
	return result;
}

int wall_maps_reuse(struct wall *wall, struct bpf_object *object)
{
	struct bpf_map *map;
	int index, result;

	bpf_object__for_each_map(map, object)
	{
		index = map_index(map);
		result = index < 0 ? 0 : bpf_map__reuse_fd(map, wall->maps[index].fd);
		if (result < 0)
			return result;
	}
	return 0;
}

void *wall_map_writable(struct wall *wall, enum wall_map map, struct error *error)
{
	void *memory = mmap(NULL, wall->maps[map].size, PROT_READ | PROT_WRITE, MAP_SHARED,
			    wall->maps[map].fd, 0);

	if (memory != MAP_FAILED)
		return memory;
	error_set(error, -errno, "cannot map %s into memory: %s", wall_map_names[map],
		  strerror(errno));
	return NULL;
}
