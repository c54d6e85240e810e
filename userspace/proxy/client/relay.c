// SPDX-License-Identifier: BSD-2-Clause
/*
 * Bytes both ways, unread: for TCP listeners, and for connections that have left HTTP by an
 * upgrade. Each way holds one buffer; it is filled again when it has been emptied. When one side
 * has said its last the other is told so, and may still go on talking.
 */
#include <errno.h>
#include "proxy/client/exchange.h"

static void refuse(struct exchange *exchange, enum fw_verdict verdict)
{
	client_refuse(exchange->client, verdict);
}

/* What waits for the client is in to_client after an upgrade, then in from_server. */
static bool waits_for_client(const struct exchange *exchange)
{
	return !stream_is(&exchange->client->stream, STREAM_WRITABLE) &&
	       (buffer_length(exchange->to_client) || exchange->answer_ready);
}

static uint64_t taken(const struct exchange *exchange)
{
	return stream_taken(&exchange->client->stream, exchange->client->sent);
}

/* A relay has no messages, and needs no more of a front than this. */
static const struct front tcp_front = {
	.refuse = refuse,
	.waits_for_client = waits_for_client,
	.taken = taken,
};

void relay_take_over(struct exchange *exchange)
{
	exchange->client->phase = CLIENT_RELAY;
}

void relay_begin(struct client *client)
{
	struct exchange *exchange = exchange_create(client, &tcp_front, &client->in);

	client->exchange = exchange;
	if (!exchange) {
		client_refuse(client, FW_MEMORY);
		return;
	}
	client->phase = CLIENT_RELAY;
	exchange->is_tcp = true;
	exchange->pool = client->listener->routes[0];
	exchange_connect(exchange);
}

/* Fills *@buffer from @from; *@ended: it has said its last. −errno: it broke. */
static int fill(struct exchange *exchange, struct stream *from, struct buffer **buffer, bool *ended,
		size_t *filled)
{
	ssize_t count;

	*filled = 0;
	if (!stream_is(from, STREAM_READABLE))
		return 0;
	*buffer = buffer_take(&exchange->client->account, BUFFER_MEDIUM);
	if (!*buffer)
		return -ENOMEM;
	count = stream_read(from, (*buffer)->data, (*buffer)->capacity);
	if (count > 0) {
		(*buffer)->end = (uint32_t)count;
		*filled = (size_t)count;
		exchange->touched_ns = client_now(exchange->client);
		return 0;
	}
	buffer_give(buffer);
	*ended = count == 0;
	return count == -EAGAIN ? 0 : (int)count;
}

/* Empties *@buffer into @to. −errno: it broke. */
static int drain(struct exchange *exchange, struct stream *to, struct buffer **buffer,
		 size_t *drained)
{
	struct iovec part = {buffer_start(*buffer), buffer_length(*buffer)};
	ssize_t count = stream_write(to, &part, 1);

	*drained = count > 0 ? (size_t)count : 0;
	if (count < 0)
		return count == -EAGAIN ? 0 : (int)count;
	buffer_consume(*buffer, (uint32_t)count);
	if (!buffer_length(*buffer))
		buffer_give(buffer);
	exchange->touched_ns = client_now(exchange->client);
	return 0;
}

/* One step from the client to the server. 1: something moved; 0: stuck; −errno. */
static int step_up(struct exchange *exchange)
{
	struct client *client = exchange->client;
	size_t moved;
	int code;

	if (client->in) {
		code = drain(exchange, &exchange->link->stream, &client->in, &moved);
		return code < 0 ? code : moved > 0;
	}
	if (exchange->client_ended)
		return 0;
	code = fill(exchange, &client->stream, &client->in, &exchange->client_ended, &moved);
	exchange_count_received(exchange, moved);
	if (exchange->client_ended)
		stream_shutdown(&exchange->link->stream);
	return code < 0 ? code : moved > 0;
}

/* One step from the server to the client. */
static int step_down(struct exchange *exchange)
{
	struct client *client = exchange->client;
	struct buffer **waiting =
		exchange->to_client ? &exchange->to_client : &exchange->from_server;
	size_t moved;
	int code;

	if (buffer_length(*waiting)) {
		code = drain(exchange, &client->stream, waiting, &moved);
		exchange_count_sent(exchange, moved);
		return code < 0 ? code : moved > 0;
	}
	if (!exchange->server_ended) {
		buffer_give(&exchange->from_server);
		code = fill(exchange, &exchange->link->stream, &exchange->from_server,
			    &exchange->server_ended, &moved);
		if (!exchange->server_ended)
			return code < 0 ? code : moved > 0;
	}
	/* Until there is room to say so, with TLS. */
	if (!exchange->client_told)
		exchange->client_told = stream_shutdown(&client->stream) != -EAGAIN;
	return 0;
}

enum flow relay_forward(struct exchange *exchange)
{
	struct client *client = exchange->client;
	int up, down;

	if (exchange->link->connecting)
		return FLOW_STUCK;
	up = step_up(exchange);
	down = up < 0 ? up : step_down(exchange);
	/* Reset after its last word: nobody would read on to find out. */
	if (exchange->client_ended && !exchange->server_ended &&
	    stream_is(&client->stream, STREAM_BROKEN))
		up = -ECONNRESET;
	if (up < 0 || down < 0) {
		/* One side was cut off; so is the other. */
		client_reset(client, FW_DONE);
		return FLOW_OVER;
	}
	exchange->answer_ready = buffer_length(exchange->from_server);
	if (exchange->client_ended && exchange->client_told && !client->in &&
	    !exchange->answer_ready && !exchange->to_client) {
		client_close(client, FW_DONE);
		return FLOW_OVER;
	}
	return up || down ? FLOW_MOVED : FLOW_STUCK;
}
