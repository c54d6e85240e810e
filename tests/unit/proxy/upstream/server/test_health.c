// SPDX-License-Identifier: BSD-2-Clause
/* Which servers are well, told by what happens to them, at moments that the test chooses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/clock.h"
#include "base/log.h"
#include "proxy/upstream/care/health_check.h"
#include "proxy/upstream/server/health.h"

enum { SERVERS = 4 };

#define START (1000 * CLOCK_SEC)
#define AT(s) (START + (uint64_t)((s)*1e9))

static struct config_server servers_config[SERVERS];
static struct config_upstream config;
static struct server servers[SERVERS];
static struct health health;

static int begin(void **state)
{
	(void)state;
	memset(servers, 0, sizeof(servers));
	for (int i = 0; i < SERVERS; i++)
		servers_config[i] =
			(struct config_server){.address = (char *)"192.0.2.1:80", .port = 80};
	config = (struct config_upstream){
		.name = (char *)"app",
		.servers = servers_config,
		.server_count = SERVERS,
		.ejection = {.refusals = 1,
			     .failures = 3,
			     .time_ms = 1000,
			     .max_time_ms = 5000,
			     .trials = 2,
			     .max_ejected = 50,
			     .panic = 30},
	};
	config.ejection.statuses.bit[(503 - 100) / 64] |= 1ULL << (503 - 100) % 64;
	health_init(&health, &config, servers, SERVERS);
	return 0;
}

static void note(struct server *server, enum server_outcome outcome, uint64_t now_ns)
{
	server_note_result(server, outcome, 0, now_ns);
}

static uint32_t up(uint64_t now_ns)
{
	uint32_t count = 0;

	for (int i = 0; i < SERVERS; i++)
		count += server_is_up(&servers[i], now_ns);
	return count;
}

/* Ejects it, and returns for how long. */
static uint64_t eject(struct server *server, uint64_t now_ns)
{
	note(server, SERVER_REFUSED, now_ns);
	assert_false(server_is_up(server, now_ns));
	return atomic_load(&server->ejected_until_ns) - now_ns;
}

static void recover(struct server *server, uint64_t now_ns)
{
	note(server, SERVER_ANSWERED, now_ns);
	note(server, SERVER_ANSWERED, now_ns);
	assert_false(atomic_load(&server->probation));
}

/* --- errors ------------------------------------------------------------------------------------
 */

static void errors_in_a_row_eject(void **state)
{
	(void)state;
	note(&servers[0], SERVER_BROKE, AT(0));
	note(&servers[0], SERVER_TIMEOUT, AT(0));
	note(&servers[0], SERVER_ANSWERED, AT(0));
	note(&servers[0], SERVER_BROKE, AT(0));
	note(&servers[0], SERVER_FAILED, AT(0));
	assert_int_equal(up(AT(0)), SERVERS);
	note(&servers[0], SERVER_TIMEOUT, AT(0));
	assert_false(server_is_up(&servers[0], AT(0)));
	assert_int_equal(up(AT(0)), SERVERS - 1);
	assert_int_equal(atomic_load(&servers[0].ejections), 1);
}

static void a_connection_made_forgives_refusals_only(void **state)
{
	(void)state;
	health.policy.refusals = 2;
	note(&servers[0], SERVER_REFUSED, AT(0));
	note(&servers[0], SERVER_CONNECTED, AT(0));
	note(&servers[0], SERVER_REFUSED, AT(0));
	assert_true(server_is_up(&servers[0], AT(0)));
	note(&servers[0], SERVER_BROKE, AT(0)); /* the third error of any kind */
	assert_false(server_is_up(&servers[0], AT(0)));
}

static void only_configured_statuses_are_errors(void **state)
{
	(void)state;
	assert_int_equal(server_outcome_of(&servers[0], 503), SERVER_FAILED);
	assert_int_equal(server_outcome_of(&servers[0], 500), SERVER_ANSWERED);
	assert_int_equal(server_outcome_of(&servers[0], 999), SERVER_ANSWERED);
}

/* --- for how long ------------------------------------------------------------------------------
 */

static void each_time_is_longer_up_to_a_limit(void **state)
{
	uint64_t now_ns = AT(0);

	(void)state;
	for (uint64_t times = 1; times <= 8; times++) {
		uint64_t expected = times < 5 ? times : 5;

		assert_int_equal(eject(&servers[0], now_ns), expected * CLOCK_SEC);
		now_ns += expected * CLOCK_SEC;
		recover(&servers[0], now_ns);
	}
	/* A long time well makes it as good as new. */
	now_ns += 6 * CLOCK_SEC;
	assert_int_equal(eject(&servers[0], now_ns), CLOCK_SEC);
}

