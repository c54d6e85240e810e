// SPDX-License-Identifier: BSD-2-Clause
/* Checks of a server in the same loop, which says what a test wants it to say. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
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
#include "base/log.h"
#include "contract/address.h"
#include "proxy/upstream/care/health_check.h"

static struct loop loop;
static struct config_server server_config;
static struct config_upstream config;
static struct server server;
static struct health health;
static struct health_check check;
static struct source listener, peer;
static struct timer limit;
static char heard[4096];
static size_t heard_size;
static const char *answer; /* NULL: none */
static uint32_t visits, step;
static bool hangs_up;

/* Its source may be another one's in the same turn. */
static void leave_peer(void)
{
	if (peer.fd >= 0)
		close(peer.fd);
	peer.fd = -1;
}

static void listen_to_peer(struct source *source, uint32_t events)
{
	ssize_t count;

	(void)events;
	while ((count = recv(source->fd, heard + heard_size, sizeof(heard) - 1 - heard_size,
			     MSG_DONTWAIT)) > 0)
		heard_size += (size_t)count;
	heard[heard_size] = '\0';
	if (strstr(heard, "\r\n\r\n") && answer) {
		/* In pieces, to see that none of them is taken for the whole. */
		for (size_t at = 0, all = strlen(answer); at < all; at += step) {
			size_t part = all - at < step ? all - at : step;

			send(source->fd, answer + at, part, MSG_NOSIGNAL);
		}
		if (hangs_up)
			shutdown(source->fd, SHUT_WR);
		answer = NULL;
	}
	if (count == 0 || (count < 0 && errno != EAGAIN))
		leave_peer();
}

static void welcome(struct source *source, uint32_t events)
{
	int fd, on = 1;

	(void)events;
	while ((fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		visits++;
		leave_peer();
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		peer = (struct source){.fd = fd, .handle = listen_to_peer};
		assert_int_equal(loop_watch(&loop, &peer, EPOLLIN | EPOLLRDHUP), 0);
	}
}

static void stop_loop(struct timer *timer)
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
	assert_int_equal(loop_init(&loop), 0);
	listener = (struct source){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0),
				   .handle = welcome};
	peer.fd = -1;
	assert_int_equal(bind(listener.fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener.fd, 16), 0);
	getsockname(listener.fd, (struct sockaddr *)&address, &size);
	assert_int_equal(loop_watch(&loop, &listener, EPOLLIN), 0);
	server_config = (struct config_server){.address = (char *)"server.internal:80"};
	server_config.addr =
		address_from_sockaddr((struct sockaddr *)&address, &server_config.port);
	config = (struct config_upstream){
		.name = (char *)"app",
		.servers = &server_config,
		.server_count = 1,
		.health = {.check = CHECK_HTTP,
			   .path = (char *)"/healthz",
			   .interval_ms = 50,
			   .timeout_ms = 200,
			   .rise = 1,
			   .fall = 1},
	};
	for (int status = 200; status < 300; status++)
		config.health.statuses.bit[(status - 100) / 64] |= 1ULL << (status - 100) % 64;
	memset(&server, 0, sizeof(server));
	memset(&check, 0, sizeof(check));
	health_init(&health, &config, &server, 1);
	heard_size = visits = 0;
	step = 1;
	hangs_up = false;
	answer = NULL;
	limit.fire = stop_loop;
	return 0;
}

static int end(void **state)
{
	(void)state;
	health_check_stop(&check);
	timer_cancel(&loop.wheel, &limit);
	leave_peer();
	close(listener.fd);
	loop_destroy(&loop);
	return 0;
}

static void run_for(uint64_t ms)
{
	loop.stopped = false;
	timer_arm(&loop.wheel, &limit, clock_now_ns() + ms * CLOCK_MS);
	assert_int_equal(loop_run(&loop), 0);
}

/* Whether a server that answers so passes its first check. */
static bool passes(const char *text)
{
	heard_size = 0;
	answer = text;
	memset(&check, 0, sizeof(check));
	atomic_store(&server.unhealthy, false);
	loop.now_ns = clock_now_ns();
	health_check_start(&check, &loop, NULL, &server, &config);
	for (int i = 0; i < 100 && !check.streak.decided; i++)
		run_for(10);
	assert_true(check.streak.decided);
	health_check_stop(&check);
	run_for(0); /* what was closed is let go */
	return !atomic_load(&server.unhealthy);
}

