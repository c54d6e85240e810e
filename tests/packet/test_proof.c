// SPDX-License-Identifier: BSD-2-Clause
/*
 * A cookie came back: what is asked of its source then, and what becomes of the segments that come
 * with it. That the stack takes them is the lab's to show.
 */
#include <errno.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <string.h>
#include "common/challenge.h"

enum { OPTIONS = COOKIE_COMBINATIONS - 1 };

static int setup(void **state)
{
	return challenge_setup(state, FW_TIER_OWN);
}

static struct frame proof(struct filter *filter, const struct family *family, const char *source,
			  uint16_t port)
{
	return challenge_proof(filter, family, source, port, 0);
}

/* A later segment of the same flow. */
static struct frame following(const struct frame *ack, uint8_t flags)
{
	struct frame next = *ack;

	frame_tcp(&next)->seq = htonl(ntohl(frame_tcp(&next)->seq) + 1448);
	next.data[next.transport + 13] = flags;
	return next;
}

/* --- segments of the same batch --------------------------------------------------------------- */

static void what_follows_a_cookie_at_once_passes(void **state)
{
	static const uint8_t flags[] = {FRAME_ACK, FRAME_ACK | FRAME_PSH, FRAME_ACK | FRAME_FIN,
					FRAME_RST};
	struct filter *filter = *state;
	struct frame ack, next;

	for_each_family(family)
	{
		ack = proof(filter, family, family->client, 40000);
		next = following(&ack, FRAME_ACK);
		filter_expect_frame(filter, SERVICE, FW_BAD_COOKIE, &next); /* overtook the ACK */
		filter_expect_frame(filter, SERVICE, FW_PASS_COOKIE, &ack);
		filter_expect_frame(filter, SERVICE, FW_PASS_ESTABLISHED, &ack); /* and once more */
		for (size_t i = 0; i < sizeof(flags); i++) {
			next = following(&ack, flags[i]);
			filter_expect_frame(filter, SERVICE, FW_PASS_ESTABLISHED, &next);
		}
	}
}

static void a_flow_is_a_source_and_its_port(void **state)
{
	struct filter *filter = *state;
	struct frame ack, other;

	for_each_family(family)
	{
		ack = proof(filter, family, family->client, 40000);
		filter_expect_frame(filter, SERVICE, FW_PASS_COOKIE, &ack);
		other = frame(.source = family->client, .destination = family->server,
			      .source_port = 40001, .flags = FRAME_ACK);
		filter_expect_frame(filter, SERVICE, FW_BAD_COOKIE, &other);
		other = frame(.source = family->neighbour, .destination = family->server,
			      .source_port = 40000, .flags = FRAME_ACK);
		filter_expect_frame(filter, SERVICE, FW_BAD_COOKIE, &other);
	}
}

/* Who resets a connection and opens another one by the same port is charged for both. */
static void a_port_used_again_is_another_handshake(void **state)
{
	struct filter *filter = *state;
	struct frame ack[4], next;

	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_BURST, 2);
	for_each_family(family)
	{
		for (uint32_t i = 0; i < 4; i++)
			ack[i] = challenge_proof(filter, family, family->client, 40000, i);
		for (uint32_t i = 0; i < 4; i++) {
			filter_expect_frame(filter, SERVICE,
					    i < 2 ? FW_PASS_COOKIE : FW_VERIFIED_SYN_RATE, &ack[i]);
			next = following(&ack[i], FRAME_ACK | FRAME_PSH);
			filter_expect_frame(filter, SERVICE,
					    i < 2 ? FW_PASS_ESTABLISHED : FW_BAD_COOKIE, &next);
		}
	}
}

static void a_moment_later_the_stack_must_know_it(void **state)
{
	struct filter *filter = *state;
	struct frame ack, next;

	for_each_family(family)
	{
		ack = proof(filter, family, family->client, 40000);
		filter_expect_frame(filter, SERVICE, FW_PASS_COOKIE, &ack);
		filter_age(filter, 120 * FILTER_SECOND / 1000);
		next = following(&ack, FRAME_ACK);
		filter_expect_frame(filter, SERVICE, FW_BAD_COOKIE, &next);
		/* The ACK was lost on its way to the stack, and is sent again. */
		filter_expect_frame(filter, SERVICE, FW_PASS_COOKIE, &ack);
	}
}

