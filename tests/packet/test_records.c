// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is on record: a table is looked into for sources of noted networks, and for no others. That
 * tracking and the wall note what they write is theirs to show; here is that it matters.
 */
#include "common/rates.h"
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* Forgets what is noted, but not what is in the tables. */
static void clear_notes(struct filter *filter)
{
	const uint64_t none = 0;
	uint32_t i;

	for (i = 0; i < (2u << FW_RECORD_BITS) / 64; i++)
		assert_int_equal(bpf_map_update_elem(filter_map(filter, "records"), &i, &none, 0),
				 0);
}

static void use_half(struct filter *filter, uint64_t half)
{
	filter_meta(filter)->records = half;
}

static void a_table_is_looked_into_for_noted_networks_alone(void **state)
{
	struct filter *filter = *state;
	struct fw_addr addr;

	for_each_family(family)
	{
		filter_verify(filter, family->client, SERVICE);
		attempt(PASS_VERIFIED, family->client);
		attempt(PASS_SYN, family->stranger);
		clear_notes(filter);
		attempt(PASS_SYN, family->client);
		addr = filter_address(family->client);
		filter_record(filter, &addr, FW_RECORD_BLOCKED);
		attempt(PASS_SYN, family->client);
		filter_record(filter, &addr, FW_RECORD_KNOWN);
		attempt(PASS_VERIFIED, family->client);
	}
}

/* A bit is of a network, and says "perhaps" of everybody in it. */
static void neighbours_are_told_apart_all_the_same(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		filter_verify(filter, family->client, SERVICE);
		attempt(PASS_SYN, family->neighbour);
		attempt(PASS_VERIFIED, family->client);
	}
}

static void a_new_half_takes_the_place_of_the_old_one(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		filter_verify(filter, family->client, SERVICE);
		use_half(filter, 1);
		attempt(PASS_SYN, family->client);
		use_half(filter, 0);
		attempt(PASS_VERIFIED, family->client);
	}
}

/* A key of random words: every network has its bit, and few share one. */
static void networks_are_spread_over_the_bits(void **state)
{
	static const uint64_t seed[2] = {0x8c3f0b6d21e5a794ULL, 0x1d7e92c4f05b38a6ULL};
	static uint8_t seen[1 << FW_RECORD_BITS];
	uint32_t i, bit, family, distinct;
	struct fw_addr addr;

	(void)state;
	for (family = 0; family < 2; family++) {
		memset(seen, 0, sizeof(seen));
		for (i = distinct = 0; i < 100000; i++) {
			addr = filter_address(families[family].client);
			addr.word[family ? 1 : 3] = htonl(0x14000001 + (i << (family ? 16 : 8)));
			if (family)
				addr.word[0] = htonl(0x20010000 + (i >> 16));
			bit = fw_record_bit((const __u64 *)seed, fw_network(&addr));
			assert_true(bit < 1 << FW_RECORD_BITS);
			distinct += !seen[bit];
			seen[bit] = 1;
		}
		/* Of 100,000 that fall at random on a million, 95 in 100 are alone or first. */
		assert_true(distinct > 90000);
	}
}

#define test(name) cmocka_unit_test_setup_teardown(name, rates_setup, filter_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_table_is_looked_into_for_noted_networks_alone),
		test(neighbours_are_told_apart_all_the_same),
		test(a_new_half_takes_the_place_of_the_old_one),
		cmocka_unit_test(networks_are_spread_over_the_bits),
	};

	return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}
