// SPDX-License-Identifier: BSD-2-Clause
/* Who may make how many requests; the pacer itself is tested through test_gate.c too. */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "proxy/guard/quota.h"

enum { WEB = 1, API = 2 };
#define START (1000 * CLOCK_SEC)

static struct pacer *pacer;
static struct live live;
static uint64_t wait_ns;

static int begin(void **state)
{
	(void)state;
	memset(&live, 0, sizeof(live));
	live.value[FW_SET_SOURCE_REQUEST_RATE] = 10;
	live.value[FW_SET_SOURCE_REQUEST_BURST] = 20;
	live.value[FW_SET_PREFIX_REQUEST_BURST] = 1;
	pacer = pacer_create();
	return pacer ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	pacer_free(pacer);
	return 0;
}

static struct fw_addr v4(uint32_t number)
{
	return (struct fw_addr){{0, 0, htobe32(0xffff), htobe32(number)}};
}

static enum fw_verdict ask(uint32_t service, uint32_t source, uint64_t at_ns)
{
	struct fw_addr addr = v4(source);

	return quota_judge(pacer, &live, service, &addr, at_ns, &wait_ns);
}

static void a_burst_then_the_rate(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		assert_int_equal(ask(WEB, 1, START), FW_NONE);
	assert_int_equal(ask(WEB, 1, START), FW_SOURCE_REQUEST_RATE);
	assert_int_equal(wait_ns, CLOCK_SEC / 10);
	assert_int_equal(ask(WEB, 1, START + wait_ns - 1), FW_SOURCE_REQUEST_RATE);
	assert_int_equal(wait_ns, 1);
	assert_int_equal(ask(WEB, 1, START + CLOCK_SEC / 10), FW_NONE);
	assert_int_equal(ask(WEB, 2, START), FW_NONE);
	assert_int_equal(ask(API, 1, START), FW_NONE);
}

static void no_rate_no_limit(void **state)
{
	(void)state;
	live.value[FW_SET_SOURCE_REQUEST_RATE] = 0;
	for (int i = 0; i < 10000; i++)
		assert_int_equal(ask(WEB, 1, START), FW_NONE);
}

static void sources_of_a_prefix_share_its_rate(void **state)
{
	(void)state;
	live.value[FW_SET_PREFIX_REQUEST_RATE] = 1;
	live.value[FW_SET_PREFIX_REQUEST_BURST] = 30;
	for (uint32_t i = 0; i < 30; i++)
		assert_int_equal(ask(WEB, 0x0a000000 + i, START), FW_NONE);
	assert_int_equal(ask(WEB, 0x0a000040, START), FW_PREFIX_REQUEST_RATE);
	assert_int_equal(wait_ns, CLOCK_SEC);
	assert_int_equal(ask(WEB, 0x0a000140, START), FW_NONE);
}

/* Whose refusals alone are a flood is cut off, for as long as it goes on. */
static void a_flood_is_told_from_an_excess(void **state)
{
	int refused = 0;

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_int_equal(ask(WEB, 1, START), FW_NONE);
	while (ask(WEB, 1, START) == FW_SOURCE_REQUEST_RATE)
		refused++;
	assert_int_equal(refused, QUOTA_FLOOD * 20);
	assert_int_equal(ask(WEB, 1, START), FW_REQUEST_FLOOD);
	assert_int_equal(ask(WEB, 2, START), FW_NONE);
	/* Who makes twice as many as he may is told so for ever. */
	for (uint64_t ms = 0; ms < 60000; ms += 50)
		assert_int_not_equal(ask(WEB, 3, START + ms * CLOCK_MS), FW_REQUEST_FLOOD);
}

/* A flood from somewhere else in the prefix is nobody else's flood. */
static void an_exceeded_prefix_cuts_nobody_off(void **state)
{
	(void)state;
	live.value[FW_SET_PREFIX_REQUEST_RATE] = 1;
	assert_int_equal(ask(WEB, 0x0a000000, START), FW_NONE);
	for (uint32_t i = 1; i < 1000; i++)
		assert_int_equal(ask(WEB, 0x0a000000 + i % 200, START + i * CLOCK_MS / 2),
				 FW_PREFIX_REQUEST_RATE);
	/* Nor is its own excess, where nothing is said of sources. */
	live.value[FW_SET_SOURCE_REQUEST_RATE] = 0;
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(ask(WEB, 0x0a000001, START + CLOCK_SEC / 2),
				 FW_PREFIX_REQUEST_RATE);
}

static void a_quota_says_what_the_rate_allows(void **state)
{
	struct quota quota = quota_of(&live, FW_SOURCE_REQUEST_RATE);

	(void)state;
	assert_string_equal(quota.policy, "source");
	assert_int_equal(quota.requests, 20);
	assert_int_equal(quota.seconds, 2);
	live.value[FW_SET_PREFIX_REQUEST_RATE] = 100;
	live.value[FW_SET_PREFIX_REQUEST_BURST] = 10; /* in less than a second */
	quota = quota_of(&live, FW_PREFIX_REQUEST_RATE);
	assert_string_equal(quota.policy, "prefix");
	assert_int_equal(quota.requests, 100);
	assert_int_equal(quota.seconds, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_burst_then_the_rate, begin, end),
		cmocka_unit_test_setup_teardown(no_rate_no_limit, begin, end),
		cmocka_unit_test_setup_teardown(sources_of_a_prefix_share_its_rate, begin, end),
		cmocka_unit_test_setup_teardown(a_flood_is_told_from_an_excess, begin, end),
		cmocka_unit_test_setup_teardown(an_exceeded_prefix_cuts_nobody_off, begin, end),
		cmocka_unit_test_setup_teardown(a_quota_says_what_the_rate_allows, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
