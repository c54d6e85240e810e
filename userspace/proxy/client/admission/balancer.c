// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/admission/balancer.h"
#include <errno.h>
#include "proxy/client/admission/fault.h"
#include "proxy/net/proxy_header.h"
#include "wall/wall.h"

_Static_assert(PROXY_HEADER_MAX <= 4096 - 128, "a small buffer does not hold the longest header");

bool balancer_is_one(const struct config_service *listener, const struct fw_addr *peer)
{
	return prefixes_have(listener->balancers.ranges, listener->balancers.count, peer);
}

static bool is_over(const struct client *client, uint64_t count, enum fw_setting setting,
		    enum fw_verdict rule)
{
	const struct listener *listener = client->listener;
	uint64_t cap = listener->live.value[setting];

	return cap && count > cap &&
	       wall_rule_mode(listener->worker->shared->options->wall, rule) == FW_MODE_ENFORCE;
}

/* The caps at accept, for a client whom the kernel takes for its balancer. This connection is
 * counted already. */
static enum fw_verdict judge(const struct client *client)
{
	const struct listener *listener = client->listener;
	const struct crowd *crowd = listener->worker->shared->crowd;

	if (listener->live.value[FW_SET_MONITOR])
		return FW_NONE;
	if (!client->exempt && fault_keeps_out(listener, &client->source))
		return FW_SOURCE_CONDUCT;
	if (is_over(client, crowd_size_of_source(crowd, &client->source, listener->service),
		    FW_SET_SOURCE_CONNECTIONS, FW_SOURCE_CONNECTIONS))
		return FW_SOURCE_CONNECTIONS;
	if (is_over(client, crowd_size(crowd, &client->source, listener->service),
		    FW_SET_PREFIX_CONNECTIONS, FW_PREFIX_CONNECTIONS))
		return FW_PREFIX_CONNECTIONS;
	return FW_NONE;
}

/* The header is whole, @length bytes. False: whom it names may not connect. */
static bool accept_header(struct client *client, const struct proxy_header *header, uint32_t length)
{
	enum fw_verdict verdict = FW_NONE;

	buffer_consume(client->in, length);
	client_count_received(client, buffer_length(client->in));
	if (!buffer_length(client->in))
		buffer_give(&client->in);
	if (!header->local) {
		client_assign(client, &header->source, header->source_port);
		client->destination = header->destination;
		client->destination_port = header->destination_port;
		verdict = judge(client);
	}
	if (verdict != FW_NONE) {
		client_reset(client, verdict);
		return false;
	}
	client->phase = CLIENT_HEAD;
	/* TLS's deadline goes on from accept. */
	if (!client->listener->site)
		client->since_ns = client_now(client);
	return true;
}

/* Nothing more came, for now or for good. Who leaves before a word only looked whether anybody is
 * here, as balancers do. */
static void end_of_turn(struct client *client, ssize_t result)
{
	bool begun = buffer_length(client->in);

	if (result != -EAGAIN)
		client_close(client, begun ? FW_CLIENT_CLOSED : FW_DONE);
	else if (!begun)
		buffer_give(&client->in);
}

bool balancer_run(struct client *client)
{
	struct proxy_header header;
	ssize_t count;
	int result;

	if (!client->in)
		client->in = buffer_take(&client->account, BUFFER_SMALL);
	if (!client->in) {
		client_reset(client, FW_MEMORY);
		return false;
	}
	do {
		count = stream_read(&client->stream, buffer_end(client->in),
				    buffer_room(client->in));
		if (count <= 0) {
			end_of_turn(client, count);
			return false;
		}
		client->in->end += (uint32_t)count;
		result = proxy_header_parse((const uint8_t *)buffer_start(client->in),
					    buffer_length(client->in), &header);
	} while (result == 0);
	if (result < 0)
		client_reset(client, (enum fw_verdict) - result);
	return result > 0 && accept_header(client, &header, (uint32_t)result);
}
