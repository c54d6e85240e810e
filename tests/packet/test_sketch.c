// SPDX-License-Identifier: BSD-2-Clause
/*
 * The sketch: rates of unverified sources at each level. As in test_rate.c every rate is one a
 * second and time passes by filter_age() alone.
 */
#include "common/rates.h"
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define limit(level, burst)                                                                        \
	do {                                                                                       \
		filter_set(filter, SERVICE, FW_SET_##level##_SYN_RATE, 1);                         \
		filter_set(filter, SERVICE, FW_SET_##level##_SYN_BURST, burst);                    \
	} while (0)

static void an_unverified_source_has_its_burst_and_then_its_rate(void **state)
{
	struct filter *filter = *state;

	limit(SOURCE, 5);
	for_each_family(family)
		rates_expect_burst(filter, family, 5, FW_PASS_SYN, FW_SOURCE_SYN_RATE);
}

static void sources_and_services_do_not_share(void **state)
{
	struct filter *filter = *state;

	limit(SOURCE, 1);
	for_each_family(family)
	{
		attempt(PASS_SYN, family->client);
		attempt(SOURCE_SYN_RATE, family->client);
		attempt(PASS_SYN, family->neighbour);
		attempt(PASS_SYN, family->stranger);
		filter_set(filter, OTHER_SERVICE, FW_SET_SOURCE_SYN_RATE, 1);
		filter_expect(filter, OTHER_SERVICE, PASS_SYN, .source = family->client,
			      .destination = family->server, .destination_port = 80,
			      .flags = FRAME_SYN);
	}
}

static void a_prefix_shares_one_rate(void **state)
{
	struct filter *filter = *state;

	limit(PREFIX, 4);
	for_each_family(family)
	{
		attempt(PASS_SYN, family->client);
		attempt(PASS_SYN, family->neighbour);
		attempt(PASS_SYN, family->client);
		attempt(PASS_SYN, family->neighbour);
		attempt(PREFIX_SYN_RATE, family->client);
		attempt(PREFIX_SYN_RATE, family->neighbour);
		attempt(PASS_SYN, family->stranger);
		filter_age(filter, FILTER_SECOND);
		attempt(PASS_SYN, family->neighbour);
		attempt(PREFIX_SYN_RATE, family->client);
	}
}

/* Whoever has an IPv6 address has a /64 full of them. */
static void an_ipv6_network_is_one_source(void **state)
{
	const struct family *family = &families[1];
	struct filter *filter = *state;
	char source[64];
	int i;

	limit(SOURCE, 10);
	for (i = 0; i < 10; i++) {
		snprintf(source, sizeof(source), "2001:db8:113:5::%x", i * 0x1111 + 1);
		attempt(PASS_SYN, source);
	}
	attempt(SOURCE_SYN_RATE, family->client);
	attempt(PASS_SYN, family->neighbour);
}

/* Refused at its own level, a source uses up nothing that its neighbours share. */
static void an_earlier_refusal_costs_later_levels_nothing(void **state)
{
	struct filter *filter = *state;
	int i;

	limit(SOURCE, 2);
	limit(PREFIX, 3);
	limit(SERVICE, 8);
	for_each_family(family)
	{
		attempt(PASS_SYN, family->client);
		attempt(PASS_SYN, family->client);
		for (i = 0; i < 10; i++)
			attempt(SOURCE_SYN_RATE, family->client);
		attempt(PASS_SYN, family->neighbour);
		for (i = 0; i < 10; i++)
			attempt(SOURCE_SYN_RATE, family->client);
		attempt(PREFIX_SYN_RATE, family->neighbour);
	}
	/* The gate saw three of each family: two are left of its eight. */
	for_each_family(family) attempt(PASS_SYN, family->stranger);
	for_each_family(family) attempt(SERVICE_SYN_RATE, family->stranger);
}

/* A sketch may take one source for another, never let one pass that is over: no attempt is missed.
 */
static void thousand_sources_are_told_apart_and_none_is_missed(void **state)
{
	struct filter *filter = *state;
	int family, round, i, passed[2];

	limit(SOURCE, 1);
	for (family = 0; family < 2; family++) {
		passed[0] = passed[1] = 0;
		for (round = 0; round < 2; round++)
			for (i = 0; i < 1000; i++) {
				struct frame syn = frame(.source = families[family].client,
							 .destination = families[family].server,
							 .flags = FRAME_SYN);
				uint8_t *last = family ? frame_ipv6(&syn)->saddr.s6_addr + 6
						       : (uint8_t *)&frame_ipv4(&syn)->saddr + 2;

				last[0] = i >> 8;
				last[1] = i & 0xff;
				passed[round] += filter_passes(filter, &syn);
			}
		assert_true(passed[0] >= 995);
		assert_int_equal(passed[1], 0);
		filter_age(filter, 1000 * FILTER_SECOND);
	}
}

/* Whatever a source's fingerprint is, no cell that was never used is taken for its own. */
static void unused_cells_are_nobodys(void **state)
{
	struct filter *filter = *state;
	struct frame syn = frame(.source = families[0].client, .destination = families[0].server,
				 .flags = FRAME_SYN);
	struct fw_addr addr = filter_address(families[0].client);
	uint32_t i = 0, found = 0;

	limit(SOURCE, 1);
	for (; found < 3; i++) {
		addr.word[3] = htonl(0x14000001 + (i << 8));
		if (fw_hash_at(filter_seed, &addr, SERVICE, FW_LEVEL_SOURCE) >> 52)
			continue;
		memcpy(&frame_ipv4(&syn)->saddr, &addr.word[3], sizeof(addr.word[3]));
		filter_expect_frame(filter, SERVICE, FW_PASS_SYN, &syn);
		filter_expect_frame(filter, SERVICE, FW_SOURCE_SYN_RATE, &syn);
		found++;
	}
}

/*
 * Ten sources for every line that has eight cells, so that most lose theirs: whoever comes back
 * finds at least as much charged as when it left, and nobody gets more than it may.
 */
static void who_lost_its_cell_gets_no_more_for_it(void **state)
{
	enum { SOURCES = 10 * FW_SKETCH_LINES, BURST = 2, ROUNDS = 4 };
	static uint8_t passed[SOURCES];
	struct filter *filter = *state;
	struct frame syn = frame(.source = families[0].client, .destination = families[0].server,
				 .flags = FRAME_SYN);
	uint64_t begin = filter_now(), earned;
	uint32_t source, i, all = 0;
	int round;

	limit(SOURCE, BURST);
	for (round = 0; round < ROUNDS; round++)
		for (i = 0; i < SOURCES; i++) {
			source = htonl(0x14000001 + (i << 8));
			memcpy(&frame_ipv4(&syn)->saddr, &source, sizeof(source));
			passed[i] += filter_passes(filter, &syn);
		}
	earned = (filter_now() - begin) / FILTER_SECOND + 1; /* by the time that this took */
	for (i = 0; i < SOURCES; i++) {
		assert_true(passed[i] <= BURST + earned);
		all += passed[i];
	}
	assert_true(all >= FW_SKETCH_LINES * FW_SKETCH_CELLS * BURST / 2);
}

/* Cells that lie in a future which no limit explains come back into use after one interval. */
static void cells_from_the_far_future_recover(void **state)
{
	const uint64_t far = filter_now() + 10 * 24 * 3600 * FILTER_SECOND;
	struct fw_sketch_line line;
	struct filter *filter = *state;
	uint32_t i, j;

	for (j = 0; j < FW_SKETCH_CELLS; j++)
		line.cell[j] = far / 64 << FW_SKETCH_MARK_BITS | j;
	limit(SOURCE, 3);
	for_each_family(family)
	{
		for (i = 0; i < FW_SKETCH_LINES; i++)
			assert_int_equal(
				bpf_map_update_elem(filter_map(filter, "sketch"), &i, &line, 0), 0);
		attempt(SOURCE_SYN_RATE, family->client);
		attempt(SOURCE_SYN_RATE, family->client);
		filter_age(filter, FILTER_SECOND);
		attempt(PASS_SYN, family->client);
		attempt(SOURCE_SYN_RATE, family->client);
	}
}

static void a_rate_of_zero_is_no_limit(void **state)
{
	struct filter *filter = *state;
	int i;

	for_each_family(family) for (i = 0; i < 100; i++) attempt(PASS_SYN, family->client);
}

#define test(name) cmocka_unit_test_setup_teardown(name, rates_setup, filter_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(an_unverified_source_has_its_burst_and_then_its_rate),
		test(sources_and_services_do_not_share),
		test(a_prefix_shares_one_rate),
		test(an_ipv6_network_is_one_source),
		test(an_earlier_refusal_costs_later_levels_nothing),
		test(thousand_sources_are_told_apart_and_none_is_missed),
		test(unused_cells_are_nobodys),
		test(who_lost_its_cell_gets_no_more_for_it),
		test(cells_from_the_far_future_recover),
		test(a_rate_of_zero_is_no_limit),
	};

	return cmocka_run_group_tests_name("sketch", tests, NULL, NULL);
}
