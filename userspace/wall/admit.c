/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One pinned link for each interface: removing its pin detaches. What the kernel lacks is found out
 * before anything is loaded, so that the operator reads a reason and no verifier's log.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "wall/admit.h"
#include "admit.skel.h"

#define TCX_INGRESS 46 /* BPF_TCX_INGRESS, newer than some hosts' <linux/bpf.h> */
#define KFUNC       "bpf_sk_assign_tcp_reqsk"

struct admit {
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

static bool kernel_makes_request_sockets(void)
{
	struct btf *kernel = btf__load_vmlinux_btf();
	bool found = kernel && btf__find_by_name_kind(kernel, KFUNC, BTF_KIND_FUNC) > 0;

	btf__free(kernel);
	return found;
}

static bool syncookies_are_off(void)
{
	FILE *file = fopen("/proc/sys/net/ipv4/tcp_syncookies", "r");
	int value = '1';

	if (file) {
		value = fgetc(file);
		fclose(file);
	}
	return value == '0';
}

struct admit *admit_load(struct wall *wall, char *why, size_t size)
{
	struct admit *admit = NULL;
	int result;

	why[0] = '\0';
	if (syncookies_are_off()) {
		snprintf(why, size,
			 "net.ipv4.tcp_syncookies is 0; try sysctl -w "
			 "net.ipv4.tcp_syncookies=1");
		return NULL;
	}
	if (!kernel_makes_request_sockets()) {
		snprintf(why, size, "the kernel has no " KFUNC " (Linux 6.9)");
		return NULL;
	}
	admit = calloc(1, sizeof(*admit));
	if (admit)
		admit->skeleton = admit_bpf__open();
	if (!admit || !admit->skeleton) {
		snprintf(why, size, "%s", strerror(errno));
		free(admit);
		return NULL;
	}
	admit->skeleton->rodata->fw_seed[0] = wall->seed[0];
	admit->skeleton->rodata->fw_seed[1] = wall->seed[1];
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
