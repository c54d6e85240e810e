/* SPDX-License-Identifier: BSD-2-Clause */
/* One pinned link for each interface: removing its pin detaches. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "wall/admit.h"
#include "wall/programs.h"
#include "admit.skel.h"

#define TCX_INGRESS 46 /* BPF_TCX_INGRESS, newer than some hosts' <linux/bpf.h> */

struct admit {
	const struct wall *wall;
	struct admit_bpf *skeleton;
};

/* An interface's number means something only within its network namespace. */
static const char *link_path(int ifindex, char path[96])
{
	struct stat space = {0};

	stat("/proc/self/ns/net", &space);
	snprintf(path, 96, WALL_LINK_ADMIT "%lu_%d", (unsigned long)space.st_ino, ifindex);
	return path;
}

struct admit *admit_load(struct wall *wall, char *why, size_t size)
{
	struct admit *admit = NULL;
	int result;

	why[0] = '\0';
	admit = calloc(1, sizeof(*admit));
	if (admit)
		admit->skeleton = admit_bpf__open();
	if (!admit || !admit->skeleton) {
		snprintf(why, size, "%s", strerror(errno));
		free(admit);
		return NULL;
	}
	admit->wall = wall;
	admit->skeleton->rodata->fw_seed[0] = wall->seed[0];
	admit->skeleton->rodata->fw_seed[1] = wall->seed[1];
	admit->skeleton->rodata->fw_connection_mask = wall->connection_mask;
	result = wall_maps_reuse(wall, admit->skeleton->obj);
	if (result == 0)
		result = bpf_object__load(admit->skeleton->obj);
	if (result == 0)
		return admit;
	snprintf(why, size, "%s%s", strerror(-result), wall_words());
	admit_free(admit);
	return NULL;
}

void admit_free(struct admit *admit)
{
	if (!admit)
		return;
	admit_bpf__destroy(admit->skeleton);
	free(admit);
}

int admit_attach(struct admit *admit, int ifindex, bool *added)
{
	int program = bpf_program__fd(admit->skeleton->progs.floodwall_admit);
	char path[96];
	int link = bpf_obj_get(link_path(ifindex, path)), result = 0;

	*added = false;
	if (link >= 0) {
		if (!link_stays(admit->wall, link, program))
			result = bpf_link_update(link, program, NULL);
		close(link);
		if (result == 0)
			return 0;
		unlink(path); /* of an interface that is gone, whose number another one got */
	}
	link = bpf_link_create(program, ifindex, TCX_INGRESS, NULL);
	if (link < 0)
		return -errno;
	if (bpf_obj_pin(link, path) < 0)
		result = -errno;
	else
		*added = true, result = 0;
	close(link);
	return result;
}

void admit_detach(int ifindex)
{
	char path[96];

	unlink(link_path(ifindex, path)); /* with its pin the link goes */
}

bool admit_is_attached(int ifindex)
{
	char path[96];

	return access(link_path(ifindex, path), F_OK) == 0;
}
