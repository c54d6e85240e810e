// SPDX-License-Identifier: BSD-2-Clause
/* What the kernel says its sockets hold, and what it is taken for where it says something else. */
#include "sockstat.h"
#include "base/machine.h"

#define AS_LINUX_SAYS                                                                              \
	"sockets: used 12\n"                                                                       \
	"TCP: inuse 1 orphan 2 tw 3 alloc 4 mem 413\n"                                             \
	"UDP: inuse 5 mem 6\n"                                                                     \
	"UDPLITE: inuse 0\n"

static struct socket_memory memory;

static int begin(void **state)
{
	(void)state;
	return sockstat_open(&memory);
}

static int end(void **state)
{
	(void)state;
	return sockstat_close(&memory);
}

/* How many lines are said in the log while it is asked for the use once more, which is @expected.
 */
static int said_of(uint64_t expected)
{
	FILE *log = tmpfile();
	int terminal = dup(STDERR_FILENO), lines = 0, letter;

	assert_true(log && dup2(fileno(log), STDERR_FILENO) == STDERR_FILENO);
	assert_int_equal(socket_memory_used(&memory), expected);
	dup2(terminal, STDERR_FILENO);
	close(terminal);
	rewind(log);
	while ((letter = getc(log)) != EOF)
		lines += letter == '\n';
	fclose(log);
	return lines;
}

static void pages_are_what_sockets_hold(void **state)
{
	(void)state;
	sockstat_say(AS_LINUX_SAYS);
	assert_int_equal(said_of(413 * machine_page()), 0);
	sockstat_say("TCP: inuse 1 orphan 2 tw 3 alloc 4 mem 5");
	assert_int_equal(said_of(5 * machine_page()), 0);
}

/* It is what it is now, however often it is asked for. */
static void the_kernel_itself_is_understood(void **state)
{
	(void)state;
	socket_memory_close(&memory);
	socket_memory_open(&memory, SOCKET_MEMORY_FILE);
	for (int i = 0; i < 3; i++)
		assert_true(socket_memory_used(&memory) < machine_memory());
	assert_false(memory.told);
}

/* No level, and one line in the log, not four a second. */
static void what_is_not_understood_is_said_once(void **state)
{
	static const char *const texts[] = {
		"",
		"TCP: inuse 1 orphan 2 tw 3 alloc 4\nUDP: inuse 5 mem 6\n",
		"TCP: inuse 1 orphan 2 tw 3 alloc 4 mem many\n",
		"TCP6: inuse 1\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		sockstat_say(texts[i]);
		assert_int_equal(said_of(0), i == 0);
	}
	sockstat_say(AS_LINUX_SAYS);
	assert_int_equal(said_of(413 * machine_page()), 0);
}

static void without_the_file_nothing_is_known(void **state)
{
	(void)state;
	socket_memory_close(&memory);
	socket_memory_open(&memory, "/nonesuch");
	assert_int_equal(said_of(0), 1);
	assert_int_equal(said_of(0), 0);
}

/* Unless something is set, where the kernel gets under pressure: by itself at a 16th of memory. */
static void there_is_always_a_ceiling(void **state)
{
	(void)state;
	assert_int_equal(socket_memory_most(&memory, 12345), 12345);
	assert_true(socket_memory_most(&memory, 0) > 0);
	assert_true(socket_memory_most(&memory, 0) < machine_memory());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pages_are_what_sockets_hold, begin, end),
		cmocka_unit_test_setup_teardown(the_kernel_itself_is_understood, begin, end),
		cmocka_unit_test_setup_teardown(what_is_not_understood_is_said_once, begin, end),
		cmocka_unit_test_setup_teardown(without_the_file_nothing_is_known, begin, end),
		cmocka_unit_test_setup_teardown(there_is_always_a_ceiling, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
