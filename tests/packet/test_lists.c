// SPDX-License-Identifier: BSD-2-Clause
/* Lists: who is on one, for how long, and which of two entries speaks. */
#include "common/filter.h"
#include <netinet/in.h>
#include "common/family.h"

#define expect(verdict, from)                                                                      \
	filter_expect(filter, FW_HOST_SERVICE, verdict, .source = from,                            \
		      .destination = family->server, .flags = FRAME_ACK)

static void a_blocked_address_is_dropped_and_no_other(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		expect(PASS_ESTABLISHED, family->client);
		filter_list(filter, FILTER_BLOCK, family->client, 0);
		expect(BLOCKED, family->client);
		expect(PASS_ESTABLISHED, family->neighbour);
		expect(PASS_ESTABLISHED, family->stranger);
	}
}

static void a_blocked_prefix_takes_all_its_addresses(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		filter_list(filter, FILTER_BLOCK, family->prefix, 0);
		expect(BLOCKED, family->client);
		expect(BLOCKED, family->neighbour);
		expect(PASS_ESTABLISHED, family->stranger);
	}
}

static void one_family_can_be_blocked_whole(void **state)
{
	struct filter *filter = *state;

	filter_list(filter, FILTER_BLOCK, "0.0.0.0/0", 0);
	for_each_family(family) if (family == families) expect(BLOCKED, family->client);
	else expect(PASS_ESTABLISHED, family->client);
}

/* Other protocols, SYNs to services, fragments: a list is about all of a source's packets. */
static void a_block_holds_for_every_kind_of_packet(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		static const int protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6,
					     47};

		filter_bind(filter, 1, family->any, 443, IPPROTO_TCP);
		filter_list(filter, FILTER_BLOCK, family->prefix, 0);
		for (size_t i = 0; i < sizeof(protos) / sizeof(protos[0]); i++)
			filter_expect(filter, 0, BLOCKED, .source = family->client,
				      .destination = family->server, .proto = protos[i],
				      .flags = FRAME_SYN, .vlans = i % 3);
	}
	filter_expect(filter, 0, BLOCKED, .source = families[0].client,
		      .destination = families[0].server, .ip_fragment = 800);
	filter_expect(filter, 0, BLOCKED, .source = families[1].client,
		      .destination = families[1].server, .extension = {{IPPROTO_FRAGMENT, 8, 800}});
}

static void allow_beats_block_and_everything_after_it(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		filter_list(filter, FILTER_BLOCK, family->client, 0);
		filter_list(filter, FILTER_BLOCK, family->prefix, 0);
		filter_list(filter, FILTER_ALLOW, family->client_prefix, 0);
		expect(PASS_ALLOWED, family->client);
		expect(BLOCKED, family->neighbour);
		filter_expect(filter, 0, PASS_ALLOWED, .source = family->client,
			      .destination = family->server, .flags = FRAME_SYN | FRAME_FIN);
		filter_bind(filter, 1, family->any, 443, IPPROTO_TCP);
		filter_set(filter, 1, FW_SET_SOURCE_CONNECTIONS, 1);
		filter_hold(filter, family->client, 1, FW_LEVEL_SOURCE, 5);
		filter_expect(filter, 0, PASS_ALLOWED, .source = family->client,
			      .destination = family->server, .flags = FRAME_SYN);
	}
}

static void an_allowed_prefix_lets_its_addresses_pass(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		filter_list(filter, FILTER_BLOCK, family->wider, 0);
		filter_list(filter, FILTER_ALLOW, family->prefix, 0);
		expect(PASS_ALLOWED, family->client);
		expect(PASS_ALLOWED, family->neighbour);
		expect(PASS_ESTABLISHED, family->stranger);
	}
}

static void an_expired_entry_counts_as_absent(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		filter_list(filter, FILTER_BLOCK, family->client, -2);
		expect(PASS_ESTABLISHED, family->client);
		filter_list(filter, FILTER_BLOCK, family->client, 3600);
		expect(BLOCKED, family->client);
		filter_list(filter, FILTER_BLOCK, family->client, -2);
		filter_list(filter, FILTER_BLOCK, family->prefix, -2);
		expect(PASS_ESTABLISHED, family->client);
		filter_list(filter, FILTER_ALLOW, family->client_prefix, -2);
		expect(PASS_ESTABLISHED, family->client);
		filter_list(filter, FILTER_ALLOW, family->client_prefix, 3600);
		expect(PASS_ALLOWED, family->client);
	}
}

/* A short block that ran out must not shelter its sources from the wide one around it. */
static void an_expired_entry_uncovers_the_wider_one(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		filter_list(filter, FILTER_BLOCK, family->wider, 0);
		filter_list(filter, FILTER_BLOCK, family->prefix, -2);
		filter_list(filter, FILTER_BLOCK, family->client, -2);
		expect(BLOCKED, family->client);
		assert_int_equal(filter_list_packets(filter, FILTER_BLOCK, family->wider), 1);
		assert_int_equal(filter_list_packets(filter, FILTER_BLOCK, family->prefix), 0);

		filter_list(filter, FILTER_ALLOW, family->wider, 0);
		filter_list(filter, FILTER_ALLOW, family->client_prefix, -2);
		expect(PASS_ALLOWED, family->client);
	}
}

static void entries_count_what_they_decide(void **state)
{
	struct filter *filter = *state;
	int i;

	for_each_family(family)
	{
		filter_list(filter, FILTER_BLOCK, family->client, 0);
		filter_list(filter, FILTER_BLOCK, family->prefix, 0);
		for (i = 0; i < 3; i++)
			expect(BLOCKED, family->client);
		expect(BLOCKED, family->neighbour);
		assert_int_equal(filter_list_packets(filter, FILTER_BLOCK, family->client), 3);
		assert_int_equal(filter_list_packets(filter, FILTER_BLOCK, family->prefix), 1);
		filter_list(filter, FILTER_ALLOW, family->wider, 0);
		expect(PASS_ALLOWED, family->client);
		assert_int_equal(filter_list_packets(filter, FILTER_ALLOW, family->wider), 1);
		assert_int_equal(filter_list_packets(filter, FILTER_BLOCK, family->client), 3);
	}
}

#define test(name) cmocka_unit_test_setup_teardown(name, filter_setup, filter_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_blocked_address_is_dropped_and_no_other),
		test(a_blocked_prefix_takes_all_its_addresses),
		test(one_family_can_be_blocked_whole),
		test(a_block_holds_for_every_kind_of_packet),
		test(allow_beats_block_and_everything_after_it),
		test(an_allowed_prefix_lets_its_addresses_pass),
		test(an_expired_entry_counts_as_absent),
		test(an_expired_entry_uncovers_the_wider_one),
		test(entries_count_what_they_decide),
	};

	return cmocka_run_group_tests_name("lists", tests, NULL, NULL);
}
