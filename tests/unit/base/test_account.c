// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/account.h"

enum {
	THREADS = 2,
	LIMIT = 10240 /* 160 are kept back */,
	CONNECTION_MOST = 3000,
	SOURCE_MOST = 4000,
	CONNECTIONS = 10
};

/* Hashes whose cells are apart. */
#define SOURCE(n) ((uint64_t)(n) << 16 | (uint64_t)(n))

static struct tally tallies[THREADS];
static struct pool_budget budgets[THREADS];
static struct ledger ledgers[THREADS];
static struct account accounts[CONNECTIONS];
static struct account *asked;
static enum shortage lacked;
static size_t given_back;

static bool relieve(struct account *account, enum shortage shortage, size_t bytes)
{
	asked = account;
	lacked = shortage;
	if (!given_back)
		return false;
	assert_true(given_back >= bytes);
	account_discharge(&accounts[0], given_back);
	return true;
}

static int begin(void **state)
{
	(void)state;
	memset(tallies, 0, sizeof(tallies));
	asked = NULL;
	given_back = 0;
	for (uint32_t i = 0; i < THREADS; i++) {
		budgets[i] = (struct pool_budget){.limit = LIMIT};
		ledgers[i] = (struct ledger){
			.budget = &budgets[i],
			.tallies = tallies,
			.thread = i,
			.threads = THREADS,
			.connection_most = CONNECTION_MOST,
			.source_most = SOURCE_MOST,
			.relieve = relieve,
		};
	}
	for (uint64_t i = 0; i < CONNECTIONS; i++)
		account_open(&accounts[i], &ledgers[0], SOURCE(i));
	return 0;
}

/* Everything that was charged has been discharged, everywhere. */
static void assert_all_is_zero(void)
{
	static const struct tally nothing[THREADS];

	assert_memory_equal(tallies, nothing, sizeof(tallies));
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(budgets[i].used, 0);
	for (int i = 0; i < CONNECTIONS; i++)
		assert_int_equal(accounts[i].held, 0);
}

static void a_connection_has_a_ceiling(void **state)
{
	(void)state;
	assert_true(account_charge(&accounts[1], CONNECTION_MOST));
	assert_false(account_charge(&accounts[1], 1));
	assert_int_equal(ledgers[0].shortage, SHORTAGE_CONNECTION);
	ledgers[0].connection_most = 0;
	assert_true(account_charge(&accounts[1], 1));
	account_discharge(&accounts[1], CONNECTION_MOST + 1);
	assert_all_is_zero();
}

static void connections_of_a_source_share_its_ceiling(void **state)
{
	(void)state;
	account_open(&accounts[2], &ledgers[0], SOURCE(1));
	assert_true(account_charge(&accounts[1], 2500));
	assert_false(account_charge(&accounts[2], SOURCE_MOST - 2500 + 1));
	assert_int_equal(ledgers[0].shortage, SHORTAGE_SOURCE);
	assert_true(account_charge(&accounts[3], 2500)); /* another source */
	assert_true(account_charge(&accounts[2], SOURCE_MOST - 2500));
	account_discharge(&accounts[1], 2500);
	account_discharge(&accounts[2], SOURCE_MOST - 2500);
	account_discharge(&accounts[3], 2500);
	assert_all_is_zero();
}

static void at_a_sources_ceiling_its_others_are_asked(void **state)
{
	(void)state;
	account_open(&accounts[2], &ledgers[0], SOURCE(1));
	account_open(&accounts[0], &ledgers[0], SOURCE(1));
	assert_true(account_charge(&accounts[0], 2500));
	assert_true(account_charge(&accounts[1], SOURCE_MOST - 2500));
	assert_false(account_charge(&accounts[2], 100));
	assert_ptr_equal(asked, &accounts[2]);
	assert_int_equal(lacked, SHORTAGE_SOURCE);
	assert_int_equal(ledgers[0].shortage, SHORTAGE_SOURCE);
	given_back = 2500;
	assert_true(account_charge(&accounts[2], 2500));
	asked = NULL;
	given_back = 0;
	assert_true(account_charge(&accounts[3], 2500)); /* nobody else is asked, nor asks */
	assert_null(asked);
	account_discharge(&accounts[1], SOURCE_MOST - 2500);
	account_discharge(&accounts[2], 2500);
	account_discharge(&accounts[3], 2500);
	assert_all_is_zero();
}

