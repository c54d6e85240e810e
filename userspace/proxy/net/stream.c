// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/net/stream.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h> /* what its tcp_info has, the C library's lacks */
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include "proxy/net/socket.h"
#include "proxy/net/tls/tls_state.h"

enum { SILENT_MS = 2000 };

int stream_open(struct stream *stream, struct loop *loop, int fd, bool connecting)
{
	uint32_t events = EPOLLIN | EPOLLRDHUP;

	stream->loop = loop;
	stream->tls = NULL;
	stream->source.fd = fd;
	stream->state = STREAM_WRITABLE;
	stream->awaited = 1;
	if (connecting) {
		stream->state = STREAM_WATCHES_ROOM;
		events |= EPOLLOUT;
	}
	return loop_watch(loop, &stream->source, events);
}

int stream_adopt(struct stream *stream, struct loop *loop, struct stream *from)
{
	int fd = from->source.fd, code;

	loop_unwatch(from->loop, &from->source);
	code = stream_open(stream, loop, fd, false);
	stream->tls = from->tls;
	from->tls = NULL;
	if (code < 0) {
		tls_free(stream);
		close(fd);
	}
	return code;
}

void stream_abandon(struct stream *stream)
{
	loop_abandon(stream->loop, &stream->source);
}

/* --- the socket --------------------------------------------------------------------------------
 */

ssize_t stream_receive(struct stream *stream, void *data, size_t size)
{
	ssize_t count;

	if (!stream_is(stream, STREAM_READABLE))
		return -EAGAIN;
	do
		count = recv(stream->source.fd, data, size, 0);
	while (count < 0 && errno == EINTR);
	if (count < 0) {
		if (errno != EAGAIN)
			return -errno;
		stream->state &= (uint8_t)~STREAM_READABLE;
		return -EAGAIN;
	}
	/* Once the end is near there will be no further edge: it must be read up to. */
	if ((size_t)count < size && !stream_is(stream, STREAM_ENDING))
		stream->state &= (uint8_t)~STREAM_READABLE;
	return count;
}

