/* SPDX-License-Identifier: BSD-2-Clause */
/* What the proxy complains of, and what the filter is told of it. */
#include <signal.h>
#include <sys/wait.h>
#include "../../wall/world.h"
#include "base/clock.h"
#include "proxy/guard/complaints.h"
#include "supervisor/duties/complaints.h"

enum { WORKER = 3 };

/* A service of that kind. */
static uint32_t service(struct wall *wall, const char *name, enum fw_service_kind kind)
{
	int id = wall_service_put(wall, name, kind, NULL, 0, &error);

	must(id);
	return (uint32_t)id;
}

/* Whether somebody has to be told of it. */
static bool complain(struct wall *wall, const char *source, uint32_t service, uint64_t until_ns)
{
	struct fw_addr from = addr(source);

	return complaints_add(&wall_complaints(wall)[WORKER], &from, service, until_ns);
}

/* Seconds for which @source is shut out, to the tick. */
static double shut_s(struct wall *wall, const char *source, uint32_t service, uint64_t now_ns)
{
	struct fw_addr from = addr(source);
	uint64_t until_ns = wall_shut_until(wall, &from, service);

	return until_ns > now_ns ? (double)(until_ns - now_ns) / CLOCK_SEC : 0;
}

static void whoever_is_complained_of_is_shut_out(void **state)
{
	struct wall *wall = wall_of(state);
	uint32_t web = service(wall, "web", FW_SERVICE_LISTENER);
	uint32_t mail = service(wall, "mail", FW_SERVICE_LISTENER);
	struct complaints_read read = {0};
	uint64_t now = clock_now_ns();

	assert_false(complaints_follow(wall, &read, now));
	assert_int_equal(wall_shut_count(wall, now), 0);
	complain(wall, "192.0.2.1", web, now + 10 * CLOCK_SEC);
	complain(wall, "2001:db8::1", web, now + 20 * CLOCK_SEC);
	assert_true(complaints_follow(wall, &read, now));
	assert_false(complaints_follow(wall, &read, now));
	assert_true(shut_s(wall, "192.0.2.1", web, now) > 9.9);
	assert_true(shut_s(wall, "192.0.2.1", web, now) <= 10);
	assert_true(shut_s(wall, "2001:db8::ffff", web, now) > 19.9);
	assert_true(shut_s(wall, "192.0.2.2", web, now) == 0);
	assert_true(shut_s(wall, "192.0.2.1", mail, now) == 0);
	assert_int_equal(wall_shut_count(wall, now), 2);
	assert_int_equal(wall_shut_count(wall, now + 15 * CLOCK_SEC), 1);
	/* The filter looks until then. */
	assert_true(wall->meta->shut_ns >= now + 20 * CLOCK_SEC);
	/* Another complaint is another time, in the same place. */
	complain(wall, "192.0.2.1", web, now + 30 * CLOCK_SEC);
	complaints_follow(wall, &read, now);
	assert_true(shut_s(wall, "192.0.2.1", web, now) > 29.9);
	assert_int_equal(wall_shut_count(wall, now), 2);
}

/* The proxy may be under somebody else's control. */
static void what_the_proxy_has_no_say_in_is_ignored(void **state)
{
	struct wall *wall = wall_of(state);
	uint32_t web = service(wall, "web", FW_SERVICE_LISTENER);
	uint32_t ssh = service(wall, "ssh", FW_SERVICE_PLAIN);
	struct complaints_read read = {0};
	uint64_t now = clock_now_ns();

	must(wall_set(wall, web, FW_SET_SOURCE_EXCLUSION, 40000, &error));
	complain(wall, "192.0.2.1", ssh, now + CLOCK_SEC);
	complain(wall, "192.0.2.2", FW_HOST_SERVICE, now + CLOCK_SEC);
	complain(wall, "192.0.2.3", FW_SERVICES_MAX - 1, now + CLOCK_SEC);
	complain(wall, "192.0.2.4", UINT32_MAX, now + CLOCK_SEC);
	complain(wall, "192.0.2.5", web, now - CLOCK_SEC);
	complaints_follow(wall, &read, now);
	assert_int_equal(wall_shut_count(wall, now), 0);
	/* For no longer than an operator would have it. */
	complain(wall, "192.0.2.6", web, UINT64_MAX);
	complaints_follow(wall, &read, now);
	assert_true(shut_s(wall, "192.0.2.6", web, now) > 39.9);
	assert_true(shut_s(wall, "192.0.2.6", web, now) <= 40);
	/* Nor by a count that can't be. */
	wall_complaints(wall)[WORKER].written = UINT64_MAX;
	complaints_follow(wall, &read, now);
	wall_complaints(wall)[WORKER].written = 7;
	complaints_follow(wall, &read, now);
}

static void nobody_is_woken_who_is_about_to_look(void **state)
{
	struct wall *wall = wall_of(state);
	uint32_t web = service(wall, "web", FW_SERVICE_LISTENER);
	struct complaints_read read = {0};
	uint64_t now = clock_now_ns();

	complaints_follow(wall, &read, now);
	assert_true(complain(wall, "192.0.2.1", web, now + CLOCK_SEC));
	for (int i = 0; i < 2 * FW_COMPLAINTS; i++)
		assert_false(complain(wall, "192.0.2.2", web, now + CLOCK_SEC));
	assert_true(complaints_follow(wall, &read, now));
	assert_true(complain(wall, "192.0.2.3", web, now + CLOCK_SEC));
	assert_false(complain(wall, "192.0.2.3", web, now + CLOCK_SEC));
	/* Another supervisor has not read any of them, and nobody is told again. */
	read = (struct complaints_read){0};
	assert_true(complaints_follow(wall, &read, now));
	assert_false(complaints_follow(wall, &read, now));
	assert_true(complain(wall, "192.0.2.4", web, now + CLOCK_SEC));
}

static void of_too_many_the_newest_are_followed(void **state)
{
	struct wall *wall = wall_of(state);
	uint32_t web = service(wall, "web", FW_SERVICE_LISTENER);
	struct complaints_read read = {0};
	uint64_t now = clock_now_ns();
	char text[32];

	for (int i = 0; i < 3 * FW_COMPLAINTS; i++) {
		snprintf(text, sizeof(text), "10.0.%d.%d", i >> 8, i & 255);
		complain(wall, text, web, now + 10 * CLOCK_SEC);
	}
	complaints_follow(wall, &read, now);
	assert_true(shut_s(wall, text, web, now) > 9);
	assert_true(shut_s(wall, "10.0.0.0", web, now) == 0);
	assert_int_equal(wall_shut_count(wall, now), FW_COMPLAINTS - 1);
}

/* What the filter reads the proxy, which is forked, could not write if it would. */
static void a_child_has_no_way_to_write(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_addr source = addr("192.0.2.1");
	int status;
	pid_t pid;

	must(wall_shut(wall, &source, 1, clock_now_ns() + CLOCK_SEC, &error));
	pid = fork();
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		wall->shut_writing[0].slot[0] = 0;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WALL_TEST(whoever_is_complained_of_is_shut_out),
		WALL_TEST(what_the_proxy_has_no_say_in_is_ignored),
		WALL_TEST(nobody_is_woken_who_is_about_to_look),
		WALL_TEST(of_too_many_the_newest_are_followed),
		WALL_TEST(a_child_has_no_way_to_write),
	};

	return cmocka_run_group_tests(tests, make_world, end_world);
}
