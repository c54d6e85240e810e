/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * With clsact the filter is known by its place: a handle and a priority that nobody else uses, and
 * the program's name. The qdisc stays when the filter goes: others may have come to use it.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "wall/attach/questions.h"
#include "wall/attach/tcx.h"
#include "questions.skel.h"

#define CLSACT_HANDLE   1
#define CLSACT_PRIORITY 49000             /* behind whatever people number by hand */
#define PROGRAM_NAME    "floodwall_quest" /* as much of it as the kernel keeps */

struct questions {
	const struct wall *wall;
	struct questions_bpf *skeleton; /* NULL: … */
	char why[sizeof(((struct wall_interface *)0)->asks_why)];
};

struct questions *questions_load(struct wall *wall)
{
	struct questions *questions = calloc(1, sizeof(*questions));
	int result;

	if (!questions)
		return NULL;
	questions->wall = wall;
	questions->skeleton = questions_bpf__open();
	if (!questions->skeleton) {
		snprintf(questions->why, sizeof(questions->why), "%s", strerror(errno));
		return questions;
	}
	questions->skeleton->rodata->fw_seed[0] = wall->seed[0];
	questions->skeleton->rodata->fw_seed[1] = wall->seed[1];
	result = wall_maps_reuse(wall, questions->skeleton->obj);
	if (result == 0)
		result = bpf_object__load(questions->skeleton->obj);
	if (result == 0)
		return questions;
	snprintf(questions->why, sizeof(questions->why), "%s%s", strerror(-result), wall_words());
	questions_bpf__destroy(questions->skeleton);
	questions->skeleton = NULL;
	return questions;
}

void questions_free(struct questions *questions)
{
	if (!questions)
		return;
	questions_bpf__destroy(questions->skeleton);
	free(questions);
}

/* --- clsact ---------------------------------------------------------------------------------- */

static bool is_ours(uint32_t id)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);
	int program = bpf_prog_get_fd_by_id(id);

	if (program < 0)
		return false;
	if (bpf_obj_get_info_by_fd(program, &info, &size) < 0)
		info.name[0] = '\0';
	close(program);
	return strcmp(info.name, PROGRAM_NAME) == 0;
}

static bool clsact_is_attached(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY);

	return bpf_tc_query(&hook, &filter) == 0 && is_ours(filter.prog_id);
}

static int clsact_attach(int program, int ifindex, bool *added)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY,
		    .prog_fd = program);
	bool is_there = clsact_is_attached(ifindex);
	int result = bpf_tc_hook_create(&hook);

	if (result < 0 && result != -EEXIST)
		return result;
	filter.flags = is_there ? BPF_TC_F_REPLACE : 0;
	result = bpf_tc_attach(&hook, &filter);
	*added = result == 0 && !is_there;
	return result;
}

static void clsact_detach(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY);

	if (clsact_is_attached(ifindex))
		bpf_tc_detach(&hook, &filter);
}

/* --- either ---------------------------------------------------------------------------------- */

void questions_attach(struct questions *questions, struct wall_interface *interface, bool *added)
{
	int result, program;

	interface->asks = *added = false;
	if (!questions || !questions->skeleton) {
		snprintf(interface->asks_why, sizeof(interface->asks_why), "%s",
			 questions ? questions->why : strerror(ENOMEM));
		return;
	}
	program = bpf_program__fd(questions->skeleton->progs.floodwall_questions);
	result = tcx_attach(questions->wall, WALL_LINK_QUESTIONS, program, interface->index,
			    TCX_EGRESS, added);
	if (result < 0)
		result = clsact_attach(program, interface->index, added);
	interface->asks = result == 0;
	interface->asks_why[0] = '\0';
	if (result < 0)
		snprintf(interface->asks_why, sizeof(interface->asks_why), "%s%s",
			 strerror(-result), wall_words());
}

void questions_detach(int ifindex)
{
	tcx_detach(WALL_LINK_QUESTIONS, ifindex);
	clsact_detach(ifindex);
}

bool questions_are_noted(int ifindex)
{
	return tcx_is_attached(WALL_LINK_QUESTIONS, ifindex) || clsact_is_attached(ifindex);
}
