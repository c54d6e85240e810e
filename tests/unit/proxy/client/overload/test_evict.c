// SPDX-License-Identifier: BSD-2-Clause
/* Who is worse than whom; that and how they go is told in tests/lab/test_overload.py. */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "proxy/client/exchange/exchange.h"
#include "proxy/client/overload/evict.h"
#include "proxy/client/overload/score.h"
#include "proxy/client/relay.h"

enum { CLIENTS = 4 };
#define NOW (100 * CLOCK_SEC)

static struct proxy_shared shared;
static struct worker worker;
static struct listener listener;
static struct client clients[CLIENTS];
static struct exchange exchanges[CLIENTS];
static struct relay relays[CLIENTS];

static int begin(void **state)
{
	(void)state;
	memset(&worker, 0, sizeof(worker));
	memset(clients, 0, sizeof(clients));
	memset(exchanges, 0, sizeof(exchanges));
	memset(relays, 0, sizeof(relays));
	shared.crowd = crowd_create(1);
	worker.shared = &shared;
	worker.loop.now_ns = NOW;
	list_init(&worker.loop.deferred[0]);
	listener.worker = &worker;
	for (int ward = 0; ward < WARDS; ward++)
		list_init(&listener.wards[ward]);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		clients[i].listener = &listener;
		clients[i].exchange = &exchanges[i];
		clients[i].relay = &relays[i];
		clients[i].source.word[2] = htobe32(0xffff);
		clients[i].source.word[3] = htobe32(0x0a000000 + (i << 16)); /* a prefix each */
		list_init(&clients[i].node);
		list_init(&clients[i].stream.source.node);
		crowd_change(shared.crowd, 0, &clients[i].source, 0, 1);
	}
	return shared.crowd ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	crowd_free(shared.crowd);
	return 0;
}

static struct client *make(int number, enum client_phase phase, uint32_t requests,
			   uint64_t waited_ms)
{
	struct client *client = &clients[number];

	client->phase = (uint8_t)phase;
	client->requests = requests;
	client->since_ns = relays[number].touched_ns = NOW - waited_ms * CLOCK_MS;
	return client;
}

static void assert_order(const struct client *better, const struct client *worse)
{
	assert_true(score_client(better, NOW) < score_client(worse, NOW));
}

/* Of those who have been waited for as long. */
static void who_never_asked_is_worse_than_who_is_idle(void **state)
{
	(void)state;
	make(0, CLIENT_IDLE, 5, 1000);
	make(1, CLIENT_HEAD, 5, 1000); /* trickles the next head */
	make(2, CLIENT_HEAD, 0, 1000);
	make(3, CLIENT_LINGER, 0, 1000);
	for (int i = 0; i + 1 < CLIENTS; i++)
		assert_order(&clients[i], &clients[i + 1]);
	assert_int_equal(score_client(make(0, CLIENT_HANDSHAKE, 0, 1000), NOW),
			 score_client(&clients[2], NOW));
	list_append(&worker.loop.deferred[0], &clients[0].stream.source.node); /* waits for us */
	assert_order(&clients[0], &clients[1]);
}

static void longer_is_worse(void **state)
{
	(void)state;
	assert_order(make(0, CLIENT_IDLE, 1, 1000), make(1, CLIENT_IDLE, 1, 2000));
	/* An idle one that is old enough is worse than one that has just come. */
	assert_order(make(2, CLIENT_HEAD, 0, 100), make(3, CLIENT_IDLE, 1, 10000));
}

static void a_crowded_prefix_is_worse(void **state)
{
	(void)state;
	make(0, CLIENT_IDLE, 1, 1000);
	make(1, CLIENT_IDLE, 1, 1000);
	assert_int_equal(score_client(&clients[0], NOW), score_client(&clients[1], NOW));
	for (int i = 0; i < 200; i++)
		crowd_change(shared.crowd, 0, &clients[1].source, 0, 1);
	assert_order(&clients[0], &clients[1]);
	/* A crowd alone is no reason: eight times the time is worse. */
	assert_order(&clients[1], make(0, CLIENT_IDLE, 1, 9000));
}

/* Whom we keep waiting is not to blame. */
static void who_waits_for_a_server_is_never_chosen(void **state)
{
	(void)state;
	assert_int_equal(score_client(make(0, CLIENT_EXCHANGE, 1, 60000), NOW), 0);
}

static void a_body_that_moves_pays(void **state)
{
	struct client *slow = make(0, CLIENT_EXCHANGE, 1, 0),
		      *quick = make(1, CLIENT_EXCHANGE, 1, 0);

	(void)state;
	for (int i = 0; i < 2; i++)
		rate_wait(&exchanges[i].receive, true, 0, NOW - 10 * CLOCK_SEC);
	exchanges[0].received = 100;
	exchanges[1].received = 10000000;
	assert_int_equal(score_client(quick, NOW), 0);
	assert_order(quick, slow);
}

