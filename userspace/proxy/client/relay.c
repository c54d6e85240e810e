// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/relay.h"
#include <errno.h>
#include <string.h>
#include "proxy/client/exchange/exchange.h"
#include "proxy/client/reach.h"
#include "proxy/client/report.h"
#include "proxy/client/route/affinity.h"
#include "proxy/upstream/server/health.h"

/* What one relay may move before others have their turn. */
enum { STEPS_PER_TURN = 16, BYTES_PER_TURN = 1 << 20 };

static void handle_server(struct source *source, uint32_t events);

/* --- beginning and end -------------------------------------------------------------------------
 */

static struct relay *create(struct client *client)
{
	struct relay *relay = account_take(&client->account, &client_worker(client)->relays);
	uint64_t now_ns = client_now(client);

	if (!relay)
		return NULL;
	memset(relay, 0, sizeof(*relay));
	relay->client = client;
	relay->begun_ns = relay->asked_ns = relay->touched_ns = now_ns;
	rate_wait(&relay->pace, true, 0, now_ns);
	return relay;
}

static void lend(struct relay *relay, struct upstream_link *link)
{
	relay->link = link;
	relay->server = upstream_server_name(link);
	relay->up.from = relay->down.to = &relay->client->stream;
	relay->up.to = relay->down.from = &link->stream;
}

static void hear_call(struct waiter *waiter, bool removed);

/* @called: it waited for a server, and it is its turn. */
static void ask_server(struct relay *relay, bool called)
{
	struct client *client = relay->client;
	struct upstream_wish wish = {
		.tried = relay->tried,
		.key = affinity_key(client, relay->pool, NULL, NULL),
		.fresh = true, /* a used one would go on where somebody else's request ended */
		.called = called,
		.borrower = relay,
		.handle = handle_server,
	};
	struct upstream_link *link;
	enum fw_verdict verdict;

	relay->link = NULL;
	relay->waiter.called = hear_call;
	verdict = reach_server(client, relay->pool, &wish, &relay->waiter, relay->nobody, &link);
	relay->tried = wish.tried;
	if (!called || link)
		relay->asked_ns = client_now(client);
	if (verdict != FW_NONE)
		client_refuse(client, verdict);
	else if (link)
		lend(relay, link);
}

static void hear_call(struct waiter *waiter, bool removed)
{
	struct relay *relay = container_of(waiter, struct relay, waiter);
	struct client *client = relay->client;

	if (removed)
		client_refuse(client, FW_UPSTREAM_QUEUE_FULL);
	else
		ask_server(relay, true);
	client_run(client);
}

void relay_begin(struct client *client)
{
	struct relay *relay = create(client);

	if (!relay) {
		client_refuse(client, FW_MEMORY);
		return;
	}
	client->relay = relay;
	client->phase = CLIENT_RELAY;
	relay->pool = client->listener->routes[0];
	relay->up.waiting = client->in;
	relay->up.received = buffer_length(client->in);
	client->in = NULL;
	relay->nobody = FW_UPSTREAM_UNREACHABLE;
	ask_server(relay, false);
}

bool relay_take_over(struct exchange *exchange)
{
	struct client *client = exchange->client;
	struct relay *relay = create(client);

	if (!relay)
		return false;
	report_request(client, exchange, exchange->status, FW_NONE);
	relay->is_upgrade = true;
	lend(relay, exchange->attempt.link);
	relay->link->borrower = relay;
	relay->link->stream.source.handle = handle_server;
	relay->up.waiting = client->in;
	relay->down.waiting = exchange->to_client;
	relay->down.behind = exchange->attempt.from_server;
	client->in = exchange->to_client = exchange->attempt.from_server = NULL;
	exchange->attempt.link = NULL;
	exchange->attempt.back = NULL;
	exchange_free(exchange);
	client->exchange = NULL;
	client->relay = relay;
	client->phase = CLIENT_RELAY;
	/* In a turn of its own: it was in the middle of HTTP's. */
	loop_requeue(&client_worker(client)->loop, &client->stream.source);
	return true;
}

