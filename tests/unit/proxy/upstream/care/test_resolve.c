// SPDX-License-Identifier: BSD-2-Clause
/* Questions to a resolver in the same loop that answers as a test wants it, or not at all. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "contract/address.h"
#include "proxy/upstream/care/resolve.h"

enum { PACKET_SIZE = 4096, HEADER = 12, TYPE_A = 1, TYPE_AAAA = 28 };

struct packet {
	uint8_t data[PACKET_SIZE];
	size_t size;
};

static struct loop loop;
static struct source server;
static struct config_server server_config;
static struct config_resolver config;
static struct resolve resolve;
static struct timer limit;
static uint32_t questions, answers;
static bool answered;
static const char *why;
static struct resolve_answer result;
/* Turns a question into its answer; false: says nothing. @type: TYPE_A or TYPE_AAAA. */
static bool (*answer_with)(struct packet *packet, uint16_t type);

static void serve(struct source *source, uint32_t events)
{
	struct packet packet = {.size = 0};
	struct sockaddr_storage peer;
	socklen_t size = sizeof(peer);
	ssize_t count;

	(void)events;
	while ((count = recvfrom(source->fd, packet.data, PACKET_SIZE, MSG_DONTWAIT,
				 (struct sockaddr *)&peer, &size)) > 0) {
		packet.size = (size_t)count;
		questions++;
		if (answer_with(&packet,
				(uint16_t)(packet.data[count - 4] << 8 | packet.data[count - 3])))
			assert_true(sendto(source->fd, packet.data, packet.size, 0,
					   (struct sockaddr *)&peer, size) > 0);
	}
}

static void take(struct resolve *asked, const struct resolve_answer *answer, const char *text)
{
	(void)asked;
	answered = true;
	answers++;
	why = text;
	if (answer)
		result = *answer;
	loop_stop(&loop);
}

static void give_up(struct timer *timer)
{
	(void)timer;
	loop_stop(&loop);
}

static int begin(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	(void)state;
	assert_int_equal(resolve_prepare(), 0);
	assert_int_equal(loop_init(&loop), 0);
	server = (struct source){.fd = socket(AF_INET, SOCK_DGRAM, 0), .handle = serve};
	assert_int_equal(bind(server.fd, (struct sockaddr *)&address, size), 0);
	getsockname(server.fd, (struct sockaddr *)&address, &size);
	assert_int_equal(loop_watch(&loop, &server, EPOLLIN), 0);
	server_config.addr =
		address_from_sockaddr((struct sockaddr *)&address, &server_config.port);
	config = (struct config_resolver){
		.servers = &server_config, .server_count = 1, .timeout_ms = 50};
	memset(&resolve, 0, sizeof(resolve));
	memset(&result, 0, sizeof(result));
	resolve_init(&resolve, &loop, &config);
	resolve.done = take;
	limit.fire = give_up;
	questions = answers = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	resolve_cancel(&resolve);
	timer_cancel(&loop.wheel, &limit);
	close(server.fd);
	loop_destroy(&loop);
	return 0;
}

/* Asks, and runs until there is an answer, or for as long as no answer may take. */
static void ask(bool (*with)(struct packet *packet, uint16_t type))
{
	answer_with = with;
	answered = false;
	loop.stopped = false;
	loop.now_ns = clock_now_ns();
	resolve_ask(&resolve, "app.internal.");
	assert_false(answered);
	timer_arm(&loop.wheel, &limit, loop.now_ns + 5 * CLOCK_SEC);
	assert_int_equal(loop_run(&loop), 0);
	assert_true(answered);
}

/* --- answers -----------------------------------------------------------------------------------
 */

static void put(struct packet *packet, const void *data, size_t size)
{
	assert_true(packet->size + size <= PACKET_SIZE);
	memcpy(packet->data + packet->size, data, size);
	packet->size += size;
}

static void make_answer(struct packet *packet, uint16_t count)
{
	packet->data[2] = 0x81;
	packet->data[3] = 0x80;
	packet->data[6] = (uint8_t)(count >> 8);
	packet->data[7] = (uint8_t)count;
}

static void put_address(struct packet *packet, uint32_t ttl, uint32_t address)
{
	const uint8_t head[] = {0xc0,
				HEADER,
				0,
				TYPE_A,
				0,
				1,
				(uint8_t)(ttl >> 24),
				(uint8_t)(ttl >> 16),
				(uint8_t)(ttl >> 8),
				(uint8_t)ttl,
				0,
				4};

	address = htonl(address);
	put(packet, head, sizeof(head));
	put(packet, &address, sizeof(address));
}

