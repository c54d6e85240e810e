// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/clock.h"
#include "base/hash.h"
#include "proxy/upstream/balance/balance_maglev.h"
#include "proxy/upstream/balance/balance_policies.h"

#define NOW (1000 * CLOCK_SEC)

static char names[CONFIG_SERVERS_MAX][16];
static struct config_server configs[CONFIG_SERVERS_MAX];
static struct config_upstream config;
static struct server servers[CONFIG_SERVERS_MAX];
static struct balance_plan *plan;
static struct balance balance;

/* Servers that are up and idle, with equal weights and priorities. */
static int begin(void **state)
{
	(void)state;
	memset(configs, 0, sizeof(configs));
	memset(servers, 0, sizeof(servers));
	for (uint32_t i = 0; i < CONFIG_SERVERS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "10.0.0.%u:80", i);
		configs[i] = (struct config_server){.address = names[i], .port = 80, .weight = 1};
		server_init(&servers[i], &configs[i], NULL);
	}
	config = (struct config_upstream){.name = (char *)"app", .servers = configs};
	return 0;
}

static int end(void **state)
{
	(void)state;
	balance_plan_free(plan);
	plan = NULL;
	return 0;
}

/* What is set in `configs` and `config` counts from here on. */
static void open_plan(uint32_t count, enum config_balance_policy policy)
{
	balance_plan_free(plan);
	config.server_count = count;
	config.balance.policy = policy;
	plan = balance_plan_create(&config, servers);
	assert_non_null(plan);
	balance_init(&balance, plan);
}

static uint32_t choose(void)
{
	return (uint32_t)balance_choose(&balance, 0, 0, NOW);
}

/* Chooses so often and counts who it was. */
static void choose_often(uint32_t times, uint32_t *chosen)
{
	memset(chosen, 0, CONFIG_SERVERS_MAX * sizeof(*chosen));
	for (uint32_t i = 0; i < times; i++)
		chosen[choose()]++;
}

/* --- in turn ---------------------------------------------------------------------------------- */

static void turns_are_as_mixed_as_weights_allow(void **state)
{
	static const uint32_t expected[] = {0, 0, 1, 0, 2, 0, 0};

	(void)state;
	configs[0].weight = 5;
	open_plan(3, BALANCE_ROUND_ROBIN);
	for (uint32_t i = 0; i < 21; i++)
		assert_int_equal(choose(), expected[i % 7]);
}

static void every_cycle_is_exact(void **state)
{
	static const uint16_t weights[] = {1, 7, 30, 256, 2};
	uint32_t chosen[CONFIG_SERVERS_MAX];

	(void)state;
	for (int i = 0; i < 5; i++)
		configs[i].weight = weights[i];
	open_plan(5, BALANCE_ROUND_ROBIN);
	for (int cycle = 0; cycle < 3; cycle++) {
		choose_often(1 + 7 + 30 + 256 + 2, chosen);
		for (int i = 0; i < 5; i++)
			assert_int_equal(chosen[i], weights[i]);
	}
}

static void threads_do_not_march_in_step(void **state)
{
	struct balance thread[3];

	(void)state;
	open_plan(3, BALANCE_ROUND_ROBIN);
	for (int i = 0; i < 3; i++)
		balance_init(&thread[i], plan);
	for (int turn = 0; turn < 6; turn++) {
		uint64_t asked = 0;

		for (int i = 0; i < 3; i++)
			asked |= 1ULL << balance_choose(&thread[i], 0, 0, NOW);
		assert_int_equal(asked, 7);
	}
}

/* Whoever is away does not save up turns to have them all at once. */
static void who_comes_back_has_its_share_and_no_more(void **state)
{
	uint32_t chosen[CONFIG_SERVERS_MAX];

	(void)state;
	open_plan(4, BALANCE_ROUND_ROBIN);
	atomic_store(&servers[2].unhealthy, true);
	choose_often(1000, chosen);
	assert_int_equal(chosen[2], 0);
	atomic_store(&servers[2].unhealthy, false);
	choose_often(8, chosen);
	assert_in_range(chosen[2], 2, 3);
}

/* --- among whom --------------------------------------------------------------------------------
 */

