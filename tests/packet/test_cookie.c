// SPDX-License-Identifier: BSD-2-Clause
/*
 * SYN cookies: what a newcomer is answered, and what he may answer back. A real listener waits in a
 * network namespace of the test's own; what becomes of an admitted segment is the lab's to show.
 *
 * Time passes by the secret's clock: moving it is all that a minute takes.
 */
#include "common/filter.h"
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <string.h>
#include "common/challenge.h"

static int setup(void **state)
{
	return challenge_setup(state, FW_TIER_OWN);
}

static void expect_valid(struct filter *filter, const struct frame *ack)
{
	filter_expect_frame(filter, SERVICE, FW_PASS_COOKIE, ack);
	filter_forget_proofs(filter);
}

/* --- answers --------------------------------------------------------------------------------- */

static void every_combination_is_answered_in_kind(void **state)
{
	struct filter *filter = *state;
	struct frame asked, answer;
	unsigned int options;

	for_each_family(family)
	{
		for (options = 0; options < COOKIE_COMBINATIONS; options++) {
			asked = challenge_syn(family, options);
			answer = filter_answer_of(filter, &asked);
			cookie_assert_answers(&asked, &answer, options);
		}
	}
}

static void what_the_host_does_not_do_is_not_offered(void **state)
{
	struct filter *filter = *state;
	struct fw_secret secret = filter_secret(filter, 0);
	struct frame asked, answer;

	secret.offers = 0;
	filter_set_secret(filter, 0, &secret);
	for_each_family(family)
	{
		asked = challenge_syn(family, COOKIE_COMBINATIONS - 1);
		answer = filter_answer_of(filter, &asked);
		cookie_assert_answers(&asked, &answer, COOKIE_MSS);
	}
}

static void an_answer_is_never_longer_than_its_syn(void **state)
{
	static const uint8_t odd[][20] = {
		{3, 3, 7, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 4, 2, 2, 4, 5, 180, 0}, /* unpadded */
		{8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 0},
		{3, 3, 7, 0},
		{4, 2, 0},
		{2, 4, 5, 180},
		{2, 4, 5},                                /* cut off */
		{3, 0, 3, 3, 7},                          /* no length */
		{8, 200, 1, 2, 3, 4},                     /* beyond the header */
		{2, 2, 3, 2, 8, 2, 4, 9},                 /* wrong lengths */
		{34, 2, 3, 3, 7, 1, 1, 1},                /* TCP Fast Open */
		{30, 12, 0, 129, 1, 2, 3, 4, 5, 6, 7, 8}, /* Multipath TCP */
	};
	struct filter *filter = *state;
	struct frame asked, answer;
	size_t i;

	for_each_family(family)
	{
		for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
			asked = frame(.source = family->client, .destination = family->server,
				      .flags = FRAME_SYN, .tcp_options = sizeof(odd[i]));
			memcpy(asked.data + asked.transport + 20, odd[i], sizeof(odd[i]));
			answer = filter_answer_of(filter, &asked);
			assert_true(answer.length <= asked.length);
			cookie_assert_checksums(&answer);
		}
	}
}

static void data_in_a_syn_is_not_answered_with_data(void **state)
{
	struct filter *filter = *state;
	struct frame asked, answer;

	for_each_family(family)
	{
		asked = frame(.source = family->client, .destination = family->server,
			      .flags = FRAME_SYN, .payload = 1000);
		answer = filter_answer_of(filter, &asked);
		assert_int_equal(answer.length,
				 answer.transport + 20 < 60 ? 60 : answer.transport + 20);
		cookie_assert_checksums(&answer);
		/* Ethernet's padding is nobody's to answer for, and is kept. */
		asked = frame(.source = family->client, .destination = family->server,
			      .flags = FRAME_SYN, .padding = 6);
		answer = filter_answer_of(filter, &asked);
		assert_true(answer.length <= asked.length);
		cookie_assert_checksums(&answer);
	}
}

static void a_vlan_tag_is_kept(void **state)
{
	struct filter *filter = *state;
	struct frame asked, answer;

	for_each_family(family)
	{
		asked = frame(.source = family->client, .destination = family->server,
			      .flags = FRAME_SYN, .vlans = 1, .tcp_options = 4);
		answer = filter_answer_of(filter, &asked);
		assert_memory_equal(answer.data + 12, asked.data + 12, 6);
		assert_memory_equal(answer.data, asked.data + 6, 6);
		cookie_assert_checksums(&answer);
	}
}

