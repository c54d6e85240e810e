/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may begin a handshake, and how many at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "contract/address.h"
#include "proxy/guard/gate.h"

enum { WEB = 1, MAIL = 2 };
#define START (1000 * CLOCK_SEC)

static struct live limits(uint64_t each, uint64_t burst, uint64_t all, uint64_t all_burst)
{
	struct live live = {0};

	live.value[FW_SET_SOURCE_HANDSHAKE_RATE] = each;
	live.value[FW_SET_SOURCE_HANDSHAKE_BURST] = burst;
	live.value[FW_SET_HANDSHAKE_RATE] = all;
	live.value[FW_SET_HANDSHAKE_BURST] = all_burst;
	return live;
}

static struct fw_addr v4(uint32_t number)
{
	return (struct fw_addr){{0, 0, htobe32(0xffff), htobe32(number)}};
}

static struct fw_addr v6(uint32_t subnet, uint32_t host)
{
	return (struct fw_addr){{htobe32(0x20010db8), htobe32(subnet), 0, htobe32(host)}};
}

/* How many of @count attempts at @now pass. */
static int admitted(struct gate *gate, const struct live *live, uint32_t service,
		    struct fw_addr source, int count, uint64_t now)
{
	int passed = 0;

	for (int i = 0; i < count; i++)
		passed += gate_judge(gate, live, service, &source, false, now) == FW_NONE;
	return passed;
}

static void test_a_burst_then_the_rate(void **state)
{
	struct live live = limits(10, 20, 0, 1);
	struct gate *gate = gate_create();
	struct fw_addr source = v4(1);

	(void)state;
	assert_int_equal(admitted(gate, &live, WEB, source, 100, START), 20);
	assert_int_equal(gate_judge(gate, &live, WEB, &source, false, START),
			 FW_SOURCE_HANDSHAKE_RATE);
	assert_int_equal(gate_judge(gate, &live, WEB, NULL, false, START), FW_NONE); /* exempt */
	for (int second = 1; second < 5; second++)
		assert_int_equal(admitted(gate, &live, WEB, source, 100,
					  START + (uint64_t)second * CLOCK_SEC),
				 10);
	/* Idle, it may have the burst again, and no more. */
	assert_int_equal(admitted(gate, &live, WEB, source, 100, START + 3600 * CLOCK_SEC), 20);
	gate_free(gate);
}

static void test_sources_and_services_have_rates_of_their_own(void **state)
{
	struct live live = limits(1, 5, 0, 1);
	struct gate *gate = gate_create();

	(void)state;
	assert_int_equal(admitted(gate, &live, WEB, v4(1), 50, START), 5);
	assert_int_equal(admitted(gate, &live, WEB, v4(2), 50, START), 5);
	assert_int_equal(admitted(gate, &live, MAIL, v4(1), 50, START), 5);
	gate_free(gate);
}

static void test_an_ipv6_source_is_its_64(void **state)
{
	struct live live = limits(1, 5, 0, 1);
	struct gate *gate = gate_create();
	int passed = 0;

	(void)state;
	for (uint32_t host = 0; host < 50; host++)
		passed += admitted(gate, &live, WEB, v6(1, host), 1, START);
	assert_int_equal(passed, 5);
	assert_int_equal(admitted(gate, &live, WEB, v6(2, 0), 50, START), 5);
	gate_free(gate);
}

static void test_all_together_have_a_rate(void **state)
{
	struct live live = limits(0, 1, 100, 50);
	struct gate *gate = gate_create();
	struct fw_addr source = v4(1000);
	int passed = 0;

	(void)state;
	for (uint32_t i = 0; i < 500; i++)
		passed += admitted(gate, &live, WEB, v4(i), 1, START);
	assert_int_equal(passed, 50);
	assert_int_equal(gate_judge(gate, &live, WEB, &source, false, START), FW_HANDSHAKE_RATE);
	assert_int_equal(admitted(gate, &live, MAIL, source, 1, START), 1);
	gate_free(gate);
}

