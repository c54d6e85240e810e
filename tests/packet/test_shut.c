// SPDX-License-Identifier: BSD-2-Clause
/* Sources that are shut out: who may not knock, where, and until when. */
#include <netinet/in.h>
#include "common/rates.h"

static void shut(struct filter *filter, const char *source, uint32_t service, int seconds)
{
	filter_shut(filter, source, service, filter_now() + (uint64_t)seconds * FILTER_SECOND, 0);
}

static void an_attempt_ends_and_nobody_elses(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		shut(filter, family->client, SERVICE, 100);
		attempt(SOURCE_CONDUCT, family->client);
		attempt(PASS_SYN, family->neighbour);
		attempt(PASS_SYN, family->stranger);
		filter_expect(filter, OTHER_SERVICE, PASS_SYN, .source = family->client,
			      .destination = family->server, .destination_port = 80,
			      .flags = FRAME_SYN);
	}
}

static void it_makes_no_difference_that_the_source_is_verified(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		filter_verify(filter, family->client, SERVICE);
		attempt(PASS_VERIFIED, family->client);
		shut(filter, family->client, SERVICE, 100);
		attempt(SOURCE_CONDUCT, family->client);
	}
}

/* Others behind the same address may be in the midst of something. */
static void connections_that_are_there_go_on(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		shut(filter, family->client, SERVICE, 100);
		filter_expect(filter, FW_HOST_SERVICE, PASS_ESTABLISHED, .source = family->client,
			      .destination = family->server, .flags = FRAME_ACK);
	}
}

static void it_ends_when_the_time_is_over(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		shut(filter, family->stranger, SERVICE, 100); /* so that lines are looked at */
		shut(filter, family->client, SERVICE, -1);
		attempt(PASS_SYN, family->client);
	}
	/* And with it the look at lines. */
	filter_meta(filter)->shut_ns = filter_now() - FILTER_SECOND;
	for_each_family(family) attempt(PASS_SYN, family->stranger);
}

static void every_slot_of_a_line_counts(void **state)
{
	struct filter *filter = *state;
	const struct family *family = &families[0];

	for (int slot = 0; slot < 8; slot++) {
		filter_shut(filter, family->client, SERVICE, filter_now() + 100 * FILTER_SECOND,
			    slot);
		attempt(SOURCE_CONDUCT, family->client);
		filter_shut(filter, family->client, SERVICE, 0, slot);
		attempt(PASS_SYN, family->client);
	}
}

static void who_is_allowed_may(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		shut(filter, family->client, SERVICE, 100);
		filter_list(filter, FILTER_ALLOW, family->client_prefix, 0);
		filter_expect(filter, FW_HOST_SERVICE, PASS_ALLOWED, .source = family->client,
			      .destination = family->server, .flags = FRAME_SYN);
	}
}

static void a_rule_in_monitor_mode_only_counts(void **state)
{
	struct filter *filter = *state;

	filter_set_mode(filter, FW_SOURCE_CONDUCT, FW_MODE_MONITOR);
	for_each_family(family)
	{
		shut(filter, family->client, SERVICE, 100);
		attempt(PASS_SYN, family->client);
	}
	assert_int_equal(filter_counter(filter, SERVICE, FW_SOURCE_CONDUCT).would, 2);
}

#define test(name) cmocka_unit_test_setup_teardown(name, rates_setup, filter_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(an_attempt_ends_and_nobody_elses),
		test(it_makes_no_difference_that_the_source_is_verified),
		test(connections_that_are_there_go_on),
		test(it_ends_when_the_time_is_over),
		test(every_slot_of_a_line_counts),
		test(who_is_allowed_may),
		test(a_rule_in_monitor_mode_only_counts),
	};

	return cmocka_run_group_tests_name("shut", tests, NULL, NULL);
}
