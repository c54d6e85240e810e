// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who is not told that he has to go. Each story of somebody who is told begins with him as one who
 * would not be: then one thing happens, and that is why. What others see of it is told in
 * tests/lab/test_silence.py, what the filter does in tests/packet/test_silent.c.
 */
#include <netinet/ip.h>
#include <poll.h>
#include "../../../wall/world.h"
#include "proxy/client/admission/silence.h"
#include "proxy/client/exchange/exchange.h"
#include "proxy/client/front/http2.h"
#include "proxy/client/relay.h"
#include "proxy/net/socket.h"

enum { BODY = 100, BOUND_MS = 10000 };

/* Those who are told of everything: EXEMPT, BALANCER, TRUSTED. */
#define WEB                                                                                        \
	"listener web { bind = \"127.0.0.1:1\" exempt = {\"192.0.2.2\"}"                           \
	" proxy_protocol { from = {\"192.0.2.3\"} } forwarding { trust = {\"192.0.2.4\"} }"        \
	" route \"/\" { upstream = app } }\n"                                                      \
	"upstream app { server { address = \"127.0.0.1:8000\" } }\n"
#define SOMEBODY "192.0.2.1"
#define EXEMPT   "192.0.2.2"
#define BALANCER "192.0.2.3"
#define TRUSTED  "192.0.2.4"

static struct config *config;
static struct wall *wall;
static struct proxy_options options;
static struct proxy_shared shared = {.options = &options};
static struct worker worker = {.shared = &shared};
static struct listener listener;
static struct client client;
static struct exchange exchange;
static struct http2 http2;
static struct relay relay;
static struct buffer head = {.end = 60}, frames = {.end = 9};
static volatile uint64_t board[FW_VERDICTS_MAX + FW_METRICS_MAX];
static int here = -1, there = -1; /* ends of a connection: ours, his */

/* The phases in which it is for him to speak. */
static const enum client_phase speaking[] = {CLIENT_HANDSHAKE, CLIENT_HEAD, CLIENT_EXCHANGE,
					     CLIENT_HTTP2};
enum { SPEAKING = sizeof(speaking) / sizeof(speaking[0]) };

/* --- two who are in touch -----------------------------------------------------------------------
 */

static void part(void)
{
	if (here >= 0) {
		close(here);
		close(there);
	}
	here = there = -1;
}

static void wait_for(int fd, short event)
{
	struct pollfd wait = {.fd = fd, .events = event};

	assert_int_equal(poll(&wait, 1, BOUND_MS), 1);
}

