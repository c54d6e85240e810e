// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include "base/pieces.h"

enum { MOST = 1200 };

/* Whatever was returned before, a piece has room for what is asked, and nobody else has it. */
static void every_piece_has_room(void **state)
{
	char *pieces[MOST];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t size = 0; size < MOST; size++) {
			pieces[size] = pieces_take(size);
			assert_non_null(pieces[size]);
			assert_true(malloc_usable_size(pieces[size]) >= size);
			memset(pieces[size], (int)(size % 251), size);
		}
		for (size_t size = 0; size < MOST; size++) {
			for (size_t i = 0; i < size; i++)
				assert_int_equal((unsigned char)pieces[size][i], size % 251);
			pieces_give(pieces[size]);
		}
	}
	pieces_give(NULL);
}

/* However much comes back at once, a thread keeps no more than 16 KiB of a size. */
static void a_shelf_has_an_end(void **state)
{
	enum { COUNT = 1000, SIZE = 1000 };
	void *pieces[COUNT];
	struct mallinfo2 before, after;

	(void)state;
	for (int i = 0; i < COUNT; i++)
		assert_non_null(pieces[i] = pieces_take(SIZE));
	before = mallinfo2();
	for (int i = 0; i < COUNT; i++)
		pieces_give(pieces[i]);
	after = mallinfo2();
	assert_true(before.uordblks == 0 || /* a sanitizer's malloc does not tell */
		    before.uordblks - after.uordblks >= COUNT * SIZE - 3 * 16384);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_piece_has_room),
		cmocka_unit_test(a_shelf_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
