// SPDX-License-Identifier: BSD-2-Clause
/*
 * Amplification: answers to what the host asked pass exactly, and whatever nobody here asked for
 * passes within the rate of its kind. Rates here are one a second, so the first packet is the
 * burst, and the second comes too early.
 */
#include "common/filter.h"
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "common/family.h"

enum { LOCAL_PORT = 40001 };

#define expect(verdict, ...) filter_expect(filter, FW_HOST_SERVICE, verdict, __VA_ARGS__)
/* UDP from a port of @client to one of the server. */
#define datagram(verdict, from, to, ...)                                                           \
	expect(verdict, .source = family->client, .destination = family->server,                   \
	       .proto = IPPROTO_UDP, .source_port = from, .destination_port = to, __VA_ARGS__)

static const struct reflector {
	uint16_t port;
	const char *protocol;
} reflectors[] = {
#define FW_REFLECTOR(port, protocol, form, source) {port, protocol},
#include "reflectors.def"
#undef FW_REFLECTOR
};

#define for_each_reflector(reflector)                                                              \
	for (const struct reflector *reflector = reflectors;                                       \
	     reflector < reflectors + sizeof(reflectors) / sizeof(reflectors[0]); reflector++)

static void limit(struct filter *filter, enum fw_setting setting, uint64_t rate)
{
	filter_set(filter, FW_HOST_SERVICE, setting, rate);
}

static void from_every_reflectors_port_only_the_rate_passes(void **state)
{
	struct filter *filter = *state;

	limit(filter, FW_SET_RATES_UNSOLICITED, 1);
	for_each_family(family) for_each_reflector(reflector)
	{
		filter_age(filter, 2 * FILTER_SECOND);
		/* DNS and NTP: what says that it is an answer. */
		datagram(PASS_OTHER, reflector->port, LOCAL_PORT, .payload = 0);
		datagram(UNSOLICITED_RATE, reflector->port, LOCAL_PORT, .payload = 0);
		/* The other way round it is a question to a server here. */
		datagram(PASS_OTHER, LOCAL_PORT, reflector->port, .payload = 0);
	}
}

static void ports_of_no_reflector_are_nobodys_business(void **state)
{
	static const uint16_t ports[] = {1, 67, 68, 443, 500, 546, 547, 1812, 4500, 4789, 51820};
	struct filter *filter = *state;

	limit(filter, FW_SET_RATES_UNSOLICITED, 1);
	for_each_family(family) for (size_t i = 0; i < 2 * sizeof(ports) / sizeof(ports[0]); i++)
		datagram(PASS_OTHER, ports[i / 2], LOCAL_PORT, .payload = 100);
}

static void answers_pass_exactly(void **state)
{
	struct filter *filter = *state;

	limit(filter, FW_SET_RATES_UNSOLICITED, 1);
	limit(filter, FW_SET_RATES_UDP, 1);
	for_each_family(family) for_each_reflector(reflector)
	{
		filter_age(filter, 2 * FILTER_SECOND);
		filter_ask(filter, IPPROTO_UDP, family->server, LOCAL_PORT, family->client,
			   reflector->port);
		for (int i = 0; i < 5; i++)
			datagram(PASS_ANSWER, reflector->port, LOCAL_PORT, .payload = 1200);
		/* Neither has an answer used up what others may have … */
		datagram(PASS_OTHER, reflector->port, LOCAL_PORT + 1, .payload = 0);
		/* … nor does a question to one let in another, whatever differs. */
		datagram(UNSOLICITED_RATE, reflector->port, LOCAL_PORT + 1, .payload = 0);
		expect(UNSOLICITED_RATE, .source = family->neighbour, .proto = IPPROTO_UDP,
		       .destination = family->server, .source_port = reflector->port,
		       .destination_port = LOCAL_PORT);
		expect(UNSOLICITED_RATE, .source = family->client, .proto = IPPROTO_UDP,
		       .destination = family->other, .source_port = reflector->port,
		       .destination_port = LOCAL_PORT);
	}
}

