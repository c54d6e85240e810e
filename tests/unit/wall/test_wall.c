/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wall on real maps: in a mount namespace with a BPF file system of its own, tracking a cgroup
 * of its own, and gone with this process. Needs root.
 *
 * Left out: interfaces and packets (tests/lab/test_cli.py).
 */
#include <errno.h>
#include <fcntl.h>
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
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "wall/internal.h"

static char cgroup[300];
static struct error error;
static const struct wall_sizes sizes = {.connections = 128, .sources = 1024, .blocks = 64};

static void must(int result)
{
	if (result < 0)
		fail_msg("%d: %s", result, error.text);
}

static int make_world(void **state)
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

static int end_world(void **state)
{
	(void)state;
	if (geteuid() == 0)
		rmdir(cgroup);
	return 0;
}

static int make_wall(void **state)
{
	struct wall *wall = NULL;

	if (geteuid() == 0 && wall_open_or_create(&wall, &sizes, cgroup, &error) < 0)
		fprintf(stderr, "%s\n", error.text);
	*state = wall;
	return geteuid() == 0 && !wall ? -1 : 0;
}

static int end_wall(void **state)
{
	struct wall *wall = *state;
	int result = wall ? wall_remove(wall, &error) : 0;

	wall_close(wall);
	return result;
}

/* Says loudly that nothing was tested. */
static struct wall *wall_of(void **state)
{
	if (geteuid() != 0) {
		print_message("SKIPPED: maps need root\n");
		skip();
	}
	return *state;
}

static struct fw_prefix prefix(const char *text)
{
	struct fw_prefix parsed = {0};

	must(prefix_parse(text, &parsed, &error));
	return parsed;
}

static struct fw_addr addr(const char *text)
{
	return prefix(text).addr;
}

static struct fw_service_key binding(const char *text)
{
	struct fw_service_key keys[2] = {{.port = 0}};
	size_t count;

	must(binding_parse(text, IPPROTO_TCP, keys, &count, &error));
	return keys[0];
}

/* --- life ------------------------------------------------------------------------------------- */

static void without_maps_open_says_how_to_make_them(void **state)
{
	struct wall *wall = wall_of(state);

	must(wall_remove(wall, &error));
	wall_close(wall);
	*state = NULL;
	assert_int_equal(wall_open(&wall, &error), -ENOENT);
	assert_non_null(strstr(error.text, "floodwall attach"));
}

static void opening_again_finds_the_same_maps(void **state)
{
	const struct wall_sizes others = {.connections = 100000};
	struct wall *wall = wall_of(state), *again;

	must(wall_set(wall, 3, FW_SET_SOURCE_SYN_RATE, 7, &error));
	must(wall_open_or_create(&again, &others, cgroup, &error));
	assert_int_equal(again->maps[MAP_SETTINGS].id, wall->maps[MAP_SETTINGS].id);
	assert_int_equal(again->connection_mask, wall->connection_mask);
	assert_int_equal(wall_setting(again, 3, FW_SET_SOURCE_SYN_RATE), 7);
	assert_memory_equal(again->seed, wall->seed, sizeof(wall->seed));
	assert_true(wall->seed[0] || wall->seed[1]);
	assert_int_equal(again->meta->epoch, wall->meta->epoch);
	wall_close(again);
}

static void makers_at_the_same_time_end_up_with_one_set(void **state)
{
	struct wall *wall = wall_of(state);
	pid_t children[6];
	uint64_t *seeds =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	must(wall_remove(wall, &error));
	wall_close(wall);
	for (int i = 0; i < 6; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			if (wall_open_or_create(&wall, &sizes, cgroup, &error) < 0)
				_exit(1);
			seeds[i] = wall->seed[0];
			_exit(0);
		}
	}
	for (int i = 0; i < 6; i++) {
		waitpid(children[i], &status, 0);
		assert_int_equal(status, 0);
		assert_true(seeds[i] == seeds[0]);
	}
	munmap(seeds, 4096);
	must(wall_open((struct wall **)state, &error));
}