static void it_holds_for_all_threads_together(void **state)
{
	(void)state;
	account_open(&accounts[2], &ledgers[1], SOURCE(1));
	assert_true(account_charge(&accounts[1], 2500)); /* more than a thread's share */
	assert_true(account_charge(&accounts[2], 1500));
	assert_false(account_charge(&accounts[2], 600));
	assert_int_equal(ledgers[1].shortage, SHORTAGE_SOURCE);
	account_discharge(&accounts[1], 2500);
	assert_true(account_charge(&accounts[2], 600));
	account_discharge(&accounts[2], 2100);
	assert_all_is_zero();
}

/* PROXY protocol: who the source is turns out later. */
static void what_is_held_moves_to_another_source(void **state)
{
	(void)state;
	assert_true(account_charge(&accounts[1], 2000));
	account_assign(&accounts[1], SOURCE(5));
	assert_int_equal(tally_sum(tallies, THREADS, tally_place(SOURCE(1))), 0);
	assert_int_equal(tally_sum(tallies, THREADS, tally_place(SOURCE(5))), 2000);
	account_discharge(&accounts[1], 2000);
	assert_all_is_zero();
}

static void at_the_budgets_end_others_are_asked(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		assert_true(account_charge(&accounts[i], 2500));
	assert_true(account_charge(&accounts[5], 80));
	assert_false(account_charge(&accounts[5], 100));
	assert_ptr_equal(asked, &accounts[5]);
	assert_int_equal(lacked, SHORTAGE_MEMORY);
	assert_int_equal(ledgers[0].shortage, SHORTAGE_MEMORY);
	given_back = 2500;
	assert_true(account_charge(&accounts[5], 100));
	account_discharge(&accounts[5], 180);
	for (int i = 1; i < 4; i++)
		account_discharge(&accounts[i], 2500);
	assert_all_is_zero();
}

/* A ceiling that was lowered below what is held stops everybody, and nothing underflows. */
static void a_lowered_ceiling_counts(void **state)
{
	(void)state;
	assert_true(account_charge(&accounts[1], 2500));
	budgets[0].limit = 1024;
	assert_false(account_charge(&accounts[2], 1));
	account_discharge(&accounts[1], 2500);
	assert_true(account_charge(&accounts[2], 1024 - 1024 / ACCOUNT_KEEPS_BACK));
	assert_false(account_charge(&accounts[2], 1));
	account_discharge(&accounts[2], 1024 - 1024 / ACCOUNT_KEEPS_BACK);
	assert_all_is_zero();
}

static void objects_of_a_pool_are_charged_alike(void **state)
{
	struct pool pool;
	void *object;

	(void)state;
	pool_init(&pool, 1000, 4, &budgets[0]);
	object = account_take(&accounts[1], &pool);
	assert_non_null(object);
	assert_int_equal(accounts[1].held, 1000);
	assert_int_equal(tally_sum(tallies, THREADS, accounts[1].source), 1000);
	assert_int_equal(budgets[0].used, 1000);
	account_give(&accounts[1], &pool, object);
	account_give(&accounts[1], &pool, NULL);
	budgets[0].limit = 999;
	assert_null(account_take(&accounts[1], &pool));
	assert_int_equal(ledgers[0].shortage, SHORTAGE_MEMORY);
	assert_all_is_zero();
	pool_destroy(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_connection_has_a_ceiling, begin),
		cmocka_unit_test_setup(connections_of_a_source_share_its_ceiling, begin),
		cmocka_unit_test_setup(at_a_sources_ceiling_its_others_are_asked, begin),
		cmocka_unit_test_setup(it_holds_for_all_threads_together, begin),
		cmocka_unit_test_setup(what_is_held_moves_to_another_source, begin),
		cmocka_unit_test_setup(at_the_budgets_end_others_are_asked, begin),
		cmocka_unit_test_setup(a_lowered_ceiling_counts, begin),
		cmocka_unit_test_setup(objects_of_a_pool_are_charged_alike, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
