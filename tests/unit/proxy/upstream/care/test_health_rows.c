// SPDX-License-Identifier: BSD-2-Clause
/* Two generations of a proxy, one set of rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/clock.h"
#include "proxy/upstream/care/health_rows.h"

enum { SERVERS = 3 };

#define AT(s) ((1000 + (uint64_t)(s)) * CLOCK_SEC)

static struct fw_server shown[FW_SERVERS_MAX];
static struct config_server configs[SERVERS];
static struct config_upstream config;

/* What a proxy knows: a server by its address, and a name with two places. */
struct generation {
	struct server servers[SERVERS];
	struct health health;
	struct health_name_row name;
	struct health_row row[SERVERS];
	struct health_rows rows;
};

static struct generation *old, *new;

static void open_generation(struct generation *generation, uint64_t now_ns)
{
	health_init(&generation->health, &config, generation->servers, SERVERS);
	for (uint32_t i = 0; i < SERVERS; i++)
		generation->row[i].server = &generation->servers[i];
	generation->row[1].name = &generation->name;
	generation->rows = (struct health_rows){
		.shown = shown, .generation = now_ns, .rows = generation->row, .count = SERVERS};
	health_rows_open(&generation->rows, now_ns);
}

static int begin(void **state)
{
	(void)state;
	memset(shown, 0, sizeof(shown));
	configs[0] = (struct config_server){.address = (char *)"192.0.2.1:80",
					    .addr = {{0, 0, 0xffff0000, 0x010200c0}},
					    .port = 80};
	for (uint16_t slot = 0; slot < 2; slot++)
		configs[1 + slot] = (struct config_server){.address = (char *)"app.internal:81",
							   .host = (char *)"app.internal",
							   .port = 81,
							   .slot = slot};
	config = (struct config_upstream){
		.name = (char *)"app", .servers = configs, .server_count = SERVERS};
	old = aligned_alloc(64, sizeof(*old));
	new = aligned_alloc(64, sizeof(*new));
	memset(old, 0, sizeof(*old));
	memset(new, 0, sizeof(*new));
	open_generation(old, AT(0));
	return 0;
}

static int end(void **state)
{
	(void)state;
	free(old);
	free(new);
	return 0;
}

static void servers_are_shown_as_they_are(void **state)
{
	struct fw_addr address = {{0, 0, 0xffff0000, 0x020200c0}};

	(void)state;
	assert_string_equal(shown[0].upstream, "app");
	assert_string_equal(shown[0].server, "192.0.2.1:80");
	assert_int_equal(shown[0].state, FW_SERVER_UP);
	assert_int_equal(shown[0].state_ns, 0); /* from the start */
	assert_int_equal(shown[1].state, FW_SERVER_NOWHERE);
	assert_int_equal(shown[SERVERS].generation, 0);
	atomic_store(&old->servers[0].active, 5);
	atomic_store(&old->servers[0].ejected_until_ns, AT(2));
	atomic_store(&old->servers[0].probation, true);
	server_move(&old->servers[1], &address, 81);
	old->name.lookups_failed = 3;
	health_rows_show(&old->rows, AT(1));
	assert_int_equal(shown[0].active, 5);
	assert_int_equal(shown[0].state, FW_SERVER_EJECTED);
	assert_int_equal(shown[0].state_ns, AT(1));
	assert_int_equal(shown[1].state, FW_SERVER_UP);
	assert_memory_equal(&shown[1].addr, &address, sizeof(address));
	assert_int_equal(shown[1].lookups_failed, 3);
	health_rows_show(&old->rows, AT(2));
	assert_int_equal(shown[0].state, FW_SERVER_TRIAL);
	atomic_store(&old->servers[0].unhealthy, true);
	health_rows_show(&old->rows, AT(3));
	assert_int_equal(shown[0].state, FW_SERVER_DOWN);
}

static void the_newer_one_writes_and_goes_on_counting(void **state)
{
	(void)state;
	atomic_store(&old->servers[0].ejections, 7);
	atomic_store(&old->servers[2].checks_failed, 4);
	old->name.lookups_failed = 2;
	health_rows_show(&old->rows, AT(1));
	open_generation(new, AT(2));
	assert_int_equal(shown[0].ejections, 7);
	assert_int_equal(shown[1].lookups_failed, 2);
	assert_int_equal(shown[2].checks_failed, 4); /* the second place's, not the first's */
	assert_int_equal(shown[1].checks_failed, 0);
	atomic_store(&old->servers[0].ejections, 8);
	health_rows_show(&old->rows, AT(3));
	health_rows_close(&old->rows);
	assert_int_equal(shown[0].ejections, 7);
	atomic_store(&new->servers[0].ejections, 2);
	health_rows_show(&new->rows, AT(3));
	assert_int_equal(shown[0].ejections, 9);
	health_rows_close(&new->rows);
	for (int i = 0; i < SERVERS; i++)
		assert_int_equal(shown[i].generation, 0);
}

/* A newer proxy that did not live: its rows are taken back, and nothing is counted twice. */
static void what_nobody_writes_is_taken_back(void **state)
{
	(void)state;
	atomic_store(&old->servers[0].ejections, 7);
	health_rows_show(&old->rows, AT(1));
	open_generation(new, AT(2));
	health_rows_show(&old->rows, AT(4));
	assert_int_equal(shown[0].generation, AT(2));
	health_rows_show(&old->rows, AT(6));
	assert_int_equal(shown[0].generation, AT(0));
	assert_int_equal(shown[0].ejections, 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(servers_are_shown_as_they_are),
		TEST(the_newer_one_writes_and_goes_on_counting),
		TEST(what_nobody_writes_is_taken_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