static void every_row_starts_with_the_defaults(void **state)
{
	struct wall *wall = wall_of(state);

	for (uint32_t id = 0; id < FW_SERVICES_MAX; id++)
		for (int i = 0; i < FW_SETTING_COUNT; i++)
			assert_int_equal(wall_settings_table(wall)[fw_setting_index(id, i)],
					 setting_rows[i].initial);
	assert_int_equal(wall_set(wall, 1, FW_SET_SOURCE_SYN_BURST, 0, &error), -ERANGE);
	assert_int_equal(wall_set_rule_mode(wall, FW_HEADER_TIMEOUT, FW_MODE_MONITOR, &error),
			 -EINVAL);
	assert_int_equal(wall_rule_mode(wall, FW_LAND), FW_MODE_ENFORCE);
	must(wall_set_rule_mode(wall, FW_LAND, FW_MODE_MONITOR, &error));
	assert_int_equal(wall_rule_mode(wall, FW_LAND), FW_MODE_MONITOR);
}

/* --- events ----------------------------------------------------------------------------------- */

/* Writes events @first to @last as the filter would. */
static void happen(struct wall *wall, uint64_t first, uint64_t last)
{
	struct fw_event *events = wall_map_writable(wall, MAP_EVENTS, &error);
	struct fw_meta *meta = wall_map_writable(wall, MAP_META, &error);

	assert_non_null(events);
	assert_non_null(meta);
	for (uint64_t i = first; i <= last; i++)
		events[i % FW_EVENTS_MAX] = (struct fw_event){.sequence = i, .count = i * 10};
	meta->events = last;
	munmap(events, wall->maps[MAP_EVENTS].size);
	munmap(meta, wall->maps[MAP_META].size);
}

static void events_come_once_and_in_order(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_event got[8];
	uint64_t sequence = 0, lost = 0;

	assert_int_equal(wall_events(wall, &sequence, got, 8, &lost), 0);
	happen(wall, 1, 10);
	assert_int_equal(wall_events(wall, &sequence, got, 8, &lost), 8);
	assert_int_equal(got[0].sequence, 1);
	assert_int_equal(got[7].count, 80);
	assert_int_equal(wall_events(wall, &sequence, got, 8, &lost), 2);
	assert_int_equal(got[1].sequence, 10);
	assert_int_equal(wall_events(wall, &sequence, got, 8, &lost), 0);
	assert_int_equal(lost, 0);
	happen(wall, 11, 11);
	assert_int_equal(wall_events(wall, &sequence, got, 8, &lost), 1);
	assert_int_equal(got[0].sequence, 11);
}

static void a_reader_who_was_overtaken_knows_what_is_lost(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_event got[2];
	uint64_t sequence = 1, lost = 0, fresh = 0;

	happen(wall, 1, FW_EVENTS_MAX + 100);
	assert_int_equal(wall_events(wall, &sequence, got, 2, &lost), 2);
	assert_int_equal(lost, 100);
	assert_int_equal(got[0].sequence, 101);
	lost = 0;
	assert_int_equal(wall_events(wall, &fresh, got, 1, &lost), 1);
	assert_int_equal(got[0].sequence, 101);
	assert_int_equal(lost, 0); /* who starts now has missed nothing */
}

static void a_slot_that_is_being_filled_is_waited_for(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_event *events;
	struct fw_event got[8];
	uint64_t sequence = 0, lost = 0;

	happen(wall, 1, 3);
	events = wall_map_writable(wall, MAP_EVENTS, &error);
	events[2].sequence = 0;
	assert_int_equal(wall_events(wall, &sequence, got, 8, &lost), 1);
	assert_int_equal(wall_events(wall, &sequence, got, 8, &lost), 0);
	events[2].sequence = 2;
	assert_int_equal(wall_events(wall, &sequence, got, 8, &lost), 2);
	assert_int_equal(got[1].sequence, 3);
	assert_int_equal(lost, 0);
	/* A slot that a later event has taken is lost, and does not hold up the rest. */
	events[4].sequence = 4 + FW_EVENTS_MAX;
	happen(wall, 5, 5);
	assert_int_equal(wall_events(wall, &sequence, got, 8, &lost), 1);
	assert_int_equal(got[0].sequence, 5);
	assert_int_equal(lost, 1);
	munmap(events, wall->maps[MAP_EVENTS].size);
}

