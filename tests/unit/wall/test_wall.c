/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wall on real maps: how it comes to be, and what it tells of what was seen.
 *
 * Left out: interfaces and packets (tests/lab/test_cli.py).
 */
#include "world.h"
#include <sys/mman.h>
#include <sys/wait.h>

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
	const struct config_sizes others = {.connections = 100000};
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

static void holders_are_listed_most_connections_first(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_addr one = addr("192.0.2.1"), six = addr("2001:db8::1"),
		       other = addr("192.0.2.7");
	struct wall_usage usage[WALL_USAGE_COUNT];
	struct wall_holder *list;
	size_t count;

	hold_connections(wall, "192.0.2.1", 1, FW_LEVEL_SOURCE, 5, 0);
	hold_connections(wall, "192.0.2.1", 1, FW_LEVEL_SOURCE, 4,
			 3); /* two CPUs claimed a slot each */
	hold_connections(wall, "2001:db8::", 2, FW_LEVEL_SOURCE, 7, 6);
	hold_connections(wall, "192.0.2.0", 1, FW_LEVEL_PREFIX, 9, 1);
	hold_connections(wall, "2001:db8::", 2, FW_LEVEL_PREFIX, 7, 2);
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
	assert_int_equal(list[1].prefix.length, 48);
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

/* An address of another host whose connections are counted in the same bucket, or in another one.
 */
static struct fw_addr neighbour(struct wall *wall, uint32_t bucket, bool same)
{
	struct fw_addr found = addr("10.0.0.0");
	uint64_t hash;

	do {
		found.word[3] = htonl(ntohl(found.word[3]) + 1);
		hash = fw_hash_at(wall->seed, &found, 1, FW_LEVEL_SOURCE);
	} while ((fw_connection_bucket_index(hash, wall->connection_mask) == bucket) != same);
	return found;
}

static void an_owner_that_is_half_written_is_passed_over(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_connection_bucket *table = wall_map_writable(wall, MAP_CONNECTIONS, &error);
	struct fw_addr source = addr("192.0.2.1");
	uint64_t hash = fw_hash_at(wall->seed, &source, 1, FW_LEVEL_SOURCE);
	uint32_t bucket = fw_connection_bucket_index(hash, wall->connection_mask);
	struct wall_holder *list;
	size_t count;

	hold_connections(wall, "192.0.2.1", 1, FW_LEVEL_SOURCE, 5, 0);
	for (int same = 0; same < 2; same++) {
		table[bucket].owner[0].addr = neighbour(wall, bucket, same);
		must(wall_holders(wall, FW_LEVEL_SOURCE, &list, &count, &error));
		assert_int_equal(count, 0);
		free(list);
	}
	assert_int_equal(wall_connections(wall, &source, 1, FW_LEVEL_SOURCE), 5);
	munmap(table, wall->maps[MAP_CONNECTIONS].size);
}

static void tracking_anew_disowns_what_was_counted(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_addr source = addr("192.0.2.1");
	uint64_t epoch = wall->meta->epoch;

	hold_connections(wall, "192.0.2.1", 1, FW_LEVEL_SOURCE, 5, 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		WALL_TEST(without_maps_open_says_how_to_make_them),
		WALL_TEST(opening_again_finds_the_same_maps),
		WALL_TEST(makers_at_the_same_time_end_up_with_one_set),
		WALL_TEST(every_row_starts_with_the_defaults),
		WALL_TEST(events_come_once_and_in_order),
		WALL_TEST(a_reader_who_was_overtaken_knows_what_is_lost),
		WALL_TEST(a_slot_that_is_being_filled_is_waited_for),
		WALL_TEST(holders_are_listed_most_connections_first),
		WALL_TEST(an_owner_that_is_half_written_is_passed_over),
		WALL_TEST(tracking_anew_disowns_what_was_counted),
	};

	return cmocka_run_group_tests(tests, make_world, end_world);
}
