/* SPDX-License-Identifier: BSD-2-Clause */
/* Policy in the wall's maps: lists, services, and what a configuration makes of them. */
#include "../world.h"
#include "base/clock.h"

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

/* The filter looks at no segment while this says that there is no need. */
static void raised_pressure_reaches_segments(void **state)
{
	struct wall *wall = wall_of(state);
	uint64_t left_ns, now_ns = 1000 * 1000000000ULL;

	assert_int_equal(wall->meta->segments_ns, 0);
	must(wall_pressure_raise(wall, 1, now_ns, &error));
	assert_true(wall_pressure(wall, 1, now_ns, &left_ns));
	assert_int_equal(wall->meta->segments_ns, now_ns + left_ns);
	assert_false(wall_pressure(wall, 2, now_ns, &left_ns));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WALL_TEST(raised_pressure_reaches_segments),
		WALL_TEST(hosts_and_prefixes_are_one_list),
		WALL_TEST(what_has_expired_is_absent_and_then_gone),
		WALL_TEST(a_full_list_says_how_large_it_is),
		WALL_TEST(ids_run_out_and_come_back_clean),
		WALL_TEST(a_binding_has_one_service),
		WALL_TEST(a_restart_keeps_what_was_tuned_live),
		WALL_TEST(ports_change_hands_and_services_go_with_the_file),
		WALL_TEST(a_file_that_cannot_be_applied_changes_nothing),
	};

	return cmocka_run_group_tests(tests, make_world, end_world);
}