/* Connects to @address, where we listen at @bound. */
static void connect_to(const char *address, const char *bound)
{
	struct fw_addr at = addr(bound), to = addr(address), source;
	struct sockaddr_storage own;
	socklen_t size = address_to_sockaddr(&at, 0, &own);
	int door = socket(own.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint16_t port;

	part();
	assert_int_equal(bind(door, (struct sockaddr *)&own, size), 0);
	assert_int_equal(listen(door, 1), 0);
	socket_local(door, &port);
	there = socket_connect(&to, port);
	assert_true(there >= 0);
	wait_for(door, POLLIN);
	here = socket_accept(door, &source, &port);
	assert_true(here >= 0);
	close(door);
}

/* The overload that is worth it has begun, and with the listener somebody is in @phase, of whom
 * nothing is to be said. */
static void meet(enum client_phase phase)
{
	static const struct http_head post = {.framing = HTTP_LENGTH, .content_length = BODY};

	connect_to("127.0.0.1", "127.0.0.1");
	must(wall_set_rule_mode(wall, FW_SOURCE_CONDUCT, FW_MODE_ENFORCE, &error));
	hold_connections(wall, SOMEBODY, 0, FW_LEVEL_SOURCE, 1, 0);
	for (int i = 0; i < FW_SETTING_COUNT; i++)
		listener.live.value[i] = setting_rows[i].initial;
	listener.overload.stage = OVERLOAD_SHORTEN;
	worker.overload.stage = OVERLOAD_NONE;
	list_init(&worker.loop.deferred[0]);
	exchange = (struct exchange){.client = &client, .to_server = &head};
	body_init(&exchange.request_body, &post, (struct http_chunk_limits){0});
	http2 = (struct http2){.client = &client};
	relay = (struct relay){.client = &client};
	client = (struct client){
		.listener = &listener,
		.exchange = phase == CLIENT_EXCHANGE ? &exchange : NULL,
		.http2 = phase == CLIENT_HTTP2 ? &http2 : NULL,
		.relay = phase == CLIENT_RELAY ? &relay : NULL,
		.source = addr(SOMEBODY),
		.phase = (uint8_t)phase,
		.stream.source.fd = here,
	};
	list_init(&client.stream.source.node);
}

/* A story's setting: a wall, and a listener without anybody. */
static int begin(void **state)
{
	if (make_wall(state) < 0 || config_parse(WEB, "f", &config, &error) < 0)
		return -1;
	options.wall = wall = *state;
	listener = (struct listener){
		.config = &config->services[0],
		.worker = &worker,
		.board = {board},
		.router = router_create(&config->services[0], 0),
	};
	return listener.router ? 0 : -1;
}

static int end(void **state)
{
	part();
	router_free(listener.router);
	config_free(config);
	return end_wall(state);
}

/* He takes what others need, as far as he can. */
static bool client_is_told(void)
{
	return !silence_befits_client(&client, FW_EVICTED_SLOW);
}

static bool newcomer_is_told(void)
{
	return !silence_befits_newcomer(&listener, here, &client.source, FW_SOURCE_CONDUCT);
}

/* Somebody in @phase would not be told: until this happens. */
static void assert_tells(const char *what, void (*happen)(void), enum client_phase phase)
{
	meet(phase);
	if (client_is_told())
		fail_msg("phase %d: told, and nothing has happened", phase);
	happen();
	if (!client_is_told())
		fail_msg("phase %d: not told, but %s", phase, what);
}

/* The same of whoever would be kept out. */
static void assert_tells_newcomer(const char *what, void (*happen)(void))
{
	meet(CLIENT_HEAD);
	if (newcomer_is_told())
		fail_msg("a newcomer is told, and nothing has happened");
	happen();
	if (!newcomer_is_told())
		fail_msg("a newcomer is not told, but %s", what);
}

static void assert_tells_everybody(const char *what, void (*happen)(void))
{
	for (int i = 0; i < SPEAKING; i++)
		assert_tells(what, happen, speaking[i]);
	assert_tells_newcomer(what, happen);
}

/* --- the stories --------------------------------------------------------------------------------
 */

static void under_overload_who_should_have_spoken_is_not_told(void **state)
{
	wall_of(state);
	for (int i = 0; i < SPEAKING; i++) {
		meet(speaking[i]);
		for (int verdict = FW_NONE + 1; verdict < FW_VERDICT_COUNT; verdict++)
			if (verdict_rows[verdict].fault == FAULT_HOARD &&
			    !silence_befits_client(&client, (enum fw_verdict)verdict))
				fail_msg("phase %d: told of %s", speaking[i],
					 verdict_rows[verdict].label);
		/* Nor over IPv6, whichever he calls. */
		connect_to("::1", "::1");
		client.stream.source.fd = here;
		assert_false(client_is_told());
		connect_to("127.0.0.1", "::");
		client.stream.source.fd = here;
		assert_false(client_is_told());
	}
}

/* Part of what he has to say is no reason: the rest is still his to say. */
static void nor_is_who_has_stopped_halfway(void **state)
{
	char part_of_it[BODY / 2] = {0};
	size_t forward;

	wall_of(state);
	meet(CLIENT_EXCHANGE);
	body_check(&exchange.request_body, part_of_it, sizeof(part_of_it), &forward);
	exchange.attempt.head_sent = buffer_length(&head);
	assert_false(client_is_told());
	exchange.body_ready = (uint32_t)forward; /* the server has not taken it yet */
	assert_false(client_is_told());
	meet(CLIENT_HTTP2);
	http2.block.begun_ns = CLOCK_SEC;
	assert_false(client_is_told());
}

/* He did not keep what others need: silence is for those who do. */
static void for_any_other_reason_he_is_told(void **state)
{
	wall_of(state);
	for (int i = 0; i < SPEAKING; i++) {
		meet(speaking[i]);
		assert_false(client_is_told());
		for (int verdict = FW_NONE; verdict < FW_VERDICT_COUNT; verdict++)
			if (verdict_rows[verdict].fault != FAULT_HOARD &&
			    silence_befits_client(&client, (enum fw_verdict)verdict))
				fail_msg("phase %d: not told of %s", speaking[i],
					 verdict_rows[verdict].label);
	}
}

static void overload_is_over(void)
{
	listener.overload.stage = OVERLOAD_NONE;
}

static void overload_is_not_that_grave(void)
{
	listener.overload.stage = worker.overload.stage = OVERLOAD_SHORTEN - 1;
}

/* Be it the listener's own or that of the thread. */
static void without_overload_everybody_is_told(void **state)
{
	wall_of(state);
	assert_tells_everybody("overload is over", overload_is_over);
	worker.overload.stage = OVERLOAD_SHORTEN;
	assert_false(client_is_told());
	assert_false(newcomer_is_told());
	assert_tells_everybody("overload is not that grave", overload_is_not_that_grave);
	listener.overload.stage = OVERLOAD_EVICT;
	assert_false(client_is_told());
	assert_false(newcomer_is_told());
}

static void he_speaks(void)
{
	assert_int_equal(write(there, "x", 1), 1);
	wait_for(here, POLLIN);
	assert_int_equal(socket_unread(here), 1);
}

/* He would be told that there is no connection, but not again: he waits. */
static void what_we_have_not_heard_is_answered(void **state)
{
	char heard;

	wall_of(state);
	assert_tells_everybody("he has spoken", he_speaks);
	/* What has been heard is no reason any more. */
	assert_int_equal(read(here, &heard, 1), 1);
	assert_false(newcomer_is_told());
}

/* Until his host takes no more. */
static void we_speak(void)
{
	static const char answer[65536];
	int small = 4096;

	setsockopt(there, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(here, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (write(here, answer, sizeof(answer)) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	assert_true(socket_untaken(here));
}

/* He may have been waiting for just that. */
static void what_he_has_not_heard_yet_comes_with_an_end(void **state)
{
	char heard[65536];

	wall_of(state);
	assert_tells_everybody("there is something to be said to him", we_speak);
	for (int i = 0; i < BOUND_MS && socket_untaken(here); i++) {
		while (read(there, heard, sizeof(heard)) > 0)
			;
		usleep(1000);
	}
	assert_false(newcomer_is_told());
}

static void he_is_put_off(void)
{
	loop_defer(&worker.loop, &client.stream.source, 0);
}

static void he_says_the_rest(void)
{
	char rest[BODY] = {0};
	size_t forward;

	assert_int_equal(body_check(&exchange.request_body, rest, BODY, &forward), BODY);
	exchange.body_ready = BODY;
}

static void the_server_has_everything(void)
{
	he_says_the_rest();
	exchange.body_ready = 0;
	exchange.attempt.head_sent = buffer_length(&head);
}

static void the_server_answers(void)
{
	exchange.answered = true;
}

static void he_waits_to_be_asked_for_the_body(void)
{
	exchange.expects_continue = true;
}

static void he_makes_a_request(void)
{
	http2.stream_count = 1;
}

static void frames_wait_for_him(void)
{
	http2.out = &frames;
}

static void part_of_a_frame_waits_for_him(void)
{
	http2.piece.left = 1;
}

static void others_come_first(void)
{
	http2.is_busy = true;
}

/* He could wait for ever. */
static void who_waits_for_us_is_told(void **state)
{
	wall_of(state);
	assert_tells("he was put off", he_is_put_off, CLIENT_HANDSHAKE);
	assert_tells("he was put off", he_is_put_off, CLIENT_HEAD);
	assert_tells("the server answers", the_server_answers, CLIENT_EXCHANGE);
	assert_tells("he waits to be asked for the body", he_waits_to_be_asked_for_the_body,
		     CLIENT_EXCHANGE);
	assert_tells("the server has everything", the_server_has_everything, CLIENT_EXCHANGE);
	assert_tells("he has said everything", he_says_the_rest, CLIENT_EXCHANGE);
	assert_tells("he makes a request", he_makes_a_request, CLIENT_HTTP2);
	assert_tells("frames wait for him", frames_wait_for_him, CLIENT_HTTP2);
	assert_tells("part of a frame waits for him", part_of_a_frame_waits_for_him, CLIENT_HTTP2);
	assert_tells("others come first", others_come_first, CLIENT_HTTP2);
}

/* Nobody knows whose turn it is, or it is nobody's. */
static void who_need_not_speak_is_told(void **state)
{
	static const enum client_phase phases[] = {CLIENT_PROXY_HEADER, CLIENT_IDLE, CLIENT_RELAY,
						   CLIENT_LINGER, CLIENT_CLOSED};

	wall_of(state);
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		meet(phases[i]);
		if (!client_is_told())
			fail_msg("phase %d: not told", phases[i]);
	}
}

static void a_balancer_brought_him(void)
{
	client.named = true;
}

static void he_is_exempt(void)
{
	client.source = addr(EXEMPT);
}

/* The kernel counts no connections of such a source. */
static void he_is_on_the_allow_list(void)
{
	hold_connections(wall, SOMEBODY, 0, FW_LEVEL_SOURCE, 0, 0);
}

static void he_is_a_balancer(void)
{
	client.source = addr(BALANCER);
}

static void he_is_trusted(void)
{
	client.source = addr(TRUSTED);
}

/* They bring others, or are somebody's whom the operator knows. */
static void for_whom_it_would_be_wrong_is_told(void **state)
{
	wall_of(state);
	for (int i = 0; i < SPEAKING; i++)
		assert_tells("a balancer brought him", a_balancer_brought_him, speaking[i]);
	assert_tells_everybody("he is exempt", he_is_exempt);
	assert_tells_everybody("he is on the allow list", he_is_on_the_allow_list);
	assert_tells_everybody("he is a balancer", he_is_a_balancer);
	assert_tells_everybody("he may speak for others", he_is_trusted);
}

static void the_operator_will_have_none_of_it(void)
{
	listener.live.value[FW_SET_SOURCE_SILENT_DROP] = 0;
}

static void the_listener_is_monitored(void)
{
	listener.live.value[FW_SET_MONITOR] = 1;
}

static void the_rule_is_monitored(void)
{
	must(wall_set_rule_mode(wall, FW_SOURCE_CONDUCT, FW_MODE_MONITOR, &error));
}

static void where_the_operator_does_not_mean_it_everybody_is_told(void **state)
{
	wall_of(state);
	assert_tells_everybody("the operator will have none of it",
			       the_operator_will_have_none_of_it);
	assert_tells_everybody("the listener is monitored", the_listener_is_monitored);
	assert_tells_everybody("source_conduct is monitored", the_rule_is_monitored);
}

/* The filter would not have answered him either. Whom there is no room for is told, so that he
 * tries elsewhere. */
static void a_newcomer_is_not_told_only_of_his_conduct(void **state)
{
	wall_of(state);
	meet(CLIENT_HEAD);
	for (int verdict = FW_NONE; verdict < FW_VERDICT_COUNT; verdict++)
		if (silence_befits_newcomer(&listener, here, &client.source,
					    (enum fw_verdict)verdict) !=
		    (verdict == FW_SOURCE_CONDUCT))
			fail_msg("verdict %s", verdict_rows[verdict].label);
}

static int hops(int level, int option)
{
	socklen_t size = sizeof(int);
	int value = 0;

	assert_int_equal(getsockopt(here, level, option, &value, &size), 0);
	return value;
}

/* How that is done: also for IPv4 that comes to a socket of IPv6. */
static void what_is_not_told_goes_one_hop_far(void **state)
{
	static const struct {
		const char *address, *bound;
		int level, option;
	} rows[] = {
		{"127.0.0.1", "127.0.0.1", IPPROTO_IP, IP_TTL},
		{"127.0.0.1", "::", IPPROTO_IP, IP_TTL},
		{"::1", "::1", IPPROTO_IPV6, IPV6_UNICAST_HOPS},
	};
	volatile uint64_t *drops = &board[FW_VERDICTS_MAX + METRIC_SILENT_DROPS];
	uint64_t before = *drops;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		connect_to(rows[i].address, rows[i].bound);
		assert_true(hops(rows[i].level, rows[i].option) > 1);
		socket_silence(here);
		assert_int_equal(hops(rows[i].level, rows[i].option), 1);
	}
	assert_int_equal(*drops, before);
	connect_to("127.0.0.1", "127.0.0.1");
	silence_keep(&listener, here);
	assert_int_equal(hops(IPPROTO_IP, IP_TTL), 1);
	assert_int_equal(*drops, before + 1);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(under_overload_who_should_have_spoken_is_not_told),
		STORY(nor_is_who_has_stopped_halfway),
		STORY(for_any_other_reason_he_is_told),
		STORY(without_overload_everybody_is_told),
		STORY(what_we_have_not_heard_is_answered),
		STORY(what_he_has_not_heard_yet_comes_with_an_end),
		STORY(who_waits_for_us_is_told),
		STORY(who_need_not_speak_is_told),
		STORY(for_whom_it_would_be_wrong_is_told),
		STORY(where_the_operator_does_not_mean_it_everybody_is_told),
		STORY(a_newcomer_is_not_told_only_of_his_conduct),
		STORY(what_is_not_told_goes_one_hop_far),
	};

	return cmocka_run_group_tests(tests, make_world, end_world);
}