static void what_is_out_of_the_ordinary_is_not_answered(void **state)
{
	static const uint8_t md5[20] = {19, 18}, ao[20] = {29, 16};
	struct filter *filter = *state;
	struct frame asked;

	for_each_family(family)
	{
		/* A place to hand a request socket to is there behind one tag alone. */
		filter_expect(filter, SERVICE, PASS_SYN, .source = family->client,
			      .destination = family->server, .flags = FRAME_SYN, .vlans = 2);
		for (int i = 0; i < 2; i++) {
			asked = frame(.source = family->client, .destination = family->server,
				      .flags = FRAME_SYN, .tcp_options = 20);
			memcpy(asked.data + asked.transport + 20, i ? ao : md5, 20);
			filter_expect_frame(filter, SERVICE, FW_UNCHALLENGED, &asked);
		}
		asked = challenge_syn(family, 0);
		asked.data[0] |= 1; /* to a group of hosts */
		filter_expect_frame(filter, SERVICE, FW_UNCHALLENGED, &asked);
	}
	filter_expect(filter, SERVICE, UNCHALLENGED, .source = families[0].client,
		      .destination = families[0].server, .flags = FRAME_SYN, .ip_options = 4);
	filter_expect(filter, SERVICE, UNCHALLENGED, .source = families[0].client,
		      .destination = families[0].server, .flags = FRAME_SYN, .ip_fragment = 1);
	filter_expect(filter, SERVICE, UNCHALLENGED, .source = families[1].client,
		      .destination = families[1].server, .flags = FRAME_SYN,
		      .extension = {{IPPROTO_DSTOPTS, 8, 0}});
}

/* --- cookies --------------------------------------------------------------------------------- */

static void a_cookie_is_taken_back_and_nothing_else(void **state)
{
	static const unsigned int kinds[] = {0, COOKIE_MSS | COOKIE_TIMESTAMPS,
					     COOKIE_MSS | COOKIE_SACK | COOKIE_SCALE,
					     COOKIE_COMBINATIONS - 1};
	struct filter *filter = *state;
	struct frame asked, answer, ack, forged;

	for_each_family(family)
	{
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			asked = challenge_syn(family, kinds[i]);
			answer = filter_answer_of(filter, &asked);
			ack = cookie_ack(&asked, &answer, kinds[i], 0);
			expect_valid(filter, &ack);
			ack = cookie_ack(&asked, &answer, kinds[i], 700); /* with data */
			expect_valid(filter, &ack);
			for (int field = 0; field < COOKIE_FIELDS; field++) {
				forged = ack;
				if (cookie_forge(&forged, field, kinds[i]))
					filter_expect_frame(filter, SERVICE, FW_BAD_COOKIE,
							    &forged);
			}
		}
	}
}

static void guessing_does_not_pay(void **state)
{
	struct filter *filter = *state;
	struct frame asked, answer, ack;
	int taken = 0;

	asked = challenge_syn(&families[0], COOKIE_MSS);
	answer = filter_answer_of(filter, &asked);
	ack = cookie_ack(&asked, &answer, COOKIE_MSS, 0);
	for (int i = 0; i < 20000; i++) {
		frame_tcp(&ack)->ack_seq = htonl(i * 214013u + 2531011u);
		taken += filter_passes(filter, &ack);
	}
	assert_int_equal(taken, 0); /* 1 in 400 runs would be wrong */
}

static void a_cookie_lives_for_one_to_two_minutes(void **state)
{
	struct filter *filter = *state;
	struct frame asked, answer, ack;
	struct fw_secret secret = filter_secret(filter, 0);

	for (int parity = 0; parity < 2; parity++) {
		for_each_family(family)
		{
			for (unsigned int options = COOKIE_MSS;
			     options <= (COOKIE_MSS | COOKIE_TIMESTAMPS);
			     options += COOKIE_TIMESTAMPS) {
				/* The clock stands a second before a minute ends. */
				uint64_t minute = 60 * FILTER_SECOND;
				int64_t base = -(int64_t)(filter_now() % (2 * minute)) +
					       (int64_t)((2 + parity) * minute - FILTER_SECOND);

				secret.clock_ns = base;
				filter_set_secret(filter, 0, &secret);
				asked = challenge_syn(family, options);
				answer = filter_answer_of(filter, &asked);
				ack = cookie_ack(&asked, &answer, options, 0);
				expect_valid(filter, &ack);
				secret.clock_ns =
					base + 2 * (int64_t)FILTER_SECOND; /* the next one */
				filter_set_secret(filter, 0, &secret);
				expect_valid(filter, &ack);
				secret.clock_ns = base + 59 * (int64_t)FILTER_SECOND;
				filter_set_secret(filter, 0, &secret);
				expect_valid(filter, &ack);
				secret.clock_ns =
					base + 62 * (int64_t)FILTER_SECOND; /* one later */
				filter_set_secret(filter, 0, &secret);
				filter_expect_frame(filter, SERVICE, FW_BAD_COOKIE, &ack);
				secret.clock_ns = base + 122 * (int64_t)FILTER_SECOND;
				filter_set_secret(filter, 0, &secret);
				filter_expect_frame(filter, SERVICE, FW_BAD_COOKIE, &ack);
			}
		}
	}
}

