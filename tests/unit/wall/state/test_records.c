/* SPDX-License-Identifier: BSD-2-Clause */
/* What is on record: who is noted, and what becomes of notes that nobody needs any more. */
#include "../world.h"

static void hold(struct wall *wall, const char *text, enum fw_level level)
{
	struct fw_addr source = addr(text);
	struct fw_connection_owner owner = {
		.addr = fw_addr_at_level(source, level), .service = 1, .level = level};
	uint64_t hash = fw_hash_at(wall->seed, &source, 1, level);
	uint32_t index = fw_connection_bucket_index(hash, wall->connection_mask);
	struct fw_connection_bucket bucket = {.slot = {fw_connection_fingerprint(hash) | 1},
					      .owner = {owner}};

	must(wall_map_update(wall, MAP_CONNECTIONS, &index, &bucket, &error));
}

static void a_blocked_address_is_noted(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_prefix host = prefix("192.0.2.1"), six = prefix("2001:db8:7::1");
	struct fw_prefix wide = prefix("198.51.100.0/24"); /* of the trie, which has no notes */

	must(wall_list_add(wall, WALL_BLOCK, &host, 0, NULL, FW_NONE, &error));
	must(wall_list_add(wall, WALL_BLOCK, &six, 0, NULL, FW_NONE, &error));
	must(wall_list_add(wall, WALL_BLOCK, &wide, 0, NULL, FW_NONE, &error));
	assert_int_equal(wall_records_of(wall, &host.addr), FW_RECORD_BLOCKED);
	assert_int_equal(wall_records_of(wall, &six.addr), FW_RECORD_BLOCKED);
	assert_int_equal(wall_records_of(wall, &wide.addr), 0);
}

/* By bpftool, say: whoever reads the list next, the warden once a second, makes it count. */
static void an_address_blocked_by_hand_is_noted_when_the_list_is_read(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_prefix host = prefix("192.0.2.1");
	struct fw_list_entry entry = {.length = 128};

	must(wall_map_update(wall, MAP_BLOCK_HOSTS, &host.addr, &entry, &error));
	assert_int_equal(wall_records_of(wall, &host.addr), 0);
	assert_int_equal(wall_list_expire(wall, WALL_BLOCK, &error), 0);
	assert_int_equal(wall_records_of(wall, &host.addr), FW_RECORD_BLOCKED);
}

static void tidying_keeps_what_is_in_the_tables_and_forgets_the_rest(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_prefix kept = prefix("192.0.2.1"), gone = prefix("203.0.113.9");
	struct fw_source_key verified = {.addr = addr("198.51.100.1"), .service = 1};
	struct fw_addr source = addr("100.64.1.1"), network = addr("100.64.2.0");
	struct fw_source proof = {};
	uint64_t half = wall->meta->records;

	must(wall_list_add(wall, WALL_BLOCK, &kept, 0, NULL, FW_NONE, &error));
	must(wall_list_add(wall, WALL_BLOCK, &gone, 0, NULL, FW_NONE, &error));
	must(wall_list_remove(wall, WALL_BLOCK, &gone, &error));
	must(wall_map_update(wall, MAP_SOURCES, &verified, &proof, &error));
	hold(wall, "100.64.1.1", FW_LEVEL_SOURCE);
	hold(wall, "100.64.2.7", FW_LEVEL_PREFIX);
	assert_int_equal(wall_records_of(wall, &gone.addr), FW_RECORD_BLOCKED);

	assert_int_equal(wall_records_tidy(wall, 2, &error), 0); /* no need: two notes */
	assert_int_equal(wall->meta->records, half);
	assert_int_equal(wall_records_tidy(wall, 1 << FW_RECORD_BITS, &error), 1);
	assert_int_not_equal(wall->meta->records, half);
	assert_int_equal(wall_records_of(wall, &kept.addr), FW_RECORD_BLOCKED);
	assert_int_equal(wall_records_of(wall, &verified.addr), FW_RECORD_KNOWN);
	assert_int_equal(wall_records_of(wall, &source), FW_RECORD_KNOWN);
	assert_int_equal(wall_records_of(wall, &network), FW_RECORD_KNOWN);
	assert_int_equal(wall_records_of(wall, &gone.addr), 0);

	/* Notes go to both halves, so the next change of roles loses none. */
	must(wall_list_add(wall, WALL_BLOCK, &gone, 0, NULL, FW_NONE, &error));
	assert_int_equal(wall_records_tidy(wall, 1 << FW_RECORD_BITS, &error), 1);
	assert_int_equal(wall->meta->records, half);
	assert_int_equal(wall_records_of(wall, &gone.addr), FW_RECORD_BLOCKED);
	assert_int_equal(wall_records_of(wall, &kept.addr), FW_RECORD_BLOCKED);
}

/* While nobody is blocked the filter does not even look at the notes. */
static void whether_anybody_is_blocked_is_noted_too(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_prefix host = prefix("192.0.2.1");

	assert_int_equal(wall->meta->blocked, 0);
	must(wall_list_add(wall, WALL_BLOCK, &host, 0, NULL, FW_NONE, &error));
	assert_int_equal(wall->meta->blocked, 1);
	assert_int_equal(wall_records_tidy(wall, 2, &error), 0);
	assert_int_equal(wall->meta->blocked, 1);
	must(wall_list_remove(wall, WALL_BLOCK, &host, &error));
	assert_int_equal(wall->meta->blocked, 1);
	assert_int_equal(wall_records_tidy(wall, 2, &error), 0);
	assert_int_equal(wall->meta->blocked, 0);
}

/* What decides who shares a cell, a bucket or a bit. */
static void every_new_set_of_maps_has_a_key_of_its_own(void **state)
{
	struct wall *wall = wall_of(state), *second = NULL;
	const uint64_t before[2] = {wall->seed[0], wall->seed[1]};

	assert_true(before[0] && before[1]);
	must(wall_remove(wall, &error));
	must(wall_open_or_create(&second, &sizes, cgroup, &error));
	assert_true(second->seed[0] != before[0] && second->seed[1] != before[1]);
	wall_close(wall);
	*state = second;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WALL_TEST(a_blocked_address_is_noted),
		WALL_TEST(an_address_blocked_by_hand_is_noted_when_the_list_is_read),
		WALL_TEST(tidying_keeps_what_is_in_the_tables_and_forgets_the_rest),
		WALL_TEST(whether_anybody_is_blocked_is_noted_too),
		WALL_TEST(every_new_set_of_maps_has_a_key_of_its_own),
	};

	return cmocka_run_group_tests(tests, make_world, end_world);
}
