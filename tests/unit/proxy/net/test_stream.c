// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "proxy/net/stream.h"

struct pair {
	struct loop loop;
	struct stream stream; /* one end … */
	int peer;             /* … and the other */
};

static int set_up(void **state)
{
	static struct pair pair;
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int listening = socket(AF_INET, SOCK_STREAM, 0), fd;

	pair = (struct pair){.peer = socket(AF_INET, SOCK_STREAM, 0)};
	assert_int_equal(bind(listening, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listening, 1), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(connect(pair.peer, (struct sockaddr *)&address, size), 0);
	fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
	close(listening);
	assert_true(fd >= 0);
	assert_int_equal(loop_init(&pair.loop), 0);
	assert_int_equal(stream_open(&pair.stream, &pair.loop, fd, false), 0);
	*state = &pair;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *pair = *state;

	close(pair->peer);
	loop_destroy(&pair->loop);
	return 0;
}

static uint32_t packets_received(int fd)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	return info.tcpi_segs_in;
}

static void say(struct pair *pair, const char *text)
{
	struct iovec part = {(void *)(uintptr_t)text, strlen(text)};

	assert_int_equal(stream_write(&pair->stream, &part, 1), part.iov_len);
}

static void expect(struct pair *pair, const char *text)
{
	char heard[64];
	ssize_t count = recv(pair->peer, heard, sizeof(heard), MSG_WAITALL);

	assert_int_equal(count, strlen(text));
	assert_memory_equal(heard, text, (size_t)count);
}

/* A goodbye and the end of it are one packet, and nothing of the goodbye is lost. */
static void last_words_leave_with_the_end(void **state)
{
	struct pair *pair = *state;
	uint32_t before = packets_received(pair->peer);

	stream_part(&pair->stream);
	say(pair, "so ");
	say(pair, "long");
	stream_close(&pair->stream);
	expect(pair, "so long");
	assert_int_equal(packets_received(pair->peer) - before, 1);
}

/* The same when only this side has done. */
static void last_words_leave_with_half_the_end(void **state)
{
	struct pair *pair = *state;
	uint32_t before = packets_received(pair->peer);

	stream_part(&pair->stream);
	say(pair, "so long");
	assert_int_equal(stream_shutdown(&pair->stream), 0);
	expect(pair, "so long");
	assert_int_equal(packets_received(pair->peer) - before, 1);
	stream_close(&pair->stream);
}

/* Who does not part is heard at once. */
static void words_do_not_wait(void **state)
{
	struct pair *pair = *state;
	char heard[8];

	say(pair, "hello");
	assert_int_equal(recv(pair->peer, heard, sizeof(heard), 0), 5);
	stream_close(&pair->stream);
}

static uint32_t seen;

static void see(struct source *source, uint32_t events)
{
	(void)source;
	seen |= events;
}

static void stop(struct loop *loop)
{
	loop->stopped = loop->turns > 0;
	loop_wake(loop);
}

/* What epoll has to say by now. */
static uint32_t look(struct pair *pair)
{
	seen = 0;
	pair->stream.source.handle = see;
	pair->loop.turned = stop;
	pair->loop.stopped = false;
	pair->loop.turns = 0;
	loop_wake(&pair->loop);
	assert_int_equal(loop_run(&pair->loop), 0);
	return seen;
}

static void hear(struct pair *pair, const char *text)
{
	assert_int_equal(send(pair->peer, text, strlen(text), 0), strlen(text));
}

