// SPDX-License-Identifier: BSD-2-Clause
/* When what the machine's sockets hold is too much, and when no longer; that and who has to go for
 * it is told in tests/lab/test_socket_memory.py. */
#include "../../guard/sockstat.h"
#include "base/machine.h"
#include "proxy/client/overload/relief.h"
#include "proxy/client/worker.h"

#define MOST_PAGES 1000ULL

static struct config config = {.threads = 2};
static struct proxy_options options = {.config = &config};
static struct proxy_shared shared = {.options = &options};
static struct worker worker;
static struct live live;
static volatile uint64_t board[FW_VERDICTS_MAX + FW_METRICS_MAX];

static int begin(void **state)
{
	(void)state;
	if (sockstat_open(&shared.sockets) < 0)
		return -1;
	memset(&worker, 0, sizeof(worker));
	worker.shared = &shared;
	worker.index = 1; /* the first one's is to tell it */
	worker.board = (struct board_row){board};
	live.value[FW_SET_HOST_SOCKET_MEMORY] = MOST_PAGES * machine_page();
	relief_init(&worker.relief);
	return loop_init(&worker.loop);
}

static int end(void **state)
{
	(void)state;
	loop_destroy(&worker.loop);
	return sockstat_close(&shared.sockets);
}

/* Sockets hold so many pages of a thousand. */
static void hold(unsigned int pages)
{
	char text[80];

	snprintf(text, sizeof(text), "TCP: inuse 1 orphan 0 tw 0 alloc 2 mem %u\n", pages);
	sockstat_say(text);
	relief_measure(&worker, &live);
}

static void it_begins_at_once_and_ends_late(void **state)
{
	(void)state;
	hold(799);
	assert_false(worker.relief.is_on);
	hold(800);
	assert_true(worker.relief.is_on);
	hold(700);
	assert_true(worker.relief.is_on);
	hold(699);
	assert_false(worker.relief.is_on);
	hold(799);
	assert_false(worker.relief.is_on);
	assert_int_equal(board[FW_VERDICTS_MAX + METRIC_OVERLOAD_SOCKETS], 79);
}

/* Each of the two threads has its part of what lies beyond 85%. */
static void somebody_has_to_go_from_90_percent_on(void **state)
{
	(void)state;
	hold(899);
	assert_int_equal(worker.relief.excess, 0);
	hold(950);
	assert_int_equal(worker.relief.excess, 50 * machine_page());
	hold(899);
	assert_int_equal(worker.relief.excess, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_begins_at_once_and_ends_late, begin, end),
		cmocka_unit_test_setup_teardown(somebody_has_to_go_from_90_percent_on, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
