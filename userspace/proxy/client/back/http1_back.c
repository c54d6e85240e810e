// SPDX-License-Identifier: BSD-2-Clause
/*
 * HTTP/1.1 towards the server: the link is the exchange's alone while it lasts, and its stream
 * carries the head and the body as they are.
 */
#include <errno.h>
#include "proxy/client/exchange/exchange.h"
#include "proxy/client/reach.h"

/* What is ready to go. Returns how many parts. */
static int gather(const struct exchange *exchange, struct iovec parts[2])
{
	uint32_t head_left = buffer_length(exchange->to_server) - exchange->attempt.head_sent;
	int count = 0;

	if (head_left)
		parts[count++] = (struct iovec){
			buffer_start(exchange->to_server) + exchange->attempt.head_sent, head_left};
	if (exchange->body_ready)
		parts[count++] =
			(struct iovec){buffer_start(*exchange->incoming), exchange->body_ready};
	return count;
}

static enum flow send_ready(struct exchange *exchange)
{
	struct stream *stream = &exchange->attempt.link->stream;
	struct iovec parts[2];
	ssize_t sent = stream_write(stream, parts, gather(exchange, parts));

	if (sent == -EAGAIN)
		return FLOW_STUCK;
	if (sent < 0) {
		/* It takes no more, but may have said why. */
		exchange->attempt.request_cut = true;
		stream->state |= STREAM_READABLE | STREAM_ENDING;
		return FLOW_MOVED;
	}
	request_note_sent(exchange, (uint32_t)sent);
	return FLOW_MOVED;
}

/* What the client lets wait is let wait by the server. */
static enum buffer_class room_for(const struct exchange *exchange)
{
	const struct front *front = exchange->front;

	return front->is_shut && front->is_shut(exchange) ? BUFFER_SMALL : BUFFER_MEDIUM;
}

static bool make_room(struct exchange *exchange)
{
	if (!exchange->attempt.from_server)
		exchange->attempt.from_server =
			buffer_take(&exchange->client->account, room_for(exchange));
	else if (!buffer_room(exchange->attempt.from_server))
		return buffer_grow(&exchange->attempt.from_server);
	return exchange->attempt.from_server != NULL;
}

static ssize_t read_on(struct exchange *exchange)
{
	struct stream *stream = &exchange->attempt.link->stream;
	struct buffer *in;
	ssize_t count;

	if (!stream_is(stream, STREAM_READABLE))
		return -EAGAIN;
	if (!make_room(exchange))
		return -ENOMEM;
	in = exchange->attempt.from_server;
	count = stream_read(stream, buffer_end(in), buffer_room(in));
	if (count > 0)
		in->end += (uint32_t)count;
	else if (!buffer_length(in))
		buffer_give(&exchange->attempt.from_server);
	return count;
}

static uint64_t remaining(const struct exchange *exchange)
{
	return stream_remaining(&exchange->attempt.link->stream);
}

/* Nothing was sent on it, or everything was, and the response has come to its end: what comes next
 * on it is the answer to what is asked next. That nothing comes at this moment does not say so. */
static bool is_between_requests(const struct exchange *exchange)
{
	if (!exchange->attempt.head_sent)
		return !exchange->attempt.connecting;
	return exchange->link_reusable && exchange->response_body.done && request_is_done(exchange);
}

/* One that can carry another request goes back to its pool. */
static void drop(struct exchange *exchange)
{
	struct upstream_link *link = exchange->attempt.link;
	bool reusable = is_between_requests(exchange);

	exchange->attempt.link = NULL;
	if (reusable)
		upstream_give(link);
	else if (stream_is(&link->stream, STREAM_ENDING))
		upstream_close(link);
	else
		upstream_reset(link);
}

static void fail(struct exchange *exchange)
{
	reach_failed(exchange->client, exchange->attempt.link);
}

const struct back http1_back = {
	.plain_bodies = true,
	.send = send_ready,
	.read = read_on,
	.remaining = remaining,
	.drop = drop,
	.fail = fail,
};