static void who_was_tried_is_passed_over_until_nobody_is_left(void **state)
{
	uint64_t tried = 0;
	int server;

	(void)state;
	open_plan(5, BALANCE_ROUND_ROBIN);
	atomic_store(&servers[1].unhealthy, true);
	atomic_store(&servers[3].ejected_until_ns, NOW + 1);
	for (int i = 0; i < 5; i++) {
		server = balance_choose(&balance, tried, 0, NOW);
		assert_true(server >= 0 && !(tried & 1ULL << server));
		/* Those that are down come last: they may answer all the same. */
		assert_int_equal(server == 1 || server == 3, i >= 3);
		tried |= 1ULL << server;
	}
	assert_int_equal(balance_choose(&balance, tried, 0, NOW), -1);
}

static void with_all_of_them_down_all_are_used(void **state)
{
	uint32_t chosen[CONFIG_SERVERS_MAX];

	(void)state;
	open_plan(3, BALANCE_ROUND_ROBIN);
	for (int i = 0; i < 3; i++)
		atomic_store(&servers[i].unhealthy, true);
	choose_often(30, chosen);
	for (int i = 0; i < 3; i++)
		assert_int_equal(chosen[i], 10);
}

/* A name has lost an address: there is nothing to connect to. */
static void who_is_nowhere_is_no_last_resort(void **state)
{
	(void)state;
	open_plan(2, BALANCE_ROUND_ROBIN);
	server_leave(&servers[0]);
	assert_int_equal(balance_choose(&balance, 0, 0, NOW), 1);
	assert_int_equal(balance_choose(&balance, 2, 0, NOW), -1);
	server_leave(&servers[1]);
	assert_int_equal(balance_choose(&balance, 0, 0, NOW), -1);
}

static void a_backup_waits_until_all_others_are_down(void **state)
{
	uint32_t chosen[CONFIG_SERVERS_MAX];

	(void)state;
	configs[0].priority = CONFIG_PRIORITIES - 1;
	open_plan(3, BALANCE_ROUND_ROBIN);
	atomic_store(&servers[1].unhealthy, true);
	choose_often(10, chosen);
	assert_int_equal(chosen[2], 10);
	atomic_store(&servers[2].unhealthy, true);
	choose_often(10, chosen);
	assert_int_equal(chosen[0], 10);
	/* What has tried the only one of the first priority goes on to the next. */
	atomic_store(&servers[2].unhealthy, false);
	assert_int_equal(balance_choose(&balance, 4, 0, NOW), 0);
}

static void the_next_priority_helps_while_too_few_are_up(void **state)
{
	uint32_t chosen[CONFIG_SERVERS_MAX];

	(void)state;
	for (int i = 4; i < 6; i++)
		configs[i].priority = 3;
	configs[6].priority = 5;
	config.balance.failover_percent = 50;
	open_plan(7, BALANCE_ROUND_ROBIN);
	atomic_store(&servers[0].unhealthy, true);
	atomic_store(&servers[1].unhealthy, true);
	choose_often(100, chosen); /* half is enough */
	assert_int_equal(chosen[2] + chosen[3], 100);
	atomic_store(&servers[2].unhealthy, true);
	choose_often(99, chosen); /* a quarter is not; with two more it is half of six again */
	for (int i = 3; i < 6; i++)
		assert_int_equal(chosen[i], 33);
	assert_int_equal(chosen[6], 0);
}

/* --- slow start --------------------------------------------------------------------------------
 */

static void a_weight_grows_from_when_it_is_up(void **state)
{
	(void)state;
	configs[0].weight = 10;
	config.balance.slow_start_ms = 30000;
	open_plan(2, BALANCE_ROUND_ROBIN);
	assert_int_equal(balance_weight(plan, 0, NOW), 2560); /* up from the beginning */
	atomic_store(&servers[0].up_since_ns, NOW);
	assert_int_equal(balance_weight(plan, 0, NOW), 256);
	assert_int_equal(balance_weight(plan, 0, NOW + CLOCK_SEC), 256);
	assert_int_equal(balance_weight(plan, 0, NOW + 6 * CLOCK_SEC), 512);
	assert_int_equal(balance_weight(plan, 0, NOW + 15 * CLOCK_SEC), 1280);
	assert_int_equal(balance_weight(plan, 0, NOW + 30 * CLOCK_SEC), 2560);
	/* Of one that was ejected, from when that ends; also while all are down and it is used. */
	atomic_store(&servers[0].ejected_until_ns, NOW + 60 * CLOCK_SEC);
	assert_int_equal(balance_weight(plan, 0, NOW + 59 * CLOCK_SEC), 256);
	assert_int_equal(balance_weight(plan, 0, NOW + 75 * CLOCK_SEC), 1280);
}

