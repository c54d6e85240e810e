// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tier kernel: the stack's own cookies, sent and taken back by the filter. Real listeners wait in a
 * network namespace of the test's own; that the stack takes its cookies back is the lab's to show.
 */
#include "common/filter.h"
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/challenge.h"

enum { MPTCP = 262 };

static int setup_tier(void **state, enum fw_tier tier)
{
	challenge_setup(state, tier);
	server_sysctl("ipv4/tcp_syncookies", 2);
	return 0;
}

static int setup(void **state)
{
	return setup_tier(state, FW_TIER_KERNEL);
}

/* Where only listeners of Multipath TCP are answered so. */
static int setup_own(void **state)
{
	return setup_tier(state, FW_TIER_OWN);
}

/* To the other port, where each test lets something else listen. By bytes, as a frame that is
 * copied afterwards is made of bytes to the compiler. */
static struct frame to_other_port(struct frame frame)
{
	const __be16 port = htons(OTHER_PORT);

	memcpy(frame.data + frame.transport + offsetof(struct tcphdr, dest), &port, sizeof(port));
	return frame;
}

static struct frame syn_elsewhere(const struct family *family)
{
	return to_other_port(challenge_syn(family, COOKIE_MSS));
}

/* --- answers --------------------------------------------------------------------------------- */

static void of_every_combination_the_mss_survives(void **state)
{
	struct filter *filter = *state;
	struct frame asked, answer;
	unsigned int options;

	for_each_family(family)
	{
		for (options = 0; options < COOKIE_COMBINATIONS; options++) {
			asked = challenge_syn(family, options);
			answer = filter_answer_of(filter, &asked);
			cookie_assert_answers(&asked, &answer, options & COOKIE_MSS);
		}
	}
}

static void vlan_tags_are_kept_and_data_is_not(void **state)
{
	struct filter *filter = *state;
	struct frame asked, answer;

	for_each_family(family)
	{
		for (int tags = 1; tags <= 2; tags++) {
			asked = frame(.source = family->client, .destination = family->server,
				      .flags = FRAME_SYN, .vlans = tags, .tcp_options = 4,
				      .payload = 500);
			answer = filter_answer_of(filter, &asked);
			assert_memory_equal(answer.data + 12, asked.data + 12, 4 * tags + 2);
			cookie_assert_checksums(&answer);
		}
	}
}

static void a_cookie_is_taken_back_and_nothing_else(void **state)
{
	/* Not the sequence number: the next one is the same cookie for another MSS. */
	static const int fields[] = {COOKIE_FIELD_SOURCE, COOKIE_FIELD_DESTINATION,
				     COOKIE_FIELD_PORT, COOKIE_FIELD_ACK_LOW,
				     COOKIE_FIELD_ACK_SLOT};
	struct filter *filter = *state;
	struct frame asked, answer, ack, forged;
	unsigned int options;

	for_each_family(family)
	{
		for (options = 0; options <= COOKIE_MSS; options++) {
			asked = challenge_syn(family, options);
			answer = filter_answer_of(filter, &asked);
			ack = cookie_ack(&asked, &answer, options, 700);
			filter_expect_frame(filter, SERVICE, FW_PASS_COOKIE, &ack);
			filter_forget_proofs(filter);
			for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
				forged = ack;
				cookie_forge(&forged, fields[i], options);
				filter_expect_frame(filter, SERVICE, FW_BAD_COOKIE, &forged);
			}
		}
	}
}

/* --- which listeners ------------------------------------------------------------------------- */

static void a_listener_on_one_address_is_found_there_alone(void **state)
{
	struct filter *filter = *state;
	struct frame asked, elsewhere;
	int listener;

	for_each_family(family)
	{
		asked = syn_elsewhere(family);
		filter_expect_frame(filter, OTHER_SERVICE, FW_PASS_SYN, &asked);
		listener = server_listen(family->server, OTHER_PORT, 16, 0);
		filter_expect_frame(filter, OTHER_SERVICE, FW_COOKIE_SENT, &asked);
		elsewhere = to_other_port(cookie_syn(family->client, family->other, COOKIE_MSS));
		filter_expect_frame(filter, OTHER_SERVICE, FW_PASS_SYN, &elsewhere);
		close(listener);
	}
}

/* The cookie may come back to another one of them than it was made for. */
static void listeners_that_share_a_port_share_cookies(void **state)
{
	int group[8], size = sizeof(group) / sizeof(group[0]);
	struct filter *filter = *state;
	struct frame asked, answer, ack;

	for (int i = 0; i < size; i++)
		group[i] = server_listen("::", OTHER_PORT, 16, 0);
	for_each_family(family)
	{
		asked = syn_elsewhere(family);
		answer = filter_answer_of(filter, &asked);
		ack = to_other_port(cookie_ack(&asked, &answer, COOKIE_MSS, 0));
		filter_expect_frame(filter, OTHER_SERVICE, FW_PASS_COOKIE, &ack);
	}
	for (int i = 0; i < size; i++)
		close(group[i]);
}

static int listen_by_multipath_tcp(void)
{
	int listener = server_listen("::", OTHER_PORT, 16, MPTCP);

	if (listener < 0) {
		print_message("skipped: this kernel has no Multipath TCP\n");
		skip();
	}
	return listener;
}

