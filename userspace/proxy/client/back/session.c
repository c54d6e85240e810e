// SPDX-License-Identifier: BSD-2-Clause
/*
 * A connection of HTTP/2 to a server, from the first request that wants it until it is over. It
 * reads when something has come, and writes once at the end of a turn, what all of its exchanges
 * have to say together.
 */
#include "proxy/client/back/session.h"
#include <errno.h>
#include "base/clock.h"

enum {
	READ_SIZE = 16384,
	READS_PER_TURN = 16,
	STREAMS_MOST = 100, /* whatever the server allows */
	/* What servers may send of all bodies together: more than their streams' windows hold. */
	CONNECTION_WINDOW = 16 << 20,
};

#define DOUBT_NS  CLOCK_SEC       /* of silence, before it is asked whether it is still there */
#define ANSWER_NS (5 * CLOCK_SEC) /* for it to say so */
#define LOOK_NS   CLOCK_SEC       /* between two looks of an idle one at whether it is in the way */
#define DETACH_NS CLOCK_SEC       /* for it to end a stream whose response is complete */

static void handle(struct source *source, uint32_t events);
static void expire(struct timer *timer);

static const struct config_upstream *config_of(const struct session *session)
{
	return upstream_config(session->link->pool);
}

/* --- which have room ---------------------------------------------------------------------------
 */

static struct list *slot_of(struct session_engine *engine, const struct upstream_pool *pool,
			    uint32_t server)
{
	return &engine->roomy[((uintptr_t)pool / 64 + server) % SESSION_SLOTS];
}

static bool has_room(const struct session *session)
{
	uint32_t most = nghttp2_session_get_remote_settings(
		session->frames, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

	return session->end == SESSION_GOES_ON && !session->last && !session->asked_ns &&
	       session->stream_count < (most < STREAMS_MOST ? most : STREAMS_MOST);
}

void session_settle(struct session *session)
{
	struct session_engine *engine = session->engine;

	session->last = session->last || link_is_spent(session->link, engine->loop->now_ns);
	list_remove(&session->node);
	list_insert(has_room(session) ? slot_of(engine, session->link->pool, session->link->server)
				      : &engine->full,
		    &session->node);
	if (!list_is_linked(&session->due))
		list_append(&engine->due, &session->due);
}

struct upstream_link *session_find(struct session_engine *engine, const struct upstream_pool *pool,
				   uint32_t server)
{
	list_for_each_safe (node, next, slot_of(engine, pool, server)) {
		struct session *session = container_of(node, struct session, node);

		if (session->link->pool != pool || session->link->server != server)
			continue;
		if (!link_is_spent(session->link, engine->loop->now_ns))
			return session->link;
		session_settle(session);
	}
	return NULL;
}

/* --- beginning and end -------------------------------------------------------------------------
 */

static void tell_open(struct session_engine *engine, int change)
{
	engine->open += (uint64_t)change;
	board_set(engine->board, METRIC_UPSTREAM_SESSIONS, engine->open);
}

static void release(struct session *session)
{
	nghttp2_session_del(session->frames);
	buffer_give(&session->out);
	pool_give(&session->engine->sessions, session);
}

/* nghttp2 refuses what a server that must not push pushes. */
static bool submit_settings(const struct session *session)
{
	const nghttp2_settings_entry entries[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX},
	};

	return nghttp2_submit_settings(session->frames, NGHTTP2_FLAG_NONE, entries,
				       sizeof(entries) / sizeof(entries[0])) == 0 &&
	       nghttp2_session_set_local_window_size(session->frames, NGHTTP2_FLAG_NONE, 0,
						     CONNECTION_WINDOW) == 0;
}

struct session *session_open(struct session_engine *engine, struct upstream_link *link)
{
	struct session *session = pool_take(&engine->sessions);
	nghttp2_mem memory;

	if (!session)
		return NULL;
	*session = (struct session){.engine = engine, .link = link};
	session->heard_ns = session->idle_ns = engine->loop->now_ns;
	session->reached = !link->connecting;
	session->timer.fire = expire;
	list_init(&session->node);
	list_init(&session->due);
	list_init(&session->streams);
	account_open(&session->account, &engine->ledger, 0);
	memory = http2_memory(&session->account);
	if (nghttp2_session_client_new3(&session->frames, engine->callbacks, session,
					engine->options, &memory) ||
	    !submit_settings(session)) {
		release(session);
		return NULL;
	}
	link_share(link, session);
	link->stream.source.handle = handle;
	loop_requeue(engine->loop, &link->stream.source);
	tell_open(engine, 1);
	session_settle(session);
	return session;
}

