/* SPDX-License-Identifier: BSD-2-Clause */
/* See tcx.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "wall/attach/programs.h"
#include "wall/attach/tcx.h"

#define PATH_SIZE 96

/* An interface's number means something only within its network namespace. */
static const char *link_path(const char *pin, int ifindex, char path[PATH_SIZE])
{
	struct stat space = {0};

	stat("/proc/self/ns/net", &space);
	snprintf(path, PATH_SIZE, "%s%lu_%d", pin, (unsigned long)space.st_ino, ifindex);
	return path;
}

int tcx_attach(const struct wall *wall, const char *pin, int program, int ifindex,
	       enum tcx_hook hook, bool *added)
{
	char path[PATH_SIZE];
	int link = bpf_obj_get(link_path(pin, ifindex, path)), result = 0;

	*added = false;
	if (link >= 0) {
		if (!link_stays(wall, link, program))
			result = bpf_link_update(link, program, NULL);
		close(link);
		if (result == 0)
			return 0;
		unlink(path); /* of an interface that is gone, whose number another one got */
	}
	link = bpf_link_create(program, ifindex, (enum bpf_attach_type)hook, NULL);
	if (link < 0)
		return -errno;
	result = bpf_obj_pin(link, path) < 0 ? -errno : 0;
	*added = result == 0;
	close(link);
	return result;
}

void tcx_detach(const char *pin, int ifindex)
{
	char path[PATH_SIZE];

	unlink(link_path(pin, ifindex, path));
}

bool tcx_is_attached(const char *pin, int ifindex)
{
	char path[PATH_SIZE];

	return access(link_path(pin, ifindex, path), F_OK) == 0;
}
