/* SPDX-License-Identifier: BSD-2-Clause */
/* Whose connections end for cause again and again, and what that means to the next one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "proxy/guard/conduct.h"

enum { WEB = 1, MAIL = 2, BORNE = 10 };
#define START (1000 * CLOCK_SEC)
#define FAULT (2 * CLOCK_SEC)
#define MOST  (30 * CLOCK_SEC)

static const struct conduct_terms terms = {FAULT, BORNE *FAULT, MOST};

static struct fw_addr v4(uint32_t number)
{
	return (struct fw_addr){{0, 0, htobe32(0xffff), htobe32(number)}};
}

static struct fw_addr v6(uint32_t subnet, uint32_t host)
{
	return (struct fw_addr){{htobe32(0x20010db8), htobe32(subnet), 0, htobe32(host)}};
}

/* Seconds for which it is kept out. */
static double shut_s(struct conduct *conduct, struct fw_addr source, uint32_t service, uint64_t now)
{
	uint64_t until = conduct_shut_until(conduct, &source, service, terms, now);

	return until ? (double)(until - now) / CLOCK_SEC : 0;
}

static void blame(struct conduct *conduct, struct fw_addr source, uint32_t faults, uint64_t now)
{
	conduct_blame(conduct, &source, WEB, terms, faults * CONDUCT_FAULT, now);
}

static void test_some_faults_are_borne_and_time_forgives(void **state)
{
	struct conduct *conduct = conduct_create();
	struct fw_addr source = v4(1);

	(void)state;
	for (int i = 0; i < BORNE; i++)
		assert_int_equal(conduct_blame(conduct, &source, WEB, terms, CONDUCT_FAULT, START),
				 0);
	assert_true(shut_s(conduct, source, WEB, START) == 0);
	assert_int_equal(conduct_blame(conduct, &source, WEB, terms, CONDUCT_FAULT, START),
			 START + FAULT);
	assert_true(shut_s(conduct, source, WEB, START) == 2);
	assert_true(shut_s(conduct, source, WEB, START + CLOCK_SEC) == 1);
	assert_true(shut_s(conduct, source, WEB, START + FAULT) == 0);
	/* One is forgiven in each time of a fault, and no more. */
	for (uint64_t i = 1; i < 20; i++) {
		assert_true(shut_s(conduct, source, WEB, START + i * FAULT) == 0);
		blame(conduct, source, 1, START + i * FAULT);
		assert_true(shut_s(conduct, source, WEB, START + i * FAULT) == 2);
	}
	conduct_free(conduct);
}

static void test_faults_are_known_until_they_are_forgiven(void **state)
{
	struct conduct *conduct = conduct_create();
	struct fw_addr source = v4(1);

	(void)state;
	assert_false(conduct_has_faults(conduct, &source, WEB, START));
	blame(conduct, source, 2, START);
	assert_true(conduct_has_faults(conduct, &source, WEB, START));
	assert_false(conduct_has_faults(conduct, &source, MAIL, START));
	assert_true(conduct_has_faults(conduct, &source, WEB, START + 2 * FAULT - 1));
	assert_false(conduct_has_faults(conduct, &source, WEB, START + 2 * FAULT));
	conduct_free(conduct);
}

/* Who asks whether more than a quarter is left asks for a quarter of a fault's time later. */
static void test_parts_of_a_fault_are_known_for_a_part_of_its_time(void **state)
{
	struct conduct *conduct = conduct_create();
	struct fw_addr source = v4(1);

	(void)state;
	conduct_blame(conduct, &source, WEB, terms, 2 * CONDUCT_MISUSE, START);
	assert_true(conduct_has_faults(conduct, &source, WEB, START + FAULT / 4 - 1));
	assert_false(conduct_has_faults(conduct, &source, WEB, START + FAULT / 4));
	conduct_blame(conduct, &source, WEB, terms, CONDUCT_MISUSE, START);
	assert_true(conduct_has_faults(conduct, &source, WEB, START + FAULT / 4));
	conduct_free(conduct);
}