/* --- connections ------------------------------------------------------------------------------ */

/* Puts @count connections into the @slot-th slot of the holder's bucket, as the tracker would. */
static void hold(struct wall *wall, const char *text, uint32_t service, enum fw_level level,
		 uint64_t count, int slot)
{
	struct fw_connection_bucket *table = wall_map_writable(wall, MAP_CONNECTIONS, &error);
	struct fw_addr source = addr(text);
	uint64_t hash = fw_hash(wall->seed, &source, service, level);
	struct fw_connection_bucket *bucket;

	assert_non_null(table);
	bucket = &table[fw_connection_bucket_index(hash, wall->connection_mask)];
	bucket->slot[slot] = fw_connection_fingerprint(hash) | count;
	bucket->owner[slot] = (struct fw_connection_owner){
		.addr = source, .service = (uint16_t)service, .level = (uint16_t)level};
	munmap(table, wall->maps[MAP_CONNECTIONS].size);
}

static void holders_are_listed_most_connections_first(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_addr one = addr("192.0.2.1"), six = addr("2001:db8::1"),
		       other = addr("192.0.2.7");
	struct wall_usage usage[WALL_USAGE_COUNT];
	struct wall_holder *list;
	size_t count;

	hold(wall, "192.0.2.1", 1, FW_LEVEL_SOURCE, 5, 0);
	hold(wall, "192.0.2.1", 1, FW_LEVEL_SOURCE, 4, 3); /* two CPUs claimed a slot each */
	hold(wall, "2001:db8::1", 2, FW_LEVEL_SOURCE, 7, 6);
	hold(wall, "192.0.2.0", 1, FW_LEVEL_PREFIX, 9, 1);
	hold(wall, "2001:db8::", 2, FW_LEVEL_PREFIX, 7, 2);
	must(wall_holders(wall, FW_LEVEL_SOURCE, &list, &count, &error));
	assert_int_equal(count, 2);
	assert_int_equal(list[0].connections, 9);
	assert_memory_equal(&list[0].prefix.addr, &one, sizeof(one));
	assert_int_equal(list[0].prefix.length, 128);
	assert_int_equal(list[1].connections, 7);
	assert_int_equal(list[1].service, 2);
	free(list);
	must(wall_holders(wall, FW_LEVEL_PREFIX, &list, &count, &error));
	assert_int_equal(count, 2);
	assert_int_equal(list[0].prefix.length, 120);
	assert_int_equal(list[1].prefix.length, 64);
	free(list);

	assert_int_equal(wall_connections(wall, &one, 1, FW_LEVEL_SOURCE), 9);
	assert_int_equal(wall_connections(wall, &other, 1, FW_LEVEL_PREFIX), 9);
	assert_int_equal(wall_connections(wall, &six, 2, FW_LEVEL_SOURCE), 7);
	assert_int_equal(wall_connections(wall, &one, 2, FW_LEVEL_SOURCE), 0);
	assert_int_equal(wall_connections(wall, &other, 1, FW_LEVEL_SOURCE), 0);
	must(wall_usage(wall, usage, &error));
	assert_string_equal(usage[0].name, "connections");
	assert_int_equal(usage[0].used, 5);
}

