/* SPDX-License-Identifier: BSD-2-Clause */
/* See admit.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "wall/attach/admit.h"
#include "wall/attach/tcx.h"
#include "admit.skel.h"

struct admit {
	const struct wall *wall;
	struct admit_bpf *skeleton;
};

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
	return tcx_attach(admit->wall, WALL_LINK_ADMIT,
			  bpf_program__fd(admit->skeleton->progs.floodwall_admit), ifindex,
			  TCX_INGRESS, added);
}

void admit_detach(int ifindex)
{
	tcx_detach(WALL_LINK_ADMIT, ifindex);
}

bool admit_is_attached(int ifindex)
{
	return tcx_is_attached(WALL_LINK_ADMIT, ifindex);
}
