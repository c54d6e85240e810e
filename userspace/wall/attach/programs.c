/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our programs where they run: XDP on interfaces, the others by the links that are pinned beside
 * the maps. What they are is the kernel's to say, so nothing here has to be told of a new program.
 *
 * Upgrading is attaching again, where and as it is attached already.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>
#include "wall/attach/programs.h"
#include "wall/pins.h"

#define LINK_PREFIX   "link_"
#define LINK_TYPE_TCX 11 /* BPF_LINK_TYPE_TCX, newer than some hosts' <linux/bpf.h> */
#define RODATA        ".rodata"

struct programs {
	struct wall_program *list;
	size_t count;
	int result; /* 0, or the first −errno */
};

static int read_info(int fd, struct bpf_prog_info *info)
{
	uint32_t size = sizeof(*info);

	return bpf_obj_get_info_by_fd(fd, info, &size) < 0 ? -errno : 0;
}

/* Of a program that is open; @place is where it runs. */
static void add(struct programs *programs, int fd, const char *place)
{
	struct bpf_prog_info info = {0};
	struct wall_program *grown, *added;

	if (programs->result < 0)
		return;
	programs->result = read_info(fd, &info);
	if (programs->result < 0)
		return;
	grown = realloc(programs->list, (programs->count + 1) * sizeof(*grown));
	if (!grown) {
		programs->result = -ENOMEM;
		return;
	}
	programs->list = grown;
	added = &grown[programs->count++];
	*added = (struct wall_program){.id = info.id};
	memcpy(added->tag, info.tag, sizeof(added->tag));
	snprintf(added->name, sizeof(added->name), "%s", info.name);
	snprintf(added->place, sizeof(added->place), "%s", place);
}

static void add_of_interface(struct programs *programs, const struct pins *pins, int index,
			     const char *name)
{
	struct xdp_multiprog *running = xdp_multiprog__get_from_ifindex(index);
	struct xdp_program *program = NULL;

	if (!running || libxdp_get_error(running))
		return;
	if (xdp_multiprog__is_legacy(running)) {
		program = xdp_multiprog__main_prog(running);
		if (program && pins_are_used_by(pins, xdp_program__fd(program)))
			add(programs, xdp_program__fd(program), name);
	} else {
		while ((program = xdp_multiprog__next_prog(program, running)))
			if (pins_are_used_by(pins, xdp_program__fd(program)))
				add(programs, xdp_program__fd(program), name);
	}
	xdp_multiprog__close(running);
}

static void add_of_interfaces(struct programs *programs, const struct pins *pins)
{
	struct if_nameindex *names = if_nameindex();

	for (size_t i = 0; names && names[i].if_index; i++)
		add_of_interface(programs, pins, (int)names[i].if_index, names[i].if_name);
	if_freenameindex(names);
}

/* A link that nothing is attached to any more has a program still, which runs nowhere. */
static void add_of_link(struct programs *programs, const char *pin)
{
	char path[sizeof(WALL_PINS) + 256], name[IF_NAMESIZE];
	struct bpf_link_info info = {0};
	uint32_t size = sizeof(info);
	const char *place = pin + strlen(LINK_PREFIX);
	int link, program;

	snprintf(path, sizeof(path), "%s/%s", WALL_PINS, pin);
	link = bpf_obj_get(path);
	if (link < 0)
		return;
	if (bpf_obj_get_info_by_fd(link, &info, &size) == 0) {
		if (info.type == BPF_LINK_TYPE_CGROUP)
			place = "cgroup";
		else if (info.type == LINK_TYPE_TCX && if_indextoname(info.xdp.ifindex, name))
			place = name; /* a TCX link's interface is where an XDP link's is */
		program = bpf_prog_get_fd_by_id(info.prog_id);
		if (program >= 0) {
			add(programs, program, place);
			close(program);
		}
	}
	close(link);
}

static void add_of_links(struct programs *programs)
{
	DIR *directory = opendir(WALL_PINS);
	struct dirent *entry;

	while (directory && (entry = readdir(directory)))
		if (strncmp(entry->d_name, LINK_PREFIX, strlen(LINK_PREFIX)) == 0)
			add_of_link(programs, entry->d_name);
	if (directory)
		closedir(directory);
}

static int compare(const void *left, const void *right)
{
	const struct wall_program *a = left, *b = right;
	int by_place = strcmp(a->place, b->place);

	return by_place ? by_place : strcmp(a->name, b->name);
}

