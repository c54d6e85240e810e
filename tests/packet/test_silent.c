// SPDX-License-Identifier: BSD-2-Clause
/*
 * Silent ends: what ends a connection silently does not leave, and who speaks on it all the same is
 * let through to the kernel, to be told, by a service under pressure; and nobody else is.
 */
#include <linux/bpf.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include "common/challenge.h"
#include "common/egress.h"

enum { BOX = 2, PORT = 40000, RESET = FRAME_RST | FRAME_ACK, TOLD = 2 };

static struct questions_bpf *egress;

static int setup(void **state)
{
	int result = challenge_setup(state, FW_TIER_OWN);

	egress = egress_open(*state);
	return result;
}

static int teardown(void **state)
{
	egress_close(egress);
	return filter_teardown(state);
}

static void expect_fate(int fate, uint32_t ingress, const struct frame *packet)
{
	assert_int_equal(egress_fate(egress, ingress, packet), fate);
}

/* --- what leaves ----------------------------------------------------------------------------- */

static void end_silently(const struct family *family, uint16_t client_port)
{
	struct frame end = egress_last_word(family, client_port, RESET, 1, client_port % 2);

	expect_fate(TC_ACT_SHOT, 0, &end);
}

static void a_silent_end_is_heard_by_nobody(void **state)
{
	(void)state;
	for_each_family(family)
	{
		end_silently(family, PORT);
		end_silently(family, PORT + 1); /* with timestamps */
	}
}

/* Or whoever is to hear it waits for ever. */
static void what_is_no_silent_end_leaves(void **state)
{
	struct frame packet;

	(void)state;
	for_each_family(family)
	{
		bool v6 = strchr(family->any, ':');

		packet = egress_last_word(family, PORT, RESET, 1, false);
		expect_fate(TC_ACT_UNSPEC, BOX, &packet); /* another host's, which came far */
		packet.data[packet.transport]++;          /* of no service */
		expect_fate(TC_ACT_UNSPEC, 0, &packet);
		for (int stamps = 0; stamps <= 1; stamps++) {
			packet = egress_last_word(family, PORT, RESET, 64, stamps);
			expect_fate(TC_ACT_UNSPEC, 0, &packet);
			packet = egress_last_word(family, PORT, RESET, 2, stamps);
			expect_fate(TC_ACT_UNSPEC, 0, &packet);
			packet = egress_last_word(family, PORT, FRAME_FIN | FRAME_ACK, 1, stamps);
			expect_fate(TC_ACT_UNSPEC, 0, &packet);
		}
		/* By the same port, and with that bit where TCP has it. */
		packet = egress_last_word(family, PORT, RESET, 1, false);
		packet.data[packet.ip + (v6 ? offsetof(struct ipv6hdr, nexthdr)
					    : offsetof(struct iphdr, protocol))] = IPPROTO_UDP;
		expect_fate(TC_ACT_UNSPEC, 0, &packet);
	}
}

/* --- who speaks all the same ----------------------------------------------------------------- */

static void put_under_pressure(struct filter *filter, const struct family *family)
{
	struct frame asked = cookie_syn(family->stranger, family->server, COOKIE_MSS);

	filter_expect_frame(filter, SERVICE, FW_COOKIE_SENT, &asked);
}

/* Data of a connection that there isn't. */
static struct frame stray(const struct family *family, const char *source, uint16_t port)
{
	return frame(.source = source, .destination = family->server, .source_port = port,
		     .flags = FRAME_ACK | FRAME_PSH, .payload = 100);
}

static void expect_stray(struct filter *filter, enum fw_verdict verdict,
			 const struct family *family, const char *source, uint16_t port)
{
	struct frame segment = stray(family, source, port);

	filter_expect_frame(filter, SERVICE, verdict, &segment);
}

static void who_speaks_is_told(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		put_under_pressure(filter, family);
		expect_stray(filter, FW_BAD_COOKIE, family, family->client, PORT);
		end_silently(family, PORT);
		for (int i = 0; i < TOLD; i++)
			expect_stray(filter, FW_PASS_STRAY, family, family->client, PORT);
		/* By then he knows. */
		expect_stray(filter, FW_BAD_COOKIE, family, family->client, PORT);
		end_silently(family, PORT);
		expect_stray(filter, FW_PASS_STRAY, family, family->client, PORT);
	}
}

/* Nobody gets anything through on account of another's connection, or after a long time. */
static void others_are_not(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		put_under_pressure(filter, family);
		end_silently(family, PORT);
		expect_stray(filter, FW_BAD_COOKIE, family, family->neighbour, PORT);
		expect_stray(filter, FW_BAD_COOKIE, family, family->client, PORT + 1);
		filter_expect(filter, SERVICE, NO_SOCKET, .source = family->client,
			      .destination = family->server, .source_port = PORT,
			      .flags = FRAME_RST | FRAME_ACK);
		expect_stray(filter, FW_PASS_STRAY, family, family->client, PORT);
	}
}

/* It would be his sign to come again. */
static void who_is_shut_out_is_not(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		put_under_pressure(filter, family);
		end_silently(family, PORT);
		filter_shut(filter, family->client, SERVICE, filter_now() + 600 * FILTER_SECOND, 0);
		expect_stray(filter, FW_BAD_COOKIE, family, family->client, PORT);
		/* It is over, and he has used up nothing. */
		filter_shut(filter, family->client, SERVICE, filter_now() - FILTER_SECOND, 0);
		for (int i = 0; i < TOLD; i++)
			expect_stray(filter, FW_PASS_STRAY, family, family->client, PORT);
	}
}

/* A table of fixed size: what ends at one moment finds a place, but for one in some hundreds. */
static void a_wave_can_be_told(void **state)
{
	const int wave = 50000, asked = 100;
	const struct family *family = &families[0];
	struct filter *filter = *state;
	int told = 0;

	for (int i = 0; i < wave; i++)
		end_silently(family, 10000 + i);
	put_under_pressure(filter, family);
	for (int i = 0; i < asked; i++) {
		struct frame segment = stray(family, family->client, 10000 + i);

		told += filter_passes(filter, &segment);
	}
	assert_in_range(told, asked - 5, asked);
}

#define story(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		story(a_silent_end_is_heard_by_nobody),
		story(what_is_no_silent_end_leaves),
		story(who_speaks_is_told),
		story(others_are_not),
		story(who_is_shut_out_is_not),
		story(a_wave_can_be_told),
	};

	return cmocka_run_group_tests_name("silent", tests, challenge_begin, NULL);
}