static void empty(struct relay *relay, struct way *way)
{
	pipes_give(&client_worker(relay->client)->pipes, &way->pipe);
	buffer_give(&way->waiting);
	buffer_give(&way->behind);
}

void relay_free(struct relay *relay)
{
	if (!relay)
		return;
	empty(relay, &relay->up);
	empty(relay, &relay->down);
	if (relay->pool)
		upstream_wait_no_more(relay->pool, &relay->waiter);
	/* Only if each side was told that the other is done. */
	if (relay->link && relay->up.told && relay->down.told)
		upstream_close(relay->link);
	else if (relay->link)
		upstream_reset(relay->link);
	account_give(&relay->client->account, &client_worker(relay->client)->relays, relay);
}

/* --- the server --------------------------------------------------------------------------------
 */

void relay_try_next(struct relay *relay, enum fw_verdict verdict)
{
	reach_failed(relay->client, relay->link);
	relay->nobody = verdict;
	ask_server(relay, false);
}

static void handle_server(struct source *source, uint32_t events)
{
	struct upstream_link *link = container_of(source, struct upstream_link, stream.source);
	struct relay *relay = link->borrower;
	struct client *client = relay->client;
	bool connecting = link->connecting;
	int result = 1;

	stream_note(&link->stream, events);
	if (connecting)
		result = reach_connected(client, link);
	/* All that a server can show of itself where nobody knows what is said. */
	if (connecting && result > 0)
		server_note_result(link_server(link), SERVER_ANSWERED, 0, client_now(client));
	if (result == -FW_MEMORY) /* no server's fault */
		client_refuse(client, FW_MEMORY);
	else if (result < 0)
		relay_try_next(relay, (enum fw_verdict) - result);
	client_run(client);
}

/* --- one way -----------------------------------------------------------------------------------
 */

/* What a step came to is 1: something has changed; 0: nothing could; −errno: a side broke. */

static int note_received(struct relay *relay, struct way *way, uint32_t count)
{
	way->received += count;
	way->busy = count >= WORTH_A_PIPE;
	relay->touched_ns = client_now(relay->client);
	return 1;
}

/* Nothing came: @result of the attempt. */
static int note_nothing(struct way *way, ssize_t result)
{
	way->ended = result == 0;
	return way->ended ? 1 : result == -EAGAIN ? 0 : (int)result;
}

/* @result of an attempt to send. */
static int note_sent(struct relay *relay, struct way *way, ssize_t result)
{
	if (result < 0)
		return result == -EAGAIN ? 0 : (int)result;
	way->sent += (uint64_t)result;
	relay->touched_ns = client_now(relay->client);
	return 1;
}

static int copy_in(struct relay *relay, struct way *way)
{
	struct buffer *buffer = buffer_take(&relay->client->account, BUFFER_MEDIUM);
	ssize_t count;

	if (!buffer)
		return -ENOMEM;
	count = stream_read(way->from, buffer->data, buffer->capacity);
	way->waiting = buffer;
	if (count <= 0) {
		buffer_give(&way->waiting);
		return note_nothing(way, count);
	}
	buffer->end = (uint32_t)count;
	return note_received(relay, way, (uint32_t)count);
}

static int splice_in(struct relay *relay, struct way *way)
{
	struct worker *worker = client_worker(relay->client);
	ssize_t count = stream_splice_in(way->from, way->pipe->in, way->pipe->size);

	if (count <= 0) {
		pipes_give(&worker->pipes, &way->pipe);
		return note_nothing(way, count);
	}
	way->pipe->held = (uint32_t)count;
	return note_received(relay, way, (uint32_t)count);
}

static bool may_splice(const struct way *way)
{
	return way->busy && stream_splices_in(way->from) && stream_splices_out(way->to);
}

/* Reads on. Nothing waits. */
static int take(struct relay *relay, struct way *way)
{
	struct worker *worker = client_worker(relay->client);
	const uint64_t *live = relay->client->listener->live.value;

	if (!stream_is(way->from, STREAM_READABLE))
		return 0;
	if (may_splice(way))
		way->pipe = pipes_take(&worker->pipes, &relay->client->account,
				       live[FW_SET_HOST_DESCRIPTOR_RESERVE]);
	return way->pipe ? splice_in(relay, way) : copy_in(relay, way);
}

