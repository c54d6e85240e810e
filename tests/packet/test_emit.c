// SPDX-License-Identifier: BSD-2-Clause
/* What verdicts leave behind: monitor mode, counters, sampled events whose counts add up. */
#include "common/filter.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include "common/family.h"

enum { SERVICE = 1 };

static int setup(void **state)
{
	filter_setup(state);
	for_each_family(family) filter_bind(*state, SERVICE, family->any, 443, IPPROTO_TCP);
	return 0;
}

#define expect(service, verdict, ...) filter_expect(filter, service, verdict, __VA_ARGS__)
#define attempt(verdict, from)                                                                     \
	filter_expect(filter, SERVICE, verdict, .source = from, .destination = family->server,     \
		      .flags = FRAME_SYN)

static uint64_t would(struct filter *filter, uint32_t service, enum fw_verdict verdict)
{
	return filter_counter(filter, service, verdict).would;
}

/* --- monitor mode ---------------------------------------------------------------------------- */

static void a_malformed_packet_in_monitor_mode_passes(void **state)
{
	struct filter *filter = *state;
	struct frame cut = frame(.source = "203.0.113.7", .destination = "198.51.100.1");

	cut.length -= 4;
	filter_expect_frame(filter, 0, FW_TRUNCATED, &cut);
	filter_set_mode(filter, FW_TRUNCATED, FW_MODE_MONITOR);
	filter_expect_frame(filter, 0, FW_PASS_OTHER, &cut);
	assert_int_equal(would(filter, 0, FW_TRUNCATED), 1);
	/* Its addresses were read, and the lists still speak. */
	filter_list(filter, FILTER_BLOCK, "203.0.113.7", 0);
	filter_expect_frame(filter, 0, FW_BLOCKED, &cut);
	assert_int_equal(would(filter, 0, FW_TRUNCATED), 2);
	assert_int_equal(filter_counter(filter, 0, FW_TRUNCATED).packets, 1);
}

static void a_monitored_rule_lets_the_next_one_decide(void **state)
{
	struct filter *filter = *state;

	filter_set_mode(filter, FW_BLOCKED, FW_MODE_MONITOR);
	filter_set_mode(filter, FW_LAND, FW_MODE_MONITOR);
	filter_set_mode(filter, FW_MARTIAN, FW_MODE_MONITOR);
	for_each_family(family)
	{
		filter_list(filter, FILTER_BLOCK, family->client, 0);
		attempt(PASS_SYN, family->client);
		expect(0, TCP_FLAGS, .source = family->client, .destination = family->server);
		expect(0, TCP_FLAGS, .source = family->server, .destination = family->server,
		       .source_port = 443);
		expect(0, PASS_ESTABLISHED, .source = family->server, .destination = family->server,
		       .source_port = 443, .flags = FRAME_ACK);
	}
	expect(0, PASS_ESTABLISHED, .source = "127.0.0.1", .destination = "198.51.100.1",
	       .flags = FRAME_ACK);
	assert_int_equal(would(filter, 0, FW_BLOCKED), 4);
	assert_int_equal(would(filter, 0, FW_LAND), 4);
	assert_int_equal(would(filter, 0, FW_MARTIAN), 1);
	assert_int_equal(filter_counter(filter, 0, FW_BLOCKED).packets, 0);
}

static void limits_in_monitor_mode_are_skipped_one_by_one(void **state)
{
	static const enum fw_verdict rules[] = {FW_SOURCE_CONNECTIONS, FW_PREFIX_CONNECTIONS,
						FW_SOURCE_SYN_RATE, FW_PREFIX_SYN_RATE};
	struct filter *filter = *state;
	size_t i;

	filter_set(filter, SERVICE, FW_SET_SOURCE_CONNECTIONS, 1);
	filter_set(filter, SERVICE, FW_SET_PREFIX_CONNECTIONS, 1);
	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_BURST, 1);
	filter_set(filter, SERVICE, FW_SET_PREFIX_SYN_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_PREFIX_SYN_BURST, 1);
	for_each_family(family)
	{
		attempt(PASS_SYN, family->client); /* uses the rates up */
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_SOURCE, 1);
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_PREFIX, 1);
		for (i = 0; i < 4; i++) {
			struct frame syn = frame(.source = family->client,
						 .destination = family->server, .flags = FRAME_SYN);

			filter_expect_frame(filter, SERVICE, rules[i], &syn);
			filter_set_mode(filter, rules[i], FW_MODE_MONITOR);
		}
		attempt(PASS_SYN, family->client);
		for (i = 0; i < 4; i++)
			filter_set_mode(filter, rules[i], FW_MODE_ENFORCE);
	}
	for (i = 0; i < 4; i++)
		assert_int_equal(would(filter, SERVICE, rules[i]), 2 * (4 - i));
}

