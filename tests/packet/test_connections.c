// SPDX-License-Identifier: BSD-2-Clause
/* Caps on concurrent connections, as the filter enforces them: at the attempt, from what tracking
 * counted. */
#include "common/filter.h"
#include <netinet/in.h>
#include "common/family.h"

enum { SERVICE = 1, OTHER_SERVICE = 2 };

static int setup(void **state)
{
	filter_setup(state);
	for_each_family(family)
	{
		filter_bind(*state, SERVICE, family->any, 443, IPPROTO_TCP);
		filter_bind(*state, OTHER_SERVICE, family->any, 80, IPPROTO_TCP);
	}
	return 0;
}

#define attempt(verdict, from)                                                                     \
	filter_expect(filter, SERVICE, verdict, .source = from, .destination = family->server,     \
		      .flags = FRAME_SYN)

static void a_source_at_its_cap_opens_no_more(void **state)
{
	struct filter *filter = *state;

	filter_set(filter, SERVICE, FW_SET_SOURCE_CONNECTIONS, 10);
	for_each_family(family)
	{
		attempt(PASS_SYN, family->client);
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_SOURCE, 9);
		attempt(PASS_SYN, family->client);
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_SOURCE, 10);
		attempt(SOURCE_CONNECTIONS, family->client);
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_SOURCE, 11);
		attempt(SOURCE_CONNECTIONS, family->client);
		attempt(PASS_SYN, family->neighbour);
		/* What it has open goes on. */
		filter_expect(filter, 0, PASS_ESTABLISHED, .source = family->client,
			      .destination = family->server, .flags = FRAME_ACK);
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_SOURCE, 0);
		attempt(PASS_SYN, family->client);
	}
}

static void a_prefix_at_its_cap_opens_no_more(void **state)
{
	struct filter *filter = *state;

	filter_set(filter, SERVICE, FW_SET_PREFIX_CONNECTIONS, 100);
	for_each_family(family)
	{
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_PREFIX, 100);
		attempt(PREFIX_CONNECTIONS, family->client);
		attempt(PREFIX_CONNECTIONS, family->neighbour);
		attempt(PASS_SYN, family->stranger);
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_PREFIX, 99);
		attempt(PASS_SYN, family->neighbour);
	}
}

/* An IPv6 prefix whose bytes are those of an IPv4 one uses up nothing of it. */
static void families_share_no_cap(void **state)
{
	const struct family *family = &families[0];
	struct filter *filter = *state;

	filter_set(filter, SERVICE, FW_SET_PREFIX_CONNECTIONS, 100);
	filter_hold(filter, "2a01:7e00::1", SERVICE, FW_LEVEL_PREFIX, 100);
	attempt(PASS_SYN, "42.1.126.1");
	family = &families[1];
	attempt(PREFIX_CONNECTIONS, "2a01:7e00::1");
	filter_hold(filter, "42.1.126.1", SERVICE, FW_LEVEL_PREFIX, 100);
	filter_hold(filter, "2a01:7e00::1", SERVICE, FW_LEVEL_PREFIX, 0);
	attempt(PASS_SYN, "2a01:7e00::1");
}

static void a_cap_concerns_one_service(void **state)
{
	struct filter *filter = *state;

	filter_set(filter, SERVICE, FW_SET_SOURCE_CONNECTIONS, 5);
	filter_set(filter, OTHER_SERVICE, FW_SET_SOURCE_CONNECTIONS, 5);
	for_each_family(family)
	{
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_SOURCE, 5);
		attempt(SOURCE_CONNECTIONS, family->client);
		filter_expect(filter, OTHER_SERVICE, PASS_SYN, .source = family->client,
			      .destination = family->server, .destination_port = 80,
			      .flags = FRAME_SYN);
	}
}

static void a_cap_holds_for_verified_sources_too(void **state)
{
	struct filter *filter = *state;

	filter_set(filter, SERVICE, FW_SET_SOURCE_CONNECTIONS, 5);
	for_each_family(family)
	{
		filter_verify(filter, family->client, SERVICE);
		attempt(PASS_VERIFIED, family->client);
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_SOURCE, 5);
		attempt(SOURCE_CONNECTIONS, family->client);
	}
}

static void a_cap_of_zero_is_none(void **state)
{
	struct filter *filter = *state;

	filter_set(filter, SERVICE, FW_SET_SOURCE_CONNECTIONS, 0);
	filter_set(filter, SERVICE, FW_SET_PREFIX_CONNECTIONS, 0);
	for_each_family(family)
	{
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_SOURCE, 1000000);
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_PREFIX, 1000000);
		attempt(PASS_SYN, family->client);
	}
}

static void an_attempt_over_a_cap_costs_no_rate(void **state)
{
	struct filter *filter = *state;
	int i;

	filter_set(filter, SERVICE, FW_SET_SOURCE_CONNECTIONS, 1);
	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_BURST, 1);
	for_each_family(family)
	{
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_SOURCE, 1);
		for (i = 0; i < 5; i++)
			attempt(SOURCE_CONNECTIONS, family->client);
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_SOURCE, 0);
		attempt(PASS_SYN, family->client);
		attempt(SOURCE_SYN_RATE, family->client);
	}
}

/* Two CPUs may have claimed a slot each for one holder. */
static void slots_of_one_holder_add_up(void **state)
{
	const uint64_t hash = 0x123456789abcdef0ULL, fingerprint = fw_connection_fingerprint(hash);
	struct fw_connection_bucket bucket = {
		.slot = {fingerprint | 3, 0, (fingerprint + (1 << 24)) | 100, fingerprint | 4}};

	(void)state;
	assert_int_equal(fw_connection_count(&bucket, hash), 7);
	assert_int_equal(fw_connection_count(&bucket, hash + (1 << 24)), 100);
	assert_int_equal(fw_connection_count(&bucket, 0), 0);
	/* A fingerprint of zero would look like a free slot. */
	assert_true(fw_connection_fingerprint(5) != 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, filter_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_source_at_its_cap_opens_no_more),
		test(a_prefix_at_its_cap_opens_no_more),
		test(families_share_no_cap),
		test(a_cap_concerns_one_service),
		test(a_cap_holds_for_verified_sources_too),
		test(a_cap_of_zero_is_none),
		test(an_attempt_over_a_cap_costs_no_rate),
		cmocka_unit_test(slots_of_one_holder_add_up),
	};

	return cmocka_run_group_tests_name("connections", tests, NULL, NULL);
}
