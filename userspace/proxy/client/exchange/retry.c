// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/exchange/retry.h"

enum { RESENDS_MOST = 16 }; /* points (enum undone), of a request that servers did nothing with */

/* Doing it twice does what doing it once does (RFC 9110 section 9.2.2). */
static bool is_idempotent(enum http_method method)
{
	switch (method) {
	case HTTP_GET:
	case HTTP_HEAD:
	case HTTP_OPTIONS:
	case HTTP_PUT:
	case HTTP_DELETE:
	case HTTP_PROPFIND:
	case HTTP_REPORT:
	case HTTP_SEARCH:
		return true;
	default:
		return false;
	}
}

/* All of it is still here, and nothing of an answer has been passed on. */
static bool is_whole(const struct exchange *exchange)
{
	return !exchange->answered && !exchange->body_sent;
}

/* And sending it again does no harm. */
static bool is_repeatable(const struct exchange *exchange)
{
	return is_whole(exchange) &&
	       (is_idempotent(exchange->method) || !exchange->attempt.head_sent);
}

bool retry_is_harmless(const struct exchange *exchange)
{
	return is_whole(exchange) && is_idempotent(exchange->method) &&
	       exchange->request_body.done && !exchange->body_ready && !exchange->asked_protocol;
}

bool retry_resends(struct exchange *exchange)
{
	bool resends;

	if (!is_whole(exchange) || buffer_length(exchange->attempt.from_server) || exchange->hedge)
		return false;
	if (exchange->attempt.undone) {
		exchange->resends += exchange->attempt.undone;
		resends = exchange->resends <= RESENDS_MOST;
	} else {
		resends =
			exchange->attempt.link_used && !exchange->resent && is_repeatable(exchange);
		exchange->resent |= resends;
	}
	board_add(exchange->client->listener->board, METRIC_UPSTREAM_RESENDS, resends);
	return resends;
}

static bool may_try(const struct exchange *exchange, enum config_retry_on reason)
{
	const struct config_retry *policy = upstream_retry_policy(exchange->pool);

	return policy->on & reason && exchange->retries + 1U < policy->attempts &&
	       is_repeatable(exchange) && upstream_has_others(exchange->pool, exchange->tried);
}

/* Counts it, if the budget has room for it. */
static bool begin(struct exchange *exchange)
{
	struct board_row board = exchange->client->listener->board;

	retry_end(exchange);
	exchange->attempt.retrying = upstream_retry_begin(exchange->pool);
	board_add(board,
		  exchange->attempt.retrying ? METRIC_UPSTREAM_RETRIES
					     : METRIC_UPSTREAM_RETRIES_DENIED,
		  1);
	exchange->retries += exchange->attempt.retrying;
	return exchange->attempt.retrying;
}

static bool begins(struct exchange *exchange, enum config_retry_on reason)
{
	return exchange->hedge || (may_try(exchange, reason) && begin(exchange));
}

bool retry_begins_for_break(struct exchange *exchange)
{
	return begins(exchange, RETRY_BROKEN);
}

static enum config_retry_on reason_of(uint16_t status)
{
	switch (status) {
	case 502:
		return RETRY_502;
	case 503:
		return RETRY_503;
	case 504:
		return RETRY_504;
	default:
		return RETRY_NEVER;
	}
}

bool retry_passes_over(const struct exchange *exchange, uint16_t status)
{
	enum config_retry_on reason = reason_of(status);

	return reason && upstream_retry_policy(exchange->pool)->on & reason;
}

bool retry_begins_for_status(struct exchange *exchange, uint16_t status)
{
	return retry_passes_over(exchange, status) && begins(exchange, reason_of(status));
}

void retry_end(struct exchange *exchange)
{
	if (exchange->attempt.retrying)
		upstream_retry_end(exchange->pool);
	exchange->attempt.retrying = false;
}