static void a_reader_that_stops_owes(void **state)
{
	struct client *reader = make(0, CLIENT_EXCHANGE, 1, 0);

	(void)state;
	uptake_begin(&exchanges[0].send, 5000, NOW - 3 * CLOCK_SEC);
	assert_order(make(1, CLIENT_IDLE, 1, 3000), reader);
}

/* What came at first, into the kernel's buffers mostly, is no credit for later. */
static void nobody_pays_ahead(void **state)
{
	struct client *reader = make(0, CLIENT_EXCHANGE, 1, 0);
	struct uptake *send = &exchanges[0].send;

	(void)state;
	uptake_begin(send, 5000, NOW - 3 * CLOCK_SEC);
	uptake_look(send, 5000000, NOW - CLOCK_SEC);
	assert_int_equal(score_client(reader, NOW - CLOCK_SEC), 0);
	assert_order(make(1, CLIENT_IDLE, 1, 1000), reader);
	uptake_look(send, 5000000 + (8 << 10), NOW);
	assert_int_equal(score_client(reader, NOW),
			 score_client(make(1, CLIENT_IDLE, 1, 1000), NOW));
}

/* We have yet to read it: until then we keep him waiting, not he us. */
static void who_has_spoken_is_not_waited_for(void **state)
{
	struct client *client = make(0, CLIENT_HEAD, 0, 1000);
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	client->stream.source.fd = pair[0];
	evict_place(client);
	assert_false(score_has_spoken(client));
	assert_int_equal(write(pair[1], "GET", 3), 3);
	assert_true(score_has_spoken(client));
	client->phase = CLIENT_LINGER; /* says nothing that matters any more */
	assert_false(score_has_spoken(client));
	close(pair[0]);
	close(pair[1]);
}

static void a_relay_without_a_word_is_worse(void **state)
{
	(void)state;
	make(0, CLIENT_RELAY, 0, 1000);
	make(1, CLIENT_RELAY, 0, 1000);
	relays[0].up.received = 1;
	assert_order(&clients[0], &clients[1]);
}

/* Each ward is in the order in which waiting began. */
static void clients_stand_where_their_phase_belongs(void **state)
{
	struct client *client = make(0, CLIENT_HEAD, 0, 0);

	(void)state;
	evict_place(client);
	assert_ptr_equal(listener.wards[WARD_NEW].next, &client->node);
	make(1, CLIENT_HEAD, 0, 0);
	evict_place(&clients[1]);
	assert_ptr_equal(listener.wards[WARD_NEW].previous, &clients[1].node);
	worker.loop.now_ns += CLOCK_MS;
	client->requests = 1;
	client->phase = CLIENT_EXCHANGE;
	evict_place(client);
	assert_ptr_equal(listener.wards[WARD_BUSY].next, &client->node);
	client->phase = CLIENT_IDLE;
	evict_place(client);
	assert_ptr_equal(listener.wards[WARD_IDLE].next, &client->node);
	assert_true(list_is_empty(&listener.wards[WARD_BUSY]));
	/* One that goes idle again, later, stands behind who has been since. */
	make(2, CLIENT_IDLE, 1, 0);
	clients[2].since_ns = worker.loop.now_ns;
	clients[2].ward = WARD_BUSY;
	evict_place(&clients[2]);
	worker.loop.now_ns += CLOCK_MS;
	client->since_ns = worker.loop.now_ns;
	evict_place(client);
	assert_ptr_equal(listener.wards[WARD_IDLE].next, &clients[2].node);
	assert_ptr_equal(listener.wards[WARD_IDLE].previous, &client->node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_never_asked_is_worse_than_who_is_idle, begin,
						end),
		cmocka_unit_test_setup_teardown(longer_is_worse, begin, end),
		cmocka_unit_test_setup_teardown(a_crowded_prefix_is_worse, begin, end),
		cmocka_unit_test_setup_teardown(who_waits_for_a_server_is_never_chosen, begin, end),
		cmocka_unit_test_setup_teardown(a_body_that_moves_pays, begin, end),
		cmocka_unit_test_setup_teardown(a_reader_that_stops_owes, begin, end),
		cmocka_unit_test_setup_teardown(nobody_pays_ahead, begin, end),
		cmocka_unit_test_setup_teardown(who_has_spoken_is_not_waited_for, begin, end),
		cmocka_unit_test_setup_teardown(a_relay_without_a_word_is_worse, begin, end),
		cmocka_unit_test_setup_teardown(clients_stand_where_their_phase_belongs, begin,
						end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
