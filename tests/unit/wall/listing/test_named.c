/* SPDX-License-Identifier: BSD-2-Clause */
/* Named lists in the wall's maps: what is in force is all there is to know of them. */
#include "../world.h"
#include "base/clock.h"

static struct fw_listed entries[4];

/* Loads the prefixes; @seconds: what is left of them. */
static int load(struct wall *wall, const char *name, enum fw_list_action action, const char *first,
		const char *second, uint32_t seconds)
{
	const char *const texts[] = {first, second};
	uint32_t expires_s = seconds ? (uint32_t)(clock_now_ns() / CLOCK_SEC) + seconds : 0;
	struct wall_named loaded;
	size_t count = 0;

	for (; count < 2 && texts[count]; count++)
		entries[count] = (struct fw_listed){prefix(texts[count]).addr,
						    prefix(texts[count]).length, expires_s};
	return wall_named_load(wall, name, action, entries, count, &loaded, &error);
}

static struct wall_named find(struct wall *wall, const char *name)
{
	struct wall_named named;

	must(wall_named_find(wall, name, &named, &error));
	return named;
}

static struct wall_listing all(struct wall *wall)
{
	struct wall_listing listing;

	must(wall_named_all(wall, &listing, &error));
	return listing;
}

static void loading_one_list_keeps_the_others(void **state)
{
	struct wall *wall = wall_of(state);

	assert_int_equal(all(wall).count, 0);
	assert_int_equal(all(wall).bytes, 0);
	must(load(wall, "a", FW_LIST_BLOCK, "192.0.2.1", "2001:db8::/32", 0));
	must(load(wall, "b", FW_LIST_ALLOW, "192.0.2.0/24", NULL, 60));
	assert_int_equal(find(wall, "a").row.entries, 2);
	assert_int_equal(find(wall, "a").row.entries_v4, 1);
	assert_int_equal(find(wall, "a").row.expiring, 0);
	assert_int_equal(find(wall, "b").row.action, FW_LIST_ALLOW);
	assert_int_equal(find(wall, "b").row.expiring, 1);
	must(load(wall, "a", FW_LIST_BLOCK, "198.51.100.1", NULL, 0));
	assert_int_equal(all(wall).count, 2);
	assert_int_equal(find(wall, "a").row.entries, 1);
	must(wall_named_drop(wall, "a", &error));
	assert_int_equal(all(wall).count, 1);
	assert_int_equal(find(wall, "b").row.entries, 1);
	assert_int_equal(wall_named_drop(wall, "a", &error), -ENOENT);
	assert_int_equal(wall_named_drop(wall, "", &error), -ENOENT);
	must(wall_named_drop(wall, "b", &error));
	assert_int_equal(all(wall).bytes, 0);
}

static int collect(void *context, const struct fw_listed *entry)
{
	struct fw_listed *seen = context;

	seen[seen->length == 0 ? 0 : 1] = *entry;
	return 0;
}

static void entries_are_shown_as_they_were_given(void **state)
{
	struct fw_listed seen[2] = {{.length = 0}};
	struct wall *wall = wall_of(state);
	struct fw_addr first = addr("192.0.2.1"), second = addr("198.51.100.0/24");

	must(load(wall, "a", FW_LIST_BLOCK, "198.51.100.0/24", "192.0.2.1", 0));
	must(wall_named_each(wall, "a", collect, seen, &error));
	assert_memory_equal(&seen[0].addr, &first, sizeof(first));
	assert_int_equal(seen[0].length, 128);
	assert_memory_equal(&seen[1].addr, &second, sizeof(second));
	assert_int_equal(seen[1].length, 120);
	assert_int_equal(wall_named_each(wall, "b", collect, seen, &error), -ENOENT);
}

static void a_name_has_a_form_and_there_is_room_for_so_many(void **state)
{
	static const char *const bad[] = {"", "A", "with space", "slash/ed",
					  "a-name-that-has-thirty-two-bytes"};
	struct wall *wall = wall_of(state);
	char name[16];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(load(wall, bad[i], FW_LIST_BLOCK, "192.0.2.1", NULL, 0), -EINVAL);
	for (int i = 0; i < FW_LISTS_MAX; i++) {
		snprintf(name, sizeof(name), "list-%d", i);
		must(load(wall, name, FW_LIST_BLOCK, "192.0.2.1", NULL, 0));
	}
	assert_int_equal(load(wall, "more", FW_LIST_BLOCK, "192.0.2.1", NULL, 0), -ENOSPC);
	assert_int_equal(all(wall).count, FW_LISTS_MAX);
	must(wall_named_drop(wall, "list-7", &error));
	must(load(wall, "more", FW_LIST_BLOCK, "192.0.2.1", NULL, 0));
}