/* A cookie of ours would help it nothing, but the stack takes its own: in either tier. */
static void a_listener_of_multipath_tcp_is_answered_for(void **state)
{
	struct filter *filter = *state;
	struct frame asked, answer, ack;
	int listener = listen_by_multipath_tcp();

	for_each_family(family)
	{
		asked = to_other_port(challenge_syn(family, COOKIE_COMBINATIONS - 1));
		answer = filter_answer_of(filter, &asked);
		cookie_assert_answers(&asked, &answer, COOKIE_MSS);
		ack = to_other_port(cookie_ack(&asked, &answer, COOKIE_MSS, 0));
		filter_expect_frame(filter, OTHER_SERVICE, FW_PASS_COOKIE, &ack);
		filter_forget_proofs(filter);
		cookie_forge(&ack, COOKIE_FIELD_ACK_LOW, COOKIE_MSS);
		filter_expect_frame(filter, OTHER_SERVICE, FW_BAD_COOKIE, &ack);
	}
	close(listener);
}

/* And where the stack makes none, a limit is one and pressure drops nobody, as for any other. */
static void of_multipath_tcp_the_stack_answers_with_room_in_its_queue(void **state)
{
	struct filter *filter = *state;
	int listener = listen_by_multipath_tcp();
	struct frame asked;

	server_sysctl("ipv4/tcp_syncookies", 1);
	filter_set(filter, OTHER_SERVICE, FW_SET_SOURCE_SYN_RATE, 1);
	filter_set(filter, OTHER_SERVICE, FW_SET_SOURCE_SYN_BURST, 1);
	for_each_family(family)
	{
		asked = syn_elsewhere(family);
		filter_set(filter, OTHER_SERVICE, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_ALWAYS);
		filter_expect_frame(filter, OTHER_SERVICE, FW_PASS_SYN, &asked);
		filter_set(filter, OTHER_SERVICE, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_AUTO);
		filter_age(filter, 60 * FILTER_SECOND);
		filter_expect_frame(filter, OTHER_SERVICE, FW_PASS_SYN, &asked);
		filter_expect_frame(filter, OTHER_SERVICE, FW_SOURCE_SYN_RATE, &asked);
	}
	close(listener);
}

/* --- when the stack makes none --------------------------------------------------------------- */

static void with_room_in_the_syn_queue_pressure_drops_nobody(void **state)
{
	struct filter *filter = *state;
	struct frame asked;

	for (int cookies = 0; cookies <= 1; cookies++) {
		server_sysctl("ipv4/tcp_syncookies", cookies);
		for_each_family(family)
		{
			asked = challenge_syn(family, COOKIE_MSS);
			filter_expect_frame(filter, SERVICE, FW_PASS_SYN, &asked);
		}
	}
}

static void with_room_in_the_syn_queue_a_limit_is_a_limit(void **state)
{
	struct filter *filter = *state;
	struct frame asked;

	server_sysctl("ipv4/tcp_syncookies", 1);
	filter_set(filter, SERVICE, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_AUTO);
	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_RATE, 1);
	filter_set(filter, SERVICE, FW_SET_SOURCE_SYN_BURST, 1);
	for_each_family(family)
	{
		asked = challenge_syn(family, COOKIE_MSS);
		filter_expect_frame(filter, SERVICE, FW_PASS_SYN, &asked);
		filter_expect_frame(filter, SERVICE, FW_SOURCE_SYN_RATE, &asked);
	}
	server_sysctl("ipv4/tcp_syncookies", 2);
	asked = challenge_syn(&families[0], COOKIE_MSS);
	filter_expect_frame(filter, SERVICE, FW_COOKIE_SENT, &asked);
}

/* A connection to the other port that nobody accepts. */
static int connect_to_other_port(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(OTHER_PORT),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static void a_full_accept_queue_is_told_apart(void **state)
{
	int listener = server_listen("::", OTHER_PORT, 0, 0), client = connect_to_other_port();
	struct filter *filter = *state;
	struct frame asked;

	for (int cookies = 1; cookies <= 2; cookies++) {
		server_sysctl("ipv4/tcp_syncookies", cookies);
		for_each_family(family)
		{
			asked = syn_elsewhere(family);
			filter_expect_frame(filter, OTHER_SERVICE, FW_QUEUE_FULL, &asked);
		}
	}
	filter_set_mode(filter, FW_QUEUE_FULL, FW_MODE_MONITOR);
	filter_expect_frame(filter, OTHER_SERVICE, FW_PASS_SYN, &asked);
	assert_int_equal(filter_counter(filter, OTHER_SERVICE, FW_QUEUE_FULL).would, 1);
	close(accept(listener, NULL, NULL));
	filter_expect_frame(filter, OTHER_SERVICE, FW_COOKIE_SENT, &asked);
	close(client);
	close(listener);
}

#define story(name)        cmocka_unit_test_setup_teardown(name, setup, filter_teardown)
#define story_of_own(name) cmocka_unit_test_setup_teardown(name, setup_own, filter_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		story(of_every_combination_the_mss_survives),
		story(vlan_tags_are_kept_and_data_is_not),
		story(a_cookie_is_taken_back_and_nothing_else),
		story(a_listener_on_one_address_is_found_there_alone),
		story(listeners_that_share_a_port_share_cookies),
		story(a_listener_of_multipath_tcp_is_answered_for),
		story_of_own(a_listener_of_multipath_tcp_is_answered_for),
		story_of_own(of_multipath_tcp_the_stack_answers_with_room_in_its_queue),
		story(with_room_in_the_syn_queue_pressure_drops_nobody),
		story(with_room_in_the_syn_queue_a_limit_is_a_limit),
		story(a_full_accept_queue_is_told_apart),
	};

	return cmocka_run_group_tests_name("stacks", tests, challenge_begin, NULL);
}