static void a_verified_source_in_monitor_mode_passes_as_verified(void **state)
{
	struct filter *filter = *state;

	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_BURST, 1);
	filter_set_mode(filter, FW_VERIFIED_SYN_RATE, FW_MODE_MONITOR);
	for_each_family(family)
	{
		filter_verify(filter, family->client, SERVICE);
		attempt(PASS_VERIFIED, family->client);
		attempt(PASS_VERIFIED, family->client);
	}
	assert_int_equal(would(filter, SERVICE, FW_VERIFIED_SYN_RATE), 2);
}

/* The service's own rules only: the lists and sanity are the host's. */
static void a_service_in_monitor_mode_loses_nothing(void **state)
{
	struct filter *filter = *state;
	struct fw_event event;

	filter_set(filter, SERVICE, FW_SET_MONITOR, 1);
	filter_set(filter, SERVICE, FW_SET_SOURCE_CONNECTIONS, 1);
	filter_set(filter, SERVICE, FW_SET_SERVICE_SYN_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_SERVICE_SYN_BURST, 1);
	for_each_family(family)
	{
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_SOURCE, 1);
		attempt(PASS_SYN, family->client);
		filter_list(filter, FILTER_BLOCK, family->stranger, 0);
		expect(0, BLOCKED, .source = family->stranger, .destination = family->server,
		       .flags = FRAME_SYN);
	}
	assert_int_equal(would(filter, SERVICE, FW_SOURCE_CONNECTIONS), 2);
	assert_int_equal(would(filter, SERVICE, FW_SERVICE_SYN_RATE), 1);
	assert_true(filter_event(filter, 1, &event));
	assert_int_equal(event.verdict, FW_SOURCE_CONNECTIONS);
	assert_int_equal(event.mode, FW_MODE_MONITOR);
	assert_true(filter_event(filter, 2, &event));
	assert_int_equal(event.verdict, FW_BLOCKED);
	assert_int_equal(event.mode, FW_MODE_ENFORCE);
}

/* --- events ---------------------------------------------------------------------------------- */

static void an_event_tells_the_packet(void **state)
{
	struct filter *filter = *state;
	uint64_t sequence = 0;
	struct fw_event event;
	struct fw_addr addr;

	filter_set(filter, SERVICE, FW_SET_SOURCE_CONNECTIONS, 1);
	for_each_family(family)
	{
		filter_hold(filter, family->client, SERVICE, FW_LEVEL_SOURCE, 1);
		expect(SERVICE, SOURCE_CONNECTIONS, .source = family->client,
		       .destination = family->server, .source_port = 12345, .flags = FRAME_SYN,
		       .payload = 7);
		assert_int_equal(filter_events(filter), ++sequence);
		assert_true(filter_event(filter, sequence, &event));
		addr = filter_address(family->client);
		assert_memory_equal(&event.source, &addr, sizeof(addr));
		addr = filter_address(family->server);
		assert_memory_equal(&event.destination, &addr, sizeof(addr));
		assert_int_equal(ntohs(event.source_port), 12345);
		assert_int_equal(ntohs(event.destination_port), 443);
		assert_int_equal(event.service, SERVICE);
		assert_int_equal(event.verdict, FW_SOURCE_CONNECTIONS);
		assert_int_equal(event.proto, IPPROTO_TCP);
		assert_int_equal(event.mode, FW_MODE_ENFORCE);
		assert_int_equal(event.count, 1);
		assert_int_equal(event.length, 14 + (family == families ? 20 : 40) + 20 + 7);
		assert_int_equal(event.ifindex, 1); /* BPF_PROG_RUN is received on lo */
		assert_true(event.time_ns > 0);
	}
}

static void packets_that_pass_make_no_events(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		attempt(PASS_SYN, family->client);
		expect(0, PASS_ESTABLISHED, .source = family->client, .destination = family->server,
		       .flags = FRAME_ACK);
		filter_list(filter, FILTER_ALLOW, family->client_prefix, 0);
		expect(0, PASS_ALLOWED, .source = family->client, .destination = family->server);
	}
	assert_int_equal(filter_events(filter), 0);
}