static void shares_follow_the_growing_weight(void **state)
{
	uint32_t chosen[CONFIG_SERVERS_MAX];

	(void)state;
	config.balance.slow_start_ms = 30000;
	open_plan(2, BALANCE_ROUND_ROBIN);
	atomic_store(&servers[1].up_since_ns, NOW - 7500 * CLOCK_MS);
	choose_often(500, chosen); /* a quarter of its weight: one of five */
	assert_int_equal(chosen[1], 100);
}

/* --- fewest connections ------------------------------------------------------------------------
 */

static void the_least_busy_for_its_weight_is_chosen(void **state)
{
	static const uint32_t active[] = {4, 3, 9, 4};

	(void)state;
	for (int i = 0; i < 4; i++)
		atomic_store(&servers[i].active, active[i]);
	open_plan(4, BALANCE_LEAST);
	assert_int_equal(choose(), 1);
	configs[2].weight = 3; /* ten for three are fewer than four for one */
	open_plan(4, BALANCE_LEAST);
	assert_int_equal(choose(), 2);
}

static void equals_take_turns(void **state)
{
	uint32_t chosen[CONFIG_SERVERS_MAX];

	(void)state;
	atomic_store(&servers[3].active, 1);
	open_plan(4, BALANCE_LEAST);
	choose_often(30, chosen);
	for (int i = 0; i < 3; i++)
		assert_int_equal(chosen[i], 10);
}

/* --- latency -----------------------------------------------------------------------------------
 */

static void the_quicker_is_chosen_unless_it_is_busier(void **state)
{
	(void)state;
	open_plan(2, BALANCE_LATENCY);
	balance.asked_ns[0] = balance.asked_ns[1] = NOW;
	atomic_store(&servers[0].latency_ns, 2 * CLOCK_MS);
	atomic_store(&servers[1].latency_ns, 10 * CLOCK_MS);
	for (int i = 0; i < 20; i++)
		assert_int_equal(choose(), 0);
	atomic_store(&servers[0].active, 5);
	for (int i = 0; i < 20; i++)
		assert_int_equal(choose(), 1);
}

static void who_is_unknown_is_asked_once(void **state)
{
	(void)state;
	open_plan(2, BALANCE_LATENCY);
	balance.asked_ns[0] = NOW;
	atomic_store(&servers[0].latency_ns, CLOCK_MS);
	assert_int_equal(choose(), 1);
	atomic_store(&servers[1].active, 1); /* it has not answered yet */
	for (int i = 0; i < 20; i++)
		assert_int_equal(choose(), 0);
}

static void who_was_slow_once_is_tried_again(void **state)
{
	uint64_t now_ns = NOW;
	uint32_t seconds = 0;

	(void)state;
	open_plan(2, BALANCE_LATENCY);
	balance.asked_ns[0] = balance.asked_ns[1] = NOW;
	atomic_store(&servers[0].latency_ns, CLOCK_MS);
	atomic_store(&servers[1].latency_ns, 10 * CLOCK_MS);
	for (; balance_choose(&balance, 0, 0, now_ns) == 0; seconds++)
		now_ns += CLOCK_SEC;
	assert_in_range(seconds, 30, 50); /* after four halvings of ten seconds */
}