static void who_is_out_is_not_ejected_again_by_old_requests(void **state)
{
	uint64_t until_ns;

	(void)state;
	eject(&servers[0], AT(0));
	until_ns = atomic_load(&servers[0].ejected_until_ns);
	for (int i = 0; i < 10; i++)
		note(&servers[0], SERVER_BROKE, AT(0.5));
	for (int i = 0; i < 10; i++)
		note(&servers[0], SERVER_ANSWERED, AT(0.5));
	assert_int_equal(atomic_load(&servers[0].ejected_until_ns), until_ns);
	assert_int_equal(atomic_load(&servers[0].ejections), 1);
	assert_true(atomic_load(&servers[0].probation));
}

/* --- half open ---------------------------------------------------------------------------------
 */

static void who_comes_back_is_tried_with_a_few_requests(void **state)
{
	(void)state;
	eject(&servers[0], AT(0));
	assert_false(server_is_up(&servers[0], AT(0.9)));
	assert_true(server_is_up(&servers[0], AT(1)));
	server_begin(&servers[0]);
	assert_true(server_is_up(&servers[0], AT(1)));
	server_begin(&servers[0]);
	assert_false(server_is_up(&servers[0], AT(1))); /* two at a time */
	server_end(&servers[0]);
	note(&servers[0], SERVER_ANSWERED, AT(1.1));
	assert_true(atomic_load(&servers[0].probation));
	note(&servers[0], SERVER_ANSWERED, AT(1.2));
	assert_false(atomic_load(&servers[0].probation));
	assert_int_equal(atomic_load(&servers[0].up_since_ns), AT(1.2));
	for (int i = 0; i < 100; i++)
		server_begin(&servers[0]);
	assert_true(server_is_up(&servers[0], AT(1.2)));
}

static void one_failure_on_trial_ejects_again(void **state)
{
	(void)state;
	eject(&servers[0], AT(0));
	note(&servers[0], SERVER_ANSWERED, AT(1));
	note(&servers[0], SERVER_TIMEOUT, AT(1.1));
	assert_false(server_is_up(&servers[0], AT(3)));
	assert_int_equal(atomic_load(&servers[0].ejected_until_ns), AT(1.1) + 2 * CLOCK_SEC);
}

/* --- not too many ------------------------------------------------------------------------------
 */

static void only_a_share_may_be_out(void **state)
{
	(void)state;
	for (int i = 0; i < SERVERS; i++)
		note(&servers[i], SERVER_REFUSED, AT(0));
	assert_int_equal(up(AT(0)), 2); /* half of four */
	assert_false(atomic_load(&servers[3].probation));
	/* A place that comes free is the next one's. */
	recover(&servers[0], AT(1));
	note(&servers[3], SERVER_REFUSED, AT(1));
	assert_true(atomic_load(&servers[3].probation));
}

static void one_may_always_be_out_unless_none_may(void **state)
{
	(void)state;
	health.policy.max_ejected = 1;
	note(&servers[0], SERVER_REFUSED, AT(0));
	note(&servers[1], SERVER_REFUSED, AT(0));
	assert_int_equal(up(AT(0)), SERVERS - 1);
	begin(state);
	health.policy.max_ejected = 0;
	note(&servers[0], SERVER_REFUSED, AT(0));
	assert_int_equal(up(AT(0)), SERVERS);
}

static void in_a_panic_health_is_ignored(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		health_checked(&servers[i], false, "a test says so", AT(0));
	assert_int_equal(up(AT(0)), 2);
	health_checked(&servers[2], false, "a test says so", AT(0));
	assert_int_equal(up(AT(0)), SERVERS); /* a quarter is less than 30 % */
	health_checked(&servers[2], true, "a test says so", AT(1));
	assert_int_equal(up(AT(1)), 2);
	assert_int_equal(atomic_load(&servers[2].up_since_ns), AT(1));
}

/* Else those that are down would be asked before the one that is there for this. */
static void where_a_backup_is_well_is_no_panic(void **state)
{
	servers_config[SERVERS - 1].priority = CONFIG_PRIORITIES - 1;
	for (int i = 0; i < SERVERS - 1; i++)
		eject(&servers[i], START); /* more than half, too */
	assert_false(atomic_load(&servers[0].panic));
	assert_int_equal(up(START), 1);

	note(&servers[SERVERS - 1], SERVER_REFUSED, START);
	assert_int_equal(up(START), 1); /* nobody stands in for it */
	health_checked(&servers[SERVERS - 1], false, "", START);
	assert_true(atomic_load(&servers[0].panic));
	assert_int_equal(up(START), SERVERS);
	(void)state;
}

