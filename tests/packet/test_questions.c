// SPDX-License-Identifier: BSD-2-Clause
/*
 * Questions: what leaves by the real program at TC egress is known to the real filter when the
 * answer comes in, and nothing else is.
 */
#include "common/filter.h"
#include <bpf/bpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <string.h>
#include "common/egress.h"
#include "common/family.h"

enum { LO = EGRESS_LO, BOX = 2, SERVICE = 1 };

static struct questions_bpf *egress;

/* Both programs, on the same map. */
static int setup(void **state)
{
	struct filter *filter;

	filter_setup(state);
	filter = *state;
	for (int i = FW_SET_RATES_UNSOLICITED; i <= FW_SET_RATES_OTHER; i++)
		filter_set(filter, FW_HOST_SERVICE, i, 1);
	egress = egress_open(filter);
	return 0;
}

static int teardown(void **state)
{
	egress_close(egress);
	return filter_teardown(state);
}

/* The packet leaves this host. */
static void leave_from(uint32_t ingress, const struct frame *packet)
{
	assert_int_equal(egress_fate(egress, ingress, packet), TC_ACT_UNSPEC);
}

static void leave(const struct frame *packet)
{
	leave_from(0, packet);
}

/* Whether others are known to answer for the service. */
static bool is_behind(struct filter *filter, const char *address, uint16_t port)
{
	struct fw_service_key key = {.port = htons(port), .proto = IPPROTO_TCP};
	uint64_t seen;

	key.addr = filter_address(address);
	return bpf_map_lookup_elem(filter_map(filter, "behind"), &key, &seen) == 0;
}

static size_t noted(struct filter *filter)
{
	int fd = filter_map(filter, "questions");
	struct fw_question key, *previous = NULL;
	size_t count = 0;

	for (; bpf_map_get_next_key(fd, previous, &key) == 0; previous = &key)
		count++;
	return count;
}

/* Uses up what may pass without having been asked for. */
static void exhaust(struct filter *filter, const struct frame *packet)
{
	filter_age(filter, 2 * FILTER_SECOND);
	while (filter_passes(filter, packet))
		;
}

/* A datagram between a port of the server and the reflector, either way. */
static struct frame outgoing(const struct family *family, uint16_t port, uint16_t reflector)
{
	return frame(.source = family->server, .destination = family->client, .proto = IPPROTO_UDP,
		     .source_port = port, .destination_port = reflector, .payload = 30);
}

static struct frame incoming(const struct family *family, uint16_t reflector, uint16_t port)
{
	struct frame answer =
		frame(.source = family->client, .destination = family->server, .proto = IPPROTO_UDP,
		      .source_port = reflector, .destination_port = port, .payload = 1200);
	uint8_t *message = answer.data + answer.transport + sizeof(struct udphdr);

	message[0] = 0x24; /* by which NTP tells an answer, … */
	message[2] = 0x84; /* … and DNS */
	return answer;
}

static void the_answer_to_a_datagram_passes(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		struct frame question =
			frame(.source = family->server, .destination = family->client,
			      .proto = IPPROTO_UDP, .source_port = 50000, .destination_port = 53,
			      .payload = 30);
		struct frame answer = frame(.source = family->client, .destination = family->server,
					    .proto = IPPROTO_UDP, .source_port = 53,
					    .destination_port = 50000, .payload = 300);
		struct frame other = incoming(family, 53, 50001);

		answer.data[answer.transport + 10] = 0x81;
		exhaust(filter, &other);
		leave(&question);
		filter_expect_frame(filter, 0, FW_PASS_ANSWER, &answer);
	}
	assert_int_equal(noted(filter), 2);
}

static void the_answer_to_an_echo_request_passes(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		bool v6 = strchr(family->any, ':');
		struct frame request =
			frame(.source = family->server, .destination = family->client,
			      .proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, .payload = 56);
		struct frame reply =
			frame(.source = family->client, .destination = family->server,
			      .proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, .payload = 56);

		request.data[request.transport] = v6 ? 128 : 8;
		reply.data[reply.transport] = v6 ? 129 : 0;
		memcpy(request.data + request.transport + 4, "\x77\x88", 2);
		memcpy(reply.data + reply.transport + 4, "\x77\x88", 2);
		exhaust(filter, &reply);
		leave(&request);
		filter_expect_frame(filter, 0, FW_PASS_ANSWER, &reply);
	}
}

