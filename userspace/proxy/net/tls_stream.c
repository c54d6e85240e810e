// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reading and writing through TLS.
 *
 * Records are opened and sealed in the thread's scratch. What is left over when a call returns, the
 * beginning of a record or more content than was asked for, waits in a buffer from the pools; what
 * the socket did not take of a sealed record does too, and its content counts as written only when
 * all of it has been taken. So between calls a connection holds a buffer only while it is in the
 * middle of something.
 *
 * A record that carries nothing (an empty one, a key update, an attempt to renegotiate, a warning)
 * is charged to a budget that only received content refills.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include "base/clock.h"
#include "proxy/net/tls_state.h"

enum {
	/* A first record fills one segment, so that it can be read when that arrives; the first
	 * ten segments are what a fresh connection may send at once (RFC 6928). */
	FIRST_RECORD = 1400 - RECORD_OVERHEAD_MAX,
	FIRST_BURST = 10 * FIRST_RECORD,
	BATCH_MAX = TLS_SCRATCH_OUT - sizeof(struct buffer) - 14 * RECORD_OVERHEAD_MAX,
	IDLE_RECORDS_MAX = 64,
	IDLE_REFILL = 1 << 20,     /* bytes of content after which the budget is whole again */
	RECORDS_PER_KEY = 1 << 24, /* RFC 8446 section 5.5: 2^24.5 for AES-GCM */
	MESSAGE_KEY_UPDATE = 24,
	PARTS_MAX = 4,
};

#define PAUSE_NS CLOCK_SEC /* after which a burst begins anew */

/* --- what is sealed ----------------------------------------------------------------------------
 */

/* Sends what waits. 0: nothing does any more; −EAGAIN; −errno. */
static int flush(struct stream *stream)
{
	struct tls *tls = stream->tls;
	struct iovec part;
	ssize_t count;

	if (!tls->out)
		return 0;
	part = (struct iovec){buffer_start(tls->out), buffer_length(tls->out)};
	count = stream_send(stream, &part, 1);
	if (count < 0)
		return (int)count;
	buffer_consume(tls->out, (uint32_t)count);
	if (buffer_length(tls->out))
		return -EAGAIN;
	buffer_give(&tls->out);
	return 0;
}

/* Sends @size bytes from the scratch; what is not taken waits. 0, −EAGAIN, −errno. */
static int send_sealed(struct stream *stream, size_t size)
{
	struct tls *tls = stream->tls;
	const struct iovec part = {tls->engine->out, size};
	ssize_t count = stream_send(stream, &part, 1);

	if (count == -EAGAIN)
		count = 0;
	if (count < 0)
		return (int)count;
	if ((size_t)count == size)
		return 0;
	tls->out = buffer_take_for(tls->account, size - (size_t)count);
	if (!tls->out)
		return -ENOMEM;
	buffer_append(tls->out, tls->engine->out + count, (uint32_t)(size - (size_t)count));
	return -EAGAIN;
}

/* Seals and sends one message that is not content. Nothing may wait. */
static int send_message(struct stream *stream, enum record_type type, const uint8_t *data,
			size_t size)
{
	struct tls *tls = stream->tls;
	const struct iovec part = {(void *)data, size};

	size = record_seal(tls->engine->records, &tls->records, type, &part, 1, tls->engine->out);
	return size ? send_sealed(stream, size) : -ENOMEM;
}

static int send_alert(struct stream *stream, uint8_t level, enum tls_alert alert)
{
	const uint8_t message[] = {level, (uint8_t)alert};

	return send_message(stream, RECORD_ALERT, message, sizeof(message));
}

/* Ends it for a reason of ours, which the client is told if there is room. Always −EPROTO. */
static int fail(struct stream *stream, enum fw_verdict verdict, enum tls_alert alert)
{
	struct tls *tls = stream->tls;

	tls->fault = (uint8_t)verdict;
	if (!tls->closed && flush(stream) == 0)
		send_alert(stream, 2, alert);
	tls->closed = true;
	return -EPROTO;
}

int tls_shutdown(struct stream *stream)
{
	struct tls *tls = stream->tls;
	int code;

	if (!tls->open)
		return 0;
	code = flush(stream);
	if (code < 0 || tls->closed)
		return code;
	tls->closed = true;
	return send_alert(stream, 1, ALERT_CLOSE_NOTIFY);
}

/* --- writing -----------------------------------------------------------------------------------
 */

/* On to the next key, and the client is told with the last record of this one. */
static int update_key(struct stream *stream)
{
	static const uint8_t message[] = {MESSAGE_KEY_UPDATE, 0, 0, 1, 0};
	struct tls *tls = stream->tls;
	int code = send_message(stream, RECORD_HANDSHAKE, message, sizeof(message));

	if (code < 0 && code != -EAGAIN)
		return code;
	tls->owes_key_update = false;
	return record_update_key(&tls->records, &tls->records.out) ? code : -ENOMEM;
}

/* The first @limit bytes of @parts from @skip on. Returns how many parts that makes. */
static int slice(const struct iovec *parts, int count, size_t skip, size_t limit,
		 struct iovec out[PARTS_MAX])
{
	int used = 0;

	for (int i = 0; i < count && limit && used < PARTS_MAX; i++) {
		size_t length = parts[i].iov_len;

		if (skip >= length) {
			skip -= length;
			continue;
		}
		length -= skip;
		if (length > limit)
			length = limit;
		out[used++] = (struct iovec){(char *)parts[i].iov_base + skip, length};
		limit -= length;
		skip = 0;
	}
	return used;
}