static void what_is_asked(void **state)
{
	(void)state;
	assert_true(passes("HTTP/1.1 204 No Content\r\n\r\n"));
	assert_string_equal(heard, "GET /healthz HTTP/1.1\r\nHost: server.internal:80\r\n"
				   "User-Agent: Floodwall-health\r\nConnection: close\r\n\r\n");
	config.health.host = (char *)"example.org";
	config.proxy_protocol = INTRODUCTION_V1;
	assert_true(passes("HTTP/1.1 204 No Content\r\n\r\n"));
	assert_ptr_equal(strstr(heard, "PROXY UNKNOWN\r\nGET /healthz HTTP/1.1\r\nHost: "
				       "example.org\r\n"),
			 heard);
}

static void its_status_decides(void **state)
{
	(void)state;
	assert_true(passes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"));
	assert_false(passes("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"));
	assert_true(passes("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
			   "HTTP/1.1 200 OK\r\n\r\n"));
	assert_int_equal(atomic_load(&server.checks_failed), 1);
}

static void what_is_no_response_fails(void **state)
{
	static const char *const garbage[] = {
		"\r\n",
		"SSH-2.0-OpenSSH\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n",
		"HTTP/1.1 20",
		"",
	};

	(void)state;
	hangs_up = true;
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
		assert_false(passes(garbage[i]));
}

static void interim_responses_without_end_fail(void **state)
{
	static char text[30 * 32];

	(void)state;
	text[0] = '\0';
	for (int i = 0; i < 30; i++)
		strcat(text, "HTTP/1.1 100 Continue\r\n\r\n");
	assert_false(passes(text));
}

static void its_content_may_decide(void **state)
{
	static char text[40000];

	(void)state;
	config.health.body = (char *)"all is well";
	hangs_up = true;
	assert_true(passes("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n[all is well]"));
	assert_true(passes("HTTP/1.1 200 OK\r\n\r\n[all is well]"));
	assert_true(passes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			   "5\r\n[all \r\n4\r\nis w\r\n4\r\nell]\r\n0\r\n\r\n"));
	assert_false(passes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nall is wel"));
	assert_false(passes("HTTP/1.1 200 OK\r\nX: all is well\r\nContent-Length: 2\r\n\r\nno"));
	assert_false(passes("HTTP/1.1 200 OK\r\n\r\nall is not well"));
	assert_false(passes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"));
	assert_false(passes("HTTP/1.1 204 No Content\r\n\r\n"));
	/* What is too far back is not waited for. */
	step = 1000;
	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, "HTTP/1.1 200 OK\r\n\r\n", 19);
	memcpy(text + sizeof(text) - 20, "all is well", 11);
	assert_false(passes(text));
}

static void silence_fails_in_time(void **state)
{
	uint64_t began_ns = clock_now_ns();

	(void)state;
	assert_false(passes(NULL));
	assert_true(clock_now_ns() - began_ns >= 200 * CLOCK_MS);
}

static void a_connection_may_be_enough(void **state)
{
	(void)state;
	config.health.check = CHECK_TCP;
	assert_true(passes(NULL));
	shutdown(listener.fd, SHUT_RDWR); /* it listens no more */
	assert_false(passes(NULL));
}

static void it_is_asked_again_and_again(void **state)
{
	(void)state;
	config.health.check = CHECK_TCP;
	loop.now_ns = clock_now_ns();
	health_check_start(&check, &loop, NULL, &server, &config);
	for (int i = 0; i < 100 && visits < 3; i++)
		run_for(20);
	assert_true(visits >= 3);
	assert_true(check.streak.good >= 2);
}

/* Nothing is asked of a place that is nowhere; once it is somewhere the first check decides. */
static void another_address_begins_anew(void **state)
{
	struct fw_addr address = server_config.addr;

	(void)state;
	config.health.check = CHECK_TCP;
	config.health.fall = 100;
	server_leave(&server);
	loop.now_ns = clock_now_ns();
	health_check_start(&check, &loop, NULL, &server, &config);
	run_for(300);
	assert_false(check.streak.decided);
	server_move(&server, &address, 1); /* nobody listens there */
	health_check_hasten(&check);
	run_for(100);
	assert_true(atomic_load(&server.unhealthy));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_asked),
		TEST(its_status_decides),
		TEST(what_is_no_response_fails),
		TEST(interim_responses_without_end_fail),
		TEST(its_content_may_decide),
		TEST(silence_fails_in_time),
		TEST(a_connection_may_be_enough),
		TEST(it_is_asked_again_and_again),
		TEST(another_address_begins_anew),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
