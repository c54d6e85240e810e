// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "proxy/client/admission/accept.h"

/* A descriptor that nothing can be accepted from is told of, and closed all the same: that one, and
 * no other. */
static void what_could_not_be_opened_is_closed(void **state)
{
	static struct worker worker;
	static struct acceptor acceptor;
	struct listener listener = {.worker = &worker};
	int pipes[2];

	(void)state;
	assert_int_equal(loop_init(&worker.loop), 0);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(acceptor_open(&acceptor, &listener, pipes[0]), -ENOTSOCK);
	acceptor_close(&acceptor);
	assert_int_equal(fcntl(pipes[0], F_GETFD), -1);
	assert_true(fcntl(0, F_GETFD) >= 0);
	acceptor_close(&acceptor); /* twice is once */
	assert_true(fcntl(pipes[1], F_GETFD) >= 0);
	loop_destroy(&worker.loop);
	close(pipes[1]);
}

/* Who comes first is taken first, and no more wait than may. */
static void those_who_wait_stand_in_line(void **state)
{
	static struct arrivals lane;
	struct arrival arrival = {0};

	(void)state;
	assert_null(arrivals_first(&lane));
	assert_false(arrivals_take(&lane, &arrival));
	for (int round = 0; round < 3; round++) { /* the ring is gone round */
		for (arrival.fd = 0; arrivals_put(&lane, &arrival, ARRIVALS_MOST - 100);)
			arrival.fd++;
		assert_int_equal(arrival.fd, ARRIVALS_MOST - 100);
		assert_int_equal(arrivals_at(&lane, ARRIVALS_MOST - 100 + 7)->fd, 7);
		for (int fd = 0; fd < ARRIVALS_MOST - 100; fd++) {
			assert_int_equal(arrivals_first(&lane)->fd, fd);
			assert_true(arrivals_take(&lane, &arrival));
			assert_int_equal(arrival.fd, fd);
		}
		assert_false(arrivals_take(&lane, &arrival));
	}
	assert_false(arrivals_put(&lane, &arrival, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_could_not_be_opened_is_closed),
		cmocka_unit_test(those_who_wait_stand_in_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
