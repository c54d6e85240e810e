// SPDX-License-Identifier: BSD-2-Clause
/*
 * Rates that have a cell of their own: verified sources' and the service's gate. A burst is exact
 * to the attempt, a refill to the interval; time passes only when the test says so, as every rate
 * here is one a second and no test takes that long.
 */
#include "common/rates.h"
#include <netinet/in.h>

static void limit_source(struct filter *filter, uint64_t rate, uint64_t burst)
{
	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_RATE, rate);
	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_BURST, burst);
}

static void limit_service(struct filter *filter, uint64_t rate, uint64_t burst)
{
	filter_set(filter, SERVICE, FW_SET_SERVICE_SYN_RATE, rate);
	filter_set(filter, SERVICE, FW_SET_SERVICE_SYN_BURST, burst);
}

static void a_verified_source_has_its_burst_and_then_its_rate(void **state)
{
	struct filter *filter = *state;

	limit_source(filter, 1, 5);
	for_each_family(family)
	{
		filter_verify(filter, family->client, SERVICE);
		rates_expect_burst(filter, family, 5, FW_PASS_VERIFIED, FW_VERIFIED_SYN_RATE);
	}
}

static void verified_sources_do_not_share(void **state)
{
	struct filter *filter = *state;

	limit_source(filter, 1, 1);
	for_each_family(family)
	{
		filter_verify(filter, family->client, SERVICE);
		filter_verify(filter, family->neighbour, SERVICE);
		filter_verify(filter, family->client, OTHER_SERVICE);
		attempt(PASS_VERIFIED, family->client);
		attempt(VERIFIED_SYN_RATE, family->client);
		attempt(PASS_VERIFIED, family->neighbour);
		filter_expect(filter, OTHER_SERVICE, PASS_VERIFIED, .source = family->client,
			      .destination = family->server, .destination_port = 80,
			      .flags = FRAME_SYN);
	}
}

/* What everybody unverified has used up does not concern those who are verified. */
static void the_verified_pass_while_the_others_are_over_the_limit(void **state)
{
	struct filter *filter = *state;

	limit_source(filter, 1, 2);
	filter_set(filter, SERVICE, FW_SET_PREFIX_SYN_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_PREFIX_SYN_BURST, 1);
	limit_service(filter, 1, 2);
	for_each_family(family)
	{
		attempt(PASS_SYN, family->client);
		attempt(PREFIX_SYN_RATE, family->neighbour);
		filter_verify(filter, family->neighbour, SERVICE);
		attempt(PASS_VERIFIED, family->neighbour);
		attempt(PASS_VERIFIED, family->neighbour);
		attempt(VERIFIED_SYN_RATE, family->neighbour);
	}
	/* Two unverified attempts passed, and nothing else has used the gate up. */
	for_each_family(family) attempt(SERVICE_SYN_RATE, family->stranger);
}

static void the_gate_counts_all_unverified_sources_together(void **state)
{
	struct filter *filter = *state;

	limit_service(filter, 1, 6);
	for_each_family(family)
	{
		attempt(PASS_SYN, family->client);
		attempt(PASS_SYN, family->neighbour);
		attempt(PASS_SYN, family->stranger);
	}
	for_each_family(family) attempt(SERVICE_SYN_RATE, family->client);
	filter_age(filter, FILTER_SECOND);
	filter_expect(filter, SERVICE, PASS_SYN, .source = families[0].stranger,
		      .destination = families[0].server, .flags = FRAME_SYN);
	for_each_family(family)
	{
		attempt(SERVICE_SYN_RATE, family->client);
		filter_expect(filter, OTHER_SERVICE, PASS_SYN, .source = family->client,
			      .destination = family->server, .destination_port = 80,
			      .flags = FRAME_SYN);
	}
}

static void a_rate_of_zero_is_no_limit(void **state)
{
	struct filter *filter = *state;
	int i;

	limit_source(filter, 0, 1);
	for_each_family(family)
	{
		filter_verify(filter, family->client, SERVICE);
		for (i = 0; i < 50; i++)
			attempt(PASS_VERIFIED, family->client);
		for (i = 0; i < 50; i++)
			attempt(PASS_SYN, family->stranger);
	}
}

/* An edit counts from the next packet on, both ways: what a slower limit put a minute ahead does
 * not outlive it. */
static void an_edited_limit_counts_at_once(void **state)
{
	struct filter *filter = *state;
	int i;

	for_each_family(family)
	{
		limit_source(filter, 1, 60);
		filter_verify(filter, family->client, SERVICE);
		for (i = 0; i < 30; i++)
			attempt(PASS_VERIFIED, family->client);
		limit_source(filter, 1, 10);
		attempt(VERIFIED_SYN_RATE, family->client);
		limit_source(filter, 1, 60);
		filter_age(filter, 9 * FILTER_SECOND); /* clipped to the ten that were allowed */
		attempt(PASS_VERIFIED, family->client);
		limit_source(filter, 10000000, 1);
		attempt(VERIFIED_SYN_RATE, family->client);
		attempt(PASS_VERIFIED, family->client);
	}
}

/* bpftool writes whatever it is told; rows say what is meant. */
static void absurd_settings_are_clamped(void **state)
{
	static const uint64_t absurd[] = {UINT64_MAX, 1ULL << 63, 1ULL << 32, 20000000000ULL};
	struct filter *filter = *state;
	size_t i;

	for_each_family(family)
	{
		filter_verify(filter, family->client, SERVICE);
		for (i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
			limit_source(filter, absurd[i], absurd[i]);
			limit_service(filter, absurd[i], absurd[i]);
			attempt(PASS_VERIFIED, family->client);
			attempt(PASS_SYN, family->stranger);
			limit_source(filter, 1, absurd[i]);
			attempt(PASS_VERIFIED, family->client);
			filter_age(filter, 10 * FILTER_SECOND);
		}
	}
}

static void a_burst_of_zero_is_one(void **state)
{
	struct filter *filter = *state;

	limit_source(filter, 1, 0);
	for_each_family(family)
	{
		filter_verify(filter, family->client, SERVICE);
		attempt(PASS_VERIFIED, family->client);
		attempt(VERIFIED_SYN_RATE, family->client);
	}
}

#define test(name) cmocka_unit_test_setup_teardown(name, rates_setup, filter_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_verified_source_has_its_burst_and_then_its_rate),
		test(verified_sources_do_not_share),
		test(the_verified_pass_while_the_others_are_over_the_limit),
		test(the_gate_counts_all_unverified_sources_together),
		test(a_rate_of_zero_is_no_limit),
		test(an_edited_limit_counts_at_once),
		test(absurd_settings_are_clamped),
		test(a_burst_of_zero_is_one),
	};

	return cmocka_run_group_tests_name("rate", tests, NULL, NULL);
}