static void an_owner_that_is_half_written_is_passed_over(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_connection_bucket *table = wall_map_writable(wall, MAP_CONNECTIONS, &error);
	struct fw_addr source = addr("192.0.2.1");
	uint64_t hash = fw_hash(wall->seed, &source, 1, FW_LEVEL_SOURCE);
	struct wall_holder *list;
	size_t count;

	hold(wall, "192.0.2.1", 1, FW_LEVEL_SOURCE, 5, 0);
	table[fw_connection_bucket_index(hash, wall->connection_mask)].owner[0].addr =
		addr("192.0.2.2");
	must(wall_holders(wall, FW_LEVEL_SOURCE, &list, &count, &error));
	assert_int_equal(count, 0);
	free(list);
	assert_int_equal(wall_connections(wall, &source, 1, FW_LEVEL_SOURCE), 5);
	munmap(table, wall->maps[MAP_CONNECTIONS].size);
}

static void tracking_anew_disowns_what_was_counted(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_addr source = addr("192.0.2.1");
	uint64_t epoch = wall->meta->epoch;

	hold(wall, "192.0.2.1", 1, FW_LEVEL_SOURCE, 5, 0);
	must(wall_track(wall, NULL, &error)); /* swaps the program */
	assert_int_equal(wall->meta->epoch, epoch);
	assert_int_equal(wall_connections(wall, &source, 1, FW_LEVEL_SOURCE), 5);
	assert_true(wall_is_tracking(wall));

	assert_int_equal(unlink(WALL_LINK), 0);
	assert_false(wall_is_tracking(wall));
	must(wall_track(wall, cgroup, &error));
	assert_true(wall_is_tracking(wall));
	assert_int_equal(wall->meta->epoch, epoch + 1);
	assert_int_equal(wall_connections(wall, &source, 1, FW_LEVEL_SOURCE), 0);
}

/* --- lists ------------------------------------------------------------------------------------ */

struct seen {
	int count;
	struct fw_prefix last;
	struct fw_list_entry entry;
};

static int see(void *context, const struct fw_prefix *found, const struct fw_list_entry *entry)
{
	struct seen *seen = context;

	seen->count++;
	seen->last = *found;
	seen->entry = *entry;
	return 0;
}

static struct seen list(struct wall *wall, enum wall_list which)
{
	struct seen seen = {.count = 0};

	must(wall_list_each(wall, which, see, &seen, &error));
	return seen;
}

static void hosts_and_prefixes_are_one_list(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_prefix host = prefix("192.0.2.1"), wide = prefix("2001:db8::/32");
	struct seen seen;

	must(wall_list_add(wall, WALL_BLOCK, &host, 0, "first", FW_NONE, &error));
	must(wall_list_add(wall, WALL_BLOCK, &host, 0, "second", FW_HEADER_TIMEOUT, &error));
	seen = list(wall, WALL_BLOCK);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.entry.note, "second");
	assert_int_equal(seen.entry.cause, FW_HEADER_TIMEOUT);
	assert_int_equal(seen.entry.expires_ns, 0);
	must(wall_list_add(wall, WALL_BLOCK, &wide, 60, NULL, FW_NONE, &error));
	seen = list(wall, WALL_BLOCK);
	assert_int_equal(seen.count, 2);
	assert_memory_equal(&seen.last, &wide, sizeof(wide));
	assert_true(seen.entry.expires_ns > clock_now_ns() + 59 * CLOCK_SEC);
	assert_int_equal(list(wall, WALL_ALLOW).count, 0);
	assert_int_equal(wall_list_remove(wall, WALL_ALLOW, &host, &error), -ENOENT);
	must(wall_list_remove(wall, WALL_BLOCK, &host, &error));
	assert_int_equal(wall_list_remove(wall, WALL_BLOCK, &host, &error), -ENOENT);
	assert_non_null(strstr(error.text, "192.0.2.1"));
	assert_int_equal(wall_list_add(wall, WALL_BLOCK, &host, 0,
				       "a note that has forty bytes, one too many", FW_NONE,
				       &error),
			 -EINVAL);
}