static void a_new_secret_breaks_no_handshake_under_way(void **state)
{
	struct filter *filter = *state;
	struct fw_secret old = filter_secret(filter, 0), new = old;
	struct frame asked, answer, ack;

	for_each_family(family)
	{
		filter_use_secret(filter, 0);
		asked = challenge_syn(family, COOKIE_MSS);
		answer = filter_answer_of(filter, &asked);
		ack = cookie_ack(&asked, &answer, COOKIE_MSS, 0);
		new.key[0] = old.key[0] ^ 1;
		new.until_ns = 0;
		filter_set_secret(filter, 1, &new);
		old.until_ns = filter_now() + 60 * FILTER_SECOND;
		filter_set_secret(filter, 0, &old);
		filter_use_secret(filter, 1);
		expect_valid(filter, &ack);
		old.until_ns = filter_now() - 1; /* its time is over */
		filter_set_secret(filter, 0, &old);
		filter_expect_frame(filter, SERVICE, FW_BAD_COOKIE, &ack);
		old.until_ns = 0; /* never was in use */
		filter_set_secret(filter, 0, &old);
		filter_expect_frame(filter, SERVICE, FW_BAD_COOKIE, &ack);
	}
}

/* What another host made of a SYN, and what this one then thinks of the ACK. */
static void expect_of_the_other(struct filter *filter, const struct family *family,
				unsigned int options, const struct fw_secret *theirs,
				const struct fw_secret *ours, bool taken)
{
	struct frame asked = challenge_syn(family, options), answer, ack;

	filter_forget_proofs(filter);
	filter_set_secret(filter, 0, theirs);
	answer = filter_answer_of(filter, &asked);
	ack = cookie_ack(&asked, &answer, options, 0);
	filter_set_secret(filter, 0, ours);
	filter_expect_frame(filter, SERVICE, taken ? FW_PASS_COOKIE : FW_BAD_COOKIE, &ack);
}

static void hosts_with_one_secret_may_be_seconds_apart(void **state)
{
	static const struct {
		int64_t ahead; /* seconds */
		uint32_t skew_ms;
		bool taken;
	} rows[] = {{4, 5000, true}, {-4, 5000, true}, {7, 5000, false},   {-50, 5000, true},
		    {4, 0, false},   {-4, 0, true},    {-117, 5000, false}};
	const int64_t minute = 60 * (int64_t)FILTER_SECOND;
	struct filter *filter = *state;
	struct fw_secret theirs = filter_secret(filter, 0), ours = theirs;

	for_each_family(family)
	{
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			/* Theirs shows a second past the minute. */
			ours.skew_ms = theirs.skew_ms = rows[i].skew_ms;
			theirs.clock_ns =
				10 * minute - (int64_t)(filter_now() % minute) + FILTER_SECOND;
			ours.clock_ns = theirs.clock_ns - rows[i].ahead * (int64_t)FILTER_SECOND;
			expect_of_the_other(filter, family, COOKIE_MSS, &theirs, &ours,
					    rows[i].taken);
			expect_of_the_other(filter, family, COOKIE_COMBINATIONS - 1, &theirs, &ours,
					    rows[i].taken);
		}
	}
}

static void hosts_that_do_not_agree_take_no_cookies_of_each_other(void **state)
{
	struct filter *filter = *state;
	struct fw_secret theirs = filter_secret(filter, 0), ours = theirs;

	for_each_family(family)
	{
		expect_of_the_other(filter, family, COOKIE_MSS, &theirs, &theirs, true);
		ours.window_scale = theirs.window_scale ^ 1;
		expect_of_the_other(filter, family, COOKIE_MSS, &theirs, &ours, false);
		ours.window_scale = theirs.window_scale;
		ours.offers = theirs.offers & ~FW_OFFER_SACK;
		expect_of_the_other(filter, family, COOKIE_MSS, &theirs, &ours, false);
		ours.offers = theirs.offers;
	}
}