static int copy_out(struct relay *relay, struct way *way)
{
	struct iovec part = {buffer_start(way->waiting), buffer_length(way->waiting)};
	ssize_t count = stream_write(way->to, &part, 1);

	if (count > 0) {
		buffer_consume(way->waiting, (uint32_t)count);
		if (!buffer_length(way->waiting)) {
			buffer_give(&way->waiting);
			way->waiting = way->behind;
			way->behind = NULL;
		}
	}
	return note_sent(relay, way, count);
}

static int splice_out(struct relay *relay, struct way *way)
{
	struct worker *worker = client_worker(relay->client);
	ssize_t count = stream_splice_out(way->to, way->pipe->out, way->pipe->held);

	if (count > 0) {
		way->pipe->held -= (uint32_t)count;
		board_add(relay->client->listener->board, METRIC_SPLICED, (uint64_t)count);
		if (!way->pipe->held)
			pipes_give(&worker->pipes, &way->pipe);
	}
	return note_sent(relay, way, count);
}

/* Passes the end on, once there is room to say so: TLS does with a record. */
static int tell(struct way *way)
{
	if (way->told)
		return 0;
	way->told = stream_shutdown(way->to) != -EAGAIN;
	return way->told;
}

static int step(struct relay *relay, struct way *way)
{
	if (way->pipe)
		return splice_out(relay, way);
	if (buffer_length(way->waiting))
		return copy_out(relay, way);
	return way->ended ? tell(way) : take(relay, way);
}

/* --- both --------------------------------------------------------------------------------------
 */

/* A side that has said its last can still be cut off, and nobody would read on to find out. It is
 * closed both ways besides once we have told it that the other has ended. */
static bool is_cut_off(const struct way *from, const struct way *to)
{
	return from->ended && !to->told && stream_is(from->from, STREAM_BROKEN);
}

static int step_both(struct relay *relay)
{
	uint64_t received = relay->up.received, sent = relay->down.sent;
	int there = step(relay, &relay->up), back = there < 0 ? there : step(relay, &relay->down);

	client_count_received(relay->client, relay->up.received - received);
	client_count_sent(relay->client, relay->down.sent - sent);
	if (there >= 0 && back >= 0 &&
	    (is_cut_off(&relay->up, &relay->down) || is_cut_off(&relay->down, &relay->up)))
		return -ECONNRESET;
	return back < 0 ? back : there | back;
}

void relay_run(struct relay *relay)
{
	struct client *client = relay->client;
	uint64_t limit = relay->up.sent + relay->down.sent + BYTES_PER_TURN;
	int moved = 1;

	if (!relay->link || relay->link->connecting) {
		if (stream_is(&client->stream, STREAM_BROKEN))
			client_close(client, FW_DONE);
		return;
	}
	for (int i = 0; i < STEPS_PER_TURN && moved > 0; i++) {
		moved = step_both(relay);
		if (relay->up.sent + relay->down.sent > limit)
			break;
	}
	if (moved < 0)
		client_reset(client,
			     moved == -ENOMEM ? FW_MEMORY : reach_fault(relay->link, FW_DONE));
	else if (relay->up.told && relay->down.told)
		client_close(client, FW_DONE);
	else if (moved)
		loop_requeue(&client_worker(client)->loop, &client->stream.source);
}

/* --- for deadlines -----------------------------------------------------------------------------
 */

static uint64_t taken(const struct relay *relay)
{
	return stream_taken(&relay->client->stream, relay->client->sent);
}

void relay_note_waits(struct relay *relay, uint64_t now_ns)
{
	bool sending = !stream_is(&relay->client->stream, STREAM_WRITABLE) &&
		       (relay->down.pipe || relay->down.waiting);

	if (sending && !rate_is_waiting(&relay->send.rate))
		uptake_begin(&relay->send, taken(relay), now_ns);
	else if (!sending)
		uptake_end(&relay->send, now_ns);
}

void relay_look(struct relay *relay, uint64_t now_ns)
{
	if (rate_is_waiting(&relay->send.rate))
		uptake_look(&relay->send, taken(relay), now_ns);
}
