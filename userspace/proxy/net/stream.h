/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connected socket as bytes in and bytes out. It knows what the kernel would say without asking
 * it: a read that came short has emptied the socket, a write that came short has filled it, and
 * nothing changes until epoll reports the next edge. So the usual request costs one read and one
 * write, and no call that only learns "not yet".
 *
 * A stream with `tls` set does the same through TLS (tls.h), and nobody above notices.
 */
#ifndef PROXY_NET_STREAM_H
#define PROXY_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "proxy/loop/loop.h"

enum {
	STREAM_READABLE = 1 << 0,     /* a read may find bytes, or the end */
	STREAM_WRITABLE = 1 << 1,     /* a write may find room */
	STREAM_ENDING = 1 << 2,       /* the peer sends no more: the end follows what is left */
	STREAM_BROKEN = 1 << 3,       /* reset, or closed both ways */
	STREAM_WATCHES_ROOM = 1 << 4, /* epoll reports when there is room again */
	STREAM_PARTING = 1 << 5,      /* what is written is the last, and the end follows at once */
};

struct stream {
	struct source source;
	struct loop *loop;
	struct tls *tls;  /* NULL: plain TCP */
	uint8_t state;    /* STREAM_… */
	uint32_t awaited; /* bytes, fewer of which are not told of; 0, 1: any are */
};

/*
 * Watches a socket. @connecting: it is not connected yet, and the first event says whether it is.
 * 0 or −errno, the socket then still open. source.handle is the caller's to set, before.
 */
int stream_open(struct stream *stream, struct loop *loop, int fd, bool connecting);

/*
 * Takes over the socket of a stream that another thread watches, and on which nothing is on its
 * way; its TLS too, if that has left its thread (tls_client.h). The caller sees to it that @from is
 * not touched meanwhile; once this has returned, epoll reports no event of it there, but some may
 * have been fetched. What is left of @from is that thread's to stream_abandon(). −errno: the socket
 * is closed.
 */
int stream_adopt(struct stream *stream, struct loop *loop, struct stream *from);
/* Lets go of what is left of a stream whose socket another thread has. */
void stream_abandon(struct stream *stream);

/* Takes note of epoll's events; first thing in a handler. */
static inline void stream_note(struct stream *stream, uint32_t events)
{
	if (events & EPOLLIN)
		stream->state |= STREAM_READABLE;
	if (events & EPOLLOUT)
		stream->state |= STREAM_WRITABLE;
	if (events & EPOLLRDHUP)
		stream->state |= STREAM_READABLE | STREAM_ENDING;
	if (events & (EPOLLHUP | EPOLLERR))
		stream->state |= STREAM_READABLE | STREAM_ENDING | STREAM_BROKEN;
}

static inline bool stream_is(const struct stream *stream, uint8_t state)
{
	return stream->state & state;
}

/* What is written from now on is followed by stream_shutdown() or stream_close() in the same turn:
 * last words and the end need not be a packet each. */
static inline void stream_part(struct stream *stream)
{
	stream->state |= STREAM_PARTING;
}

/* Bytes read; 0: the peer sends no more; −EAGAIN; −errno. */
ssize_t stream_read(struct stream *stream, void *data, size_t size);
/* Bytes taken, fewer than offered when there is no more room; −EAGAIN: none; −errno. At most 3
 * parts. */
ssize_t stream_write(struct stream *stream, const struct iovec *parts, int count);

/*
 * From now on fewer bytes than @count are no news, nor read unless the caller notes EPOLLIN
 * himself; the end is. 1: any are. So a peer that sends a byte at a time costs us nothing for each.
 * With TLS they are those on the wire: never more than as many of content need.
 */
void stream_await(struct stream *stream, uint64_t count);
/* Whether bytes may have come that were not told of. */
static inline bool stream_awaits_more(const struct stream *stream)
{
	return stream->awaited > 1;
}
/* Bytes that have come, on the wire, and were not read. */
uint32_t stream_unread(const struct stream *stream);
/* Bytes that reads can still bring, at most, as the peer has said its last; UINT64_MAX: it has not.
 */
uint64_t stream_remaining(const struct stream *stream);

/* Whether bytes can pass it by splice(2): inwards, and outwards, where the kernel may do TLS. */
static inline bool stream_splices_in(const struct stream *stream)
{
	return !stream->tls;
}
bool stream_splices_out(const struct stream *stream);

/* As stream_read() and stream_write(), into and out of a pipe. The pipe that is filled must be
 * empty. */
ssize_t stream_splice_in(struct stream *stream, int pipe, size_t most);
ssize_t stream_splice_out(struct stream *stream, int pipe, size_t size);

/* Whether nothing has come that was not read, nor the end: asks the kernel, ahead of epoll. */
bool stream_is_silent(const struct stream *stream);
/* The same as far as is known, and of content alone: with TLS what is none (keys, tickets) is taken
 * in on the way, and a byte of what is may be lost. Whoever is not quiet is to be closed. */
bool stream_is_quiet(struct stream *stream);
/* Takes note if it is silent: a splice that came short does not tell. */
void stream_look(struct stream *stream);

/* Tells the peer that no more follows. 0; −EAGAIN: there is no room to say so, and it is to be
 * called again when there is. */
int stream_shutdown(struct stream *stream);
/* Bytes that the peer's host has acknowledged, of @written so far; with TLS, of what they became on
 * the wire. Only ever compared with one another. */
uint64_t stream_taken(const struct stream *stream, uint64_t written);
/* Bytes that the kernel's buffers take for it, either way: more than there is in them to read. */
uint32_t stream_buffered(const struct stream *stream);
/* Whether the peer takes nothing of what waits for it: it has no room for a segment, or has not
 * been heard of for two seconds. What is slow on its way is not stalled. */
bool stream_is_stalled(const struct stream *stream);
/* 0, or −errno of a connection attempt. */
int stream_error(const struct stream *stream);

/* Beneath TLS: the same as stream_read() and stream_write() for a stream without. */
ssize_t stream_receive(struct stream *stream, void *data, size_t size);
ssize_t stream_send(struct stream *stream, const struct iovec *parts, int count);
/* The socket is full: from now on epoll is to say when it no longer is. −EAGAIN, or −errno. */
int stream_await_room(struct stream *stream);

/* Once it is closed: what the peer has not taken yet goes on to it, and is gone, with what the
 * kernel holds for it, when it has taken none of it for so long. By itself the kernel would wait
 * for many minutes. */
void stream_bequeath(struct stream *stream, uint32_t most_ms);
/* Closes; source.release is called when the turn is over. */
void stream_close(struct stream *stream);
/* The same with a reset: the peer learns that it was cut off, and nothing of it stays here. */
void stream_reset(struct stream *stream);

#endif
