/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A world for tests of the wall: a mount namespace with a BPF file system of its own, a cgroup of
 * its own to track, and a new wall for every test. It is gone with the process. Needs root.
 */
#ifndef TESTS_WALL_WORLD_H
#define TESTS_WALL_WORLD_H

#include <errno.h>
#include <mntent.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "wall/internal.h"

static char cgroup[300];
static struct error error;
static const struct config_sizes sizes = {.connections = 128, .sources = 1024, .blocks = 64};

static inline void must(int result)
{
	if (result < 0)
		fail_msg("%d: %s", result, error.text);
}

static inline int make_world(void **state)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent *entry;

	(void)state;
	if (geteuid() != 0)
		return 0;
	while (mounts && (entry = getmntent(mounts)) && strcmp(entry->mnt_type, "cgroup2") != 0)
		;
	if (!mounts || !entry)
		return -1;
	snprintf(cgroup, sizeof(cgroup), "%s/floodwall-test-wall-%d", entry->mnt_dir, getpid());
	endmntent(mounts);
	if (mkdir(cgroup, 0755) < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	return mount("bpf", WALL_BPFFS, "bpf", 0, "mode=0700");
}

static inline int end_world(void **state)
{
	(void)state;
	if (geteuid() == 0)
		rmdir(cgroup);
	return 0;
}

static inline int make_wall(void **state)
{
	struct wall *wall = NULL;

	if (geteuid() == 0 && wall_open_or_create(&wall, &sizes, cgroup, &error) < 0)
		fprintf(stderr, "%s\n", error.text);
	*state = wall;
	return geteuid() == 0 && !wall ? -1 : 0;
}

static inline int end_wall(void **state)
{
	struct wall *wall = *state;
	int result = wall ? wall_remove(wall, &error) : 0;

	wall_close(wall);
	return result;
}

/* Says loudly that nothing was tested. */
static inline struct wall *wall_of(void **state)
{
	if (geteuid() != 0) {
		print_message("SKIPPED: maps need root\n");
		skip();
	}
	return *state;
}

static inline struct fw_prefix prefix(const char *text)
{
	struct fw_prefix parsed = {0};

	must(prefix_parse(text, &parsed, &error));
	return parsed;
}

static inline struct fw_addr addr(const char *text)
{
	return prefix(text).addr;
}

static inline struct fw_service_key binding(const char *text)
{
	struct fw_service_key keys[2] = {{.port = 0}};
	size_t count;

	must(binding_parse(text, IPPROTO_TCP, keys, &count, &error));
	return keys[0];
}

/* Puts @count connections into the @slot-th slot of the holder's bucket, as the tracker would. */
static inline void hold_connections(struct wall *wall, const char *text, uint32_t service,
				    enum fw_level level, uint64_t count, int slot)
{
	struct fw_connection_bucket *table = wall_map_writable(wall, MAP_CONNECTIONS, &error);
	struct fw_addr source = addr(text);
	uint64_t hash = fw_hash_at(wall->seed, &source, service, level);
	struct fw_connection_bucket *bucket;

	assert_non_null(table);
	bucket = &table[fw_connection_bucket_index(hash, wall->connection_mask)];
	bucket->slot[slot] = fw_connection_fingerprint(hash) | count;
	bucket->owner[slot] = (struct fw_connection_owner){
		.addr = source, .service = (uint16_t)service, .level = (uint16_t)level};
	munmap(table, wall->maps[MAP_CONNECTIONS].size);
}

/* A test that starts with a new wall in *state, and must leave one (or NULL) there. */
#define WALL_TEST(name) cmocka_unit_test_setup_teardown(name, make_wall, end_wall)

#endif