static void nothing_else_is_noted(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		bool v6 = strchr(family->any, ':');
		struct frame reply =
			frame(.source = family->server, .destination = family->client,
			      .proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, .payload = 56);
		struct frame packets[] = {
			/* From a reflector's port, not to one; to a port of no reflector. */
			frame(.source = family->server, .destination = family->client,
			      .proto = IPPROTO_UDP, .source_port = 53, .destination_port = 40000),
			frame(.source = family->server, .destination = family->client,
			      .proto = IPPROTO_UDP, .destination_port = 443),
			/* SYNs of this host have a socket that the filter can look for; other
			 * segments ask nothing. */
			frame(.source = family->server, .destination = family->client,
			      .flags = FRAME_SYN),
			frame(.source = family->server, .destination = family->client,
			      .flags = FRAME_ACK),
			frame(.source = family->server, .destination = family->client, .proto = 47,
			      .payload = 40),
			reply,
			/* What servers here answer to others that speak from the same port. */
			frame(.source = family->server, .destination = family->client,
			      .proto = IPPROTO_UDP, .source_port = 53, .destination_port = 53,
			      .payload = 30),
			frame(.source = family->server, .destination = family->client,
			      .proto = IPPROTO_UDP, .source_port = 123, .destination_port = 123,
			      .payload = 48),
		};

		packets[5].data[reply.transport] = v6 ? 129 : 0;
		packets[6].data[packets[6].transport + sizeof(struct udphdr) + 2] = 0x84;
		packets[7].data[packets[7].transport + sizeof(struct udphdr)] = 0x24;
		for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++)
			leave(&packets[i]);
	}
	assert_int_equal(noted(filter), 0);
}

static void a_question_put_again_is_a_young_one(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		struct frame question =
			frame(.source = family->server, .destination = family->client,
			      .proto = IPPROTO_UDP, .source_port = 123, .destination_port = 123,
			      .payload = 48);
		struct frame answer = frame(.source = family->client, .destination = family->server,
					    .proto = IPPROTO_UDP, .source_port = 123,
					    .destination_port = 123, .payload = 48);

		question.data[question.transport + 8] = 0x23;
		answer.data[answer.transport + 8] = 0x24;
		leave(&question);
		filter_age(filter, 40 * FILTER_SECOND);
		exhaust(filter, &answer);
		leave(&question);
		filter_expect_frame(filter, 0, FW_PASS_ANSWER, &answer);
	}
	assert_int_equal(noted(filter), 2);
}

/* So many of them come as answers; what comes then, comes unasked. */
static void expect_answers(struct filter *filter, const struct frame *answer, int count)
{
	for (int i = 0; i < count; i++)
		filter_expect_frame(filter, 0, FW_PASS_ANSWER, answer);
	exhaust(filter, answer);
	filter_expect_frame(filter, 0, FW_UNSOLICITED_RATE, answer);
}

static void a_question_has_so_many_answers(void **state)
{
	struct filter *filter = *state;

	filter_set(filter, FW_HOST_SERVICE, FW_SET_ANSWERS, 16);
	for_each_family(family)
	{
		struct frame question = outgoing(family, 50000, 11211);
		struct frame answer = incoming(family, 11211, 50000);

		leave(&question);
		expect_answers(filter, &answer, 16);
		/* Asked again, and having waited for no answer. */
		leave(&question);
		leave(&question);
		expect_answers(filter, &answer, 32);
		/* Nothing is saved up for ever … */
		for (int i = 0; i < 100; i++)
			leave(&question);
		expect_answers(filter, &answer, 256);
		/* … nor beyond the window. */
		for (int i = 0; i < 100; i++)
			leave(&question);
		filter_age(filter, 40 * FILTER_SECOND);
		leave(&question);
		expect_answers(filter, &answer, 16);
		filter_set(filter, FW_HOST_SERVICE, FW_SET_ANSWERS, 0);
		for (int i = 0; i < 300; i++)
			filter_expect_frame(filter, 0, FW_PASS_ANSWER, &answer);
		filter_set(filter, FW_HOST_SERVICE, FW_SET_ANSWERS, 16);
	}
}

/* Who forges a reflector's address can make a server here speak to it: that is no question, and
 * what comes then has a rate, however much the server goes on answering. */
static void who_spoke_first_is_not_answering(void **state)
{
	static const uint16_t ports[] = {53, 123, 389, 11211};
	struct filter *filter = *state;

	for_each_family(family) for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
	{
		struct frame forged = incoming(family, ports[i], 443);
		struct frame reply = outgoing(family, 443, ports[i]);

		filter_age(filter, 2 * FILTER_SECOND);
		filter_expect_frame(filter, 0, FW_PASS_OTHER, &forged);
		for (int round = 0; round < 3; round++) {
			for (int j = 0; j < 10; j++)
				leave(&reply);
			filter_age(filter, 2 * FILTER_SECOND);
			filter_expect_frame(filter, 0, FW_PASS_OTHER, &forged);
			filter_expect_frame(filter, 0, FW_CALLER_RATE, &forged);
			filter_age(filter, 10 * FILTER_SECOND);
		}
		/* Another port was not spoken to. */
		reply = outgoing(family, 50000, ports[i]);
		forged = incoming(family, ports[i], 50000);
		leave(&reply);
		expect_answers(filter, &forged, 64);
	}
}

