// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/route/route_limit.h"

/* Beyond the numbers by which services are paced (quota.c). */
enum { FIRST_ROUTE = 1 << 16 };

/* Whether it comes too early; FW_NONE: no. */
static enum fw_verdict judge_rates(const struct client *client, struct route *route,
				   uint64_t *wait_ns)
{
	const struct config_route_limits *limits = &route->config->limits;
	struct pacer *pacer = client_worker(client)->shared->requests;
	uint64_t now_ns = client_now(client);

	if (limits->source_rate &&
	    (*wait_ns = pacer_take(pacer, &client->source, FW_LEVEL_SOURCE,
				   FIRST_ROUTE + route->number,
				   pace_of(limits->source_rate, limits->source_burst), now_ns)))
		return FW_ROUTE_SOURCE_RATE;
	if (limits->request_rate &&
	    (*wait_ns = pacer_take_exactly(&route->load.due_ns,
					   pace_of(limits->request_rate, limits->request_burst),
					   now_ns)))
		return FW_ROUTE_REQUEST_RATE;
	return FW_NONE;
}

enum fw_verdict route_limit_judge(struct exchange *exchange)
{
	struct route *route = exchange->route;
	const struct config_route_limits *limits = &route->config->limits;
	const struct http_head *head = &exchange->message.request.head;
	uint64_t wait_ns = 0;
	enum fw_verdict verdict = judge_rates(exchange->client, route, &wait_ns);

	exchange->wait_s = (uint32_t)((wait_ns + CLOCK_SEC - 1) / CLOCK_SEC);
	if (verdict != FW_NONE)
		return verdict;
	if (limits->body && head->framing == HTTP_LENGTH && head->content_length > limits->body)
		return FW_BODY_TOO_LARGE;
	if (!limits->active)
		return FW_NONE;
	if (atomic_fetch_add_explicit(&route->load.active, 1, memory_order_relaxed) >=
	    limits->active) {
		atomic_fetch_sub_explicit(&route->load.active, 1, memory_order_relaxed);
		return FW_ROUTE_BUSY;
	}
	exchange->on_route = true;
	return FW_NONE;
}

void route_limit_leave(struct exchange *exchange)
{
	if (exchange->on_route)
		atomic_fetch_sub_explicit(&exchange->route->load.active, 1, memory_order_relaxed);
	exchange->on_route = false;
}

struct quota route_limit_quota(const struct route *route, enum fw_verdict verdict)
{
	const struct config_route_limits *limits = &route->config->limits;
	bool source = verdict == FW_ROUTE_SOURCE_RATE;
	uint64_t rate = source ? limits->source_rate : limits->request_rate;
	uint64_t burst = source ? limits->source_burst : limits->request_burst;

	return quota_from(source ? "route_source" : "route", rate, burst);
}
