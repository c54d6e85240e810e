// SPDX-License-Identifier: BSD-2-Clause
/* What each frame of a client's costs him: the table of docs/http2.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "proxy/client/front/http2.h"

enum { BURST = 100 };

static struct worker worker = {.loop = {.now_ns = 1000 * CLOCK_SEC}};
static struct listener listener = {.worker = &worker};
static struct client client = {.listener = &listener};
static struct http2 http2;

static int begin(void **state)
{
	(void)state;
	http2 = (struct http2){.client = &client};
	listener.live.value[FW_SET_HTTP2_ABUSE_RATE] = 1;
	listener.live.value[FW_SET_HTTP2_ABUSE_BURST] = BURST;
	return 0;
}

/* Points of such a frame: BURST of them are borne, and one more is not, for that reason. 0: any
 * number of frames is borne. */
static int points_of(uint8_t type, uint8_t flags, size_t length, enum fw_verdict reason)
{
	const nghttp2_frame_hd head = {.type = type, .flags = flags, .length = length};
	int borne = 0;

	http2 = (struct http2){.client = &client};
	while (borne <= BURST && http2_abuse_note_frame(&http2, &head))
		borne++;
	assert_int_equal(http2.verdict, borne > BURST ? FW_NONE : reason);
	return BURST / borne;
}

static void frames_cost_what_they_are_said_to(void **state)
{
	static const uint8_t control[] = {NGHTTP2_PING, NGHTTP2_PRIORITY, NGHTTP2_GOAWAY, 0xfa};

	(void)state;
	for (size_t i = 0; i < sizeof(control); i++)
		assert_int_equal(points_of(control[i], 0, 8, FW_HTTP2_CONTROL), 1);
	assert_int_equal(points_of(NGHTTP2_SETTINGS, 0, 6, FW_HTTP2_CONTROL), 5);
	assert_int_equal(points_of(NGHTTP2_WINDOW_UPDATE, 0, 4, FW_HTTP2_CONTROL), 1);
	assert_int_equal(points_of(NGHTTP2_RST_STREAM, 0, 4, FW_HTTP2_RESETS), 1);
	assert_int_equal(points_of(NGHTTP2_CONTINUATION, 0, 100, FW_HTTP2_EMPTY), 5);
	assert_int_equal(points_of(NGHTTP2_DATA, 0, 0, FW_HTTP2_EMPTY), 1);
	assert_int_equal(points_of(NGHTTP2_HEADERS, 0, 0, FW_HTTP2_EMPTY), 1);
}

static void what_brings_something_is_free(void **state)
{
	(void)state;
	assert_int_equal(points_of(NGHTTP2_DATA, 0, 1, FW_NONE), 0);
	assert_int_equal(points_of(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 0, FW_NONE), 0);
	assert_int_equal(points_of(NGHTTP2_HEADERS, 0, 1, FW_NONE), 0);
	assert_int_equal(points_of(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, FW_NONE), 0);
}

/* Both windows, and a PING, for each DATA that he was sent; the last straw gives the reason. */
static void what_was_sent_may_be_acknowledged_and_timed(void **state)
{
	const nghttp2_frame_hd update = {.type = NGHTTP2_WINDOW_UPDATE, .length = 4};
	const nghttp2_frame_hd ping = {.type = NGHTTP2_PING, .length = 8};

	(void)state;
	listener.live.value[FW_SET_HTTP2_ABUSE_BURST] = 10;
	http2_abuse_note_data(&http2);
	http2_abuse_note_data(&http2);
	for (int i = 0; i < 4; i++)
		assert_true(http2_abuse_note_frame(&http2, &update));
	for (int i = 0; i < 2 + 10; i++)
		assert_true(http2_abuse_note_frame(&http2, &ping));
	assert_false(http2_abuse_note_error(&http2));
	assert_int_equal(http2.verdict, FW_HTTP2_ERRORS);
	assert_false(http2_abuse_note_frame(&http2, &update));
	assert_int_equal(http2.verdict, FW_HTTP2_ERRORS);
}

static void points_are_forgiven(void **state)
{
	(void)state;
	assert_true(http2_abuse_note_bomb(&http2));
	assert_false(http2_abuse_note_reset(&http2));
	worker.loop.now_ns += 2 * CLOCK_SEC;
	http2.verdict = FW_NONE;
	assert_false(http2_abuse_note_reset(&http2)); /* what was too much was spent as well */
	worker.loop.now_ns += 4 * CLOCK_SEC;
	assert_true(http2_abuse_note_reset(&http2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(frames_cost_what_they_are_said_to, begin),
		cmocka_unit_test_setup(what_brings_something_is_free, begin),
		cmocka_unit_test_setup(what_was_sent_may_be_acknowledged_and_timed, begin),
		cmocka_unit_test_setup(points_are_forgiven, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