/* Sixteen requests at a time, on servers of which one takes eight times as long. */
static void a_slow_server_gets_little(void **state)
{
	enum { REQUESTS = 16, SERVERS = 4, ROUNDS = 20000 };
	uint32_t on[REQUESTS], chosen[SERVERS] = {0};
	uint64_t due_ns[REQUESTS] = {0}, begun_ns[REQUESTS], now_ns = NOW;

	(void)state;
	open_plan(SERVERS, BALANCE_LATENCY);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t next = 0;

		for (uint32_t i = 1; i < REQUESTS; i++)
			if (due_ns[i] < due_ns[next])
				next = i;
		if (due_ns[next]) {
			struct server *server = &servers[on[next]];

			now_ns = due_ns[next];
			atomic_fetch_sub(&server->active, 1);
			server->latency_ns += (now_ns - begun_ns[next]) / 8 -
					      (server->latency_ns ? server->latency_ns / 8 : 0);
		}
		on[next] = (uint32_t)balance_choose(&balance, 0, 0, now_ns);
		chosen[on[next]]++;
		begun_ns[next] = now_ns;
		/* As one that works on them one after the other. */
		due_ns[next] =
			now_ns + (on[next] == 3 ? 8 : 1) * CLOCK_MS *
					 (atomic_fetch_add(&servers[on[next]].active, 1) + 1);
	}
	assert_in_range(chosen[3], ROUNDS / 200, ROUNDS * 8 / 100); /* in turn: a quarter */
	for (int i = 0; i < 3; i++)
		assert_in_range(chosen[i], ROUNDS * 28 / 100, ROUNDS * 36 / 100);
}

/* --- by a hash ---------------------------------------------------------------------------------
 */

/* Where keys lead, of which each begins at another place of the table. */
static void map_keys_at(uint8_t *leads, uint64_t now_ns)
{
	for (uint32_t i = 0; i < MAGLEV_SIZE; i++) {
		uint64_t key = (hash_mix(i + 1) >> 1) / MAGLEV_SIZE * MAGLEV_SIZE + i;

		leads[i] = (uint8_t)balance_choose(&balance, 0, key, now_ns);
	}
}

static void map_keys(uint8_t *leads)
{
	map_keys_at(leads, NOW);
}

static uint8_t before[MAGLEV_SIZE], after[MAGLEV_SIZE];

static void keys_are_shared_out_by_weight(void **state)
{
	uint32_t held[CONFIG_SERVERS_MAX] = {0}, total = 0;

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		total += configs[i].weight = (uint16_t)(i + 1);
	open_plan(10, BALANCE_HASH);
	map_keys(before);
	for (uint32_t key = 0; key < MAGLEV_SIZE; key++)
		held[before[key]]++;
	for (uint32_t i = 0; i < 10; i++) {
		uint32_t due = MAGLEV_SIZE * (i + 1) / total;

		assert_in_range(held[i], due - due / 500 - 2, due + due / 500 + 2);
	}
}

static void only_the_keys_of_a_server_that_is_down_move(void **state)
{
	uint32_t taken_over[CONFIG_SERVERS_MAX] = {0}, moved = 0;

	(void)state;
	open_plan(10, BALANCE_HASH);
	map_keys(before);
	atomic_store(&servers[4].unhealthy, true);
	map_keys(after);
	for (uint32_t key = 0; key < MAGLEV_SIZE; key++) {
		if (before[key] != 4)
			assert_int_equal(after[key], before[key]);
		else
			taken_over[after[key]]++, moved++;
	}
	assert_int_equal(taken_over[4], 0);
	for (uint32_t i = 0; i < 10; i++) /* evenly: no neighbour inherits it all */
		if (i != 4)
			assert_in_range(taken_over[i], moved * 9 / 90, moved * 11 / 90);
	atomic_store(&servers[4].unhealthy, false);
	map_keys(after);
	assert_memory_equal(before, after, sizeof(before));
}

/* One after the other, and none is taken from him again. */
static void keys_come_back_to_who_starts_slowly(void **state)
{
	static uint8_t whole[MAGLEV_SIZE];
	uint32_t back = 0, due = 0;

	(void)state;
	config.balance.slow_start_ms = 30000;
	open_plan(10, BALANCE_HASH);
	map_keys(whole);
	atomic_store(&servers[4].up_since_ns, NOW);
	map_keys_at(before, NOW);
	for (uint64_t second = 6; second <= 30; second += 12) {
		map_keys_at(after, NOW + second * CLOCK_SEC);
		back = due = 0;
		for (uint32_t key = 0; key < MAGLEV_SIZE; key++) {
			due += whole[key] == 4;
			back += after[key] == 4;
			assert_true(after[key] == whole[key] ||
				    (whole[key] == 4 && before[key] == after[key]));
		}
		assert_in_range(back, due * second / 30 * 9 / 10, due * second / 30 * 11 / 10);
		memcpy(before, after, sizeof(before));
	}
	assert_int_equal(back, due);
}