static void an_answer_comes_within_the_window(void **state)
{
	struct filter *filter = *state;

	limit(filter, FW_SET_RATES_UNSOLICITED, 1);
	limit(filter, FW_SET_ANSWER_WINDOW, 10000);
	for_each_family(family)
	{
		filter_age(filter, 2 * FILTER_SECOND);
		datagram(PASS_OTHER, 53, LOCAL_PORT, .payload = 0);
		filter_ask(filter, IPPROTO_UDP, family->server, LOCAL_PORT, family->client, 53);
		filter_age(filter, 9 * FILTER_SECOND);
		datagram(PASS_ANSWER, 53, LOCAL_PORT, .payload = 0);
		filter_age(filter, FILTER_SECOND);
		datagram(PASS_OTHER, 53, LOCAL_PORT, .payload = 0);
		datagram(UNSOLICITED_RATE, 53, LOCAL_PORT, .payload = 0);
		/* A longer window counts at once, for questions that were put before. */
		limit(filter, FW_SET_ANSWER_WINDOW, 20000);
		datagram(PASS_ANSWER, 53, LOCAL_PORT, .payload = 0);
		limit(filter, FW_SET_ANSWER_WINDOW, 10000);
	}
}

/* Resolvers and time servers that ask from the port that they answer from. */
static void a_question_is_no_answer(void **state)
{
	static const struct {
		uint16_t port;
		uint8_t first, second, third;
		bool asks;
	} messages[] = {
		{53, 0x12, 0x34, 0x01, true}, {53, 0x12, 0x34, 0x81, false},
		{5353, 0, 0, 0x00, true},     {5353, 0, 0, 0x84, false},
		{123, 0x23, 0, 0, true},      {123, 0x24, 0, 0, false},
		{123, 0x21, 0, 0, true},      {123, 0x22, 0, 0, false},
		{123, 0x25, 0, 0, false},     {123, 0x16, 0x02, 0, true},
		{123, 0x16, 0x82, 0, false},  {123, 0x17, 0x00, 0, true},
		{123, 0x97, 0x00, 0, false},  {11211, 0x12, 0x34, 0, false},
	};
	struct filter *filter = *state;

	limit(filter, FW_SET_RATES_UNSOLICITED, 1);
	for_each_family(family) for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
	{
		struct frame message =
			frame(.source = family->client, .destination = family->server,
			      .proto = IPPROTO_UDP, .source_port = messages[i].port,
			      .destination_port = messages[i].port, .payload = 48);
		uint8_t *data = message.data + message.transport + 8;

		memcpy(data, (uint8_t[]){messages[i].first, messages[i].second, messages[i].third},
		       3);
		filter_age(filter, 2 * FILTER_SECOND);
		filter_expect_frame(filter, 0, FW_PASS_OTHER, &message);
		if (messages[i].asks)
			filter_expect_frame(filter, 0, FW_PASS_OTHER, &message);
		else
			filter_expect_frame(filter, 0, FW_UNSOLICITED_RATE, &message);
	}
}

static void what_is_sent_to_a_group_comes_from_the_link(void **state)
{
	struct filter *filter = *state;

	limit(filter, FW_SET_RATES_UNSOLICITED, 1);
	for (int i = 0; i < 3; i++) {
		expect(PASS_OTHER, .source = "192.0.2.7", .destination = "224.0.0.251",
		       .proto = IPPROTO_UDP, .source_port = 5353, .destination_port = 5353);
		expect(PASS_OTHER, .source = "192.0.2.7", .destination = "255.255.255.255",
		       .proto = IPPROTO_UDP, .source_port = 137, .destination_port = 137);
		expect(PASS_OTHER, .source = "fe80::7", .destination = "ff02::fb",
		       .proto = IPPROTO_UDP, .source_port = 5353, .destination_port = 5353);
	}
}

