/* SPDX-License-Identifier: BSD-2-Clause */
/* Named lists in the supervisor's care: told to the warden, and tidied by a child. */
#include <sys/wait.h>
#include "../../wall/world.h"
#include "base/clock.h"
#include "supervisor/duties/lists.h"

static void load(struct wall *wall, const char *name, const char *text, uint32_t seconds)
{
	struct fw_listed entry = {prefix(text).addr, prefix(text).length, 0};
	struct wall_named loaded;

	if (seconds)
		entry.expires_s = (uint32_t)(clock_now_ns() / CLOCK_SEC) + seconds;
	must(wall_named_load(wall, name, FW_LIST_BLOCK, &entry, 1, &loaded, &error));
}

static uint32_t entries_of(struct wall *wall, const char *name)
{
	struct wall_named named;

	must(wall_named_find(wall, name, &named, &error));
	return named.row.entries;
}

static void what_has_expired_goes_without_another_load(void **state)
{
	struct wall *wall = wall_of(state);
	int status;

	load(wall, "kept", "192.0.2.1", 0);
	lists_tidy(wall); /* nothing expires, so nobody is sent */
	assert_int_equal(waitpid(-1, &status, 0), -1);
	load(wall, "short", "192.0.2.2", 1);
	usleep(1100000);
	assert_int_equal(entries_of(wall, "short"), 1);
	lists_tidy(wall);
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_int_equal(status, 0);
	assert_int_equal(entries_of(wall, "short"), 0);
	assert_int_equal(entries_of(wall, "kept"), 1);
}

static void the_warden_is_told_of_every_list(void **state)
{
	struct wall *wall = wall_of(state);
	struct roster *roster = test_calloc(1, sizeof(*roster));
	struct roster_lists told;

	load(wall, "a", "192.0.2.1", 0);
	load(wall, "b", "2001:db8::/32", 0);
	lists_publish(wall, roster);
	roster_lists(roster, &told);
	assert_int_equal(told.count, 2);
	assert_string_equal(told.lists[1].name, "b");
	assert_int_equal(told.lists[1].entries, 1);
	assert_false(told.lists[1].allows);
	assert_true(told.bytes > 0);
	must(wall_named_drop(wall, "a", &error));
	must(wall_named_drop(wall, "b", &error));
	lists_publish(wall, roster);
	roster_lists(roster, &told);
	assert_int_equal(told.count, 0);
	test_free(roster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WALL_TEST(what_has_expired_goes_without_another_load),
		WALL_TEST(the_warden_is_told_of_every_list),
	};

	return cmocka_run_group_tests(tests, make_world, end_world);
}