/* Seals up to @total bytes of @parts at engine->out. Returns the size of the records; 0: no memory.
 */
static size_t seal(struct tls *tls, const struct iovec *parts, int count, size_t total)
{
	struct tls_engine *engine = tls->engine;
	struct iovec slices[PARTS_MAX];
	size_t done = 0, used = 0;

	while (done < total) {
		size_t most = tls->burst < FIRST_BURST ? FIRST_RECORD : RECORD_PLAIN_MAX;
		size_t length = total - done < most ? total - done : most;
		int number = slice(parts, count, done, length, slices);
		size_t size = record_seal(engine->records, &tls->records, RECORD_DATA, slices,
					  number, engine->out + used);

		if (!size)
			return 0;
		used += size;
		done += length;
		if (tls->burst < FIRST_BURST)
			tls->burst += (uint32_t)length;
	}
	return used;
}

static int write_parts(struct stream *stream, const struct iovec *parts, int count, size_t total)
{
	struct tls *tls = stream->tls;
	uint64_t now_ns = stream->loop->now_ns;
	size_t size;
	int code;

	if (now_ns - tls->sent_ns > PAUSE_NS)
		tls->burst = 0;
	tls->sent_ns = now_ns;
	size = seal(tls, parts, count, total);
	if (!size)
		return -ENOMEM;
	code = send_sealed(stream, size);
	if (code == -EAGAIN)
		tls->owed = (uint32_t)total;
	return code;
}

ssize_t tls_write(struct stream *stream, const struct iovec *parts, int count)
{
	struct tls *tls = stream->tls;
	size_t total = 0;
	int code;

	if (!stream_is(stream, STREAM_WRITABLE))
		return -EAGAIN;
	if (tls->fault || tls->closed)
		return -EPIPE;
	code = flush(stream);
	if (code < 0)
		return code;
	/* The same bytes stand in front of @parts: they are what is being waited for. */
	if (tls->owed) {
		total = tls->owed;
		tls->owed = 0;
		return (ssize_t)total;
	}
	if (tls->owes_key_update ||
	    (tls->records.is_13 && tls->records.out.sequence >= RECORDS_PER_KEY)) {
		code = update_key(stream);
		if (code < 0)
			return code;
	}
	for (int i = 0; i < count; i++)
		total += parts[i].iov_len;
	if (total > BATCH_MAX)
		total = BATCH_MAX;
	code = write_parts(stream, parts, count, total);
	return code < 0 ? code : (ssize_t)total;
}

/* --- reading -----------------------------------------------------------------------------------
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

/* A record that carried nothing. 0, or −EPROTO: one too many. */
static int charge(struct stream *stream)
{
	if (++stream->tls->idle <= IDLE_RECORDS_MAX)
		return 0;
	return fail(stream, FW_IDLE_RECORDS, ALERT_UNEXPECTED_MESSAGE);
}

static int take_key_update(struct stream *stream, const struct record_content *content)
{
	static const uint8_t message[] = {MESSAGE_KEY_UPDATE, 0, 0, 1};
	struct tls *tls = stream->tls;

	if (content->length != sizeof(message) + 1 ||
	    memcmp(content->data, message, sizeof(message)) != 0 ||
	    content->data[sizeof(message)] > 1)
		return fail(stream, FW_BAD_RECORD, ALERT_UNEXPECTED_MESSAGE);
	if (!record_update_key(&tls->records, &tls->records.in))
		return -ENOMEM;
	/* However many ask before we have something to say, one answer does. */
	tls->owes_key_update |= content->data[sizeof(message)] == 1;
	return charge(stream);
}

/* A ClientHello on a TLS 1.2 connection: no. */
static int take_renegotiation(struct stream *stream)
{
	int code = charge(stream);

	if (code == 0 && !stream->tls->out && !stream->tls->closed)
		code = send_alert(stream, 1, ALERT_NO_RENEGOTIATION);
	return code == -EAGAIN ? 0 : code;
}

static int take_alert(struct stream *stream, const struct record_content *content)
{
	enum { WARNING = 1 };

	if (content->length != 2)
		return fail(stream, FW_BAD_RECORD, ALERT_DECODE_ERROR);
	if (content->data[1] == ALERT_CLOSE_NOTIFY) {
		stream->tls->ended = true;
		return 0;
	}
	/* TLS 1.3 knows warnings no more, but for this one (RFC 8446 section 6). */
	if (content->data[1] == ALERT_USER_CANCELED ||
	    (!stream->tls->records.is_13 && content->data[0] == WARNING))
		return charge(stream);
	stream->tls->closed = true;
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
	struct record_content content;

	if (!record_open(tls->engine->records, &tls->records, window->data + window->at, size,
			 &content))
		return fail(stream, FW_BAD_RECORD, ALERT_BAD_RECORD_MAC);
	window->at += size;
	switch (content.type) {
	case RECORD_DATA:
		return take_data(stream, window, &content);
	case RECORD_ALERT:
		return take_alert(stream, &content);
	case RECORD_HANDSHAKE:
		return tls->records.is_13 ? take_key_update(stream, &content)
					  : take_renegotiation(stream);
	default:
		return fail(stream, FW_BAD_RECORD, ALERT_UNEXPECTED_MESSAGE);
	}
}

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
			return fail(stream, FW_BAD_RECORD, ALERT_RECORD_OVERFLOW);
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
