/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which tier there can be: by the kernel's functions, then by its sysctls. Both are looked at
 * before anything is loaded, so that the operator reads a reason and no verifier's log.
 */
#include "wall/attach/tier.h"
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/sysctl.h"
#include "wall/attach/admit.h"

#define SYNCOOKIES "net.ipv4.tcp_syncookies"
#define KFUNC      "bpf_sk_assign_tcp_reqsk"
#define MAPS_MAX   64 /* of one program */

/* --- sysctls --------------------------------------------------------------------------------- */

/* A sysctl has to be this, or should be. Of several rows of one name and tier the first counts. */
static const struct need {
	enum fw_tier tier;
	const char *name;
	unsigned long least;
	bool required;
	const char *wanted, *why;
} needs[] = {
	{FW_TIER_OWN, SYNCOOKIES, 1, true, "1", "at 0 the kernel takes no cookie back"},
	{FW_TIER_OWN, "net.ipv4.tcp_timestamps", 1, false, "1",
	 "one forged segment in 2^23 hits upon a cookie without timestamps, one in 2^44 upon one "
	 "with them"},
	{FW_TIER_KERNEL, SYNCOOKIES, 1, true, "2", "at 0 the kernel makes no cookies"},
	{FW_TIER_KERNEL, SYNCOOKIES, 2, false, "2",
	 "at 1 the kernel makes cookies only while a server's SYN queue is full: until then "
	 "newcomers under pressure pass, and those over a limit are dropped. At 2 it does so "
	 "always, and newcomers in peace get one from it, too"},
};

static bool is_met(const struct need *need)
{
	return sysctl_number(need->name, 0, need->least) >= need->least;
}

size_t wall_sysctls(enum fw_tier tier, struct wall_sysctl list[WALL_SYSCTLS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		const struct need *need = &needs[i];

		if (need->tier != tier || is_met(need) ||
		    (count && strcmp(list[count - 1].name, need->name) == 0))
			continue;
		list[count] = (struct wall_sysctl){.name = need->name,
						   .wanted = need->wanted,
						   .required = need->required,
						   .why = need->why};
		sysctl_read(need->name, list[count].value, sizeof(list[count].value));
		count++;
	}
	return count;
}

/* --- the kernel ------------------------------------------------------------------------------ */

static bool kernel_has_function(const char *name)
{
	struct btf *kernel = btf__load_vmlinux_btf();
	bool found = kernel && btf__find_by_name_kind(kernel, name, BTF_KIND_FUNC) > 0;

	btf__free(kernel);
	return found;
}

bool wall_tier_is_possible(enum fw_tier tier, char why[WALL_WHY_SIZE])
{
	char value[32];

	why[0] = '\0';
	if (tier == FW_TIER_DROP)
		return true;
	if (sysctl_read(SYNCOOKIES, value, sizeof(value)) < 0)
		snprintf(why, WALL_WHY_SIZE, "the kernel is built without SYN cookies");
	else if (tier == FW_TIER_OWN && !kernel_has_function(KFUNC))
		snprintf(why, WALL_WHY_SIZE, "the kernel has no " KFUNC " (Linux 6.9)");
	else if (tier == FW_TIER_KERNEL &&
		 libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_tcp_gen_syncookie, NULL) <= 0)
		snprintf(why, WALL_WHY_SIZE, "the kernel has no bpf_tcp_gen_syncookie (Linux 5.4)");
	return !why[0];
}

/* The same, with the sysctls as they are. */
static bool is_at_hand(enum fw_tier tier, char why[WALL_WHY_SIZE])
{
	struct wall_sysctl list[WALL_SYSCTLS_MAX];
	size_t count = wall_sysctls(tier, list);

	if (!wall_tier_is_possible(tier, why))
		return false;
	for (size_t i = 0; i < count && !why[0]; i++)
		if (list[i].required)
			snprintf(why, WALL_WHY_SIZE, "%s is %s; try sysctl -w %s=%s", list[i].name,
				 list[i].value, list[i].name, list[i].wanted);
	return !why[0];
}

void wall_tier_lacks(enum fw_tier tier, char why[WALL_WHYS_SIZE])
{
	char lacks[WALL_WHY_SIZE];
	size_t used = 0;

	why[0] = '\0';
	for (int better = FW_TIER_OWN; better > (int)tier; better--)
		if (!is_at_hand(better, lacks))
			used += (size_t)snprintf(why + used, WALL_WHYS_SIZE - used, "%s%s: %s",
						 used ? "; " : "", tier_names[better], lacks);
}

/* --- choosing -------------------------------------------------------------------------------- */

