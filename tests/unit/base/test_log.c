/* SPDX-License-Identifier: BSD-2-Clause */
/* A reader of the log that stopped reading: nobody waits for it, and it learns what it missed. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/log.h"

enum { LINES = 20000, SECONDS = 5 };

static void overflow(int reader, int writer)
{
	static char text[4 << 20];
	int terminal = dup(STDERR_FILENO);
	size_t used = 0;
	ssize_t count;

	assert_int_equal(dup2(writer, STDERR_FILENO), STDERR_FILENO);
	alarm(SECONDS); /* ends the test, should it wait */
	log_open("test");
	for (int i = 0; i < LINES; i++)
		log_info("line %d", i);
	fcntl(reader, F_SETFL, O_NONBLOCK);
	while ((count = read(reader, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)count;
	assert_non_null(strstr(text, "line 0\n"));
	assert_null(strstr(text, "line 19999\n"));
	log_info("after");
	count = read(reader, text, sizeof(text) - 1);
	assert_true(count > 0);
	text[count] = 0;
	if (!strstr(text, "after\n")) { /* a socket's messages come one by one */
		ssize_t more = read(reader, text + count, sizeof(text) - 1 - (size_t)count);

		assert_true(more > 0);
		text[count + more] = 0;
	}
	assert_non_null(strstr(text, " lines were lost"));
	assert_non_null(strstr(text, "after\n"));
	alarm(0);
	dup2(terminal, STDERR_FILENO);
	log_open("test");
	close(terminal);
	close(reader);
	close(writer);
}

static void test_a_full_pipe_is_not_waited_for(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	overflow(ends[0], ends[1]);
}

static void test_a_pipe_that_others_use_too_stays_as_it_was(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
	overflow(ends[0], dup(ends[1]));
	assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
	close(ends[1]);
}

static void test_a_full_socket_is_not_waited_for(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	overflow(ends[0], ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_full_pipe_is_not_waited_for),
		cmocka_unit_test(test_a_pipe_that_others_use_too_stays_as_it_was),
		cmocka_unit_test(test_a_full_socket_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