static void every_kind_has_a_rate_of_its_own(void **state)
{
	struct filter *filter = *state;

	for (int i = FW_SET_RATES_UNSOLICITED; i <= FW_SET_RATES_OTHER; i++)
		limit(filter, i, 1);
	for_each_family(family)
	{
		bool v6 = strchr(family->any, ':');
		int icmp = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
		struct frame first = frame(.source = family->client, .destination = family->server,
					   .proto = icmp, .payload = 56),
			     error = first, too_big = first, later;

		if (v6)
			later = frame(.source = family->client, .destination = family->server,
				      .proto = IPPROTO_UDP,
				      .extension = {{IPPROTO_FRAGMENT, 8, 1480}});
		else
			later = frame(.source = family->client, .destination = family->server,
				      .proto = IPPROTO_UDP, .ip_fragment = 1480);
		first.data[first.transport] = v6 ? 128 : 8; /* echo request */
		error.data[error.transport] = v6 ? 1 : 3;
		too_big.data[too_big.transport] = v6 ? 2 : 3;
		too_big.data[too_big.transport + 1] = v6 ? 0 : 4;

		filter_age(filter, 2 * FILTER_SECOND);
		datagram(PASS_OTHER, 1000, 2000, .payload = 10);
		datagram(UDP_RATE, 1000, 2000, .payload = 10);
		filter_age(filter, 2 * FILTER_SECOND);
		datagram(PASS_OTHER, 11211, 2000, .payload = 10); /* counts as UDP, too */
		datagram(UDP_RATE, 1000, 2000, .payload = 10);
		datagram(UNSOLICITED_RATE, 11211, 2000, .payload = 10);
		filter_expect_frame(filter, 0, FW_PASS_OTHER, &later);
		filter_expect_frame(filter, 0, FW_FRAGMENT_RATE, &later);
		filter_expect_frame(filter, 0, FW_PASS_OTHER, &first);
		filter_expect_frame(filter, 0, FW_ICMP_RATE, &first);
		filter_expect_frame(filter, 0, FW_PASS_OTHER, &error);
		filter_expect_frame(filter, 0, FW_ICMP_ERROR_RATE, &error);
		filter_expect_frame(filter, 0, FW_PASS_OTHER, &too_big);
		filter_expect_frame(filter, 0, FW_PATH_MTU_RATE, &too_big);
		expect(PASS_OTHER, .source = family->client, .destination = family->server,
		       .proto = 47, .payload = 40);
		expect(OTHER_RATE, .source = family->client, .destination = family->server,
		       .proto = 50, .payload = 40);
		expect(PASS_ESTABLISHED, .source = family->client, .destination = family->server,
		       .flags = FRAME_SYN | FRAME_ACK);
		expect(SYN_ACK_RATE, .source = family->client, .destination = family->server,
		       .flags = FRAME_SYN | FRAME_ACK);
		/* What is asked for, and all other TCP, is not concerned. */
		filter_ask(filter, IPPROTO_TCP, family->server, 443, family->client, 40000);
		expect(PASS_ESTABLISHED, .source = family->client, .destination = family->server,
		       .flags = FRAME_SYN | FRAME_ACK);
		expect(PASS_ESTABLISHED, .source = family->client, .destination = family->server,
		       .flags = FRAME_ACK);
		expect(PASS_OTHER, .source = family->client, .destination = family->server,
		       .flags = FRAME_SYN);
	}
}

static void a_rate_of_zero_is_no_limit(void **state)
{
	struct filter *filter = *state;

	for (int i = FW_SET_RATES_UNSOLICITED; i <= FW_SET_RATES_OTHER; i++)
		limit(filter, i, 0);
	for_each_family(family) for (int i = 0; i < 30; i++)
	{
		datagram(PASS_OTHER, 11211, LOCAL_PORT, .payload = 10);
		expect(PASS_OTHER, .source = family->client, .destination = family->server,
		       .proto = 47, .payload = 40);
		expect(PASS_ESTABLISHED, .source = family->client, .destination = family->server,
		       .flags = FRAME_SYN | FRAME_ACK);
	}
}

