/* SPDX-License-Identifier: BSD-2-Clause */
/* Ticket keys over hours, in a second; time is a parameter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>
#include "proxy/net/tls/credentials/tickets.h"

#define START (1000 * CLOCK_SEC)

static struct ticket_keys *made(void)
{
	struct error error = {""};
	struct ticket_keys *keys = tickets_create(START, &error);

	assert_non_null(keys);
	return keys;
}

static struct ticket_key current(const struct ticket_keys *keys)
{
	struct ticket_key key;

	tickets_current(keys, &key);
	return key;
}

static void test_a_key_stays_for_its_period(void **state)
{
	struct ticket_keys *keys = made();
	struct ticket_key first = current(keys), again;

	(void)state;
	assert_true(tickets_rotate(keys, START + TICKET_PERIOD_NS - 1));
	again = current(keys);
	assert_memory_equal(&first, &again, sizeof(first));
	assert_true(tickets_rotate(keys, START + TICKET_PERIOD_NS));
	again = current(keys);
	assert_memory_not_equal(first.name, again.name, sizeof(first.name));
	assert_memory_not_equal(first.cipher, again.cipher, sizeof(first.cipher));
	assert_memory_not_equal(first.mac, again.mac, sizeof(first.mac));
	tickets_drop(keys);
}

static void test_old_keys_open_for_two_more_periods(void **state)
{
	struct ticket_keys *keys = made();
	struct ticket_key first = current(keys), found;
	uint64_t now = START;

	(void)state;
	assert_int_equal(tickets_find(keys, first.name, &found), 0);
	for (int period = 1; period <= 20; period++) {
		struct ticket_key before = current(keys);

		assert_true(tickets_rotate(keys, now += TICKET_PERIOD_NS));
		assert_int_equal(tickets_find(keys, first.name, &found),
				 period < TICKET_KEYS_OPEN ? 1 : -1);
		assert_int_equal(tickets_find(keys, before.name, &found), 1);
		assert_memory_equal(&found, &before, sizeof(found));
	}
	tickets_drop(keys);
}

/* Whoever reads the memory later finds no key that opens what was said before. */
static void test_a_retired_key_is_gone(void **state)
{
	struct ticket_keys *keys = made();
	struct ticket_key first = current(keys);
	int fd = tickets_descriptor(keys);
	off_t size = lseek(fd, 0, SEEK_END);
	uint8_t *memory = malloc((size_t)size);
	uint64_t now = START;

	(void)state;
	assert_non_null(memory);
	for (int period = 0; period <= TICKET_KEYS_OPEN; period++) {
		assert_int_equal(pread(fd, memory, (size_t)size, 0), size);
		assert_int_equal(memmem(memory, (size_t)size, first.cipher, sizeof(first.cipher)) !=
					 NULL,
				 period < TICKET_KEYS_OPEN);
		assert_true(tickets_rotate(keys, now += TICKET_PERIOD_NS));
	}
	free(memory);
	tickets_drop(keys);
}

static void test_nobody_has_the_names_of_no_key(void **state)
{
	static const uint8_t zero[TICKET_NAME_SIZE];
	struct ticket_keys *keys = made();
	struct ticket_key found;
	uint64_t now = START;

	(void)state;
	for (int period = 0; period < 10; period++) {
		assert_int_equal(tickets_find(keys, zero, &found), -1);
		assert_true(tickets_rotate(keys, now += TICKET_PERIOD_NS));
	}
	tickets_drop(keys);
}

static void test_a_child_sees_what_its_parent_makes(void **state)
{
	struct ticket_keys *keys = made();
	struct ticket_key first = current(keys), found;
	int go[2], status;
	char word;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		bool seen =
			read(go[0], &word, 1) == 1 && tickets_find(keys, first.name, &found) == 1;

		_exit(seen ? 0 : 1);
	}
	assert_true(tickets_rotate(keys, START + TICKET_PERIOD_NS));
	assert_int_equal(write(go[1], "g", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(go[0]);
	close(go[1]);
	tickets_drop(keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_key_stays_for_its_period),
		cmocka_unit_test(test_old_keys_open_for_two_more_periods),
		cmocka_unit_test(test_a_retired_key_is_gone),
		cmocka_unit_test(test_nobody_has_the_names_of_no_key),
		cmocka_unit_test(test_a_child_sees_what_its_parent_makes),
	};

	return cmocka_run_group_tests_name("tickets", tests, NULL, NULL);
}