void session_finish(struct session *session, enum session_end end)
{
	if (session->end == SESSION_GOES_ON)
		session->end = (uint8_t)end;
	session_settle(session);
}

/* Each may take others along, of the same client. */
static void abandon_streams(struct session *session)
{
	while (!list_is_empty(&session->streams)) {
		struct session_stream *stream =
			container_of(session->streams.next, struct session_stream, node);

		if (!stream->id)
			stream->undone = UNDONE_BY_END;
		session_stream_close(stream, -ECONNRESET);
	}
}

static uint32_t error_code(enum session_end end)
{
	switch (end) {
	case SESSION_BROKEN:
		return NGHTTP2_PROTOCOL_ERROR;
	case SESSION_FLOODS:
		return NGHTTP2_ENHANCE_YOUR_CALM;
	case SESSION_MEMORY:
		return NGHTTP2_INTERNAL_ERROR;
	default:
		return NGHTTP2_NO_ERROR;
	}
}

/* The server is told why, if there is room to say so. */
static void say_farewell(struct session *session)
{
	struct iovec part;

	nghttp2_session_terminate_session(session->frames,
					  error_code((enum session_end)session->end));
	if (!session->out)
		session->out = buffer_take(&session->account, BUFFER_SMALL);
	if (!session->out)
		return;
	if (buffer_length(session->out) == 0)
		http2_gather(session->frames, &session->piece, session->out);
	part = (struct iovec){buffer_start(session->out), buffer_length(session->out)};
	if (part.iov_len)
		stream_write(&session->link->stream, &part, 1);
}

static void part_with_server(struct session *session)
{
	if (!session->reached) {
		session_give_up(session);
		return;
	}
	say_farewell(session);
	abandon_streams(session);
	link_share(session->link, NULL);
	if (session->end == SESSION_OVER)
		upstream_close(session->link);
	else
		upstream_reset(session->link);
}

static void close_session(struct session *session)
{
	struct session_engine *engine = session->engine;

	if (session->end > SESSION_OVER)
		board_add(engine->board, METRIC_UPSTREAM_SESSION_FAULTS, 1);
	part_with_server(session);
	timer_cancel(&engine->loop->wheel, &session->timer);
	list_remove(&session->node);
	list_remove(&session->due);
	release(session);
	tell_open(engine, -1);
}

static void close_list(struct list *list)
{
	while (!list_is_empty(list)) {
		struct session *session = container_of(list->next, struct session, node);

		session->end = SESSION_OVER;
		close_session(session);
	}
}

void session_engine_close(struct session_engine *engine)
{
	if (!engine->sessions.size)
		return;
	for (int slot = 0; slot < SESSION_SLOTS; slot++)
		close_list(&engine->roomy[slot]);
	close_list(&engine->full);
}

/* --- frames in ---------------------------------------------------------------------------------
 */

static enum session_end explain(ssize_t code)
{
	switch (code) {
	case NGHTTP2_ERR_NOMEM:
		return SESSION_MEMORY;
	case NGHTTP2_ERR_FLOODED:
	case NGHTTP2_ERR_TOO_MANY_SETTINGS:
	case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
		return SESSION_FLOODS;
	default:
		return SESSION_BROKEN;
	}
}

static void receive(struct session *session)
{
	struct stream *stream = &session->link->stream;
	char data[READ_SIZE];
	ssize_t count, code;

	for (int i = 0; i < READS_PER_TURN && session->end == SESSION_GOES_ON; i++) {
		count = stream_read(stream, data, sizeof(data));
		if (count == -EAGAIN)
			return;
		if (count <= 0) {
			session_finish(session, SESSION_OVER);
			return;
		}
		session->heard_ns = session->engine->loop->now_ns;
		session->asked_ns = 0;
		code = nghttp2_session_mem_recv(session->frames, (const uint8_t *)data,
						(size_t)count);
		if (code < 0)
			session_finish(session, explain(code));
	}
	loop_requeue(session->engine->loop, &stream->source);
}

static void handle(struct source *source, uint32_t events)
{
	struct upstream_link *link = container_of(source, struct upstream_link, stream.source);
	struct session *session = link->session;

	stream_note(&link->stream, events);
	if (!session->reached && events)
		session_reach(session);
	if (session->reached && session->end == SESSION_GOES_ON)
		receive(session);
	session_settle(session);
}

/* --- frames out --------------------------------------------------------------------------------
 */

