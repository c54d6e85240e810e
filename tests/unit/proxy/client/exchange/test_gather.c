// SPDX-License-Identifier: BSD-2-Clause
/* When a request's body waits for more of it; what servers see of that is told in
 * tests/lab/test_gather.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "proxy/client/exchange/gather.h"

#define NOW      (100 * CLOCK_SEC)
#define DELAY_NS (500 * CLOCK_MS)

enum { ENOUGH = 16384, SMALL = 16, ON_CREDIT = 4 };

static struct worker worker;
static struct listener listener;
static struct client client;
static struct exchange exchange;
static struct buffer *in;

static int begin(void **state)
{
	(void)state;
	memset(&client, 0, sizeof(client));
	memset(&exchange, 0, sizeof(exchange));
	for (int i = 0; i < FW_SETTING_COUNT; i++)
		listener.live.value[i] = setting_rows[i].initial;
	listener.worker = &worker;
	worker.loop.now_ns = NOW;
	client.listener = &listener;
	in = calloc(1, sizeof(*in));
	exchange.client = &client;
	exchange.front = &http1_front;
	exchange.incoming = &in;
	exchange.head_ns = NOW;
	exchange.request_body.framing = HTTP_LENGTH;
	exchange.request_body.left = 1 << 20;
	return in ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	free(in);
	return 0;
}

static void have(uint32_t bytes)
{
	in->start = 0;
	in->end = bytes;
}

static void after(uint64_t ns)
{
	worker.loop.now_ns += ns;
}

/* A small piece is sent: of it nothing is left. */
static void send_small(void)
{
	gather_note_sent(&exchange, SMALL);
	have(0);
}

static void a_request_is_held_until_enough_is_here(void **state)
{
	(void)state;
	assert_true(gather_holds(&exchange));
	have(ENOUGH - 1);
	assert_true(gather_holds(&exchange));
	have(ENOUGH);
	assert_false(gather_holds(&exchange));
	have(1);
	exchange.request_body.done = true;
	assert_false(gather_holds(&exchange));
}

static void and_no_longer_than_it_may_be(void **state)
{
	(void)state;
	exchange.held = true;
	assert_int_equal(gather_due_ns(&exchange), NOW + 5 * CLOCK_SEC);
	after(5 * CLOCK_SEC - 1);
	assert_true(gather_waits(&exchange));
	after(1);
	assert_false(gather_waits(&exchange));
	assert_true(gather_is_due(&exchange));
	assert_int_equal(gather_due_ns(&exchange), WHEEL_NEVER);
}

/* Neither one side of a conversation, nor who waits for a word of the server himself. */
static void some_are_never_held(void **state)
{
	(void)state;
	exchange.request_body.framing = HTTP_CHUNKED;
	assert_false(gather_holds(&exchange));
	exchange.request_body.framing = HTTP_LENGTH;
	exchange.expects_continue = true;
	assert_false(gather_holds(&exchange));
	exchange.expects_continue = false;
	listener.live.value[FW_SET_GATHER_HOLD] = 0;
	assert_false(gather_holds(&exchange));
	listener.live.value[FW_SET_GATHER_HOLD] = 1;
	assert_true(gather_holds(&exchange));
	listener.live.value[FW_SET_GATHER_BYTES] = 0;
	assert_false(gather_holds(&exchange));
}

static void the_first_pieces_go_on_credit(void **state)
{
	(void)state;
	for (int i = 0; i < ON_CREDIT; i++) {
		have(SMALL);
		assert_false(gather_waits(&exchange));
		send_small();
	}
	have(SMALL);
	assert_true(gather_waits(&exchange));
	/* By and by time pays. */
	assert_true(gather_due_ns(&exchange) <= worker.loop.now_ns + DELAY_NS);
	after(DELAY_NS);
	assert_false(gather_waits(&exchange));
	send_small();
	have(SMALL);
	assert_true(gather_waits(&exchange));
}

/* Whatever it pays by, a write has one price. */
static void bytes_pay_as_time_does(void **state)
{
	uint64_t due_ns;

	(void)state;
	for (int i = 0; i < ON_CREDIT; i++)
		send_small();
	have(SMALL);
	due_ns = gather_due_ns(&exchange);
	have(ENOUGH / 2);
	assert_true(gather_due_ns(&exchange) < due_ns - DELAY_NS * 2 / 5);
	after(DELAY_NS / 2);
	assert_false(gather_waits(&exchange));
	have(SMALL);
	assert_true(gather_waits(&exchange));
	have(ENOUGH);
	assert_false(gather_waits(&exchange));
}

static void full_pieces_cost_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		gather_note_sent(&exchange, ENOUGH);
	the_first_pieces_go_on_credit(state);
}

/* Nobody saves up for more than the few at once. */
static void silence_earns_no_more_than_the_credit(void **state)
{
	(void)state;
	send_small();
	after(3600 * CLOCK_SEC);
	the_first_pieces_go_on_credit(state);
}

static void an_answer_clears_the_account(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		send_small();
	have(SMALL);
	assert_true(gather_waits(&exchange));
	gather_note_answer(&exchange);
	assert_false(gather_waits(&exchange));
}

/* What the kernel is asked to keep back, from those alone who send little. */
static void nobody_is_woken_for_less_than_it_takes(void **state)
{
	(void)state;
	exchange.held = true;
	gather_note_read(&exchange, ENOUGH / 2);
	assert_int_equal(gather_wants(&exchange), 1);
	gather_note_read(&exchange, SMALL);
	have(SMALL);
	assert_int_equal(gather_wants(&exchange), ENOUGH - SMALL);
	exchange.request_body.left = 99;
	assert_int_equal(gather_wants(&exchange), 99);
	exchange.request_body.done = true;
	assert_int_equal(gather_wants(&exchange), 1);
	exchange.request_body.done = false;
	exchange.held = false;
	assert_int_equal(gather_wants(&exchange), 1); /* on credit */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_request_is_held_until_enough_is_here, begin, end),
		cmocka_unit_test_setup_teardown(and_no_longer_than_it_may_be, begin, end),
		cmocka_unit_test_setup_teardown(some_are_never_held, begin, end),
		cmocka_unit_test_setup_teardown(the_first_pieces_go_on_credit, begin, end),
		cmocka_unit_test_setup_teardown(bytes_pay_as_time_does, begin, end),
		cmocka_unit_test_setup_teardown(full_pieces_cost_nothing, begin, end),
		cmocka_unit_test_setup_teardown(silence_earns_no_more_than_the_credit, begin, end),
		cmocka_unit_test_setup_teardown(an_answer_clears_the_account, begin, end),
		cmocka_unit_test_setup_teardown(nobody_is_woken_for_less_than_it_takes, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
