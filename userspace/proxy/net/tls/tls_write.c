// SPDX-License-Identifier: BSD-2-Clause
/*
 * Writing through TLS.
 *
 * Records are sealed in the thread's scratch. What the socket did not take of them waits in a
 * buffer from the pools, and their content counts as written only when all of it has been taken:
 * the caller then offers the same bytes again.
 *
 * A connection that pours is handed to the kernel, if that seals records (ktls.h): from then on the
 * socket is given content, and nothing is left over here.
 */
#include <errno.h>
#include "base/clock.h"
#include "proxy/net/tls/credentials/site.h"
#include "proxy/net/tls/record/ktls.h"
#include "proxy/net/tls/tls_state.h"

enum {
	/* A first record fills one segment, so that it can be read when that arrives; the first
	 * ten segments are what a fresh connection may send at once (RFC 6928). */
	FIRST_RECORD = 1400 - RECORD_OVERHEAD_MAX,
	FIRST_BURST = 10 * FIRST_RECORD,
	RECORDS_MAX = 14, /* in the scratch at once */
	BATCH_MAX = TLS_SCRATCH_OUT - sizeof(struct buffer) - RECORDS_MAX * RECORD_OVERHEAD_MAX,
	POURING = 1 << 20,         /* a burst that makes it worth the kernel's while */
	RECORDS_PER_KEY = 1 << 24, /* RFC 8446 section 5.5: 2^24.5 for AES-GCM */
	MESSAGE_KEY_UPDATE = 24,
	PARTS_MAX = 4,
	WARNING = 1,
	FATAL = 2,
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
	if (!tls->out) {
		tls->closed = true; /* a record is cut off: nothing can follow it */
		return -ENOMEM;
	}
	buffer_append(tls->out, tls->engine->out + count, (uint32_t)(size - (size_t)count));
	return -EAGAIN;
}

/* --- what is not content -----------------------------------------------------------------------
 */

/* Nothing may wait. 0: it is sent, or will be, and counts as sent; −EAGAIN: it is not; −errno. */
static int send_message(struct stream *stream, enum record_type type, const uint8_t *data,
			size_t size)
{
	struct tls *tls = stream->tls;
	const struct iovec part = {(void *)data, size};
	int code;

	if (tls->sealer == SEALED_BY_KERNEL) {
		code = ktls_send(stream->source.fd, type, data, size);
		return code == -EAGAIN ? stream_await_room(stream) : code;
	}
	size = record_seal(tls->engine->records, &tls->records, type, &part, 1, tls->engine->out);
	if (!size)
		return -ENOMEM;
	code = send_sealed(stream, size);
	return code == -EAGAIN ? 0 : code;
}

static int send_alert(struct stream *stream, uint8_t level, enum tls_alert alert)
{
	const uint8_t message[] = {level, (uint8_t)alert};

	return send_message(stream, RECORD_ALERT, message, sizeof(message));
}

int tls_warn(struct stream *stream, enum tls_alert alert)
{
	int code = stream->tls->out || stream->tls->closed ? 0 : send_alert(stream, WARNING, alert);

	return code == -EAGAIN ? 0 : code;
}

int tls_fail(struct stream *stream, enum fw_verdict verdict, enum tls_alert alert)
{
	struct tls *tls = stream->tls;

	if (tls->peer) {
		verdict = FW_UPSTREAM_TLS;
		tls_client_note_fault(stream, alert, false);
	}
	tls->fault = (uint8_t)verdict;
	if (!tls->closed && flush(stream) == 0)
		send_alert(stream, FATAL, alert);
	tls->closed = true;
	return -EPROTO;
}

int tls_shutdown(struct stream *stream)
{
	struct tls *tls = stream->tls;
	int code;

	if (!tls->open || !tls->engine)
		return 0;
	code = flush(stream);
	if (code < 0 || tls->closed)
		return code;
	if (tls->sealer == SEALED_BY_KERNEL && !ktls_has_room(stream->source.fd))
		return stream_await_room(stream);
	code = send_alert(stream, WARNING, ALERT_CLOSE_NOTIFY);
	tls->closed = code != -EAGAIN;
	/* Of an alert that waits the last byte is still to be sent. */
	return code == 0 && tls->out ? -EAGAIN : code;
}

/* Whether content has to wait for the next key: the client has asked for it, or this one has
 * sealed enough. TLS 1.2 has no other. */
static bool is_key_due(const struct tls *tls)
{
	return tls->owes_key_update ||
	       (tls->records.is_13 && tls->records.out.sequence >= RECORDS_PER_KEY);
}

/* On to the next key, and the client is told with the last record of this one. The kernel could not
 * follow before Linux 6.14, and has done with 2^24 records after 256 GiB: the connection ends. */
