// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/admission/source_limit.h"
#include "contract/address.h"
#include "proxy/guard/quota.h"

enum { COME_AGAIN_S = 1 }; /* for want of a better guess */

static enum fw_verdict judge_rate(struct exchange *exchange)
{
	const struct client *client = exchange->client;
	const struct listener *listener = client->listener;
	uint64_t wait_ns = 0;
	enum fw_verdict verdict =
		quota_judge(listener->worker->shared->requests, &listener->live, listener->service,
			    &client->source, client_now(client), &wait_ns);

	exchange->wait_s = (uint32_t)((wait_ns + CLOCK_SEC - 1) / CLOCK_SEC);
	return verdict;
}

/* How many a source may have. 0: any number. */
static uint64_t most_at_once(const struct listener *listener)
{
	uint64_t most = listener->live.value[FW_SET_SOURCE_REQUESTS];

	if (listener_stage(listener) >= OVERLOAD_SHORTEN && most > OVERLOAD_SHORTEN_DIVISOR)
		return most / OVERLOAD_SHORTEN_DIVISOR;
	return most;
}

static void count(struct exchange *exchange, int change)
{
	const struct worker *worker = client_worker(exchange->client);

	tally_add(&worker->shared->crowd->requests[worker->index], exchange->client->account.source,
		  (uint32_t)change);
	exchange->counts = change > 0;
}

bool source_is_exempt(const struct config_service *listener, const struct fw_addr *source)
{
	return prefixes_have(listener->exempt, listener->exempt_count, source);
}

enum fw_verdict source_limit_judge(struct exchange *exchange)
{
	const struct client *client = exchange->client;
	const struct worker *worker = client_worker(client);
	uint64_t most = most_at_once(client->listener);
	enum fw_verdict verdict;

	if (client->exempt)
		return FW_NONE;
	verdict = judge_rate(exchange);
	if (verdict != FW_NONE)
		return verdict;
	if (most &&
	    crowd_asks_enough(worker->shared->crowd, worker->index, client->account.source, most)) {
		exchange->wait_s = COME_AGAIN_S;
		return quota_is_flood(worker->shared->requests, client->listener->service,
				      &client->source, most, client_now(client))
			       ? FW_REQUEST_FLOOD
			       : FW_SOURCE_REQUESTS;
	}
	count(exchange, 1);
	return FW_NONE;
}

void source_limit_leave(struct exchange *exchange)
{
	if (exchange->counts)
		count(exchange, -1);
}