/* False: the server takes no more now, or there is nothing to send. */
static bool flush(struct session *session)
{
	struct iovec part;
	ssize_t count;

	while (buffer_length(session->out)) {
		part = (struct iovec){buffer_start(session->out), buffer_length(session->out)};
		count = stream_write(&session->link->stream, &part, 1);
		if (count == -EAGAIN)
			return false;
		if (count < 0) {
			/* It takes no more, but may have said why. */
			buffer_give(&session->out);
			session->link->stream.state |= STREAM_READABLE | STREAM_ENDING;
			loop_requeue(session->engine->loop, &session->link->stream.source);
			return false;
		}
		buffer_consume(session->out, (uint32_t)count);
	}
	return true;
}

/* Fills `out`. False: there is nothing more to say now. */
static bool gather(struct session *session)
{
	int code;

	if (!session->out)
		session->out = buffer_take(&session->account, BUFFER_MEDIUM);
	if (!session->out) {
		session_finish(session, SESSION_MEMORY);
		return false;
	}
	code = http2_gather(session->frames, &session->piece, session->out);
	if (code < 0)
		session_finish(session, explain(code));
	return code > 0;
}

static void transmit(struct session *session)
{
	bool more = true;

	while (more && flush(session) && session->end == SESSION_GOES_ON)
		more = gather(session) || buffer_length(session->out);
	if (!buffer_length(session->out))
		buffer_give(&session->out);
}

/* Idle, while requests of other threads wait for the upstream at its cap: none of them can have it.
 */
static bool is_in_the_way(const struct session *session)
{
	return upstream_is_awaited(session->link->pool);
}

/* Whether it has come to its end in good order, or nghttp2 has said why it goes no further. */
static enum session_end judge_end(const struct session *session)
{
	if (session->end != SESSION_GOES_ON)
		return (enum session_end)session->end;
	if (!session->stream_count && (session->last || is_in_the_way(session)))
		return SESSION_OVER;
	if (nghttp2_session_want_read(session->frames) ||
	    nghttp2_session_want_write(session->frames) || buffer_length(session->out))
		return SESSION_GOES_ON;
	return session->last ? SESSION_OVER : SESSION_BROKEN;
}

static void arm(struct session *session)
{
	struct loop *loop = session->engine->loop;

	if (!session->stream_count) {
		uint64_t next_ns = session->idle_ns + config_of(session)->keepalive_ms * CLOCK_MS;
		uint64_t look_ns = loop->now_ns + LOOK_NS;

		timer_arm_lazily(&loop->wheel, &session->timer,
				 next_ns < look_ns ? next_ns : look_ns);
	}
	if (session->asked_ns)
		timer_arm_lazily(&loop->wheel, &session->timer, session->asked_ns + ANSWER_NS);
	if (session->detach_ns)
		timer_arm_lazily(&loop->wheel, &session->timer, session->detach_ns + DETACH_NS);
}

void session_engine_flush(struct session_engine *engine)
{
	struct list due;

	list_take(&due, &engine->due);
	while (!list_is_empty(&due)) {
		struct session *session = container_of(due.next, struct session, due);

		list_remove(&session->due);
		if (session->reached && session->end == SESSION_GOES_ON)
			transmit(session);
		session->end = (uint8_t)judge_end(session);
		if (session->end == SESSION_GOES_ON)
			arm(session);
		else
			close_session(session);
	}
}

/* --- time --------------------------------------------------------------------------------------
 */

void session_doubt(struct session *session)
{
	uint64_t now_ns = session->engine->loop->now_ns;

	if (session->asked_ns || !session->reached || now_ns - session->heard_ns < DOUBT_NS)
		return;
	session->asked_ns = now_ns;
	nghttp2_submit_ping(session->frames, NGHTTP2_FLAG_NONE, NULL);
}

/* Responses that are complete, of which the server still does not say so. */
static void cut_detached(struct session *session)
{
	session->detach_ns = 0;
	list_for_each_safe (node, next, &session->streams) {
		struct session_stream *stream = container_of(node, struct session_stream, node);

		if (!stream->exchange && stream->id)
			nghttp2_submit_rst_stream(session->frames, NGHTTP2_FLAG_NONE, stream->id,
						  NGHTTP2_NO_ERROR);
	}
}

static void expire(struct timer *timer)
{
	struct session *session = container_of(timer, struct session, timer);
	uint64_t now_ns = session->engine->loop->now_ns;
	uint64_t kept_ns = config_of(session)->keepalive_ms * CLOCK_MS;

	if (session->detach_ns && now_ns >= session->detach_ns + DETACH_NS)
		cut_detached(session);
	if ((session->asked_ns && now_ns >= session->asked_ns + ANSWER_NS) ||
	    (!session->stream_count && now_ns >= session->idle_ns + kept_ns))
		session_finish(session, SESSION_OVER);
	else
		session_settle(session);
}