static void who_proves_nothing_leaves_no_trace(void **state)
{
	struct filter *filter = *state;
	uint64_t word;

	proof(filter, &families[0], families[0].stranger, 40000); /* which is never sent */
	for (int i = 0; i < 2000; i++) {
		struct frame stray =
			frame(.source = families[0].client, .destination = families[0].server,
			      .source_port = 1024 + i, .flags = FRAME_ACK);

		assert_false(filter_passes(filter, &stray));
	}
	for (uint32_t place = 0; place < FW_ARRIVALS; place++) {
		assert_int_equal(bpf_map_lookup_elem(filter_map(filter, "arrivals"), &place, &word),
				 0);
		assert_int_equal(word, 0);
	}
}

/* --- what a source may have ------------------------------------------------------------------- */

static void a_proof_verifies_its_source(void **state)
{
	struct filter *filter = *state;
	struct frame ack, asked;

	for_each_family(family)
	{
		ack = proof(filter, family, family->client, 40000);
		filter_expect_frame(filter, SERVICE, FW_PASS_COOKIE, &ack);
		asked = cookie_syn(family->client, family->server, OPTIONS);
		filter_expect_frame(filter, SERVICE, FW_PASS_VERIFIED, &asked);
		asked = cookie_syn(family->neighbour, family->server, OPTIONS);
		filter_expect_frame(filter, SERVICE, FW_COOKIE_SENT, &asked);
	}
}

/* Handshakes that were begun slowly, or by many at once, count when they are completed. */
static void proofs_are_held_to_the_exact_rate(void **state)
{
	struct filter *filter = *state;
	struct frame ack[5];

	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_BURST, 3);
	for_each_family(family)
	{
		for (int i = 0; i < 5; i++)
			ack[i] = proof(filter, family, family->client, 40000 + i);
		for (int i = 0; i < 5; i++)
			filter_expect_frame(filter, SERVICE,
					    i < 3 ? FW_PASS_COOKIE : FW_VERIFIED_SYN_RATE, &ack[i]);
		filter_age(filter, FILTER_SECOND);
		filter_expect_frame(filter, SERVICE, FW_PASS_COOKIE, &ack[3]);
		filter_expect_frame(filter, SERVICE, FW_VERIFIED_SYN_RATE, &ack[4]);
	}
}

/* And nothing is gained by having the stack answer some of them. */
static void a_used_up_rate_leaves_no_attempt_unchallenged(void **state)
{
	struct filter *filter = *state;
	struct frame ack;

	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_BURST, 1);
	for_each_family(family)
	{
		ack = proof(filter, family, family->client, 40000);
		filter_expect_frame(filter, SERVICE, FW_PASS_COOKIE, &ack);
		ack = proof(filter, family, family->client, 40001); /* is answered */
		filter_expect_frame(filter, SERVICE, FW_VERIFIED_SYN_RATE, &ack);
	}
}

/* Whoever forges a verified address uses up its attempts. It goes on connecting, by cookies. */
static void forgers_do_not_lock_a_verified_source_out(void **state)
{
	struct filter *filter = *state;
	struct frame forged, ack;

	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_BURST, 10);
	filter_set(filter, SERVICE, FW_SET_CHALLENGE_ANSWERS, 1);
	filter_set(filter, SERVICE, FW_SET_CHALLENGE_PREFIX_ANSWERS, 1);
	for_each_family(family)
	{
		proof(filter, family, family->stranger, 40000); /* puts it under pressure */
		filter_verify(filter, family->client, SERVICE);
		forged = cookie_syn(family->client, family->server, OPTIONS);
		for (int i = 0; i < 10; i++)
			filter_expect_frame(filter, SERVICE, FW_PASS_VERIFIED, &forged);
		for (int i = 0; i < 100; i++)
			filter_answer_of(filter, &forged);
		for (int i = 0; i < 10; i++) {
			ack = proof(filter, family, family->client, 50000 + i);
			filter_expect_frame(filter, SERVICE, FW_PASS_COOKIE, &ack);
		}
		ack = proof(filter, family, family->client, 50010);
		filter_expect_frame(filter, SERVICE, FW_VERIFIED_SYN_RATE, &ack);
	}
}

/* A network whose sources have all proved themselves brings no more to the stack than another
 * one. */
