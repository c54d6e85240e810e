// SPDX-License-Identifier: BSD-2-Clause
#include "place.h"
#include <fcntl.h>
#include <mntent.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char cgroup[512];

const char *place_cgroup(void)
{
	return cgroup;
}

static const char *place_cgroup2_mount(void)
{
	static char path[256];
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent *entry;

	while (mounts && (entry = getmntent(mounts)))
		if (strcmp(entry->mnt_type, "cgroup2") == 0) {
			snprintf(path, sizeof(path), "%s", entry->mnt_dir);
			endmntent(mounts);
			return path;
		}
	return NULL;
}

static int place_move_to(const char *directory)
{
	char path[600];
	FILE *procs;

	snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
	procs = fopen(path, "w");
	if (!procs || fprintf(procs, "0\n") < 0)
		return -1;
	return fclose(procs);
}

int place_enter(void **state)
{
	const char *mount = place_cgroup2_mount();
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd;

	(void)state;
	if (!mount)
		return -1;
	snprintf(cgroup, sizeof(cgroup), "%s/fw-test-track-%d", mount, getpid());
	if (mkdir(cgroup, 0755) != 0 || place_move_to(cgroup) != 0 || unshare(CLONE_NEWNET) != 0)
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) != 0)
		return -1;
	return close(fd);
}

int place_leave(void **state)
{
	(void)state;
	return place_move_to(place_cgroup2_mount()) != 0 || rmdir(cgroup) != 0;
}