/* Each CPU samples by itself: on one, every packet is told in the end. */
static void a_flood_is_sampled_and_its_counts_add_up(void **state)
{
	struct filter *filter = *state;
	struct frame scan = frame(.source = "203.0.113.7", .destination = "198.51.100.1");
	uint64_t told = 0, sequence;
	struct fw_event event;
	cpu_set_t all, one;
	int i;

	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	filter_set(filter, FW_HOST_SERVICE, FW_SET_HOST_EVENTS_PER_SECOND, 5);
	for (i = 0; i < 5000; i++)
		filter_passes(filter, &scan);
	/* A second's worth at once, and five for each second that the loop took. */
	assert_in_range(filter_events(filter), 5, 50);
	filter_age(filter, 60 * FILTER_SECOND);
	filter_passes(filter, &scan);
	for (sequence = 1; sequence <= filter_events(filter); sequence++) {
		assert_true(filter_event(filter, sequence, &event));
		assert_int_equal(event.verdict, FW_TCP_FLAGS);
		told += event.count;
	}
	assert_int_equal(told, 5001);
	assert_int_equal(filter_counter(filter, 0, FW_TCP_FLAGS).packets, 5001);
	sched_setaffinity(0, sizeof(all), &all);
}

static void reasons_and_services_are_sampled_apart(void **state)
{
	struct filter *filter = *state;
	struct fw_event event;
	uint64_t before;
	int i;

	filter_set(filter, FW_HOST_SERVICE, FW_SET_HOST_EVENTS_PER_SECOND, 1);
	for (i = 0; i < 500; i++) {
		struct frame scan = frame(.source = "203.0.113.7", .destination = "198.51.100.1");

		filter_passes(filter, &scan);
	}
	before = filter_events(filter);
	expect(0, MARTIAN, .source = "127.0.0.1", .destination = "198.51.100.1",
	       .flags = FRAME_ACK);
	assert_int_equal(filter_events(filter), before + 1);
	assert_true(filter_event(filter, before + 1, &event));
	assert_int_equal(event.verdict, FW_MARTIAN);
	assert_int_equal(event.count, 1);
}

static void the_ring_keeps_the_newest(void **state)
{
	struct filter *filter = *state;
	struct frame scan = frame(.source = "203.0.113.7", .destination = "198.51.100.1");
	struct fw_event event;
	uint64_t newest;
	int i;

	filter_set(filter, FW_HOST_SERVICE, FW_SET_HOST_EVENTS_PER_SECOND, 100000);
	for (i = 0; i < FW_EVENTS_MAX + 100; i++)
		filter_passes(filter, &scan);
	newest = filter_events(filter);
	assert_int_equal(newest, FW_EVENTS_MAX + 100);
	assert_true(filter_event(filter, newest, &event));
	assert_true(filter_event(filter, newest - FW_EVENTS_MAX + 1, &event));
	assert_false(filter_event(filter, newest - FW_EVENTS_MAX, &event));
}

static void events_can_be_left_out_at_load(void **state)
{
	struct filter *filter = filter_load_with(.no_events = true);

	(void)state;
	expect(0, TCP_FLAGS, .source = "203.0.113.7", .destination = "198.51.100.1");
	assert_int_equal(filter_events(filter), 0);
	filter_free(filter);
}

/* --- constants ------------------------------------------------------------------------------- */

static void load_and_try(const struct filter_constants *constants)
{
	struct filter *filter = filter_load_constants(constants);

	filter_bind(filter, SERVICE, "0.0.0.0", 443, IPPROTO_TCP);
	filter_hold(filter, "203.0.113.7", SERVICE, FW_LEVEL_SOURCE, 1000);
	expect(SERVICE, SOURCE_CONNECTIONS, .source = "203.0.113.7", .destination = "198.51.100.1",
	       .flags = FRAME_SYN);
	filter_free(filter);
}

static void the_verifier_takes_every_combination_of_constants(void **state)
{
	static const uint32_t buckets[] = {1, 32768, 1 << 20};
	struct filter_constants constants;
	size_t i;

	(void)state;
	for (unsigned int bits = 0; bits < 4; bits++)
		for (int tier = FW_TIER_DROP; tier <= FW_TIER_OWN; tier++)
			for (i = 0; i < sizeof(buckets) / sizeof(buckets[0]); i++) {
				constants = (struct filter_constants){.buckets = buckets[i],
								      .no_events = bits & 1,
								      .no_questions = bits >> 1,
								      .tier = tier};
				load_and_try(&constants);
			}
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, filter_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_malformed_packet_in_monitor_mode_passes),
		test(a_monitored_rule_lets_the_next_one_decide),
		test(limits_in_monitor_mode_are_skipped_one_by_one),
		test(a_verified_source_in_monitor_mode_passes_as_verified),
		test(a_service_in_monitor_mode_loses_nothing),
		test(an_event_tells_the_packet),
		test(packets_that_pass_make_no_events),
		test(a_flood_is_sampled_and_its_counts_add_up),
		test(reasons_and_services_are_sampled_apart),
		test(the_ring_keeps_the_newest),
		cmocka_unit_test(events_can_be_left_out_at_load),
		cmocka_unit_test(the_verifier_takes_every_combination_of_constants),
	};

	return cmocka_run_group_tests_name("emit", tests, NULL, NULL);
}