int stream_await_room(struct stream *stream)
{
	int code = 0;

	stream->state &= (uint8_t)~STREAM_WRITABLE;
	if (!stream_is(stream, STREAM_WATCHES_ROOM))
		code = loop_rewatch(stream->loop, &stream->source, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	stream->state |= STREAM_WATCHES_ROOM;
	return code < 0 ? code : -EAGAIN;
}

static bool is_sealed_by_kernel(const struct stream *stream)
{
	return stream->tls && stream->tls->sealer == SEALED_BY_KERNEL;
}

/* Last words wait in the socket for the end, to leave with it. The kernel would wait with a record
 * that it has not sealed, and the end does not seal it. */
static int send_flags(const struct stream *stream)
{
	bool waits = stream_is(stream, STREAM_PARTING) && !is_sealed_by_kernel(stream);

	return MSG_NOSIGNAL | (waits ? MSG_MORE : 0);
}

ssize_t stream_send(struct stream *stream, const struct iovec *parts, int count)
{
	struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
	int code, flags = send_flags(stream);
	size_t offered = 0;
	ssize_t taken;

	if (!stream_is(stream, STREAM_WRITABLE))
		return -EAGAIN;
	for (int i = 0; i < count; i++)
		offered += parts[i].iov_len;
	do {
		if (count == 1)
			taken = send(stream->source.fd, parts->iov_base, offered, flags);
		else
			taken = sendmsg(stream->source.fd, &message, flags);
	} while (taken < 0 && errno == EINTR);
	if (taken < 0 && errno != EAGAIN)
		return -errno;
	if (taken < (ssize_t)offered) {
		code = stream_await_room(stream);
		if (taken < 0 || code != -EAGAIN)
			return code;
	}
	if (stream->tls && !is_sealed_by_kernel(stream))
		stream->tls->wire += (uint64_t)taken;
	return taken;
}

ssize_t stream_splice_in(struct stream *stream, int pipe, size_t most)
{
	ssize_t count;

	if (!stream_is(stream, STREAM_READABLE))
		return -EAGAIN;
	do
		count = splice(stream->source.fd, NULL, pipe, NULL, most,
			       SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (count < 0 && errno == EINTR);
	if (count >= 0)
		return count; /* fewer than asked for may be all that the pipe has slots for */
	if (errno != EAGAIN)
		return -errno;
	stream->state &= (uint8_t)~STREAM_READABLE;
	return -EAGAIN;
}

bool stream_splices_out(const struct stream *stream)
{
	return !stream->tls || is_sealed_by_kernel(stream);
}

ssize_t stream_splice_out(struct stream *stream, int pipe, size_t size)
{
	ssize_t count;
	int code = stream->tls ? tls_pass(stream) : 0;

	if (code < 0)
		return code;
	if (!stream_is(stream, STREAM_WRITABLE))
		return -EAGAIN;
	do
		count = splice(pipe, NULL, stream->source.fd, NULL, size,
			       SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (count < 0 && errno == EINTR);
	if (count < 0 && errno != EAGAIN)
		return -errno;
	if (count < (ssize_t)size) {
		code = stream_await_room(stream);
		if (count < 0 || code != -EAGAIN)
			return code;
	}
	if (stream->tls)
		tls_passed(stream, (size_t)count);
	return count;
}

bool stream_is_silent(const struct stream *stream)
{
	char byte;

	return recv(stream->source.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

bool stream_is_quiet(struct stream *stream)
{
	char byte;

	if (!stream_is(stream, STREAM_READABLE | STREAM_ENDING))
		return true;
	return stream->tls && tls_read(stream, &byte, 1) == -EAGAIN;
}

void stream_look(struct stream *stream)
{
	if (stream_is_silent(stream))
		stream->state &= (uint8_t)~STREAM_READABLE;
}

/* --- with TLS or without -----------------------------------------------------------------------
 */

ssize_t stream_read(struct stream *stream, void *data, size_t size)
{
	return stream->tls ? tls_read(stream, data, size) : stream_receive(stream, data, size);
}

ssize_t stream_write(struct stream *stream, const struct iovec *parts, int count)
{
	return stream->tls ? tls_write(stream, parts, count) : stream_send(stream, parts, count);
}

int stream_shutdown(struct stream *stream)
{
	int code = stream->tls ? tls_shutdown(stream) : 0;

	if (code == -EAGAIN)
		return code;
	shutdown(stream->source.fd, SHUT_WR);
	return 0;
}

void stream_await(struct stream *stream, uint64_t count)
{
	const struct tls *tls = stream->tls;
	uint32_t begun = tls ? buffer_length(tls->in) - tls->ready : 0; /* of a record */
	int least = count < INT_MAX ? (int)count : INT_MAX;

	least = least > (int)begun + 1 ? least - (int)begun : 1;
	if ((uint32_t)least != stream->awaited &&
	    setsockopt(stream->source.fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof(least)) == 0)
		stream->awaited = (uint32_t)least;
}

uint32_t stream_unread(const struct stream *stream)
{
	return socket_unread(stream->source.fd);
}

uint64_t stream_remaining(const struct stream *stream)
{
	uint64_t here = stream->tls ? buffer_length(stream->tls->in) : 0;

	return stream_is(stream, STREAM_ENDING) ? here + stream_unread(stream) : UINT64_MAX;
}

uint64_t stream_taken(const struct stream *stream, uint64_t written)
{
	if (stream->tls)
		written = stream->tls->wire;
	return written - socket_untaken(stream->source.fd);
}

uint32_t stream_buffered(const struct stream *stream)
{
	uint32_t held[SK_MEMINFO_VARS] = {0};
	socklen_t size = sizeof(held);

	getsockopt(stream->source.fd, SOL_SOCKET, SO_MEMINFO, held, &size);
	return held[SK_MEMINFO_RMEM_ALLOC] + held[SK_MEMINFO_WMEM_QUEUED];
}

bool stream_is_stalled(const struct stream *stream)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	return getsockopt(stream->source.fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
	       (info.tcpi_snd_wnd < info.tcpi_snd_mss || info.tcpi_last_ack_recv >= SILENT_MS);
}

int stream_error(const struct stream *stream)
{
	socklen_t size = sizeof(int);
	int code;

	if (getsockopt(stream->source.fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0)
		return -errno;
	return -code;
}

void stream_bequeath(struct stream *stream, uint32_t most_ms)
{
	if (!stream_is(stream, STREAM_BROKEN))
		setsockopt(stream->source.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &most_ms,
			   sizeof(most_ms));
}

void stream_close(struct stream *stream)
{
	if (stream->tls && !stream_is(stream, STREAM_BROKEN))
		tls_shutdown(stream);
	tls_free(stream);
	loop_close(stream->loop, &stream->source);
}

void stream_reset(struct stream *stream)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	tls_free(stream);
	setsockopt(stream->source.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	loop_close(stream->loop, &stream->source);
}
