// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/reach.h"
#include <errno.h>
#include "proxy/client/overload/evict.h"
#include "proxy/net/proxy_header.h"
#include "proxy/net/socket.h"
#include "proxy/net/tls/tls.h"

/* What the client's source has of an upstream: all that it has asked and that is not answered yet,
 * but for what waits, and the request that is about to. */
static uint64_t held_by_source(const struct client *client, const struct upstream_pool *pool,
			       uint64_t source)
{
	const struct crowd *crowd = client_worker(client)->shared->crowd;
	uint64_t asked = tally_sum(crowd->requests, crowd->threads, client->account.source);
	uint64_t others = 1 + (uint64_t)upstream_waiting_of(pool, source);

	return asked > others ? asked - others : 0;
}

/* Takes, if need be from somebody worse, or waits. */
static int take_or_wait(struct client *client, struct upstream_pool *pool,
			struct upstream_wish *wish, struct waiter *waiter,
			struct upstream_link **link, uint32_t *failures)
{
	const struct worker *worker = client_worker(client);
	bool claimed = upstream_is_claimed(pool);
	int code;

	if (upstream_is_crowded(pool)) {
		waiter->source = crowd_source(worker->shared->crowd, &client->source,
					      client->listener->service);
		wish->held = held_by_source(client, pool, waiter->source);
	}
	code = upstream_take(pool, wish, link, failures);
	if (code != -EBUSY || wish->spare)
		return code;
	/* Where others wait already, tick() sees to those who are worse. */
	if (!claimed && !wish->late && evict_for_link(client, pool))
		code = upstream_take(pool, wish, link, failures);
	if (code != -EBUSY)
		return code;
	waiter->source =
		crowd_source(worker->shared->crowd, &client->source, client->listener->service);
	return upstream_wait(pool, wish, waiter, link, failures);
}

enum fw_verdict reach_server(struct client *client, struct upstream_pool *pool,
			     struct upstream_wish *wish, struct waiter *waiter,
			     enum fw_verdict nobody, struct upstream_link **link)
{
	struct board_row board = client->listener->board;
	uint32_t failures;
	int code;

	wish->ledger = &client->listener->links;
	wish->source = client->account.source;
	code = take_or_wait(client, pool, wish, waiter, link, &failures);

	board_add(board, METRIC_UPSTREAM_FAILURES, failures);
	switch (code) {
	case 0:
		board_add(board,
			  (*link)->reused ? METRIC_UPSTREAM_REUSES : METRIC_UPSTREAM_CONNECTS, 1);
		return FW_NONE;
	case -EINPROGRESS:
		*link = NULL;
		board_add(board, METRIC_UPSTREAM_WAITED, !wish->called);
		return FW_NONE;
	case -EBUSY:
		return FW_UPSTREAM_BUSY;
	case -ENOBUFS:
		return FW_UPSTREAM_QUEUE_FULL;
	default:
		return nobody;
	}
}

static struct proxy_header header_of(const struct client *client)
{
	struct proxy_header header = {
		.source = client->source,
		.source_port = client->port,
		.destination = client->destination,
		.destination_port = client->destination_port,
	};

	/* Else the balancer in front of us has said whom the client called. */
	if (!client->destination_port)
		header.destination =
			socket_local(client->stream.source.fd, &header.destination_port);
	return header;
}

static struct proxy_attributes attributes_of(const struct client *client)
{
	struct proxy_attributes attributes = {0};
	struct tls_facts facts;

	if (tls_facts(&client->stream, &facts)) {
		attributes.authority = facts.name;
		attributes.tls = facts.version;
		attributes.cipher = facts.cipher;
		attributes.certificate =
			facts.fingerprint || client->listener->config->tls.client_certificate ==
						     CLIENT_CERTIFICATE_REQUIRED;
	}
	return attributes;
}

/* Tells the server whose connection this is. It fits into a socket that nothing was sent by yet.
 */
static bool introduce(const struct client *client, struct upstream_link *link)
{
	const struct proxy_header header = header_of(client);
	const struct proxy_attributes attributes = attributes_of(client);
	uint8_t out[PROXY_HEADER_WRITE_MAX];
	struct iovec part = {.iov_base = out};

	if (upstream_introduction(link->pool) == INTRODUCTION_V1)
		part.iov_len = proxy_header_write_v1(out, &header);
	else
		part.iov_len = proxy_header_write_v2(out, &header, &attributes);
	return stream_write(&link->stream, &part, 1) == (ssize_t)part.iov_len;
}

static void count_handshake(struct board_row board, const struct upstream_link *link, int result)
{
	struct tls_facts facts;

	if (result < 0)
		board_add(board, METRIC_UPSTREAM_HANDSHAKES_FAILED, 1);
	if (!tls_facts(&link->stream, &facts))
		return;
	board_add(board, METRIC_UPSTREAM_HANDSHAKES, 1);
	board_add(board, METRIC_UPSTREAM_HANDSHAKES_RESUMED, facts.resumed);
}

int reach_link(struct board_row board, struct upstream_link *link)
{
	int result;

	if (!link->stream.tls && upstream_connected(link) < 0)
		return -FW_UPSTREAM_UNREACHABLE;
	result = upstream_secure(link);
	if (link->stream.tls)
		count_handshake(board, link, result);
	return result;
}

int reach_connected(const struct client *client, struct upstream_link *link)
{
	int result;

	if (!link->stream.tls && upstream_introduction(link->pool) != INTRODUCTION_OFF &&
	    upstream_connected(link) == 0 && !introduce(client, link))
		return -FW_UPSTREAM_UNREACHABLE;
	result = reach_link(client->listener->board, link);
	if (result == -FW_MEMORY)
		client->account.ledger->shortage = link->account.ledger->shortage;
	return result;
}

enum fw_verdict reach_fault(const struct upstream_link *link, enum fw_verdict otherwise)
{
	enum fw_verdict fault = tls_fault(&link->stream);

	return fault == FW_NONE ? otherwise : fault;
}

void reach_note_late(struct board_row board, const struct upstream_link *link)
{
	if (link->connecting && link->stream.tls)
		board_add(board, METRIC_UPSTREAM_HANDSHAKES_FAILED, 1);
}

void reach_failed(const struct client *client, struct upstream_link *link)
{
	board_add(client->listener->board, METRIC_UPSTREAM_FAILURES, 1);
	reach_note_late(client->listener->board, link);
	upstream_failed(link);
}
