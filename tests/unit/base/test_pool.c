// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "base/buffer.h"

/* Pools that share a budget stop together, and go on when something has come back. */
static void a_budget_is_shared(void **state)
{
	struct pool_budget budget = {.limit = 1000};
	struct pool small, large;
	void *a, *b, *c;

	(void)state;
	pool_init(&small, 100, 4, &budget);
	pool_init(&large, 450, 4, &budget);
	assert_non_null(a = pool_take(&large));
	assert_non_null(b = pool_take(&large));
	assert_non_null(c = pool_take(&small));
	assert_int_equal(budget.used, 1000);
	assert_null(pool_take(&small));
	assert_null(pool_take(&large));
	pool_give(&large, a);
	assert_non_null(a = pool_take(&large));
	pool_give(&large, a);
	pool_give(&large, b);
	pool_give(&small, c);
	pool_give(&small, NULL);
	assert_int_equal(budget.used, 0);
	pool_destroy(&small);
	pool_destroy(&large);
}

/* Fills, empties and grows without losing or inventing a byte. */
static void a_buffer_grows_with_its_content(void **state)
{
	struct pool_budget budget = {.limit = 1 << 20};
	struct buffers buffers;
	struct ledger ledger = {.budget = &budget, .buffers = &buffers};
	struct account account;
	struct buffer *buffer;
	uint32_t length;

	(void)state;
	buffers_init(&buffers, &budget);
	account_open(&account, &ledger, 0);
	assert_non_null(buffer = buffer_take(&account, BUFFER_SMALL));
	while (buffer_room(buffer))
		buffer_append(buffer, &(char){(char)(buffer->end % 251)}, 1);
	buffer_consume(buffer, 10);
	length = buffer_length(buffer);
	assert_true(buffer_grow(&buffer));
	assert_int_equal(buffer_length(buffer), length);
	for (uint32_t i = 0; i < length; i++)
		assert_int_equal((unsigned char)buffer_start(buffer)[i], (i + 10) % 251);
	assert_true(buffer_room(buffer) > 8192);
	assert_true(buffer_grow(&buffer));
	assert_true(buffer_length(buffer) + buffer_room(buffer) >= 65536 + 512);
	assert_false(buffer_grow(&buffer));
	buffer_consume(buffer, length);
	assert_int_equal(buffer_room(buffer), buffer->capacity); /* empty: all room is back */
	buffer_give(&buffer);
	assert_null(buffer);
	assert_int_equal(budget.used, 0);
	buffers_destroy(&buffers);
}

static void the_smallest_that_fits_is_taken(void **state)
{
	struct pool_budget budget = {.limit = 1 << 20};
	struct buffers buffers;
	struct ledger ledger = {.budget = &budget, .buffers = &buffers};
	struct account account;
	struct buffer *buffer;
	static const size_t sizes[] = {1, 4000, 4096, 16000, 16384, 66048};

	(void)state;
	buffers_init(&buffers, &budget);
	account_open(&account, &ledger, 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		assert_non_null(buffer = buffer_take_for(&account, sizes[i]));
		assert_true(buffer_room(buffer) >= sizes[i]);
		assert_true(buffer->home == &buffers.pool[0] ||
			    (buffer->home - 1)->size - sizeof(*buffer) < sizes[i]);
		buffer_give(&buffer);
	}
	assert_null(buffer_take_for(&account, 1 << 17));
	buffers_destroy(&buffers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_budget_is_shared),
		cmocka_unit_test(a_buffer_grows_with_its_content),
		cmocka_unit_test(the_smallest_that_fits_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
