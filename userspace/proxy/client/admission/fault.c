// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/admission/fault.h"
#include <sys/socket.h>
#include "contract/order.h"
#include "proxy/client/admission/balancer.h"
#include "proxy/client/admission/handshake.h"
#include "proxy/client/admission/source_limit.h"
#include "proxy/client/admission/standing.h"
#include "proxy/client/relay.h"
#include "proxy/guard/complaints.h"
#include "proxy/guard/conduct.h"
#include "wall/wall.h"

static bool is_overloaded(const struct listener *listener)
{
	return listener_stage(listener) >= OVERLOAD_SHORTEN;
}

static struct conduct_terms terms_of(const struct listener *listener)
{
	return conduct_terms_of(&listener->live, is_overloaded(listener));
}

void fault_complain(const struct listener *listener, const struct fw_addr *source,
		    uint64_t until_ns)
{
	const struct worker *worker = listener->worker;
	const struct order look = {.word = ORDER_LOOK};

	board_add(listener->board, METRIC_COMPLAINTS, 1);
	/* If nothing can be said just now the supervisor looks by the clock. */
	if (complaints_add(worker->complaints, source, listener->service, until_ns))
		(void)!send(worker->shared->options->control, &look, sizeof(look),
			    MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool is_exempt(const struct listener *listener, const struct fw_addr *source)
{
	return source_is_exempt(listener->config, source) || standing_is_allowed(listener, source);
}

/* Nobody is to wait for its next connection, which would be reset. Behind a balancer, whom the
 * filter sees, it is reset all the same. */
static void shut_out(const struct client *client, uint64_t until_ns)
{
	const struct listener *listener = client->listener;

	if (!client->named && !balancer_is_one(listener->config, &client->source) &&
	    !is_exempt(listener, &client->source))
		fault_complain(listener, &client->source, until_ns);
}

/* Of a connection one misuse counts: of HTTP/2 it may have many requests, for which there is a
 * budget (front/http2_abuse.c). */
static bool is_held_against(struct client *client, enum fw_verdict verdict)
{
	bool again = client->misused;

	if (verdict_rows[verdict].fault == FAULT_MISUSE)
		client->misused = true;
	/* A balancer's connections are its clients', and who waits for us keeps nobody waiting. */
	return client->phase != CLIENT_PROXY_HEADER && !client_is_put_off(client) &&
	       !(again && verdict_rows[verdict].fault == FAULT_MISUSE);
}

/* A browser opens connections to spare, and may never ask anything on them. */
static bool has_said_nothing(const struct client *client)
{
	return client->phase == CLIENT_HEAD && !client->received;
}

void fault_note(struct client *client, enum fw_verdict verdict)
{
	const struct listener *listener = client->listener;
	uint32_t parts = conduct_parts_of(verdict, is_overloaded(listener));
	uint64_t until_ns;

	if (!parts || !is_held_against(client, verdict))
		return;
	if (verdict_rows[verdict].fault == FAULT_HOARD && has_said_nothing(client))
		parts = CONDUCT_SILENCE;
	board_add(listener->board, METRIC_SOURCE_FAULTS, 1);
	client_charge(client, USAGE_FAULT * parts / CONDUCT_FAULT);
	until_ns = conduct_blame(listener->worker->shared->conduct, &client->source,
				 listener->service, terms_of(listener), parts, client_now(client));
	if (until_ns)
		shut_out(client, until_ns);
}

void fault_close(const struct client *client, enum fw_verdict verdict)
{
	const struct listener *listener = client->listener;
	bool served = client->requests || (client->relay && relay_has_begun(client->relay));

	if (served && verdict_rows[verdict].action == FW_ACTION_CLOSE &&
	    verdict != FW_CLIENT_CLOSED)
		conduct_praise(listener->worker->shared->conduct, &client->source,
			       listener->service, terms_of(listener), client_now(client));
}

static uint64_t shut_until(const struct listener *listener, const struct fw_addr *source)
{
	const struct worker *worker = listener->worker;

	return conduct_shut_until(worker->shared->conduct, source, listener->service,
				  terms_of(listener), worker->loop.now_ns);
}

bool fault_is_enforced(const struct listener *listener)
{
	return !listener->live.value[FW_SET_MONITOR] &&
	       wall_rule_mode(listener->worker->shared->options->wall, FW_SOURCE_CONDUCT) ==
		       FW_MODE_ENFORCE;
}

enum fw_verdict fault_judge(const struct listener *listener, const struct fw_addr *source)
{
	uint64_t until_ns = shut_until(listener, source);

	if (!until_ns || balancer_is_one(listener->config, source) || is_exempt(listener, source))
		return FW_NONE;
	/* In monitor mode it is the filter that counts what it would do. */
	fault_complain(listener, source, until_ns);
	return fault_is_enforced(listener) ? FW_SOURCE_CONDUCT : FW_NONE;
}

bool fault_keeps_out(const struct listener *listener, const struct fw_addr *source)
{
	return shut_until(listener, source) && fault_is_enforced(listener);
}
