// SPDX-License-Identifier: BSD-2-Clause
/* From the addresses of a name to its places. An address here is a number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "proxy/upstream/care/resolve_set.h"
#include "proxy/upstream/server/health.h"

enum { PLACES = 4, ADDRESSES = 16 };

static struct config_server configs[PLACES];
static struct config_upstream config;
static struct server places[PLACES];
static struct health health;
static uint32_t arrivals;

static int begin(void **state)
{
	(void)state;
	memset(places, 0, sizeof(places));
	arrivals = 0;
	for (int i = 0; i < PLACES; i++)
		configs[i] = (struct config_server){.host = (char *)"app.internal",
						    .address = (char *)"app.internal:80",
						    .port = 80,
						    .slot = (uint16_t)i};
	config = (struct config_upstream){.name = (char *)"app", .servers = configs};
	health_init(&health, &config, places, PLACES);
	return 0;
}

static void arrive(struct server *server, uint64_t now_ns)
{
	assert_int_equal(now_ns, 7);
	health_arrive(server, now_ns);
	arrivals++;
}

/* @digits: "15" are the addresses 1 and 5. */
static struct resolve_change assign(const char *digits)
{
	struct fw_addr addresses[ADDRESSES] = {0};
	uint32_t count = (uint32_t)strlen(digits);

	for (uint32_t i = 0; i < count; i++)
		addresses[i].word[3] = (uint32_t)digits[i];
	return resolve_assign(places, PLACES, addresses, count, arrive, 7);
}

/* What the places are: "1.5." */
static void expect(const char *digits)
{
	struct fw_addr address;
	char found[PLACES + 1] = "";
	uint16_t port;

	for (int i = 0; i < PLACES; i++)
		found[i] =
			server_address(&places[i], &address, &port) ? (char)address.word[3] : '.';
	assert_string_equal(found, digits);
}

static void a_name_is_nowhere_until_it_is_resolved(void **state)
{
	(void)state;
	expect("....");
	for (int i = 0; i < PLACES; i++) {
		assert_false(server_is_there(&places[i]));
		assert_false(server_is_up(&places[i], 0));
	}
	assign("12");
	expect("12..");
	assert_true(server_is_up(&places[0], 7));
	assert_int_equal(atomic_load(&places[0].up_since_ns), 0); /* from the beginning */
}

static void who_stays_keeps_its_place(void **state)
{
	struct resolve_change change;
	unsigned int version;

	(void)state;
	assign("123");
	version = server_version(&places[2]);
	change = assign("34");
	expect("4.3.");
	assert_int_equal(change.arrived, 1);
	assert_int_equal(change.left, 2);
	assert_int_equal(server_version(&places[2]), version);
	assert_int_equal(arrivals, 4);
	assert_int_equal(atomic_load(&places[0].up_since_ns), 7);
}

static void the_same_again_changes_nothing(void **state)
{
	struct resolve_change change;

	(void)state;
	assign("123");
	change = assign("312");
	expect("123.");
	assert_int_equal(change.arrived + change.left + change.left_out, 0);
}

static void a_newcomer_takes_a_place_that_nobody_is_connected_through(void **state)
{
	(void)state;
	assign("1234");
	atomic_store(&places[0].open, 3); /* 1 has connections still */
	assign("34");
	expect("..34");
	assign("345");
	expect(".534");
	assign("3456"); /* there is no other place: those connections are astray, and end */
	expect("6534");
}

static void all_may_change_at_once(void **state)
{
	struct resolve_change change;

	(void)state;
	assign("1234");
	change = assign("5678");
	expect("5678");
	assert_int_equal(change.arrived, 4);
	assert_int_equal(change.left, 4);
	assert_int_equal(change.left_out, 0);
}

static void what_there_is_no_place_for_is_left_out(void **state)
{
	struct resolve_change change;

	(void)state;
	change = assign("123456789");
	expect("1234");
	assert_int_equal(change.left_out, 5);
	/* In whatever order they come, those that are there stay. */
	change = assign("987654321");
	expect("1234");
	assert_int_equal(change.arrived, 0);
	change = assign("98765");
	expect("9876");
	assert_int_equal(change.left_out, 1);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_name_is_nowhere_until_it_is_resolved),
		TEST(who_stays_keeps_its_place),
		TEST(the_same_again_changes_nothing),
		TEST(a_newcomer_takes_a_place_that_nobody_is_connected_through),
		TEST(all_may_change_at_once),
		TEST(what_there_is_no_place_for_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
