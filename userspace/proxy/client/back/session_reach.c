// SPDX-License-Identifier: BSD-2-Clause
/*
 * A connection of HTTP/2 whose server is not reached yet, or has not said in its handshake that it
 * speaks that. The requests of a thread wait on it together: so that the first of a burst finds out
 * for all, each within its own time for connecting.
 */
#include "proxy/client/back/session.h"
#include "proxy/client/reach.h"
#include "proxy/net/tls/tls.h"

static struct session_stream *stream_of(struct list *node)
{
	return container_of(node, struct session_stream, node);
}

/* --- it is reached -----------------------------------------------------------------------------
 */

/* On whose behalf a handshake is counted: the first one's who waits for it. */
static struct board_row board_of(const struct session *session)
{
	if (list_is_empty(&session->streams))
		return session->engine->board;
	return stream_of(session->streams.next)->exchange->client->listener->board;
}

static void begin_streams(struct session *session)
{
	session->reached = true;
	list_for_each_safe (node, next, &session->streams) {
		struct session_stream *stream = stream_of(node);

		if (!stream->counted)
			link_count_request(session->link);
		stream->exchange->attempt.connecting = false;
		session_stream_wake(stream);
	}
}

/* Without TLS nothing is said beforehand. */
static bool speaks_http2(const struct upstream_link *link)
{
	return !link->stream.tls || tls_speaks_http2(&link->stream);
}

void session_reach(struct session *session)
{
	struct upstream_link *link = session->link;
	int result = reach_link(board_of(session), link);

	if (result == 0)
		return;
	if (result > 0 && speaks_http2(link)) {
		begin_streams(session);
		return;
	}
	if (result < 0)
		session->fault = (enum fw_verdict) - result;
	else if (upstream_config(link->pool)->http2 == UPSTREAM_HTTP2_ON)
		session->fault = reach_fault(link, FW_UPSTREAM_BAD_RESPONSE);
	session_finish(session, SESSION_OVER);
}

/* --- ahead of whoever needs it -----------------------------------------------------------------
 */

static bool begin_ahead(void *engine, struct upstream_link *link)
{
	return session_open(engine, link) != NULL;
}

struct upstream_newborn session_engine_newborn(struct session_engine *engine)
{
	return (struct upstream_newborn){.begin = begin_ahead, .context = engine};
}

/* --- it is not, or not so ----------------------------------------------------------------------
 */

/* Off the connection: the exchange has to go on by itself. Each stream here has one. */
static struct exchange *take_exchange(struct session_stream *stream)
{
	struct session_engine *engine = stream->session->engine;
	struct exchange *exchange = stream->exchange;

	session_stream_detach(stream);
	session_stream_wake(stream); /* the next one may be connected already */
	pool_give(&engine->streams, stream);
	exchange->attempt.stream = NULL;
	exchange->attempt.back = NULL;
	return exchange;
}

/* All ask another server; each may take others along, of the same client. */
static void send_on(struct session *session)
{
	enum fw_verdict why =
		session->fault ? (enum fw_verdict)session->fault : FW_UPSTREAM_UNREACHABLE;
	struct exchange *exchange;

	while (!list_is_empty(&session->streams)) {
		exchange = take_exchange(stream_of(session->streams.next));
		if (why == FW_MEMORY) { /* no server's fault */
			exchange_refuse(exchange, why);
			continue;
		}
		board_add(exchange->client->listener->board, METRIC_UPSTREAM_FAILURES, 1);
		exchange_try_next(exchange, why);
	}
}

/* The server speaks HTTP/1: who came first has the link, the others need one each. */
static void fall_back(struct session *session)
{
	struct upstream_link *link = session->link;
	struct session_stream *stream;

	while (session->stream_count > 1)
		exchange_ask_again(take_exchange(stream_of(session->streams.previous)),
				   link->server);
	link_share(link, NULL);
	if (!session->stream_count) {
		upstream_give(link);
		return;
	}
	stream = stream_of(session->streams.next);
	if (!stream->counted)
		link_count_request(link);
	exchange_go_over(take_exchange(stream), link);
}

void session_give_up(struct session *session)
{
	struct upstream_link *link = session->link;
	bool usable = !link->connecting && !session->fault && session->end == SESSION_OVER;

	if (usable) {
		fall_back(session);
		return;
	}
	send_on(session);
	link_share(link, NULL);
	if (session->fault && session->fault != FW_MEMORY)
		upstream_failed(link);
	else
		upstream_close(link);
}