static void success_in_a_panic_ends_it(void **state)
{
	(void)state;
	health.policy.max_ejected = 100;
	for (int i = 0; i < SERVERS; i++)
		note(&servers[i], SERVER_REFUSED, AT(0));
	assert_int_equal(up(AT(0)), SERVERS);
	assert_true(atomic_load(&servers[0].panic));
	recover(&servers[0], AT(0.2));
	recover(&servers[1], AT(0.2));
	assert_false(atomic_load(&servers[0].panic));
	assert_int_equal(up(AT(0.2)), 2);
}

static void places_that_are_nowhere_do_not_count(void **state)
{
	(void)state;
	server_leave(&servers[2]);
	server_leave(&servers[3]);
	health_review(&health, AT(0));
	assert_int_equal(up(AT(0)), 2);
	note(&servers[0], SERVER_REFUSED, AT(0));
	note(&servers[1], SERVER_REFUSED, AT(0)); /* it would be all of them */
	assert_int_equal(up(AT(0)), 1);
}

static void another_address_is_another_server(void **state)
{
	struct fw_addr address = {{0, 0, 0, 1}};

	(void)state;
	eject(&servers[0], AT(0));
	health_checked(&servers[0], false, "a test says so", AT(0));
	health_arrive(&servers[0], AT(0.1));
	server_move(&servers[0], &address, 80);
	assert_true(server_is_up(&servers[0], AT(0.1)));
	assert_int_equal(atomic_load(&servers[0].up_since_ns), AT(0.1));
	assert_int_equal(eject(&servers[0], AT(0.2)), CLOCK_SEC);
}

/* --- latency -----------------------------------------------------------------------------------
 */

static void respond(int server, uint64_t latency_ms, int times)
{
	for (int i = 0; i < times; i++)
		server_note_result(&servers[server], SERVER_ANSWERED, latency_ms * CLOCK_MS, AT(0));
}

/* A look at servers of which number 3 takes @slow_ms, the others 10 to 12 ms. */
static void look(uint64_t slow_ms, int times, double at_s)
{
	for (int i = 0; i < 3; i++)
		respond(i, 10 + (uint64_t)i, times);
	respond(3, slow_ms, times);
	health_judge_latency(&health, AT(at_s));
}

static void who_is_much_slower_for_a_while_is_ejected(void **state)
{
	(void)state;
	health.policy.latency_factor = 3;
	for (int i = 0; i < 20; i++)
		look(30, 50, i); /* slower, but less than three times */
	assert_int_equal(up(AT(20)), SERVERS);
	look(100, 50, 21);
	look(100, 50, 22);
	assert_int_equal(up(AT(22)), SERVERS);
	look(100, 50, 23);
	assert_false(server_is_up(&servers[3], AT(23)));
	assert_int_equal(up(AT(23)), SERVERS - 1);
}

static void a_short_slowness_is_none(void **state)
{
	(void)state;
	health.policy.latency_factor = 3;
	for (int i = 0; i < 20; i++)
		look(i % 3 == 2 ? 10 : 100, 50, i);
	assert_int_equal(up(AT(20)), SERVERS);
}

static void few_responses_or_few_peers_prove_nothing(void **state)
{
	(void)state;
	health.policy.latency_factor = 3;
	for (int i = 0; i < 20; i++)
		look(1000, 4, i);
	assert_int_equal(up(AT(20)), SERVERS);
	server_leave(&servers[0]);
	server_leave(&servers[1]);
	for (int i = 0; i < 20; i++)
		look(1000, 50, i);
	assert_int_equal(up(AT(20)), 2);
}

static void what_harms_nobody_is_not_slow(void **state)
{
	(void)state;
	health.policy.latency_factor = 3;
	for (int i = 0; i < 20; i++) {
		for (int s = 0; s < SERVERS; s++)
			for (int n = 0; n < 50; n++)
				server_note_result(&servers[s], SERVER_ANSWERED,
						   s == 3 ? CLOCK_MS : CLOCK_MS / 10, AT(0));
		health_judge_latency(&health, AT(i));
	}
	assert_int_equal(up(AT(20)), SERVERS);
}