static void what_has_expired_is_absent_and_then_gone(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_list_entry entry = {.created_ns = 1, .expires_ns = 2};
	struct fw_prefix host = prefix("192.0.2.1"), wide = prefix("192.0.2.0/24");
	struct fw_prefix stays = prefix("198.51.100.1");

	must(wall_map_update(wall, MAP_BLOCK_HOSTS, &host.addr, &entry, &error));
	must(wall_map_update(wall, MAP_BLOCK_PREFIXES, &wide, &entry, &error));
	must(wall_list_add(wall, WALL_BLOCK, &stays, 60, NULL, FW_NONE, &error));
	assert_int_equal(list(wall, WALL_BLOCK).count, 1);
	assert_int_equal(wall_list_expire(wall, WALL_BLOCK, &error), 2);
	assert_int_equal(wall_list_expire(wall, WALL_BLOCK, &error), 0);
	assert_int_equal(wall_list_remove(wall, WALL_BLOCK, &wide, &error), -ENOENT);
	assert_int_equal(list(wall, WALL_BLOCK).count, 1);
}

static void a_full_list_says_how_large_it_is(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_prefix host = prefix("10.0.0.0"), wide = prefix("10.0.0.0/24");

	for (int i = 0; i < 64; i++) {
		host.addr.word[3] = htonl(0x0a000000 + (uint32_t)i);
		wide.addr.word[3] = htonl(0x0a000000 + ((uint32_t)i << 8));
		must(wall_list_add(wall, WALL_BLOCK, &host, 0, NULL, FW_NONE, &error));
		must(wall_list_add(wall, WALL_BLOCK, &wide, 0, NULL, FW_NONE, &error));
	}
	must(wall_list_add(wall, WALL_BLOCK, &host, 5, NULL, FW_NONE, &error));
	host.addr.word[3] = htonl(0x0b000000);
	wide.addr.word[3] = htonl(0x0b000000);
	assert_int_equal(wall_list_add(wall, WALL_BLOCK, &host, 0, NULL, FW_NONE, &error), -ENOSPC);
	assert_non_null(strstr(error.text, "64 entries"));
	assert_int_equal(wall_list_add(wall, WALL_BLOCK, &wide, 0, NULL, FW_NONE, &error), -ENOSPC);
	assert_int_equal(list(wall, WALL_BLOCK).count, 128);
}

/* --- services --------------------------------------------------------------------------------- */

static void ids_run_out_and_come_back_clean(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_counter *sums = calloc(FW_SERVICES_MAX * FW_VERDICTS_MAX, sizeof(*sums));
	struct fw_service_key key = binding("192.0.2.1:1");
	uint32_t index = fw_counter_index(5, FW_LAND);
	struct fw_counter cpus[1024] = {{.packets = 3, .bytes = 180, .would = 1}};
	char name[FW_NAME_SIZE];
	int id;

	for (int i = 1; i < FW_SERVICES_MAX; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		key.port = htons((uint16_t)i);
		assert_int_equal(wall_service_put(wall, name, FW_SERVICE_PLAIN, &key, 1, &error),
				 i);
	}
	key.port = htons(9999);
	assert_int_equal(wall_service_put(wall, "more", FW_SERVICE_PLAIN, &key, 1, &error),
			 -ENOSPC);

	must(wall_map_update(wall, MAP_COUNTERS, &index, cpus, &error));
	wall_board(wall)[fw_board_verdict(2, 5, FW_HEADER_TIMEOUT)] = 4;
	must(wall_set(wall, 5, FW_SET_MONITOR, 1, &error));
	must(wall_counters(wall, sums, &error));
	assert_int_equal(sums[index].packets, 3);
	assert_int_equal(sums[index].bytes, 180);
	assert_int_equal(wall_board_verdict(wall, 5, FW_HEADER_TIMEOUT), 4);

	must(wall_service_remove(wall, "s5", &error));
	assert_int_equal(wall_service_find(wall, "s5", &error), -ENOENT);
	id = wall_service_put(wall, "more", FW_SERVICE_PLAIN, &key, 1, &error);
	assert_int_equal(id, 5);
	must(wall_counters(wall, sums, &error));
	assert_int_equal(sums[index].packets, 0);
	assert_int_equal(wall_board_verdict(wall, 5, FW_HEADER_TIMEOUT), 0);
	assert_int_equal(wall_setting(wall, 5, FW_SET_MONITOR), 0);
	free(sums);
}