/* An answer that came too late, or once too often, is none who speaks first. */
static void who_was_asked_before_is_no_caller(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		struct frame question = outgoing(family, 50000, 53);
		struct frame answer = incoming(family, 53, 50000);

		leave(&question);
		filter_age(filter, 40 * FILTER_SECOND);
		filter_expect_frame(filter, 0, FW_PASS_OTHER, &answer);
		leave(&question);
		expect_answers(filter, &answer, 64);
		leave(&question);
		expect_answers(filter, &answer, 64);
	}
}

static void who_serves_behind_is_known(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		struct frame segment =
			frame(.source = family->server, .destination = family->client,
			      .source_port = 443, .destination_port = 40000, .flags = FRAME_ACK);
		struct frame other =
			frame(.source = family->server, .destination = family->client,
			      .source_port = 444, .destination_port = 40000, .flags = FRAME_ACK);

		filter_bind(filter, SERVICE, family->any, 443, IPPROTO_TCP);
		leave_from(0, &segment);  /* the host's own */
		leave_from(LO, &segment); /* forged: it goes back where it came from */
		leave_from(BOX, &other);  /* of no service */
		assert_false(is_behind(filter, family->server, 443));
		assert_false(is_behind(filter, family->server, 444));
		leave_from(BOX, &segment);
		assert_true(is_behind(filter, family->server, 443));
		assert_false(is_behind(filter, family->other, 443));
	}
	assert_int_equal(noted(filter), 0);
}

/* --- strays ---------------------------------------------------------------------------------- */

static bool is_under_pressure(struct filter *filter)
{
	struct fw_pressure row;
	const uint32_t service = SERVICE;

	assert_int_equal(bpf_map_lookup_elem(filter_map(filter, "pressure"), &service, &row), 0);
	return row.until_ns > filter_now();
}

/* What the stack resets was for no connection. A flood of it puts the service under pressure. */
static void resets_of_strays_are_pressure(void **state)
{
	struct filter *filter = *state;

	filter_set(filter, SERVICE, FW_SET_CHALLENGE_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_CHALLENGE_BURST, 10);
	filter_set(filter, SERVICE, FW_SET_CHALLENGE_HOLD, 3600000);
	for_each_family(family)
	{
		struct frame reset =
			frame(.source = family->server, .destination = family->client,
			      .source_port = 443, .destination_port = 40000, .flags = FRAME_RST);
		struct frame end = frame(.source = family->server, .destination = family->client,
					 .source_port = 443, .destination_port = 40000,
					 .flags = FRAME_RST | FRAME_ACK);
		struct frame other =
			frame(.source = family->server, .destination = family->client,
			      .source_port = 444, .destination_port = 40000, .flags = FRAME_RST);

		filter_bind(filter, SERVICE, family->any, 443, IPPROTO_TCP);
		filter_set(filter, SERVICE, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_AUTO);
		for (int i = 0; i < 100; i++) {
			leave(&end);             /* of a connection */
			leave(&other);           /* of no service */
			leave_from(BOX, &reset); /* another host's */
		}
		for (int i = 0; i < 10; i++)
			leave(&reset);
		assert_false(is_under_pressure(filter));
		filter_set(filter, SERVICE, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_NEVER);
		for (int i = 0; i < 10; i++)
			leave(&reset);
		assert_false(is_under_pressure(filter));
		filter_set(filter, SERVICE, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_AUTO);
		for (int i = 0; i < 10; i++)
			leave(&reset);
		assert_true(is_under_pressure(filter));
		assert_true(filter_meta(filter)->segments_ns > filter_now());
		filter_age(filter, 3601 * FILTER_SECOND);
	}
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(the_answer_to_a_datagram_passes),
		test(the_answer_to_an_echo_request_passes),
		test(nothing_else_is_noted),
		test(a_question_put_again_is_a_young_one),
		test(a_question_has_so_many_answers),
		test(who_spoke_first_is_not_answering),
		test(who_was_asked_before_is_no_caller),
		test(who_serves_behind_is_known),
		test(resets_of_strays_are_pressure),
	};

	return cmocka_run_group_tests_name("questions", tests, NULL, NULL);
}
