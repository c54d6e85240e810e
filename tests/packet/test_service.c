// SPDX-License-Identifier: BSD-2-Clause
/* Services: which one a connection attempt is for, and that nothing else is looked up. */
#include "common/filter.h"
#include <netinet/in.h>
#include "common/family.h"

#define attempt(service, verdict, to, port)                                                        \
	filter_expect(filter, service, verdict, .source = family->client, .destination = to,       \
		      .destination_port = port, .flags = FRAME_SYN)

static void an_attempt_is_counted_for_its_service(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		filter_bind(filter, 1, family->server, 443, IPPROTO_TCP);
		attempt(1, PASS_SYN, family->server, 443);
		attempt(0, PASS_OTHER, family->server, 80);
		attempt(0, PASS_OTHER, family->other, 443);
	}
}

static void a_wildcard_takes_every_address_of_its_family(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		filter_bind(filter, family == families ? 1 : 2, family->any, 443, IPPROTO_TCP);
		attempt(family == families ? 1 : 2, PASS_SYN, family->server, 443);
		attempt(family == families ? 1 : 2, PASS_SYN, family->other, 443);
	}
}

static void an_exact_address_wins_over_the_wildcard(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		filter_bind(filter, 1, family->any, 443, IPPROTO_TCP);
		filter_bind(filter, 2, family->server, 443, IPPROTO_TCP);
		attempt(2, PASS_SYN, family->server, 443);
		attempt(1, PASS_SYN, family->other, 443);
	}
}

static void a_service_may_have_several_bindings(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		filter_bind(filter, 3, family->server, 25, IPPROTO_TCP);
		filter_bind(filter, 3, family->server, 587, IPPROTO_TCP);
		attempt(3, PASS_SYN, family->server, 25);
		attempt(3, PASS_SYN, family->server, 587);
	}
}

static void only_attempts_belong_to_a_service(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		filter_bind(filter, 1, family->any, 443, IPPROTO_TCP);
		filter_bind(filter, 1, family->any, 443, IPPROTO_UDP);
		filter_expect(filter, 0, PASS_ESTABLISHED, .source = family->client,
			      .destination = family->server, .flags = FRAME_ACK);
		filter_expect(filter, 0, PASS_ESTABLISHED, .source = family->client,
			      .destination = family->server, .flags = FRAME_SYN | FRAME_ACK);
		filter_expect(filter, 0, PASS_OTHER, .source = family->client,
			      .destination = family->server, .proto = IPPROTO_UDP);
		filter_expect(filter, 1, PASS_SYN, .source = family->client,
			      .destination = family->server,
			      .flags = FRAME_SYN | FRAME_ECE | FRAME_CWR, .tcp_options = 20);
		filter_expect(filter, 1, PASS_SYN, .source = family->client,
			      .destination = family->server, .flags = FRAME_SYN, .payload = 100);
	}
}

/* What a slip with bpftool could write. */
static void a_binding_to_an_impossible_service_is_none(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		filter_bind(filter, FW_SERVICES_MAX, family->server, 443, IPPROTO_TCP);
		attempt(0, PASS_OTHER, family->server, 443);
		filter_bind(filter, 0xffffffff, family->server, 443, IPPROTO_TCP);
		attempt(0, PASS_OTHER, family->server, 443);
		filter_bind(filter, 1, family->any, 443, IPPROTO_TCP);
		attempt(1, PASS_SYN, family->server, 443);
	}
}

#define test(name) cmocka_unit_test_setup_teardown(name, filter_setup, filter_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(an_attempt_is_counted_for_its_service),
		test(a_wildcard_takes_every_address_of_its_family),
		test(an_exact_address_wins_over_the_wildcard),
		test(a_service_may_have_several_bindings),
		test(only_attempts_belong_to_a_service),
		test(a_binding_to_an_impossible_service_is_none),
	};

	return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