static void an_average_follows(void **state)
{
	(void)state;
	respond(0, 80, 1);
	assert_int_equal(atomic_load(&servers[0].latency_ns), 80 * CLOCK_MS);
	respond(0, 160, 1);
	assert_int_equal(atomic_load(&servers[0].latency_ns), 90 * CLOCK_MS);
	respond(0, 160, 100);
	assert_in_range(atomic_load(&servers[0].latency_ns), 159 * CLOCK_MS, 160 * CLOCK_MS);
}

/* A request that was taken from it is no success and no failure; but it was not answered so fast.
 */
static void who_was_not_waited_for_is_slow_at_least_so_far(void **state)
{
	(void)state;
	respond(0, 80, 1);
	note(&servers[0], SERVER_FAILED, AT(0));
	server_note_abandoned(&servers[0], 40 * CLOCK_MS);
	assert_int_equal(atomic_load(&servers[0].latency_ns), 80 * CLOCK_MS);
	server_note_abandoned(&servers[0], 160 * CLOCK_MS);
	assert_int_equal(atomic_load(&servers[0].latency_ns), 90 * CLOCK_MS);
	assert_int_equal(atomic_load(&servers[0].failed), 1);
	for (int i = 0; i < 100; i++)
		server_note_abandoned(&servers[1], CLOCK_SEC);
	assert_int_equal(atomic_load(&servers[1].failed), 0);
	assert_int_equal(up(AT(0)), SERVERS);
}

/* --- active checks -----------------------------------------------------------------------------
 */

static void checks_in_a_row_decide(void **state)
{
	struct config_health checks = {.rise = 2, .fall = 3};
	struct health_streak streak = {0};

	(void)state;
	assert_int_equal(health_streak_note(&streak, true, true, &checks), HEALTH_STAYS);
	for (int i = 0; i < 5; i++) { /* flapping, but never for long enough */
		assert_int_equal(health_streak_note(&streak, false, true, &checks), HEALTH_STAYS);
		assert_int_equal(health_streak_note(&streak, false, true, &checks), HEALTH_STAYS);
		assert_int_equal(health_streak_note(&streak, true, true, &checks), HEALTH_STAYS);
	}
	assert_int_equal(health_streak_note(&streak, false, true, &checks), HEALTH_STAYS);
	assert_int_equal(health_streak_note(&streak, false, true, &checks), HEALTH_STAYS);
	assert_int_equal(health_streak_note(&streak, false, true, &checks), HEALTH_FALLS);
	assert_int_equal(health_streak_note(&streak, true, false, &checks), HEALTH_STAYS);
	assert_int_equal(health_streak_note(&streak, false, false, &checks), HEALTH_STAYS);
	assert_int_equal(health_streak_note(&streak, true, false, &checks), HEALTH_STAYS);
	assert_int_equal(health_streak_note(&streak, true, false, &checks), HEALTH_RISES);
}

static void the_first_check_decides_alone(void **state)
{
	struct config_health checks = {.rise = 2, .fall = 3};
	struct health_streak streak = {0};

	(void)state;
	assert_int_equal(health_streak_note(&streak, false, true, &checks), HEALTH_FALLS);
	assert_int_equal(health_streak_note(&streak, true, false, &checks), HEALTH_STAYS);
	assert_int_equal(health_streak_note(&streak, true, false, &checks), HEALTH_RISES);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(errors_in_a_row_eject),
		TEST(a_connection_made_forgives_refusals_only),
		TEST(only_configured_statuses_are_errors),
		TEST(each_time_is_longer_up_to_a_limit),
		TEST(who_is_out_is_not_ejected_again_by_old_requests),
		TEST(who_comes_back_is_tried_with_a_few_requests),
		TEST(one_failure_on_trial_ejects_again),
		TEST(only_a_share_may_be_out),
		TEST(one_may_always_be_out_unless_none_may),
		TEST(in_a_panic_health_is_ignored),
		TEST(where_a_backup_is_well_is_no_panic),
		TEST(success_in_a_panic_ends_it),
		TEST(places_that_are_nowhere_do_not_count),
		TEST(another_address_is_another_server),
		TEST(who_is_much_slower_for_a_while_is_ejected),
		TEST(a_short_slowness_is_none),
		TEST(few_responses_or_few_peers_prove_nothing),
		TEST(what_harms_nobody_is_not_slow),
		TEST(an_average_follows),
		TEST(who_was_not_waited_for_is_slow_at_least_so_far),
		TEST(checks_in_a_row_decide),
		TEST(the_first_check_decides_alone),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