static void a_binding_has_one_service(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_service_key keys[] = {binding("0.0.0.0:80"), binding("[::]:80")}, *found;
	size_t count;

	assert_int_equal(wall_service_put(wall, "web", FW_SERVICE_PLAIN, keys, 2, &error), 1);
	assert_int_equal(wall_service_put(wall, "other", FW_SERVICE_PLAIN, keys + 1, 1, &error),
			 -EEXIST);
	assert_non_null(strstr(error.text, "[::]:80 belongs to service web"));
	assert_int_equal(wall_service_put(wall, "web", FW_SERVICE_PLAIN, keys, 1, &error), 1);
	must(wall_service_bindings(wall, 1, &found, &count, &error));
	assert_int_equal(count, 1);
	assert_memory_equal(found, keys, sizeof(keys[0]));
	free(found);
	assert_int_equal(wall_service_put(wall, "other", FW_SERVICE_PLAIN, keys + 1, 1, &error), 2);
	assert_int_equal(wall_service_put(wall, "Bad", FW_SERVICE_PLAIN, keys, 1, &error), -EINVAL);
	assert_int_equal(wall_service_put(wall, "host", FW_SERVICE_PLAIN, keys, 1, &error),
			 -EINVAL);
	assert_int_equal(wall_service_find(wall, "host", &error), FW_HOST_SERVICE);
}

/* --- policy from the file --------------------------------------------------------------------- */

static int apply(struct wall *wall, const char *text, bool keep_live)
{
	struct config *config;
	int result;

	must(config_parse(text, "test", &config, &error));
	result = wall_apply(wall, config, keep_live, &error);
	config_free(config);
	return result;
}

#define SERVICE(name, bind, rate)                                                                  \
	"service " name " { bind = {\"" bind "\"} source { syn_rate = " rate " } }\n"
#define HOST "host { events_per_second = 77 }\n"

static void a_restart_keeps_what_was_tuned_live(void **state)
{
	struct wall *wall = wall_of(state);

	must(apply(wall, HOST SERVICE("a", "0.0.0.0:1", "11"), true));
	assert_int_equal(wall_setting(wall, 1, FW_SET_SOURCE_SYN_RATE), 11);
	assert_int_equal(wall_setting(wall, 0, FW_SET_HOST_EVENTS_PER_SECOND), 77);
	must(wall_set(wall, 1, FW_SET_SOURCE_SYN_RATE, 5, &error));
	must(wall_set(wall, 0, FW_SET_HOST_EVENTS_PER_SECOND, 6, &error));
	must(wall_set_rule_mode(wall, FW_LAND, FW_MODE_MONITOR, &error));
	must(apply(wall, HOST SERVICE("a", "0.0.0.0:1", "11") SERVICE("b", "0.0.0.0:2", "22"),
		   true));
	assert_int_equal(wall_setting(wall, 1, FW_SET_SOURCE_SYN_RATE), 5);
	assert_int_equal(wall_setting(wall, 0, FW_SET_HOST_EVENTS_PER_SECOND), 6);
	assert_int_equal(wall_rule_mode(wall, FW_LAND), FW_MODE_MONITOR);
	assert_int_equal(wall_setting(wall, 2, FW_SET_SOURCE_SYN_RATE), 22);
	must(apply(wall, HOST SERVICE("a", "0.0.0.0:1", "11") SERVICE("b", "0.0.0.0:2", "22"),
		   false));
	assert_int_equal(wall_setting(wall, 1, FW_SET_SOURCE_SYN_RATE), 11);
	assert_int_equal(wall_setting(wall, 0, FW_SET_HOST_EVENTS_PER_SECOND), 77);
	assert_int_equal(wall_rule_mode(wall, FW_LAND), FW_MODE_ENFORCE);
}

