// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reading through TLS.
 *
 * Records are opened in the thread's scratch. What is left over when a call returns, the beginning
 * of a record or more content than was asked for, waits in a buffer from the pools; so between
 * calls a connection holds one only while it is in the middle of something.
 *
 * A record that carries nothing (an empty one, a key update, an attempt to renegotiate, a warning)
 * is charged to a budget that only received content refills.
 */
#include <errno.h>
#include <string.h>
#include "proxy/net/tls/tls_state.h"

enum {
	IDLE_RECORDS_MAX = 64,
	IDLE_REFILL = 1 << 20, /* bytes of content after which the budget is whole again */
	MESSAGE_KEY_UPDATE = 24,
	WARNING = 1,
};

/* --- what is left over -------------------------------------------------------------------------
 */

/* Bytes in the scratch: content that was opened, then records. */
struct window {
	uint8_t *data;
	size_t plain, plain_end; /* content that nobody has taken yet */
	size_t at, end;          /* records */
};

/* Fetches what was left over. */
static struct window fetch(struct tls *tls)
{
	struct window window = {.data = tls->engine->in};

	if (!tls->in)
		return window;
	window.end = buffer_length(tls->in);
	memcpy(window.data, buffer_start(tls->in), window.end);
	window.plain_end = window.at = tls->ready;
	buffer_give(&tls->in);
	tls->ready = 0;
	return window;
}

/* Leaves for the next call what this one has no use for. */
static int stow(struct tls *tls, const struct window *window)
{
	size_t plain = window->plain_end - window->plain, rest = window->end - window->at;

	if (plain + rest == 0)
		return 0;
	tls->in = buffer_take_for(tls->account, plain + rest);
	if (!tls->in)
		return -ENOMEM;
	buffer_append(tls->in, window->data + window->plain, (uint32_t)plain);
	buffer_append(tls->in, window->data + window->at, (uint32_t)rest);
	tls->ready = (uint32_t)plain;
	return 0;
}

/* Size of the record in front, if it is whole. 0: it is not; −1: it never will be. */
static long whole_record(const struct window *window)
{
	size_t have = window->end - window->at, size;

	if (have < RECORD_HEADER)
		return 0;
	size = record_size(window->data + window->at);
	if (!size)
		return -1;
	return size <= have ? (long)size : 0;
}

/* Makes room for the rest of a record, and reads it. */
static ssize_t receive(struct stream *stream, struct window *window)
{
	ssize_t count;

	memmove(window->data, window->data + window->at, window->end - window->at);
	window->end -= window->at;
	window->plain = window->plain_end = window->at = 0;
	count = stream_receive(stream, window->data + window->end, TLS_SCRATCH_IN - window->end);
	if (count > 0)
		window->end += (size_t)count;
	return count;
}

/* --- records -----------------------------------------------------------------------------------
 */

/* A record that carried nothing. 0, or −EPROTO: one too many. */
static int charge(struct stream *stream)
{
	if (++stream->tls->idle <= IDLE_RECORDS_MAX)
		return 0;
	return tls_fail(stream, FW_IDLE_RECORDS, ALERT_UNEXPECTED_MESSAGE);
}

/* TLS 1.3: the one message that a client may still send, whole and alone in its record, as the key
 * changes behind it. RFC 8446 would let it come in pieces; nobody cuts five bytes. A server's may
 * come behind tickets. */
static int take_key_update(struct stream *stream, const struct record_content *content)
{
	static const uint8_t message[] = {MESSAGE_KEY_UPDATE, 0, 0, 1};
	struct tls *tls = stream->tls;
	uint8_t asks;

	if (content->length != sizeof(message) + 1 ||
	    memcmp(content->data, message, sizeof(message)) != 0)
		return tls_fail(stream, FW_BAD_RECORD, ALERT_UNEXPECTED_MESSAGE);
	asks = content->data[sizeof(message)];
	if (asks > 1)
		return tls_fail(stream, FW_BAD_RECORD, ALERT_ILLEGAL_PARAMETER);
	if (!record_update_key(tls->engine->records, &tls->records, &tls->records.in))
		return -ENOMEM;
	tls_end_handshake(tls); /* the library knows no key but the first */
	/* However many ask before we have something to say, one answer does. */
	tls->owes_key_update |= asks == 1;
	return charge(stream);
}

/* TLS 1.3's messages, which came as the @size bytes at @record. */
static int take_messages(struct stream *stream, struct record_content *content,
			 const uint8_t *record, size_t size)
{
	struct tls *tls = stream->tls;

	if (tls->peer) {
		if (tls_client_take_tickets(tls, content, record, size) < 0)
			return tls_fail(stream, FW_BAD_RECORD, ALERT_UNEXPECTED_MESSAGE);
		if (!content->length)
			return charge(stream);
	}
	return take_key_update(stream, content);
}

/* A ClientHello, or a server's request for one, on a TLS 1.2 connection: no. */
static int take_renegotiation(struct stream *stream)
{
	int code = charge(stream);

	return code < 0 ? code : tls_warn(stream, ALERT_NO_RENEGOTIATION);
}