static void a_server_more_moves_little_but_its_share(void **state)
{
	uint32_t moved_in = 0, moved_about = 0;

	(void)state;
	open_plan(10, BALANCE_HASH);
	map_keys(before);
	open_plan(11, BALANCE_HASH);
	map_keys(after);
	for (uint32_t key = 0; key < MAGLEV_SIZE; key++) {
		moved_in += after[key] == 10;
		moved_about += after[key] != 10 && after[key] != before[key];
	}
	print_message("one server more: %.1f%% of keys to it, %.1f%% elsewhere\n",
		      100.0 * moved_in / MAGLEV_SIZE, 100.0 * moved_about / MAGLEV_SIZE);
	assert_in_range(moved_in, MAGLEV_SIZE / 11 - 1, MAGLEV_SIZE / 11 + 1);
	assert_in_range(moved_about, 0, MAGLEV_SIZE * 5 / 100);
}

/* Another host's configuration may name the same servers in another order. */
static void the_order_of_servers_means_next_to_nothing(void **state)
{
	struct config_server first = configs[0];
	uint32_t moved = 0;

	(void)state;
	open_plan(10, BALANCE_HASH);
	map_keys(before);
	configs[0] = configs[9];
	configs[9] = first;
	open_plan(10, BALANCE_HASH);
	map_keys(after);
	for (uint32_t key = 0; key < MAGLEV_SIZE; key++) {
		uint32_t same = before[key] == 0 ? 9 : before[key] == 9 ? 0 : before[key];

		moved += after[key] != same;
	}
	assert_in_range(moved, 0, MAGLEV_SIZE * 5 / 100);
}

static void a_retry_goes_elsewhere_and_always_to_the_same(void **state)
{
	struct balance other;

	(void)state;
	open_plan(5, BALANCE_HASH);
	balance_init(&other, plan);
	for (uint64_t key = 0; key < 1000; key++) {
		uint64_t tried = 0;

		for (int i = 0; i < 5; i++) {
			int server = balance_choose(&balance, tried, hash_mix(key), NOW);

			assert_true(server >= 0 && !(tried & 1ULL << server));
			assert_int_equal(balance_choose(&other, tried, hash_mix(key), NOW), server);
			tried |= 1ULL << server;
		}
	}
}

static void as_many_servers_as_there_may_be(void **state)
{
	uint64_t seen = 0;

	(void)state;
	configs[0].weight = 256; /* whoever has 1 has its places all the same */
	open_plan(CONFIG_SERVERS_MAX, BALANCE_HASH);
	map_keys(before);
	for (uint32_t key = 0; key < MAGLEV_SIZE; key++)
		seen |= 1ULL << before[key];
	assert_true(seen == UINT64_MAX);
	for (uint32_t i = 0; i + 1 < CONFIG_SERVERS_MAX; i++)
		atomic_store(&servers[i].unhealthy, true);
	map_keys(after);
	for (uint32_t key = 0; key < MAGLEV_SIZE; key++)
		assert_int_equal(after[key], CONFIG_SERVERS_MAX - 1);
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(turns_are_as_mixed_as_weights_allow),
		STORY(every_cycle_is_exact),
		STORY(threads_do_not_march_in_step),
		STORY(who_comes_back_has_its_share_and_no_more),
		STORY(who_was_tried_is_passed_over_until_nobody_is_left),
		STORY(with_all_of_them_down_all_are_used),
		STORY(who_is_nowhere_is_no_last_resort),
		STORY(a_backup_waits_until_all_others_are_down),
		STORY(the_next_priority_helps_while_too_few_are_up),
		STORY(a_weight_grows_from_when_it_is_up),
		STORY(shares_follow_the_growing_weight),
		STORY(the_least_busy_for_its_weight_is_chosen),
		STORY(equals_take_turns),
		STORY(the_quicker_is_chosen_unless_it_is_busier),
		STORY(who_is_unknown_is_asked_once),
		STORY(who_was_slow_once_is_tried_again),
		STORY(a_slow_server_gets_little),
		STORY(keys_are_shared_out_by_weight),
		STORY(only_the_keys_of_a_server_that_is_down_move),
		STORY(keys_come_back_to_who_starts_slowly),
		STORY(a_server_more_moves_little_but_its_share),
		STORY(the_order_of_servers_means_next_to_nothing),
		STORY(a_retry_goes_elsewhere_and_always_to_the_same),
		STORY(as_many_servers_as_there_may_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