static void a_prefix_of_verified_sources_has_a_rate(void **state)
{
	struct filter *filter = *state;
	struct frame syn;

	filter_set(filter, SERVICE, FW_SET_PREFIX_SYN_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_PREFIX_SYN_BURST, 10);
	for_each_family(family)
	{
		filter_verify(filter, family->client, SERVICE);
		filter_verify(filter, family->neighbour, SERVICE);
		filter_verify(filter, family->stranger, SERVICE);
		syn = cookie_syn(family->client, family->server, OPTIONS);
		for (int i = 0; i < 10; i++)
			filter_expect_frame(filter, SERVICE, FW_PASS_VERIFIED, &syn);
		proof(filter, family, family->neighbour, 40000); /* is answered */
		syn = cookie_syn(family->stranger, family->server, OPTIONS);
		filter_expect_frame(filter, SERVICE, FW_PASS_VERIFIED, &syn);

		/* Where nobody is challenged it is nobody's loss. */
		filter_set(filter, SERVICE, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_NEVER);
		syn = cookie_syn(family->client, family->server, OPTIONS);
		filter_expect_frame(filter, SERVICE, FW_PASS_VERIFIED, &syn);
		filter_set(filter, SERVICE, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_ALWAYS);
	}
}

/* Nor all of them together, from however many networks: a botnet that is all there. */
static void a_crowd_of_verified_sources_is_challenged(void **state)
{
	struct filter *filter = *state;
	struct frame syn, ack;

	filter_set(filter, SERVICE, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_AUTO);
	filter_set(filter, SERVICE, FW_SET_CHALLENGE_VERIFIED_RATE, 2);
	filter_set(filter, SERVICE, FW_SET_CHALLENGE_VERIFIED_BURST, 6);
	filter_set(filter, SERVICE, FW_SET_CHALLENGE_HOLD, 5000);
	for_each_family(family)
	{
		filter_age(filter, 10 * FILTER_SECOND);
		filter_verify(filter, family->client, SERVICE);
		filter_verify(filter, family->stranger, SERVICE);
		for (int i = 0; i < 6; i++) {
			syn = cookie_syn(i % 2 ? family->client : family->stranger, family->server,
					 OPTIONS);
			filter_expect_frame(filter, SERVICE, FW_PASS_VERIFIED, &syn);
		}
		ack = proof(filter, family, family->client, 40000); /* is answered */
		/* Newcomers are none of them, and segments need no cookie. */
		syn = cookie_syn(family->neighbour, family->server, OPTIONS);
		filter_expect_frame(filter, SERVICE, FW_PASS_SYN, &syn);
		filter_expect_frame(filter, FW_HOST_SERVICE, FW_PASS_ESTABLISHED, &ack);
		/* For as long as pressure would last, whatever comes. */
		filter_age(filter, 4 * FILTER_SECOND);
		proof(filter, family, family->stranger, 40000);
		filter_age(filter, 2 * FILTER_SECOND);
		syn = cookie_syn(family->stranger, family->server, OPTIONS);
		filter_expect_frame(filter, SERVICE, FW_PASS_VERIFIED, &syn);

		/* Who can't be challenged isn't. */
		filter_set(filter, SERVICE, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_NEVER);
		for (int i = 0; i < 20; i++)
			filter_expect_frame(filter, SERVICE, FW_PASS_VERIFIED, &syn);
		filter_set(filter, SERVICE, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_AUTO);
	}
}

/* Many sources of one network, each of them within its rate: what they complete is limited, and by
 * forged attempts nobody uses it up. */
static void handshakes_of_a_prefix_have_a_rate(void **state)
{
	struct filter *filter = *state;
	struct frame ack[5], syn;

	filter_set(filter, SERVICE, FW_SET_PREFIX_CONNECTION_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_PREFIX_CONNECTION_BURST, 3);
	for_each_family(family)
	{
		for (int i = 0; i < 5; i++)
			ack[i] = proof(filter, family, i % 2 ? family->client : family->neighbour,
				       40000 + i);
		for (int i = 0; i < 5; i++)
			filter_expect_frame(filter, SERVICE,
					    i < 3 ? FW_PASS_COOKIE : FW_PREFIX_CONNECTION_RATE,
					    &ack[i]);
		/* It's no use that they are verified: the stack answers none of them … */
		ack[0] = proof(filter, family, family->client, 40005);
		filter_expect_frame(filter, SERVICE, FW_PREFIX_CONNECTION_RATE, &ack[0]);
		syn = cookie_syn(family->client, family->server, OPTIONS);
		filter_set(filter, SERVICE, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_NEVER);
		filter_expect_frame(filter, SERVICE, FW_PREFIX_CONNECTION_RATE, &syn);
		filter_set(filter, SERVICE, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_ALWAYS);
		/* … others are not concerned … */
		ack[0] = proof(filter, family, family->stranger, 40000);
		filter_expect_frame(filter, SERVICE, FW_PASS_COOKIE, &ack[0]);
		/* … and a second later there is one more, however many are attempted … */
		filter_age(filter, FILTER_SECOND);
		for (int i = 0; i < 10; i++)
			filter_answer_of(filter, &syn);
		filter_expect_frame(filter, SERVICE, FW_PASS_COOKIE, &ack[3]);
		filter_expect_frame(filter, SERVICE, FW_PREFIX_CONNECTION_RATE, &ack[4]);
		/* … since none is taken on trust before half of the burst has come back. */
		filter_age(filter, 2 * FILTER_SECOND);
		filter_expect_frame(filter, SERVICE, FW_PASS_VERIFIED, &syn);
		filter_set(filter, SERVICE, FW_SET_PREFIX_CONNECTION_RATE, 0);
		filter_expect_frame(filter, SERVICE, FW_PASS_COOKIE, &ack[4]);
		filter_set(filter, SERVICE, FW_SET_PREFIX_CONNECTION_RATE, 1);
	}
}

