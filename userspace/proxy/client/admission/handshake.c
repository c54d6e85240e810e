// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/admission/handshake.h"
#include "proxy/net/tls/tls.h"

bool handshake_begin(struct client *client)
{
	struct listener *listener = client->listener;

	if (!listener->site)
		return true;
	client->phase = CLIENT_HANDSHAKE;
	if (tls_begin(&client->stream, listener->worker->tls, &client->account, listener->site) < 0)
		return false;
	tls_feed(&client->stream, &client->in);
	if (listener->live.value[FW_SET_HTTP2_ENABLED])
		tls_offer_http2(&client->stream);
	return true;
}

void handshake_count_failure(const struct client *client)
{
	board_add(client->listener->board, METRIC_HANDSHAKES_FAILED, 1);
}

static void count_success(const struct client *client)
{
	struct board_row board = client->listener->board;
	struct tls_facts facts;

	board_add(board, METRIC_HANDSHAKES, 1);
	tls_facts(&client->stream, &facts);
	if (facts.resumed)
		board_add(board, METRIC_HANDSHAKES_RESUMED, 1);
	if (facts.is_12)
		board_add(board, METRIC_HANDSHAKES_TLS12, 1);
}

/* It has been told by an alert, which needs time to arrive; or can be told in plain text. */
static void fail(struct client *client, enum fw_verdict verdict)
{
	switch (verdict) {
	case FW_CLIENT_CLOSED:
	case FW_DONE:
		client_close(client, verdict);
		break;
	case FW_NOT_TLS:
		tls_abandon(&client->stream);
		client_refuse(client, verdict);
		break;
	case FW_MEMORY:
		client_reset(client, verdict);
		break;
	default:
		handshake_count_failure(client);
		tls_abandon(&client->stream);
		client_part(client, verdict);
	}
}

/* Whether the client may have what a handshake costs. */
static bool is_admitted(struct client *client)
{
	struct listener *listener = client->listener;
	enum fw_verdict verdict =
		gate_judge(listener->worker->shared->gate, &listener->live, listener->service,
			   client->exempt ? NULL : &client->source,
			   listener_stage(listener) >= OVERLOAD_SHORTEN, client_now(client));

	if (verdict != FW_NONE)
		client_reset(client, verdict);
	return verdict == FW_NONE;
}

bool handshake_run(struct client *client)
{
	int result = 1;

	if (tls_awaits_hello(&client->stream)) {
		result = tls_greet(&client->stream);
		if (result > 0) {
			if (is_admitted(client)) {
				client_run_late(client); /* to answer it is what is dear */
				client_charge(client, USAGE_HANDSHAKE);
			}
			return false;
		}
	} else if (stream_is(&client->stream, STREAM_ENDING) && client_is_put_off(client)) {
		result = -FW_CLIENT_CLOSED;
	} else if (client_is_put_off(client)) {
		return false;
	}
	if (result > 0)
		result = tls_shake(&client->stream);
	if (result < 0)
		fail(client, (enum fw_verdict) - result);
	if (result <= 0)
		return false;
	count_success(client);
	client->since_ns = client_now(client);
	client->phase = CLIENT_HEAD;
	return true;
}
