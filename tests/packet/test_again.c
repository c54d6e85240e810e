// SPDX-License-Identifier: BSD-2-Clause
/*
 * A SYN by a port whose last connection the stack still knows: nobody but the stack can answer it,
 * so no cookie stands between its source and another handshake, and its rates have to.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/challenge.h"

static int listener; /* at OTHER_PORT */

static int begin(void **state)
{
	int result = challenge_begin(state);

	listener = server_listen("::", OTHER_PORT, 16, 0);
	return result;
}

static int setup(void **state)
{
	return challenge_setup(state, FW_TIER_OWN);
}

/* An end of a flow. */
static socklen_t name(struct sockaddr_storage *end, const char *address, uint16_t port)
{
	struct sockaddr_in6 *v6 = memset(end, 0, sizeof(*end));
	struct sockaddr_in *v4 = (void *)end;

	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return sizeof(*v4);
	}
	assert_int_equal(inet_pton(AF_INET6, address, &v6->sin6_addr), 1);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	return sizeof(*v6);
}

/* Does it: an address of IPv6 is there a moment after it was added. */
static void soon(int (*call)(int fd, const struct sockaddr *end, socklen_t size), int fd,
		 const struct sockaddr_storage *end, socklen_t size)
{
	for (int tries = 0; tries < 500; tries++) {
		if (call(fd, (const struct sockaddr *)end, size) == 0)
			return;
		poll(NULL, 0, 10);
	}
	fail_msg("%s", strerror(errno));
}

/* A connection of the family's client to OTHER_PORT, by this port of his. */
struct connection {
	int client, server;
};

static struct connection connect_to(const struct family *family, uint16_t port)
{
	struct sockaddr_storage end;
	socklen_t size = name(&end, family->client, port);
	struct connection ends = {.client = socket(end.ss_family, SOCK_STREAM, 0)};

	server_own(family->client);
	server_own(family->server);
	soon(bind, ends.client, &end, size);
	size = name(&end, family->server, OTHER_PORT);
	soon(connect, ends.client, &end, size);
	ends.server = accept(listener, NULL, NULL);
	assert_true(ends.server >= 0);
	return ends;
}

/* Its server does first: it is in TIME_WAIT there. */
static void disconnect(struct connection ends)
{
	close(ends.server);
	close(ends.client);
}

/* A SYN by the port of that connection, which is the stack's to answer. */
static struct frame syn_again(struct filter *filter, const struct family *family, uint16_t port)
{
	filter_bind(filter, SERVICE, family->any, OTHER_PORT, IPPROTO_TCP);
	return frame(.source = family->client, .destination = family->server, .source_port = port,
		     .destination_port = OTHER_PORT, .flags = FRAME_SYN);
}

static void complete(struct filter *filter, const struct frame ack[2])
{
	for (int i = 0; i < 2; i++)
		filter_expect_frame(filter, SERVICE, FW_PASS_COOKIE, &ack[i]);
}

/* What the stack answers has the source's rate. Of handshakes it uses up none, but who has used up
 * his has none left there either. */
static void expect_no_rate_renewed(struct filter *filter, const struct family *family,
				   uint16_t port)
{
	struct frame ack[4], syn = syn_again(filter, family, port);

	filter_expect_frame(filter, SERVICE, FW_PASS_SYN, &syn); /* a newcomer's */
	for (int i = 0; i < 4; i++)
		ack[i] = challenge_proof(filter, family, family->client, 40001 + i, 0);
	filter_verify(filter, family->client, SERVICE);
	for (int i = 0; i < 2; i++)
		filter_expect_frame(filter, SERVICE, FW_PASS_VERIFIED, &syn);
	for (int i = 0; i < 2; i++)
		filter_expect_frame(filter, SERVICE, FW_PASS_SYN, &syn);
	for (int i = 0; i < 10; i++)
		filter_expect_frame(filter, SERVICE, FW_VERIFIED_SYN_RATE, &syn);
	complete(filter, &ack[0]);
	filter_age(filter, 2 * FILTER_SECOND);
	complete(filter, &ack[2]);
	filter_expect_frame(filter, SERVICE, FW_VERIFIED_SYN_RATE, &syn);
	filter_age(filter, FILTER_SECOND);
	filter_expect_frame(filter, SERVICE, FW_PASS_VERIFIED, &syn);
}

static void connections_that_are_over_renew_no_rate(void **state)
{
	struct filter *filter = *state;

	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_BURST, 2);
	for_each_family(family)
	{
		disconnect(connect_to(family, 40000));
		expect_no_rate_renewed(filter, family, 40000);
	}
}

/* The stack may be about to see their reset, which came in one batch with the SYN. */
static void living_connections_renew_no_rate(void **state)
{
	struct filter *filter = *state;
	struct connection ends;

	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_BURST, 2);
	for_each_family(family)
	{
		ends = connect_to(family, 40100);
		expect_no_rate_renewed(filter, family, 40100);
		disconnect(ends);
	}
}

static void neither_renews_the_rate_of_a_prefix(void **state)
{
	struct filter *filter = *state;
	struct frame ack, syn;

	filter_set(filter, SERVICE, FW_SET_PREFIX_CONNECTION_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_PREFIX_CONNECTION_BURST, 1);
	for_each_family(family)
	{
		disconnect(connect_to(family, 40200));
		syn = syn_again(filter, family, 40200);
		filter_verify(filter, family->client, SERVICE);
		filter_expect_frame(filter, SERVICE, FW_PASS_VERIFIED, &syn);
		ack = challenge_proof(filter, family, family->neighbour, 40000, 0);
		filter_expect_frame(filter, SERVICE, FW_PASS_COOKIE, &ack);
		filter_expect_frame(filter, SERVICE, FW_PREFIX_CONNECTION_RATE, &syn);
		/* Above its source's rate as well. */
		filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_RATE, 1);
		filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_BURST, 1);
		filter_verify(filter, family->client, SERVICE);
		filter_expect_frame(filter, SERVICE, FW_PREFIX_CONNECTION_RATE, &syn);
		filter_expect_frame(filter, SERVICE, FW_PREFIX_CONNECTION_RATE, &syn);
		filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_RATE, 0);
	}
}

#define story(name) cmocka_unit_test_setup_teardown(name, setup, filter_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		story(connections_that_are_over_renew_no_rate),
		story(living_connections_renew_no_rate),
		story(neither_renews_the_rate_of_a_prefix),
	};

	return cmocka_run_group_tests_name("again", tests, begin, NULL);
}