/* Beyond that rate nobody of it gets on record, where there is room for so many sources only. */
static void a_prefix_puts_no_more_sources_on_record(void **state)
{
	struct filter *filter = *state;
	struct fw_source_key key = {.service = SERVICE};
	struct fw_source source;
	struct frame ack[2];

	filter_set(filter, SERVICE, FW_SET_PREFIX_CONNECTION_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_PREFIX_CONNECTION_BURST, 1);
	for_each_family(family)
	{
		key.addr = fw_addr_at_level(filter_address(family->client), FW_LEVEL_SOURCE);
		ack[0] = proof(filter, family, family->neighbour, 40000);
		ack[1] = proof(filter, family, family->client, 40000);
		filter_expect_frame(filter, SERVICE, FW_PASS_COOKIE, &ack[0]);
		filter_expect_frame(filter, SERVICE, FW_PREFIX_CONNECTION_RATE, &ack[1]);
		assert_int_equal(bpf_map_lookup_elem(filter_map(filter, "sources"), &key, &source),
				 -ENOENT);
		filter_age(filter, FILTER_SECOND);
		filter_expect_frame(filter, SERVICE, FW_PASS_COOKIE, &ack[1]);
		assert_int_equal(bpf_map_lookup_elem(filter_map(filter, "sources"), &key, &source),
				 0);
	}
}

static void caps_are_asked_again_when_a_handshake_is_completed(void **state)
{
	struct filter *filter = *state;
	struct frame ack;

	filter_set(filter, SERVICE, FW_SET_SOURCE_CONNECTIONS, 10);
	filter_set(filter, SERVICE, FW_SET_PREFIX_CONNECTIONS, 20);
	for_each_family(family)
	{
		ack = proof(filter, family, family->client, 40000);
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_SOURCE, 10);
		filter_expect_frame(filter, SERVICE, FW_SOURCE_CONNECTIONS, &ack);
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_SOURCE, 9);
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_PREFIX, 20);
		filter_expect_frame(filter, SERVICE, FW_PREFIX_CONNECTIONS, &ack);
		filter_set_mode(filter, FW_PREFIX_CONNECTIONS, FW_MODE_MONITOR);
		filter_expect_frame(filter, SERVICE, FW_PASS_COOKIE, &ack);
		filter_set_mode(filter, FW_PREFIX_CONNECTIONS, FW_MODE_ENFORCE);
	}
}

#define story(name) cmocka_unit_test_setup_teardown(name, setup, filter_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		story(what_follows_a_cookie_at_once_passes),
		story(a_flow_is_a_source_and_its_port),
		story(a_port_used_again_is_another_handshake),
		story(a_moment_later_the_stack_must_know_it),
		story(who_proves_nothing_leaves_no_trace),
		story(a_proof_verifies_its_source),
		story(proofs_are_held_to_the_exact_rate),
		story(a_used_up_rate_leaves_no_attempt_unchallenged),
		story(forgers_do_not_lock_a_verified_source_out),
		story(a_prefix_of_verified_sources_has_a_rate),
		story(a_crowd_of_verified_sources_is_challenged),
		story(handshakes_of_a_prefix_have_a_rate),
		story(a_prefix_puts_no_more_sources_on_record),
		story(caps_are_asked_again_when_a_handshake_is_completed),
	};

	return cmocka_run_group_tests_name("proof", tests, challenge_begin, NULL);
}