static uint32_t leads_to(struct wall *wall, const char *text)
{
	struct fw_service_key key = binding(text);
	uint32_t id = 0;

	wall_map_lookup(wall, MAP_BINDINGS, &key, &id, NULL);
	return id;
}

static void ports_change_hands_and_services_go_with_the_file(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_service_key by_hand = binding("0.0.0.0:9");

	must(apply(wall, SERVICE("a", "0.0.0.0:1", "11") SERVICE("b", "0.0.0.0:2", "22"), false));
	assert_int_equal(wall_service_put(wall, "hand", FW_SERVICE_PLAIN, &by_hand, 1, &error), 3);
	must(apply(wall, SERVICE("a", "0.0.0.0:2", "11") SERVICE("b", "0.0.0.0:1", "22"), false));
	assert_int_equal(leads_to(wall, "0.0.0.0:2"), 1);
	assert_int_equal(leads_to(wall, "0.0.0.0:1"), 2);
	must(apply(wall, SERVICE("b", "0.0.0.0:2", "22"), false));
	assert_int_equal(wall_service_find(wall, "a", &error), -ENOENT);
	assert_int_equal(leads_to(wall, "0.0.0.0:1"), 0);
	assert_int_equal(leads_to(wall, "0.0.0.0:2"), 2);
	assert_int_equal(leads_to(wall, "0.0.0.0:9"), 3);
}

static void a_file_that_cannot_be_applied_changes_nothing(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_service_key by_hand = binding("0.0.0.0:9");

	must(apply(wall, SERVICE("a", "0.0.0.0:1", "11"), false));
	assert_int_equal(wall_service_put(wall, "hand", FW_SERVICE_PLAIN, &by_hand, 1, &error), 2);
	assert_int_equal(apply(wall,
			       HOST SERVICE("a", "0.0.0.0:5", "12") SERVICE("c", "0.0.0.0:9", "1"),
			       false),
			 -EEXIST);
	assert_non_null(strstr(error.text, "hand"));
	assert_int_equal(wall_setting(wall, 1, FW_SET_SOURCE_SYN_RATE), 11);
	assert_int_equal(leads_to(wall, "0.0.0.0:1"), 1);
	assert_int_equal(leads_to(wall, "0.0.0.0:5"), 0);
	assert_int_equal(wall_service_find(wall, "c", &error), -ENOENT);
	assert_int_not_equal(wall_setting(wall, 0, FW_SET_HOST_EVENTS_PER_SECOND), 77);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_wall, end_wall)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_maps_open_says_how_to_make_them),
		TEST(opening_again_finds_the_same_maps),
		TEST(makers_at_the_same_time_end_up_with_one_set),
		TEST(every_row_starts_with_the_defaults),
		TEST(events_come_once_and_in_order),
		TEST(a_reader_who_was_overtaken_knows_what_is_lost),
		TEST(a_slot_that_is_being_filled_is_waited_for),
		TEST(holders_are_listed_most_connections_first),
		TEST(an_owner_that_is_half_written_is_passed_over),
		TEST(tracking_anew_disowns_what_was_counted),
		TEST(hosts_and_prefixes_are_one_list),
		TEST(what_has_expired_is_absent_and_then_gone),
		TEST(a_full_list_says_how_large_it_is),
		TEST(ids_run_out_and_come_back_clean),
		TEST(a_binding_has_one_service),
		TEST(a_restart_keeps_what_was_tuned_live),
		TEST(ports_change_hands_and_services_go_with_the_file),
		TEST(a_file_that_cannot_be_applied_changes_nothing),
	};

	return cmocka_run_group_tests(tests, make_world, end_world);
}