static void test_a_thousand_crowd_nobody_out(void **state)
{
	struct live live = limits(1, 5, 0, 1);
	struct gate *gate = gate_create();
	int passed = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		admitted(gate, &live, WEB, v4(i), 20, START);
	for (uint32_t i = 100000; i < 101000; i++)
		passed += admitted(gate, &live, WEB, v4(i), 1, START);
	assert_true(passed > 995);
	gate_free(gate);
}

/* Who comes back with a handshake every time that he had to go. */
static void test_under_overload_a_source_has_a_part_of_its_rate(void **state)
{
	struct live live = limits(32, 160, 0, 1);
	struct gate *gate = gate_create();
	struct fw_addr source = v4(1), other = v4(2);
	uint64_t later = START + CLOCK_SEC;
	int passed = 0;

	(void)state;
	assert_int_equal(0, gate_wait(gate, &live, WEB, &source, START));
	for (int i = 0; i < 100; i++)
		passed += gate_judge(gate, &live, WEB, &source, true, START) == FW_NONE;
	assert_int_equal(passed, 10);
	assert_int_not_equal(0, gate_wait(gate, &live, WEB, &source, START));
	assert_int_equal(0, gate_wait(gate, &live, WEB, &other, START));
	/* To ask charges nothing: the two of this second are there. */
	assert_int_equal(0, gate_wait(gate, &live, WEB, &source, later));
	assert_int_equal(gate_judge(gate, &live, WEB, &source, true, later), FW_NONE);
	assert_int_equal(gate_judge(gate, &live, WEB, &source, true, later), FW_NONE);
	assert_int_equal(gate_judge(gate, &live, WEB, &source, true, later),
			 FW_SOURCE_HANDSHAKE_RATE);
	/* And when it is over it has its rate again. */
	passed = 0;
	for (uint64_t ms = 0; ms < 1000; ms++)
		passed += gate_judge(gate, &live, WEB, &source, false, later + ms * CLOCK_MS) ==
			  FW_NONE;
	assert_in_range(passed, 30, 32);
	gate_free(gate);
}

static void test_an_edit_counts_at_once(void **state)
{
	struct live slow = limits(1, 1000, 0, 1), fast = limits(1000, 10, 0, 1),
		    none = limits(0, 1, 0, 1);
	struct gate *gate = gate_create();

	(void)state;
	assert_int_equal(admitted(gate, &slow, WEB, v4(1), 2000, START), 1000);
	/* Its cell lies 1,000 seconds ahead; under the new limit none may. */
	assert_int_equal(admitted(gate, &fast, WEB, v4(1), 2000, START + CLOCK_SEC), 0);
	assert_true(admitted(gate, &fast, WEB, v4(1), 20, START + 2 * CLOCK_SEC) > 0);
	assert_int_equal(admitted(gate, &none, WEB, v4(1), 2000, START), 2000);
	gate_free(gate);
}

static void test_connections_come_in_a_burst_and_then_slowly(void **state)
{
	struct gate *gate = gate_create();
	struct fw_addr source = v4(1), other = v4(2);
	uint64_t now_ns = START;

	(void)state;
	for (int i = 0; i < GATE_RETURNS_BURST; i++)
		assert_int_equal(gate_connection(gate, WEB, &source, now_ns), 0);
	assert_int_equal(gate_connection(gate, WEB, &source, now_ns), CLOCK_SEC);
	assert_int_equal(gate_connection(gate, MAIL, &source, now_ns), 0);
	assert_int_equal(gate_connection(gate, WEB, &other, now_ns), 0);
	now_ns += CLOCK_SEC;
	assert_int_equal(gate_connection(gate, WEB, &source, now_ns), 0);
	assert_true(gate_connection(gate, WEB, &source, now_ns) > 0);
	gate_free(gate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_burst_then_the_rate),
		cmocka_unit_test(test_sources_and_services_have_rates_of_their_own),
		cmocka_unit_test(test_an_ipv6_source_is_its_64),
		cmocka_unit_test(test_all_together_have_a_rate),
		cmocka_unit_test(test_a_thousand_crowd_nobody_out),
		cmocka_unit_test(test_under_overload_a_source_has_a_part_of_its_rate),
		cmocka_unit_test(test_an_edit_counts_at_once),
		cmocka_unit_test(test_connections_come_in_a_burst_and_then_slowly),
	};

	return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
