/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tracking: the sock_ops program on a cgroup, by a pinned link, so that it outlives every process.
 *
 * While the link lives its program is swapped and nothing goes uncounted. A new link means that
 * connections closed in between were missed: then the epoch advances, which disowns every socket
 * counted before, and the table starts at zero.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>
#include "wall/attach/programs.h"
#include "track.skel.h"

static int find_cgroup_root(char *path, size_t size, struct error *error)
{
	struct mntent entry, *found;
	char buffer[4096];
	FILE *mounts = setmntent("/proc/self/mounts", "r");

	if (!mounts)
		return error_set(error, -errno, "cannot read /proc/self/mounts: %s",
				 strerror(errno));
	do
		found = getmntent_r(mounts, &entry, buffer, sizeof(buffer));
	while (found && strcmp(found->mnt_type, "cgroup2") != 0);
	if (found)
		snprintf(path, size, "%s", found->mnt_dir);
	endmntent(mounts);
	return found ? 0
		     : error_set(error, -ENOENT,
				 "no cgroup-v2 file system is mounted, so connections cannot be "
				 "tracked; mount one: mount -t cgroup2 none /sys/fs/cgroup");
}

static int open_cgroup(const char *cgroup, struct error *error)
{
	struct statfs kind;
	char root[256];
	int fd;

	if (!cgroup) {
		if (find_cgroup_root(root, sizeof(root), error) < 0)
			return -ENOENT;
		cgroup = root;
	}
	fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(error, -errno, "cannot open the cgroup %s: %s", cgroup,
				 strerror(errno));
	if (fstatfs(fd, &kind) < 0 || kind.f_type != CGROUP2_SUPER_MAGIC) {
		close(fd);
		return error_set(error, -EINVAL,
				 "%s is no directory of cgroup v2; grep cgroup2 /proc/self/mounts "
				 "says where those are",
				 cgroup);
	}
	return fd;
}

/* Id of the cgroup that the link is on; 0: of none any more, or there is no link. */
static uint64_t link_cgroup(int fd)
{
	struct bpf_link_info info = {0};
	uint32_t size = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return 0;
	return info.cgroup.cgroup_id;
}

bool wall_is_tracking(struct wall *wall)
{
	int fd = bpf_obj_get(WALL_LINK);
	bool tracking = link_cgroup(fd) != 0;

	(void)wall;
	if (fd >= 0)
		close(fd);
	return tracking;
}

static int begin_epoch(struct wall *wall, struct error *error)
{
	struct fw_connection_bucket *table = wall_map_writable(wall, MAP_CONNECTIONS, error);
	struct fw_meta *meta = wall_map_writable(wall, MAP_META, error);

	if (table && meta) {
		__atomic_add_fetch(&meta->epoch, 1, __ATOMIC_SEQ_CST);
		memset(table, 0, wall->maps[MAP_CONNECTIONS].size);
	}
	if (table)
		munmap(table, wall->maps[MAP_CONNECTIONS].size);
	if (meta)
		munmap(meta, wall->maps[MAP_META].size);
	return table && meta ? 0 : -EIO;
}

static struct track_bpf *load(struct wall *wall, struct error *error)
{
	struct track_bpf *skeleton = track_bpf__open();
	int result;

	if (!skeleton) {
		error_set(error, -errno, "cannot read the built-in tracker: %s", strerror(errno));
		return NULL;
	}
	skeleton->rodata->fw_seed[0] = wall->seed[0];
	skeleton->rodata->fw_seed[1] = wall->seed[1];
	skeleton->rodata->fw_connection_mask = wall->connection_mask;
	result = wall_maps_reuse(wall, skeleton->obj);
	if (result == 0)
		result = bpf_object__load(skeleton->obj);
	if (result == 0)
		return skeleton;
	error_set(error, result, "the kernel refused to load the tracker: %s%s", strerror(-result),
		  wall_words());
	track_bpf__destroy(skeleton);
	return NULL;
}

/* The pinned link, if it is alive and on the cgroup that is asked for. */
static struct bpf_link *find_link(int cgroup)
{
	struct bpf_link *link = bpf_link__open(WALL_LINK);
	struct stat stat;
	uint64_t id;

	if (!link)
		return NULL;
	/* A cgroup's id is the inode number of its directory. */
	id = link_cgroup(bpf_link__fd(link));
	if (id && (cgroup < 0 || (fstat(cgroup, &stat) == 0 && stat.st_ino == id)))
		return link;
	bpf_link__destroy(link);
	return NULL;
}

/* A link of its own beside whatever else is attached to the cgroup (links always allow others). */
static int attach(struct wall *wall, struct bpf_program *program, int cgroup, struct error *error)
{
	struct bpf_link *link;
	int result;

	if (unlink(WALL_LINK) < 0 && errno != ENOENT) /* with its pin the old link goes */
		return error_set(error, -errno, "cannot remove %s: %s", WALL_LINK, strerror(errno));
	result = begin_epoch(wall, error);
	if (result < 0)
		return result;
	link = bpf_program__attach_cgroup(program, cgroup);
	if (!link)
		return error_set(error, -errno, "cannot track connections: %s%s", strerror(errno),
				 wall_words());
	result = bpf_link__pin(link, WALL_LINK);
	bpf_link__destroy(link); /* a pinned link stays */
	return result < 0
		       ? error_set(error, result, "cannot pin %s: %s", WALL_LINK, strerror(-result))
		       : 0;
}

static int track(struct wall *wall, const char *cgroup, struct error *error)
{
	struct bpf_link *link = NULL;
	struct track_bpf *skeleton;
	int fd = -1, result = 0;

	if (!cgroup)
		link = find_link(-1); /* where it is already */
	if (!link) {
		fd = open_cgroup(cgroup, error);
		if (fd < 0)
			return fd;
		link = find_link(fd);
	}
	skeleton = load(wall, error);
	if (!skeleton)
		result = -EIO;
	else if (!link)
		result = attach(wall, skeleton->progs.floodwall_track, fd, error);
	else if (!link_stays(wall, bpf_link__fd(link),
			     bpf_program__fd(skeleton->progs.floodwall_track)) &&
		 bpf_link__update_program(link, skeleton->progs.floodwall_track) < 0)
		result = error_set(error, -errno, "cannot replace the tracker: %s%s",
				   strerror(errno), wall_words());
	track_bpf__destroy(skeleton);
	bpf_link__destroy(link);
	if (fd >= 0)
		close(fd);
	return result;
}

int wall_track(struct wall *wall, const char *cgroup, struct error *error)
{
	int result;

	wall_words_forget();
	result = wall_lock_pinned(wall, error);
	if (result < 0)
		return result;
	result = track(wall, cgroup, error);
	wall_unlock(wall);
	return result;
}
