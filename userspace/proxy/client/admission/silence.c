// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/admission/silence.h"
#include "proxy/client/admission/fault.h"
#include "proxy/client/admission/standing.h"
#include "proxy/client/exchange/exchange.h"
#include "proxy/client/front/http2.h"
#include "proxy/client/route/route.h"
#include "proxy/net/socket.h"

/* Who brings others' connections or requests has to know of every end. */
static bool is_possible(const struct listener *listener, const struct fw_addr *source)
{
	return listener->live.value[FW_SET_SOURCE_SILENT_DROP] &&
	       listener_stage(listener) >= OVERLOAD_SHORTEN &&
	       !standing_is_exempt(listener, source) && !standing_is_allowed(listener, source) &&
	       !router_trusts(listener->router, source) && fault_is_enforced(listener);
}

/* Neither side has said anything that the other one has not heard. */
static bool is_quiet(int fd)
{
	return !socket_unread(fd) && !socket_untaken(fd);
}

bool silence_befits_newcomer(const struct listener *listener, int fd, const struct fw_addr *source,
			     enum fw_verdict verdict)
{
	return verdict == FW_SOURCE_CONDUCT && is_possible(listener, source) && is_quiet(fd);
}

static bool has_to_speak(const struct client *client)
{
	const struct exchange *exchange = client->exchange;
	const struct http2 *http2 = client->http2;

	switch ((enum client_phase)client->phase) {
	case CLIENT_HANDSHAKE:
	case CLIENT_HEAD:
		return !client_is_put_off(client);
	case CLIENT_EXCHANGE:
		return !exchange->answered && !exchange->expects_continue &&
		       !exchange->request_body.done;
	case CLIENT_HTTP2:
		return !http2->stream_count && !http2->out && !http2->piece.left && !http2->is_busy;
	default:
		return false;
	}
}

bool silence_befits_client(const struct client *client, enum fw_verdict verdict)
{
	return verdict_rows[verdict].fault == FAULT_HOARD && !client->named &&
	       has_to_speak(client) && is_possible(client->listener, &client->source) &&
	       is_quiet(client->stream.source.fd);
}

void silence_keep(const struct listener *listener, int fd)
{
	board_add(listener->board, METRIC_SILENT_DROPS, 1);
	socket_silence(fd);
}