static int take_alert(struct stream *stream, const struct record_content *content)
{
	if (content->length != 2)
		return tls_fail(stream, FW_BAD_RECORD, ALERT_DECODE_ERROR);
	if (content->data[1] == ALERT_CLOSE_NOTIFY) {
		stream->tls->ended = true;
		return 0;
	}
	/* TLS 1.3 knows warnings no more, but for this one (RFC 8446 section 6). */
	if (content->data[1] == ALERT_USER_CANCELED ||
	    (!stream->tls->records.is_13 && content->data[0] == WARNING))
		return charge(stream);
	stream->tls->closed = true;
	if (stream->tls->peer) {
		stream->tls->fault = FW_UPSTREAM_TLS;
		tls_client_note_fault(stream, content->data[1], true);
	}
	return -ECONNRESET;
}

static int take_data(struct stream *stream, struct window *window,
		     const struct record_content *content)
{
	struct tls *tls = stream->tls;

	if (!content->length)
		return charge(stream);
	window->plain = (size_t)(content->data - window->data);
	window->plain_end = window->plain + content->length;
	tls->carried += (uint32_t)content->length;
	if (tls->carried >= IDLE_REFILL)
		tls->carried = tls->idle = 0;
	return 0;
}

/* Opens the record in front, of @size bytes. */
static int take_record(struct stream *stream, struct window *window, size_t size)
{
	struct tls *tls = stream->tls;
	uint8_t *record = window->data + window->at;
	struct record_content content;

	/* What TLS 1.3 protects is content, from outside (RFC 8446 section 5.2). */
	if (tls->records.is_13 && *record != RECORD_DATA)
		return tls_fail(stream, FW_BAD_RECORD, ALERT_UNEXPECTED_MESSAGE);
	if (tls->handshake) /* which may have to open it, too */
		memcpy(tls->engine->out, record, size);
	if (!record_open(tls->engine->records, &tls->records, record, size, &content))
		return tls_fail(stream, FW_BAD_RECORD, ALERT_BAD_RECORD_MAC);
	if (content.length > tls->most)
		return tls_fail(stream, FW_BAD_RECORD, ALERT_RECORD_OVERFLOW);
	if (content.type != RECORD_HANDSHAKE) {
		if (tls->skips) /* nothing comes in the middle of a message */
			return tls_fail(stream, FW_BAD_RECORD, ALERT_UNEXPECTED_MESSAGE);
		tls_end_handshake(tls);
	}
	window->at += size;
	switch (content.type) {
	case RECORD_DATA:
		return take_data(stream, window, &content);
	case RECORD_ALERT:
		return take_alert(stream, &content);
	case RECORD_HANDSHAKE:
		return tls->records.is_13 ? take_messages(stream, &content, tls->engine->out, size)
					  : take_renegotiation(stream);
	default:
		return tls_fail(stream, FW_BAD_RECORD, ALERT_UNEXPECTED_MESSAGE);
	}
}

/* --- reading -----------------------------------------------------------------------------------
 */

/* Fills @data as far as whole records go. Bytes, 0: the end, −EAGAIN, −errno. */
static ssize_t fill(struct stream *stream, struct window *window, uint8_t *data, size_t size)
{
	struct tls *tls = stream->tls;
	size_t done = 0, length;
	ssize_t count;
	int code;

	while (done < size) {
		length = window->plain_end - window->plain;
		if (length > size - done)
			length = size - done;
		memcpy(data + done, window->data + window->plain, length);
		window->plain += length;
		done += length;
		if (length)
			continue;
		if (tls->ended)
			break;
		count = whole_record(window);
		if (count < 0)
			return tls_fail(stream, FW_BAD_RECORD, ALERT_RECORD_OVERFLOW);
		if (count > 0) {
			code = take_record(stream, window, (size_t)count);
			if (code < 0)
				return code;
			continue;
		}
		if (done)
			break;
		count = receive(stream, window);
		if (count < 0)
			return count;
		/* A server's end that it does not vouch for may be an attacker's. */
		if (count == 0 && tls->peer)
			return -ECONNRESET;
		tls->ended = count == 0;
	}
	return (ssize_t)done;
}

ssize_t tls_read(struct stream *stream, void *data, size_t size)
{
	struct tls *tls = stream->tls;
	struct window window;
	ssize_t count;
	int code;

	if (tls->fault)
		return -EPROTO;
	if (!stream_is(stream, STREAM_READABLE))
		return -EAGAIN;
	window = fetch(tls);
	count = fill(stream, &window, data, size);
	if (count < 0 && count != -EAGAIN)
		return count;
	/* epoll says nothing about bytes that are here already. */
	if (window.plain < window.plain_end || tls->ended || whole_record(&window) != 0)
		stream->state |= STREAM_READABLE;
	code = stow(tls, &window);
	return code < 0 ? code : count;
}
