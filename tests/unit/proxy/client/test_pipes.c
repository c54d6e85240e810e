// SPDX-License-Identifier: BSD-2-Clause
/* Pipes: lent, given back, closed when nobody needs them, and never more than clients can spare. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <unistd.h>
#include <cmocka.h>
#include "proxy/client/pipes.h"

static struct reserve reserve;
static struct pipes pipes;
static struct pool_budget budget;
static struct ledger ledger;
static struct account account;

enum { ROOM = 64 << 20 };

static int begin(void **state)
{
	(void)state;
	reserve.limit = 1000;
	budget = (struct pool_budget){.limit = ROOM};
	ledger = (struct ledger){.budget = &budget, .threads = 1};
	account_open(&account, &ledger, 0);
	pipes_init(&pipes, &reserve, &budget, 1);
	return 0;
}

static int end(void **state)
{
	(void)state;
	pipes_destroy(&pipes);
	return pipes.open || budget.used || account.held ? -1 : 0;
}

static void one_that_was_given_back_is_lent_again(void **state)
{
	struct pipe *pipe = pipes_take(&pipes, &account, 0), *again = pipe;
	int in = pipe->in;

	(void)state;
	assert_true(fcntl(in, F_GETPIPE_SZ) >= 64 << 10);
	pipes_give(&pipes, &pipe);
	assert_null(pipe);
	assert_int_equal(pipes.open, 1);
	pipe = pipes_take(&pipes, &account, 0);
	assert_ptr_equal(pipe, again);
	assert_int_equal(pipe->in, in);
	pipes_give(&pipes, &pipe);
}

/* Somebody else's bytes must not come out of it. */
static void one_that_holds_bytes_is_closed(void **state)
{
	struct pipe *pipe = pipes_take(&pipes, &account, 0);
	int in = pipe->in;

	(void)state;
	assert_int_equal(write(pipe->in, "x", 1), 1);
	pipe->held = 1;
	pipes_give(&pipes, &pipe);
	assert_int_equal(pipes.open, 0);
	assert_int_equal(fcntl(in, F_GETFD), -1);
}

static void those_that_nobody_needed_are_closed(void **state)
{
	struct pipe *one = pipes_take(&pipes, &account, 0),
		    *other = pipes_take(&pipes, &account, 0);

	(void)state;
	pipes_give(&pipes, &one);
	pipes_give(&pipes, &other);
	pipes_trim(&pipes);
	assert_int_equal(pipes.open, 2); /* both were lent just now */
	one = pipes_take(&pipes, &account, 0);
	pipes_give(&pipes, &one);
	pipes_trim(&pipes);
	assert_int_equal(pipes.open, 1);
	pipes_trim(&pipes);
	assert_int_equal(pipes.open, 0);
}

static void they_are_few_beside_the_descriptors(void **state)
{
	struct pipe *held[PIPES_MAX];
	uint32_t count = 0;

	(void)state;
	while ((held[count] = pipes_take(&pipes, &account, 0)))
		count++;
	assert_int_equal(count, 1000 / 16);
	assert_int_equal(pipes.lacked, 1);
	while (count)
		pipes_give(&pipes, &held[--count]);
}

/* Lent, it counts as full: that much of the kernel's memory it may take. */
static void what_they_may_hold_is_on_the_account(void **state)
{
	struct pipe *one = pipes_take(&pipes, &account, 0), *other;

	(void)state;
	assert_int_equal(account.held, one->size);
	assert_int_equal(budget.used, one->size + PIPE_EMPTY);
	ledger.connection_most = 2 * one->size - 1;
	assert_null(pipes_take(&pipes, &account, 0));
	assert_int_equal(pipes.lacked, 1);
	ledger.connection_most++;
	assert_non_null(other = pipes_take(&pipes, &account, 0));
	pipes_give(&pipes, &one);
	pipes_give(&pipes, &other);
	assert_int_equal(account.held, 0);
	assert_int_equal(budget.used, 2 * PIPE_EMPTY);
}

/* Whoever has none copies, and nobody has to go for that. */
static void they_are_lent_out_of_plenty(void **state)
{
	struct pipe *one = pipes_take(&pipes, &account, 0);

	(void)state;
	budget.limit = 2 * (budget.used + one->size) - 1;
	assert_null(pipes_take(&pipes, &account, 0));
	assert_true(account_charge(&account, one->size)); /* what can't be done without */
	account_discharge(&account, one->size);
	pipes_give(&pipes, &one);
}

/* What is kept back is not for them. */
static void the_reserve_is_left_alone(void **state)
{
	int low = dup(0);
	struct pipe *pipe;

	(void)state;
	close(low);
	pipes.most = 10;
	reserve.limit = 2 * ((uint64_t)low + 1); /* of which at most half is kept back */
	assert_null(pipes_take(&pipes, &account, UINT64_MAX));
	assert_int_equal(pipes.open, 0);
	assert_int_equal(dup(0), low); /* nothing of the attempt is left */
	close(low);
	reserve.limit = 2 * ((uint64_t)low + 2);
	pipe = pipes_take(&pipes, &account, UINT64_MAX);
	assert_non_null(pipe);
	pipes_give(&pipes, &pipe);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_that_was_given_back_is_lent_again, begin, end),
		cmocka_unit_test_setup_teardown(one_that_holds_bytes_is_closed, begin, end),
		cmocka_unit_test_setup_teardown(those_that_nobody_needed_are_closed, begin, end),
		cmocka_unit_test_setup_teardown(they_are_few_beside_the_descriptors, begin, end),
		cmocka_unit_test_setup_teardown(the_reserve_is_left_alone, begin, end),
		cmocka_unit_test_setup_teardown(what_they_may_hold_is_on_the_account, begin, end),
		cmocka_unit_test_setup_teardown(they_are_lent_out_of_plenty, begin, end),
	};

	return cmocka_run_group_tests_name("pipes", tests, NULL, NULL);
}
