// SPDX-License-Identifier: BSD-2-Clause
/* What overload is held to be for want of; how it is measured is told in
 * tests/lab/test_overload.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "proxy/client/overload/load.h"

enum { MOST = 1000 };

static struct proxy_shared shared;
static struct worker worker;
static struct listener listener;
static atomic_uint connections;

static int begin(void **state)
{
	(void)state;
	memset(&shared, 0, sizeof(shared));
	memset(&worker, 0, sizeof(worker));
	memset(&listener, 0, sizeof(listener));
	worker.shared = &shared;
	listener.worker = &worker;
	listener.connections = &connections;
	listener.live.value[FW_SET_MAX_CONNECTIONS] = MOST;
	listener.live.value[FW_SET_HOST_MAX_CONNECTIONS] = 10 * MOST;
	connections = 0;
	return 0;
}

static void room_lacks_at_the_cap(void **state)
{
	(void)state;
	connections = MOST - 1;
	assert_false(load_lacks_room(&listener));
	connections = MOST;
	assert_true(load_lacks_room(&listener));
	connections = 0;
	shared.connections = 10 * MOST;
	assert_true(load_lacks_room(&listener));
}

/* By the connections that there are now, not those of the last measurement. */
static void in_stage_three_it_lacks_sooner(void **state)
{
	(void)state;
	listener.overload.stage = OVERLOAD_EVICT;
	listener.overload.level[OVERLOAD_CONNECTIONS] = 100;
	connections = MOST * 94 / 100;
	assert_false(load_lacks_room(&listener));
	connections = MOST * 95 / 100;
	assert_true(load_lacks_room(&listener));
}

/* A crowd before the door: to send somebody away makes it no smaller, and where there is room he
 * would only be back later, with all the others. */
static void a_long_queue_is_no_lack_of_room(void **state)
{
	(void)state;
	listener.overload.stage = OVERLOAD_EVICT;
	listener.overload.level[OVERLOAD_QUEUE] = 100;
	worker.overload.level[OVERLOAD_LATENCY] = 100;
	assert_false(load_lacks_room(&listener));
	worker.overload.level[OVERLOAD_MEMORY] = 90;
	assert_true(load_lacks_room(&listener));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(room_lacks_at_the_cap, begin),
		cmocka_unit_test_setup(in_stage_three_it_lacks_sooner, begin),
		cmocka_unit_test_setup(a_long_queue_is_no_lack_of_room, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