static void in_monitor_mode_everything_passes_and_is_counted(void **state)
{
	struct filter *filter = *state;

	limit(filter, FW_SET_RATES_UNSOLICITED, 1);
	filter_set_mode(filter, FW_UNSOLICITED_RATE, FW_MODE_MONITOR);
	for_each_family(family) for (int i = 0; i < 10; i++)
		datagram(PASS_OTHER, 123, LOCAL_PORT, .payload = 0);
	assert_int_equal(filter_counter(filter, 0, FW_UNSOLICITED_RATE).would, 19);
	filter_set_mode(filter, FW_UNSOLICITED_RATE, FW_MODE_ENFORCE);
	for_each_family(family) datagram(UNSOLICITED_RATE, 123, LOCAL_PORT, .payload = 0);
}

static void echo_replies_that_were_asked_for_pass(void **state)
{
	struct filter *filter = *state;

	limit(filter, FW_SET_RATES_ICMP, 1);
	for_each_family(family)
	{
		bool v6 = strchr(family->any, ':');
		struct frame reply =
			frame(.source = family->client, .destination = family->server,
			      .proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, .payload = 56);

		reply.data[reply.transport] = v6 ? 129 : 0;
		memcpy(reply.data + reply.transport + 4, "\x12\x34", 2);
		filter_age(filter, 2 * FILTER_SECOND);
		filter_expect_frame(filter, 0, FW_PASS_OTHER, &reply);
		filter_expect_frame(filter, 0, FW_ICMP_RATE, &reply);
		filter_ask(filter, IPPROTO_ICMP, family->server, 0x1234, family->client, 0);
		filter_expect_frame(filter, 0, FW_PASS_ANSWER, &reply);
		filter_expect_frame(filter, 0, FW_PASS_ANSWER, &reply);
		reply.data[reply.transport + 4] ^= 1; /* another's */
		filter_expect_frame(filter, 0, FW_ICMP_RATE, &reply);
	}
}

static void the_link_keeps_working(void **state)
{
	struct filter *filter = *state;

	limit(filter, FW_SET_RATES_ICMP, 1);
	for (int type = 130; type <= 143; type++) {
		bool neighbour = type >= 133 && type <= 137;
		struct frame message = frame(.source = neighbour ? "2001:db8::7" : "fe80::7",
					     .destination = "2001:db8:1::1",
					     .proto = IPPROTO_ICMPV6, .payload = 24);

		if (type > 137 && type < 143)
			continue;
		message.data[message.transport] = type;
		frame_ipv6(&message)->hop_limit = neighbour ? 255 : 1;
		for (int i = 0; i < 3; i++)
			filter_expect_frame(filter, 0, FW_PASS_OTHER, &message);
		/* From beyond the link it is an ICMP packet as any other. */
		filter_age(filter, 2 * FILTER_SECOND);
		if (neighbour)
			frame_ipv6(&message)->hop_limit = 254;
		else
			frame_ipv6(&message)->saddr.s6_addr[0] = 0x20;
		filter_expect_frame(filter, 0, FW_PASS_OTHER, &message);
		filter_expect_frame(filter, 0, FW_ICMP_RATE, &message);
		filter_age(filter, 2 * FILTER_SECOND);
	}
}

#define test(name) cmocka_unit_test_setup_teardown(name, filter_setup, filter_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(from_every_reflectors_port_only_the_rate_passes),
		test(ports_of_no_reflector_are_nobodys_business),
		test(answers_pass_exactly),
		test(an_answer_comes_within_the_window),
		test(a_question_is_no_answer),
		test(what_is_sent_to_a_group_comes_from_the_link),
		test(every_kind_has_a_rate_of_its_own),
		test(a_rate_of_zero_is_no_limit),
		test(in_monitor_mode_everything_passes_and_is_counted),
		test(echo_replies_that_were_asked_for_pass),
		test(the_link_keeps_working),
	};

	return cmocka_run_group_tests_name("amplification", tests, NULL, NULL);
}