static void every_secret_is_accepted_until_its_time_is_over(void **state)
{
	struct filter *filter = *state;
	struct fw_secret secret = filter_secret(filter, 0);
	struct frame asked, answer, acks[FW_SECRETS];

	for_each_family(family)
	{
		asked = challenge_syn(family, COOKIE_MSS);
		for (uint32_t slot = 0; slot < FW_SECRETS; slot++) {
			secret.key[1]++;
			secret.until_ns = filter_now() + 60 * FILTER_SECOND;
			filter_set_secret(filter, slot, &secret);
			filter_use_secret(filter, slot);
			answer = filter_answer_of(filter, &asked);
			acks[slot] = cookie_ack(&asked, &answer, COOKIE_MSS, 0);
		}
		for (uint32_t slot = 0; slot < FW_SECRETS; slot++)
			expect_valid(filter, &acks[slot]);
	}
}

/* --- who is challenged ----------------------------------------------------------------------- */

static void over_a_limit_the_unverified_are_challenged(void **state)
{
	struct filter *filter = *state;
	struct frame asked;

	filter_set(filter, SERVICE, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_AUTO);
	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_BURST, 1);
	for_each_family(family)
	{
		asked = challenge_syn(family, COOKIE_MSS);
		filter_expect_frame(filter, SERVICE, FW_PASS_SYN, &asked);
		filter_expect_frame(filter, SERVICE, FW_COOKIE_SENT, &asked);
		filter_verify(filter, family->client, SERVICE);
		filter_expect_frame(filter, SERVICE, FW_PASS_VERIFIED, &asked);
	}
	filter_set(filter, SERVICE, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_NEVER);
	for_each_family(family)
	{
		asked = challenge_syn(family, COOKIE_MSS);
		filter_expect_frame(filter, SERVICE, FW_VERIFIED_SYN_RATE, &asked);
	}
	asked = cookie_syn(families[0].neighbour, families[0].server, COOKIE_MSS);
	filter_expect_frame(filter, SERVICE, FW_PASS_SYN, &asked);
	filter_expect_frame(filter, SERVICE, FW_SOURCE_SYN_RATE, &asked);
}

static void pressure_begins_above_the_rate_and_ends_after_the_hold(void **state)
{
	struct filter *filter = *state;
	struct frame asked = challenge_syn(&families[0], COOKIE_MSS);
	struct frame stray = frame(.source = families[0].stranger,
				   .destination = families[0].server, .flags = FRAME_ACK);

	filter_set(filter, SERVICE, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_AUTO);
	filter_set(filter, SERVICE, FW_SET_CHALLENGE_RATE, 2);
	filter_set(filter, SERVICE, FW_SET_CHALLENGE_BURST, 3);
	filter_set(filter, SERVICE, FW_SET_CHALLENGE_HOLD, 5000);
	for (int i = 0; i < 3; i++)
		filter_expect_frame(filter, SERVICE, FW_PASS_SYN, &asked);
	filter_expect_frame(filter, FW_HOST_SERVICE, FW_PASS_ESTABLISHED, &stray);
	filter_expect_frame(filter, SERVICE, FW_COOKIE_SENT, &asked);
	filter_expect_frame(filter, SERVICE, FW_BAD_COOKIE, &stray);
	/* Below the rate, but within the hold: still on. */
	filter_age(filter, 4 * FILTER_SECOND);
	filter_expect_frame(filter, SERVICE, FW_COOKIE_SENT, &asked);
	filter_age(filter, 2 * FILTER_SECOND);
	filter_expect_frame(filter, SERVICE, FW_PASS_SYN, &asked);
	filter_expect_frame(filter, FW_HOST_SERVICE, FW_PASS_ESTABLISHED, &stray);
}