int wall_programs(struct wall *wall, struct wall_program **list, size_t *count, struct error *error)
{
	struct programs programs = {.count = 0};
	struct pins pins;
	int result;

	(void)wall;
	wall_words_forget();
	result = pins_read(&pins, error);
	if (result < 0)
		return result;
	add_of_interfaces(&programs, &pins);
	add_of_links(&programs);
	if (programs.result < 0) {
		free(programs.list);
		return error_set(error, programs.result, "cannot examine the programs: %s",
				 strerror(-programs.result));
	}
	if (programs.count)
		qsort(programs.list, programs.count, sizeof(*programs.list), compare);
	*list = programs.list;
	*count = programs.count;
	return 0;
}

/* --- the same again -------------------------------------------------------------------------- */

/* A program's constants: malloc'd, *@size bytes; NULL: it has none (0 bytes), or they can't be
 * read.
 */
static void *read_constants(int program, uint32_t *size)
{
	uint32_t ids[PINS_MAX], zero = 0, length = sizeof(struct bpf_map_info);
	struct bpf_prog_info info = {.nr_map_ids = PINS_MAX, .map_ids = (uintptr_t)ids};
	struct bpf_map_info map = {0};
	void *bytes = NULL;
	int fd;

	if (read_info(program, &info) < 0)
		return NULL;
	for (uint32_t i = 0; i < info.nr_map_ids && i < PINS_MAX && !bytes; i++) {
		fd = bpf_map_get_fd_by_id(ids[i]);
		if (fd < 0)
			continue;
		if (bpf_obj_get_info_by_fd(fd, &map, &length) == 0 && strstr(map.name, RODATA)) {
			bytes = malloc(map.value_size);
			*size = map.value_size;
			if (bytes && bpf_map_lookup_elem(fd, &zero, bytes) < 0) {
				free(bytes);
				bytes = NULL;
			}
		}
		close(fd);
	}
	return bytes;
}

static bool is_same(int running, int loaded)
{
	struct bpf_prog_info infos[2] = {{0}, {0}};
	uint32_t sizes[2] = {0, 0};
	void *constants[2];
	bool same;

	if (read_info(running, &infos[0]) < 0 || read_info(loaded, &infos[1]) < 0 ||
	    memcmp(infos[0].tag, infos[1].tag, sizeof(infos[0].tag)) != 0)
		return false;
	constants[0] = read_constants(running, &sizes[0]);
	constants[1] = read_constants(loaded, &sizes[1]);
	same = sizes[0] == sizes[1] &&
	       (!sizes[0] || (constants[0] && constants[1] &&
			      memcmp(constants[0], constants[1], sizes[0]) == 0));
	free(constants[0]);
	free(constants[1]);
	return same;
}

bool program_stays(const struct wall *wall, int running, int loaded)
{
	return wall->spares_same && is_same(running, loaded);
}

bool link_stays(const struct wall *wall, int link, int loaded)
{
	struct bpf_link_info info = {0};
	uint32_t size = sizeof(info);
	bool stays = false;
	int running;

	if (!wall->spares_same || bpf_obj_get_info_by_fd(link, &info, &size) < 0 ||
	    (info.type == LINK_TYPE_TCX && info.xdp.ifindex == 0)) /* whose interface is gone */
		return false;
	running = bpf_prog_get_fd_by_id(info.prog_id);
	if (running >= 0) {
		stays = is_same(running, loaded);
		close(running);
	}
	return stays;
}

/* Attaches again where @tier is had; @list is reordered. */
static int attach_again(struct wall *wall, struct wall_interface *list, size_t count,
			enum fw_tier tier, struct error *error)
{
	struct wall_interface other;
	size_t had = 0;

	for (size_t i = 0; i < count; i++) {
		if (list[i].tier != tier)
			continue;
		other = list[had];
		list[had++] = list[i];
		list[i] = other;
	}
	return had ? wall_attach(wall, list, had, WALL_AUTO, tier, error) : 0;
}

int wall_upgrade(struct wall *wall, bool unchanged_too, struct error *error)
{
	struct wall_interface *list;
	size_t count;
	int result = wall_interfaces(wall, &list, &count, error);

	if (result < 0)
		return result;
	wall->spares_same = !unchanged_too;
	for (int tier = FW_TIER_DROP; tier <= FW_TIER_OWN && result == 0; tier++)
		result = attach_again(wall, list, count, tier, error);
	if (result == 0 && wall_is_tracking(wall))
		result = wall_track(wall, NULL, error);
	wall->spares_same = false;
	free(list);
	return result;
}