static void what_has_expired_gives_its_memory_back(void **state)
{
	struct wall *wall = wall_of(state);

	must(load(wall, "a", FW_LIST_BLOCK, "192.0.2.1", "192.0.2.2", 1));
	must(load(wall, "b", FW_LIST_BLOCK, "192.0.2.3", NULL, 0));
	usleep(1100000);
	assert_int_equal(find(wall, "a").row.entries, 2);
	assert_int_equal(wall_named_expire(wall, &error), 2);
	assert_int_equal(find(wall, "a").row.entries, 0);
	assert_int_equal(find(wall, "a").row.expired, 2);
	assert_int_equal(find(wall, "b").row.entries, 1);
	assert_int_equal(wall_named_expire(wall, &error), 0);
}

/* A list's count belongs to its name: replacing keeps it, another list in its place has its own. */
static void packets_are_counted_for_a_name(void **state)
{
	struct wall *wall = wall_of(state);
	uint64_t each[256] = {5};
	uint32_t id = 0;

	must(load(wall, "a", FW_LIST_BLOCK, "192.0.2.1", NULL, 0));
	must(wall_map_update(wall, MAP_LIST_PACKETS, &id, each, &error));
	assert_int_equal(find(wall, "a").packets, 5);
	must(load(wall, "a", FW_LIST_BLOCK, "192.0.2.2", NULL, 0));
	assert_int_equal(find(wall, "a").packets, 5);
	must(wall_named_drop(wall, "a", &error));
	must(load(wall, "b", FW_LIST_BLOCK, "192.0.2.2", NULL, 0));
	assert_int_equal(find(wall, "b").packets, 0);
}

/* Several lists come and go in one step, or none does. */
static void a_change_is_whole(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_listed one = {prefix("192.0.2.1").addr, 128, 0}, two = one;
	const struct wall_named_new loads[] = {{"b", FW_LIST_BLOCK, true, &one, 1},
					       {"c", FW_LIST_ALLOW, true, &two, 1}};
	const char *const drops[] = {"a", "nonesuch"};

	must(load(wall, "a", FW_LIST_BLOCK, "192.0.2.9", NULL, 0));
	assert_int_equal(wall_named_change(wall, loads, 2, drops, 2, &error), -ENOENT);
	assert_int_equal(all(wall).count, 1);
	assert_int_equal(find(wall, "a").row.from_file, 0);
	must(wall_named_change(wall, loads, 2, drops, 1, &error));
	assert_int_equal(all(wall).count, 2);
	assert_int_equal(find(wall, "b").row.from_file, 1);
	assert_int_equal(find(wall, "c").row.action, FW_LIST_ALLOW);
	/* A list that is loaded by hand is the operator's. */
	must(load(wall, "b", FW_LIST_BLOCK, "192.0.2.9", NULL, 0));
	assert_int_equal(find(wall, "b").row.from_file, 0);
}

/* Another process, or the next one, knows them all. */
static void lists_outlive_whoever_loaded_them(void **state)
{
	struct wall *wall = wall_of(state), *other = NULL;

	must(load(wall, "a", FW_LIST_BLOCK, "192.0.2.1", NULL, 0));
	must(wall_open(&other, &error));
	must(load(other, "b", FW_LIST_BLOCK, "192.0.2.2", NULL, 0));
	wall_close(other);
	assert_int_equal(all(wall).count, 2);
	must(load(wall, "c", FW_LIST_BLOCK, "192.0.2.3", NULL, 0));
	assert_int_equal(all(wall).count, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WALL_TEST(loading_one_list_keeps_the_others),
		WALL_TEST(entries_are_shown_as_they_were_given),
		WALL_TEST(a_name_has_a_form_and_there_is_room_for_so_many),
		WALL_TEST(what_has_expired_gives_its_memory_back),
		WALL_TEST(packets_are_counted_for_a_name),
		WALL_TEST(a_change_is_whole),
		WALL_TEST(lists_outlive_whoever_loaded_them),
	};

	return cmocka_run_group_tests_name("named", tests, make_world, end_world);
}