/* Too few bytes are no news, but can be read by who knows better; enough are, and so is the end. */
static void too_few_bytes_are_kept_back(void **state)
{
	struct pair *pair = *state;
	char heard[64];

	look(pair);
	stream_await(&pair->stream, 10);
	assert_true(stream_awaits_more(&pair->stream));
	hear(pair, "12345");
	assert_false(look(pair) & EPOLLIN);
	assert_int_equal(stream_unread(&pair->stream), 5);
	hear(pair, "67890");
	assert_true(look(pair) & EPOLLIN);
	stream_note(&pair->stream, EPOLLIN);
	assert_int_equal(stream_read(&pair->stream, heard, sizeof(heard)), 10);
	hear(pair, "1");
	assert_false(look(pair) & EPOLLIN);
	stream_note(&pair->stream, EPOLLIN);
	assert_int_equal(stream_read(&pair->stream, heard, sizeof(heard)), 1);
	hear(pair, "2");
	assert_false(look(pair) & EPOLLIN);
	stream_await(&pair->stream, 1);
	assert_true(look(pair) & EPOLLIN);
	stream_await(&pair->stream, 10);
	shutdown(pair->peer, SHUT_WR);
	assert_true(look(pair) & EPOLLRDHUP);
}

/* Once the peer has said its last it is known how much more there is to read. */
static void what_remains_is_known_once_the_end_is(void **state)
{
	struct pair *pair = *state;
	char heard[3];

	assert_int_equal(send(pair->peer, "hello", 5, 0), 5);
	stream_note(&pair->stream, look(pair));
	assert_true(stream_remaining(&pair->stream) == UINT64_MAX);
	shutdown(pair->peer, SHUT_WR);
	stream_note(&pair->stream, look(pair));
	assert_int_equal(stream_remaining(&pair->stream), 5);
	assert_int_equal(stream_read(&pair->stream, heard, sizeof(heard)), 3);
	assert_int_equal(stream_remaining(&pair->stream), 2);
	assert_int_equal(stream_read(&pair->stream, heard, sizeof(heard)), 2);
	assert_int_equal(stream_remaining(&pair->stream), 0);
	stream_close(&pair->stream);
}

/* In what the kernel counts: some more than the bytes themselves, and nothing once they are taken.
 */
static void what_nobody_takes_is_buffered(void **state)
{
	struct pair *pair = *state;
	static char text[256 << 10];
	const struct iovec part = {text, sizeof(text)};
	ssize_t written, read = 0;

	assert_int_equal(stream_buffered(&pair->stream), 0);
	written = stream_write(&pair->stream, &part, 1);
	assert_true(written > 0);
	while (stream_write(&pair->stream, &part, 1) > 0)
		written += part.iov_len;
	assert_true(stream_buffered(&pair->stream) >
		    written - (ssize_t)stream_taken(&pair->stream, (uint64_t)written));
	shutdown(pair->stream.source.fd, SHUT_WR);
	while ((read = recv(pair->peer, text, sizeof(text), 0)) > 0)
		;
	assert_int_equal(read, 0);
	assert_int_equal(stream_buffered(&pair->stream), 0);
	hear(pair, "12345");
	assert_true(stream_buffered(&pair->stream) > 5);
	stream_close(&pair->stream);
}

/* Of what was said last to who never takes it nothing is left in the end. */
static void what_is_left_is_not_kept_for_ever(void **state)
{
	struct pair *pair = *state;
	static char text[256 << 10];
	const struct iovec part = {text, sizeof(text)};
	struct pollfd left = {.fd = dup(pair->stream.source.fd)};
	int why = 0;
	socklen_t size = sizeof(why);

	while (stream_write(&pair->stream, &part, 1) > 0)
		;
	shutdown(left.fd, SHUT_WR); /* as closing does, but where somebody holds a copy */
	stream_bequeath(&pair->stream, 100);
	stream_close(&pair->stream);
	assert_int_equal(poll(&left, 1, -1), 1);
	getsockopt(left.fd, SOL_SOCKET, SO_ERROR, &why, &size);
	assert_int_equal(why, ETIMEDOUT);
	close(left.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(last_words_leave_with_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(last_words_leave_with_half_the_end, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(words_do_not_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_few_bytes_are_kept_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_remains_is_known_once_the_end_is, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_nobody_takes_is_buffered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_left_is_not_kept_for_ever, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