int tiers_begin(struct wall *wall, int wanted, struct tiers *tiers, struct error *error)
{
	*tiers = (struct tiers){.wanted = wanted};
	if ((wanted == WALL_BEST_TIER || wanted == FW_TIER_OWN) &&
	    is_at_hand(FW_TIER_OWN, tiers->own_lacks))
		tiers->admit = admit_load(wall, tiers->own_lacks, sizeof(tiers->own_lacks));
	if (wanted == FW_TIER_OWN && !tiers->admit)
		return error_set(error, -ENOTSUP,
				 "tier own can't be had: %s. With --tier auto the best that can be "
				 "had is taken",
				 tiers->own_lacks);
	tiers->has_kernel = is_at_hand(FW_TIER_KERNEL, tiers->kernel_lacks);
	if (wanted == FW_TIER_KERNEL && !tiers->has_kernel)
		return error_set(error, -ENOTSUP, "tier kernel can't be had: %s",
				 tiers->kernel_lacks);
	return 0;
}

void tiers_end(struct tiers *tiers)
{
	admit_free(tiers->admit);
}

int tiers_choose(const struct tiers *tiers, struct wall_interface *interface, bool *admits,
		 struct error *error)
{
	const char *own_lacks = tiers->own_lacks;
	int result = tiers->admit ? admit_attach(tiers->admit, interface->index, admits) : 0;

	interface->tier_why[0] = '\0';
	if (tiers->admit && result == 0) {
		interface->tier = FW_TIER_OWN;
		return 0;
	}
	if (tiers->wanted == FW_TIER_OWN)
		return error_set(error, result, "%s: admission (tier own) cannot be attached: %s",
				 interface->name, strerror(-result));
	if (tiers->wanted != WALL_BEST_TIER) {
		interface->tier = (enum fw_tier)tiers->wanted;
		snprintf(interface->tier_why, sizeof(interface->tier_why), "it was asked for");
		return 0;
	}
	if (tiers->admit)
		own_lacks = strerror(-result);
	interface->tier = tiers->has_kernel ? FW_TIER_KERNEL : FW_TIER_DROP;
	snprintf(interface->tier_why, sizeof(interface->tier_why), "own: %s%s%s", own_lacks,
		 tiers->has_kernel ? "" : "; kernel: ", tiers->kernel_lacks);
	return 0;
}

/* --- what runs ------------------------------------------------------------------------------- */

/* Where @type, the variables of a section, has the one of that name; −1: nowhere. */
static long find_variable(const struct btf *btf, const struct btf_type *type, const char *name)
{
	const struct btf_var_secinfo *at = btf_var_secinfos(type);

	for (int i = 0; i < btf_vlen(type); i++) {
		const struct btf_type *variable = btf__type_by_id(btf, at[i].type);

		if (strcmp(btf__name_by_offset(btf, variable->name_off), name) == 0)
			return at[i].offset;
	}
	return -1;
}

/* What fw_tier is in a map of constants; −1: it holds no such thing. */
static int tier_of_constants(int map)
{
	uint32_t size = sizeof(struct bpf_map_info), zero = 0, tier;
	struct bpf_map_info info = {0};
	const struct btf_type *type;
	struct btf *btf = NULL;
	char *value = NULL;
	long at = -1;

	if (bpf_obj_get_info_by_fd(map, &info, &size) == 0 && strstr(info.name, ".rodata"))
		btf = btf__load_from_kernel_by_id(info.btf_id);
	type = btf ? btf__type_by_id(btf, info.btf_value_type_id) : NULL;
	if (type && btf_is_datasec(type))
		at = find_variable(btf, type, "fw_tier");
	btf__free(btf);
	if (at >= 0 && at + sizeof(tier) <= info.value_size)
		value = malloc(info.value_size);
	if (!value || bpf_map_lookup_elem(map, &zero, value) < 0) {
		free(value);
		return -1;
	}
	memcpy(&tier, value + at, sizeof(tier));
	free(value);
	return tier <= FW_TIER_OWN ? (int)tier : -1;
}

int tier_of_program(int program)
{
	uint32_t ids[MAPS_MAX], size = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (uintptr_t)ids};
	int tier = -1;

	if (bpf_obj_get_info_by_fd(program, &info, &size) < 0)
		return -1;
	for (uint32_t i = 0; i < info.nr_map_ids && i < MAPS_MAX && tier < 0; i++) {
		int map = bpf_map_get_fd_by_id(ids[i]);

		tier = map < 0 ? -1 : tier_of_constants(map);
		if (map >= 0)
			close(map);
	}
	return tier;
}