static void under_pressure_a_segment_needs_a_socket_or_a_cookie(void **state)
{
	static const uint8_t flags[] = {FRAME_RST, FRAME_RST | FRAME_ACK, FRAME_SYN | FRAME_ACK};
	struct filter *filter = *state;
	struct frame asked;

	for_each_family(family)
	{
		asked = challenge_syn(family, COOKIE_MSS);
		filter_expect_frame(filter, SERVICE, FW_COOKIE_SENT, &asked);
		for (size_t i = 0; i < sizeof(flags); i++)
			filter_expect(filter, SERVICE, NO_SOCKET, .source = family->client,
				      .destination = family->server, .flags = flags[i]);
		filter_expect(filter, SERVICE, BAD_COOKIE, .source = family->client,
			      .destination = family->server, .flags = FRAME_ACK | FRAME_FIN);
		/* Where nobody listens the stack says so, and other ports are none of this. */
		filter_expect(filter, OTHER_SERVICE, PASS_SYN, .source = family->client,
			      .destination = family->server, .destination_port = OTHER_PORT,
			      .flags = FRAME_SYN);
		filter_expect(filter, OTHER_SERVICE, PASS_ESTABLISHED, .source = family->client,
			      .destination = family->server, .destination_port = OTHER_PORT,
			      .flags = FRAME_ACK);
		filter_expect(filter, FW_HOST_SERVICE, PASS_ESTABLISHED, .source = family->client,
			      .destination = family->server, .destination_port = 22,
			      .flags = FRAME_ACK);
	}
}

static void answers_to_one_address_and_prefix_are_limited(void **state)
{
	struct filter *filter = *state;
	struct frame asked;

	for_each_family(family)
	{
		filter_set(filter, SERVICE, FW_SET_CHALLENGE_ANSWERS, 1);
		filter_set(filter, SERVICE, FW_SET_CHALLENGE_PREFIX_ANSWERS, 4);
		asked = challenge_syn(family, COOKIE_MSS);
		filter_expect_frame(filter, SERVICE, FW_COOKIE_SENT, &asked);
		filter_expect_frame(filter, SERVICE, FW_UNCHALLENGED, &asked);
		asked = cookie_syn(family->neighbour, family->server, COOKIE_MSS);
		filter_expect_frame(filter, SERVICE, FW_COOKIE_SENT, &asked);
		filter_set(filter, SERVICE, FW_SET_CHALLENGE_ANSWERS, 1000);
		filter_expect_frame(filter, SERVICE, FW_UNCHALLENGED, &asked);
		asked = cookie_syn(family->stranger, family->server, COOKIE_MSS);
		filter_expect_frame(filter, SERVICE, FW_COOKIE_SENT, &asked);
		filter_age(filter, FILTER_SECOND);
		asked = challenge_syn(family, COOKIE_MSS);
		filter_expect_frame(filter, SERVICE, FW_COOKIE_SENT, &asked);
	}
}

static void in_monitor_mode_nobody_is_challenged(void **state)
{
	struct filter *filter = *state;
	struct frame asked = challenge_syn(&families[0], COOKIE_MSS);

	filter_set_mode(filter, FW_UNCHALLENGED, FW_MODE_MONITOR);
	filter_expect_frame(filter, SERVICE, FW_PASS_SYN, &asked);
	assert_int_equal(filter_counter(filter, SERVICE, FW_UNCHALLENGED).would, 1);
	filter_expect_frame(filter, SERVICE, FW_PASS_SYN, &asked); /* now it is under pressure */
	assert_int_equal(filter_counter(filter, SERVICE, FW_UNCHALLENGED).would, 2);
}

#define story(name) cmocka_unit_test_setup_teardown(name, setup, filter_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		story(every_combination_is_answered_in_kind),
		story(what_the_host_does_not_do_is_not_offered),
		story(an_answer_is_never_longer_than_its_syn),
		story(data_in_a_syn_is_not_answered_with_data),
		story(a_vlan_tag_is_kept),
		story(what_is_out_of_the_ordinary_is_not_answered),
		story(a_cookie_is_taken_back_and_nothing_else),
		story(guessing_does_not_pay),
		story(a_cookie_lives_for_one_to_two_minutes),
		story(a_new_secret_breaks_no_handshake_under_way),
		story(hosts_with_one_secret_may_be_seconds_apart),
		story(hosts_that_do_not_agree_take_no_cookies_of_each_other),
		story(every_secret_is_accepted_until_its_time_is_over),
		story(over_a_limit_the_unverified_are_challenged),
		story(pressure_begins_above_the_rate_and_ends_after_the_hold),
		story(under_pressure_a_segment_needs_a_socket_or_a_cookie),
		story(answers_to_one_address_and_prefix_are_limited),
		story(in_monitor_mode_nobody_is_challenged),
	};

	return cmocka_run_group_tests(tests, challenge_begin, NULL);
}