static void test_the_more_the_longer_up_to_a_limit(void **state)
{
	struct conduct *conduct = conduct_create();
	struct fw_addr source = v4(1);

	(void)state;
	blame(conduct, source, BORNE + 4, START);
	assert_true(shut_s(conduct, source, WEB, START) == 8);
	blame(conduct, source, 1, START);
	assert_true(shut_s(conduct, source, WEB, START) == 10);
	blame(conduct, source, 100000, START);
	assert_true(shut_s(conduct, source, WEB, START) == 30);
	blame(conduct, source, 1, START + MOST / 2);
	assert_true(shut_s(conduct, source, WEB, START + MOST / 2) == 17);
	assert_true(shut_s(conduct, source, WEB, START + 2 * MOST) == 0);
	conduct_free(conduct);
}

/* Many behind one address: who is served speaks for it. */
static void test_a_good_end_forgives_but_nothing_ahead(void **state)
{
	struct conduct *conduct = conduct_create();
	struct fw_addr source = v4(1), other = v4(2);

	(void)state;
	for (int i = 0; i < 1000; i++) {
		blame(conduct, source, CONDUCT_PRAISE_FAULTS, START);
		conduct_praise(conduct, &source, WEB, terms, START);
		assert_true(shut_s(conduct, source, WEB, START) == 0);
	}
	/* A thousand good ends before are no credit. */
	for (int i = 0; i < 1000; i++)
		conduct_praise(conduct, &other, WEB, terms, START);
	blame(conduct, other, BORNE + 1, START);
	assert_true(shut_s(conduct, other, WEB, START) == 2);
	/* One afterwards lets it in again. */
	conduct_praise(conduct, &other, WEB, terms, START);
	assert_true(shut_s(conduct, other, WEB, START) == 0);
	conduct_free(conduct);
}

static void test_nobody_pays_for_another(void **state)
{
	struct conduct *conduct = conduct_create();

	(void)state;
	blame(conduct, v4(1), 1000, START);
	blame(conduct, v6(1, 1), 1000, START);
	assert_true(shut_s(conduct, v4(2), WEB, START) == 0);
	assert_true(shut_s(conduct, v4(1), MAIL, START) == 0);
	assert_true(shut_s(conduct, v6(2, 1), WEB, START) == 0);
	/* But a whole /64 is one source. */
	assert_true(shut_s(conduct, v6(1, 2), WEB, START) > 0);
	conduct_free(conduct);
}

/* However many there are: honest ones among them have no record, and the worst keep theirs. */
static void test_more_sources_than_records(void **state)
{
	struct conduct *conduct = conduct_create();

	(void)state;
	blame(conduct, v4(1), 1000, START);
	for (uint32_t i = 0; i < 200000; i++)
		blame(conduct, v4(1000 + i), 1, START);
	assert_true(shut_s(conduct, v4(1), WEB, START) == 30);
	for (uint32_t i = 0; i < 100000; i++)
		assert_true(shut_s(conduct, v4(1000000 + i), WEB, START) == 0);
	conduct_free(conduct);
}

static void test_what_counts_as_a_fault(void **state)
{
	(void)state;
	assert_int_equal(conduct_parts_of(FW_NONE, true), 0);
	assert_int_equal(conduct_parts_of(FW_DONE, true), 0);
	assert_int_equal(conduct_parts_of(FW_NO_ROUTE, true), 0);
	assert_int_equal(conduct_parts_of(FW_EVICTED_IDLE, true), 0);
	assert_int_equal(conduct_parts_of(FW_SOURCE_CONDUCT, true), 0);
	assert_int_equal(conduct_parts_of(FW_HEADER_TIMEOUT, false), 0);
	assert_int_equal(conduct_parts_of(FW_HEADER_TIMEOUT, true), CONDUCT_FAULT);
	assert_int_equal(conduct_parts_of(FW_HTTP2_RESETS, false),
			 CONDUCT_ABUSE_FAULTS * CONDUCT_FAULT);
	assert_int_equal(conduct_parts_of(FW_TARGET_TOO_LONG, false), CONDUCT_MISUSE);
	assert_int_equal(conduct_parts_of(FW_TARGET_TOO_LONG, true), CONDUCT_MISUSE);
	/* Nothing that is no refusal is held against anybody. */
	for (int i = 0; i < FW_VERDICT_COUNT; i++)
		assert_true(verdict_rows[i].fault == FAULT_NONE ||
			    verdict_rows[i].action == FW_ACTION_REFUSE);
}

/* Eight of them are a fault: a browser whose cookies are too large asks for a page and all that is
 * in it, and who asks without end has soon asked too often. */