static int update_key(struct stream *stream)
{
	static const uint8_t message[] = {MESSAGE_KEY_UPDATE, 0, 0, 1, 0};
	struct tls *tls = stream->tls;
	int code;

	if (tls->sealer == SEALED_BY_KERNEL)
		return -EKEYEXPIRED;
	code = send_message(stream, RECORD_HANDSHAKE, message, sizeof(message));
	if (code < 0)
		return code;
	tls->owes_key_update = false;
	if (!record_update_key(tls->engine->records, &tls->records, &tls->records.out))
		return -ENOMEM;
	return tls->out ? -EAGAIN : 0;
}

/* --- content -----------------------------------------------------------------------------------
 */

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

/* Notes that @length bytes are sent. */
static void count_burst(struct tls *tls, size_t length)
{
	if (tls->burst < POURING)
		tls->burst += (uint32_t)length;
}

/* Bytes of content in the next record. */
static size_t record_limit(const struct tls *tls)
{
	return tls->burst < FIRST_BURST && tls->most > FIRST_RECORD ? FIRST_RECORD : tls->most;
}

/*
 * Seals the beginning of @parts, up to @total bytes, at engine->out. Returns how many bytes it was,
 * and the size of the records in *@sealed. 0: no memory.
 */
static size_t seal(struct tls *tls, const struct iovec *parts, int count, size_t total,
		   size_t *sealed)
{
	struct tls_engine *engine = tls->engine;
	struct iovec slices[PARTS_MAX];
	size_t done = 0;

	*sealed = 0;
	for (int i = 0; i < RECORDS_MAX && done < total; i++) {
		size_t most = record_limit(tls);
		size_t length = total - done < most ? total - done : most;
		int number = slice(parts, count, done, length, slices);
		size_t size = record_seal(engine->records, &tls->records, RECORD_DATA, slices,
					  number, engine->out + *sealed);

		if (!size)
			return 0;
		*sealed += size;
		done += length;
		count_burst(tls, length);
	}
	return done;
}

static ssize_t write_sealed(struct stream *stream, const struct iovec *parts, int count,
			    size_t total)
{
	struct tls *tls = stream->tls;
	size_t size, done = seal(tls, parts, count, total < BATCH_MAX ? total : BATCH_MAX, &size);
	int code = done ? send_sealed(stream, size) : -ENOMEM;

	if (code == -EAGAIN)
		tls->owed = (uint32_t)done;
	return code < 0 ? code : (ssize_t)done;
}

/* --- by the kernel -----------------------------------------------------------------------------
 */

/* Whether the next record may be the kernel's. Nothing waits here. */
static bool may_hand_over(const struct tls *tls)
{
	return tls->sealer == SEALED_HERE && tls->burst >= POURING &&
	       tls->most == RECORD_PLAIN_MAX && tls->site && site_hands_over(tls->site);
}

int tls_pass(struct stream *stream)
{
	struct tls *tls = stream->tls;

	if (tls->fault || tls->closed)
		return -EPIPE;
	return is_key_due(tls) ? -EKEYEXPIRED : 0;
}

static void hand_over(struct stream *stream)
{
	struct tls *tls = stream->tls;

	tls->sealer = ktls_begin(stream->source.fd, &tls->records) == 0 ? SEALED_BY_KERNEL
									: SEALED_HERE_ONLY;
}

void tls_passed(struct stream *stream, size_t size)
{
	struct tls *tls = stream->tls;
	size_t records = (size + RECORD_PLAIN_MAX - 1) / RECORD_PLAIN_MAX;

	tls->records.out.sequence += records; /* about: the limit has room for that */
	tls->wire += size + records * RECORD_OVERHEAD_MAX;
}

static ssize_t write_through(struct stream *stream, const struct iovec *parts, int count)
{
	ssize_t taken = stream_send(stream, parts, count);

	if (taken > 0)
		tls_passed(stream, (size_t)taken);
	return taken;
}

/* --- writing -----------------------------------------------------------------------------------
 */

ssize_t tls_write(struct stream *stream, const struct iovec *parts, int count)
{
	struct tls *tls = stream->tls;
	uint64_t now_ns = stream->loop->now_ns;
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
	if (is_key_due(tls)) {
		code = update_key(stream);
		if (code < 0)
			return code;
	}
	if (now_ns - tls->sent_ns > PAUSE_NS)
		tls->burst = 0;
	tls->sent_ns = now_ns;
	if (may_hand_over(tls))
		hand_over(stream);
	if (tls->sealer == SEALED_BY_KERNEL)
		return write_through(stream, parts, count);
	for (int i = 0; i < count; i++)
		total += parts[i].iov_len;
	return total ? write_sealed(stream, parts, count, total) : 0;
}