static bool with_two(struct packet *packet, uint16_t type)
{
	make_answer(packet, type == TYPE_A ? 3 : 0);
	if (type == TYPE_A) {
		put_address(packet, 90, 0xc0000201);
		put_address(packet, 30, 0xc0000202);
		put_address(packet, 90, 0xc0000201);
	}
	return true;
}

static bool with_nowhere(struct packet *packet, uint16_t type)
{
	make_answer(packet, type == TYPE_A ? 2 : 0);
	if (type == TYPE_A) {
		put_address(packet, 5, 0);
		put_address(packet, 5, 0xe0000001);
	}
	return true;
}

static bool with_no_such_name(struct packet *packet, uint16_t type)
{
	(void)type;
	make_answer(packet, 0);
	packet->data[3] = 0x83;
	return true;
}

static bool with_silence(struct packet *packet, uint16_t type)
{
	(void)packet;
	(void)type;
	return false;
}

/* An answer of which each time another part is broken: as a liar, or a broken resolver, has it. */
static bool with_garbage(struct packet *packet, uint16_t type)
{
	size_t start = packet->size;

	with_two(packet, type);
	switch (rand() % 4) {
	case 0:
		packet->size = (size_t)rand() % (packet->size + 1);
		break;
	case 1:
		for (size_t i = start; i < packet->size; i++)
			packet->data[i] = (uint8_t)rand();
		break;
	case 2:
		packet->data[6 + rand() % 6] = (uint8_t)rand();
		break;
	default:
		packet->data[HEADER + (size_t)rand() % (packet->size - HEADER)] = (uint8_t)rand();
	}
	return packet->size > 0;
}

/* Of another question. */
static bool with_anothers(struct packet *packet, uint16_t type)
{
	with_two(packet, type);
	packet->data[0] ^= 0xff;
	return true;
}

/* --- stories -----------------------------------------------------------------------------------
 */

static void a_name_has_addresses_for_a_while(void **state)
{
	char text[ADDRESS_TEXT_SIZE];

	(void)state;
	ask(with_two);
	assert_null(why);
	assert_int_equal(result.count, 2);
	assert_string_equal(address_format(&result.address[0], text), "192.0.2.1");
	assert_string_equal(address_format(&result.address[1], text), "192.0.2.2");
	assert_int_equal(result.ttl_ms, 30000);
	assert_int_equal(questions, 2); /* for both families */
	ask(with_two);
	assert_null(why);
	assert_int_equal(questions, 4); /* nothing is remembered */
	config.family = FAMILY_IPV4;
	ask(with_two);
	assert_int_equal(questions, 5);
}

static void addresses_that_are_none_are_not_taken(void **state)
{
	(void)state;
	ask(with_nowhere);
	assert_non_null(why);
	assert_int_equal(result.count, 0);
}

static void what_can_not_be_resolved_is_said(void **state)
{
	(void)state;
	ask(with_no_such_name);
	assert_non_null(why);
	ask(with_silence);
	assert_non_null(why);
	ask(with_anothers);
	assert_non_null(why);
	/* And the next one may be well again. */
	ask(with_two);
	assert_null(why);
	assert_int_equal(answers, 4);
}

static void garbage_harms_nobody(void **state)
{
	(void)state;
	srand(1);
	config.timeout_ms = 10;
	for (int i = 0; i < 300; i++) {
		memset(&result, 0, sizeof(result));
		ask(with_garbage);
		assert_true(result.count <= RESOLVE_ADDRESSES_MAX);
		assert_true(why || result.count);
	}
	assert_int_equal(answers, 300);
}

static void a_question_can_be_forgotten(void **state)
{
	(void)state;
	answer_with = with_two;
	answered = false;
	resolve_ask(&resolve, "app.internal.");
	resolve_cancel(&resolve);
	timer_arm(&loop.wheel, &limit, loop.now_ns + 100 * CLOCK_MS);
	assert_int_equal(loop_run(&loop), 0);
	assert_false(answered);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_name_has_addresses_for_a_while), TEST(addresses_that_are_none_are_not_taken),
		TEST(what_can_not_be_resolved_is_said), TEST(garbage_harms_nobody),
		TEST(a_question_can_be_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