static void test_misuse_is_borne_for_longer(void **state)
{
	struct conduct *conduct = conduct_create();
	struct fw_addr source = v4(1), slow = v4(2);
	uint64_t now = START;

	(void)state;
	for (int i = 0; i < BORNE * CONDUCT_FAULT; i++)
		assert_int_equal(conduct_blame(conduct, &source, WEB, terms, CONDUCT_MISUSE, START),
				 0);
	assert_int_equal(conduct_blame(conduct, &source, WEB, terms, CONDUCT_MISUSE, START),
			 START + FAULT);
	/* And whoever is back at once has to wait as long again. */
	assert_int_equal(conduct_blame(conduct, &source, WEB, terms, CONDUCT_MISUSE, START + FAULT),
			 START + 2 * FAULT);
	/* Four a second is what is forgiven of a fault in two seconds. */
	for (int i = 0; i < 1000; i++) {
		now += CLOCK_SEC / 4;
		assert_true(shut_s(conduct, slow, WEB, now) == 0);
		conduct_blame(conduct, &slow, WEB, terms, CONDUCT_MISUSE, now);
	}
	conduct_free(conduct);
}

static void test_terms_follow_the_settings(void **state)
{
	struct conduct *conduct = conduct_create();
	struct fw_addr source = v4(1);
	struct live live = {0};
	struct conduct_terms calm, short_of;

	(void)state;
	live.value[FW_SET_SOURCE_FAULTS] = 20;
	live.value[FW_SET_SOURCE_FAULT_TIME] = 5000;
	live.value[FW_SET_SOURCE_EXCLUSION] = 60000;
	calm = conduct_terms_of(&live, false);
	short_of = conduct_terms_of(&live, true);
	conduct_blame(conduct, &source, WEB, calm, 10 * CONDUCT_FAULT, START);
	assert_int_equal(conduct_shut_until(conduct, &source, WEB, calm, START), 0);
	/* A fifth is borne under overload, and what was done before counts. */
	assert_int_equal(conduct_shut_until(conduct, &source, WEB, short_of, START),
			 START + 30 * CLOCK_SEC);
	/* 0 faults: nothing is held against anybody, from this moment on. */
	live.value[FW_SET_SOURCE_FAULTS] = 0;
	calm = conduct_terms_of(&live, false);
	conduct_blame(conduct, &source, WEB, conduct_terms_of(&live, true), 1000 * CONDUCT_FAULT,
		      START);
	assert_int_equal(conduct_shut_until(conduct, &source, WEB, calm, START), 0);
	conduct_free(conduct);
}

/* Even where few are: else each who is refused for his form would be kept out at once. */
static void test_one_fault_is_borne_under_overload(void **state)
{
	struct conduct *conduct = conduct_create();
	struct live live = {0};
	struct conduct_terms short_of;

	(void)state;
	live.value[FW_SET_SOURCE_FAULT_TIME] = 5000;
	live.value[FW_SET_SOURCE_EXCLUSION] = 60000;
	for (uint32_t faults = 1; faults < 40; faults++) {
		struct fw_addr source = v4(faults);
		uint32_t borne = faults < 10 ? 1 : faults / 5;

		live.value[FW_SET_SOURCE_FAULTS] = faults;
		short_of = conduct_terms_of(&live, true);
		assert_int_equal(conduct_blame(conduct, &source, WEB, short_of,
					       borne * CONDUCT_FAULT, START),
				 0);
		assert_int_equal(
			conduct_blame(conduct, &source, WEB, short_of, CONDUCT_FAULT, START),
			START + 5 * CLOCK_SEC);
	}
	conduct_free(conduct);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_some_faults_are_borne_and_time_forgives),
		cmocka_unit_test(test_faults_are_known_until_they_are_forgiven),
		cmocka_unit_test(test_parts_of_a_fault_are_known_for_a_part_of_its_time),
		cmocka_unit_test(test_the_more_the_longer_up_to_a_limit),
		cmocka_unit_test(test_a_good_end_forgives_but_nothing_ahead),
		cmocka_unit_test(test_nobody_pays_for_another),
		cmocka_unit_test(test_more_sources_than_records),
		cmocka_unit_test(test_what_counts_as_a_fault),
		cmocka_unit_test(test_misuse_is_borne_for_longer),
		cmocka_unit_test(test_terms_follow_the_settings),
		cmocka_unit_test(test_one_fault_is_borne_under_overload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
