/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a server may send behind the handshake, in whatever records, is taken in on the way or ends
 * the connection, and has a budget.
 */
#include "server_end.h"

static void take_tickets(void)
{
	uint8_t data[4096];
	size_t size;

	forge_on();
	/* Two in one record, and a key behind them. */
	size = message(data, TICKET, 200, 200);
	size += message(data + size, TICKET, 0, 0);
	size += message(data + size, KEY_UPDATE, 1, 0);
	data[size++] = 0;
	inject(RECORD_HANDSHAKE, data, size);
	assert_int_equal(hear(), -EAGAIN);
	record_update_key(forge, &theirs, &theirs.out);
	/* One in three records. */
	inject(RECORD_HANDSHAKE, data, message(data, TICKET, 3000, 1000));
	inject(RECORD_HANDSHAKE, data, 1000);
	assert_true(stream_is_quiet(stream));
	inject(RECORD_HANDSHAKE, data, 1000);
	inject(RECORD_DATA, "content", 7);
	assert_read("content");
}

static void interrupt_ticket(void)
{
	uint8_t data[256];

	forge_on();
	inject(RECORD_HANDSHAKE, data, message(data, TICKET, 1000, 100));
	inject(RECORD_DATA, "content", 7);
	assert_refused();
}

static void send_long_ticket(void)
{
	uint8_t data[256];

	forge_on();
	inject(RECORD_HANDSHAKE, data, message(data, TICKET, 1 << 20, 100));
	assert_refused();
}

static void send_tickets_for_ever(void)
{
	uint8_t data[256];
	int sent = 0;

	forge_on();
	for (; sent < 1000 && tls_fault(stream) == FW_NONE; sent++) {
		inject(RECORD_HANDSHAKE, data, message(data, TICKET, 100, 100));
		assert_true(hear() < 0);
	}
	assert_true(sent <= 65);
	assert_refused();
}

/* Half a header, nothing at all, and whatever no server says here. */
static void send_what_is_none(void)
{
	static const struct {
		uint8_t data[8], size;
	} cases[] = {{{TICKET, 0, 0}, 3},        {{0}, 0},
		     {{13, 0, 0, 0}, 4},         {{20, 0, 0, 0}, 4},
		     {{KEY_UPDATE, 0, 0, 1}, 4}, {{KEY_UPDATE, 0, 0, 1, 2}, 5},
		     {{KEY_UPDATE, 0, 0, 0}, 4}, {{KEY_UPDATE, 0, 0, 1, 0, 4, 0, 0}, 8}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (i) {
			prepare(&suites[0], "web");
			assert_int_equal(meet(0), 1);
		}
		forge_on();
		inject(RECORD_HANDSHAKE, cases[i].data, cases[i].size);
		assert_refused();
		if (i + 1 < sizeof(cases) / sizeof(cases[0]))
			part();
	}
}

static void test_tickets(void **state)
{
	(void)state;
	for_suites(0, SUITES_13, take_tickets);
	for_suites(0, 1, interrupt_ticket);
	for_suites(0, 1, send_long_ticket);
	for_suites(0, SUITES_13, send_tickets_for_ever);
	for_suites(0, 1, send_what_is_none);
}

static void change_keys(void)
{
	for (int i = 0; i < 20; i++) {
		SSL_key_update(server,
			       i % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
		exchange();
	}
}

static void test_keys_change(void **state)
{
	(void)state;
	for_suites(0, SUITES_13, change_keys);
}

static void ask_for_renegotiation(void)
{
	int asked = 0;

	forge_on();
	for (; asked < 1000 && tls_fault(stream) == FW_NONE; asked++) {
		inject(RECORD_HANDSHAKE, "\0\0\0\0", 4);
		assert_true(hear() < 0);
	}
	assert_true(asked <= 65);
	assert_refused();
}

static void test_renegotiation_is_declined(void **state)
{
	(void)state;
	for_suites(SUITES_13, SUITES, ask_for_renegotiation);
}

/* --- quiet, and the end ------------------------------------------------------------------------
 */

static void break_the_silence(void)
{
	uint8_t data[64];

	forge_on();
	assert_true(stream_is_quiet(stream));
	if (theirs.is_13)
		inject(RECORD_HANDSHAKE, data, message(data, TICKET, 10, 10));
	assert_true(stream_is_quiet(stream));
	assert_true(tls_client_leave(stream));
	assert_true(tls_client_join(stream, threads[1].engine, NULL));
	inject(RECORD_DATA, "unasked", 7);
	assert_false(stream_is_quiet(stream));
}

static void test_content_breaks_the_silence(void **state)
{
	(void)state;
	for_suites(0, SUITES, break_the_silence);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_keys_change),
		cmocka_unit_test(test_renegotiation_is_declined),
		cmocka_unit_test(test_content_breaks_the_silence),
	};

	return cmocka_run_group_tests_name("tls_client_messages", tests, make_world, end_world);
}
