// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/report.h"
#include "base/log.h"
#include "proxy/client/admission/fault.h"
#include "proxy/client/exchange/exchange.h"
#include "proxy/client/relay.h"
#include "proxy/net/tls/tls.h"

static void add_line(struct listener *listener, struct access_line *line)
{
	struct worker *worker = listener->worker;

	line->listener = listener->config->name;
	if (!access_log_add(&worker->log, line, worker->loop.now_ns))
		board_add(listener->board, METRIC_ACCESS_LOG_DROPPED, 1);
}

/* A line for a refusal, if this second has one left for its reason. */
static void tell_refusal(struct listener *listener, struct access_line *line,
			 enum fw_verdict verdict)
{
	struct worker *worker = listener->worker;

	if (!sampler_admit(&listener->sampler, verdict, worker->loop.now_ns))
		return;
	line->reason = verdict_rows[verdict].label;
	if (worker->log.fd >= 0)
		add_line(listener, line);
	else
		log_info("%s: refused %s: %s", listener->config->name, line->source, line->reason);
}

void report_turned_away(struct listener *listener, const struct fw_addr *source, uint16_t port,
			enum fw_verdict verdict)
{
	char address[ADDRESS_TEXT_SIZE];
	struct access_line line = {.port = port};

	board_count(listener->board, verdict);
	line.source = address_format(source, address);
	tell_refusal(listener, &line, verdict);
}

static void count_response(const struct listener *listener, int status)
{
	static const enum fw_metric classes[] = {METRIC_RESPONSES_2XX, METRIC_RESPONSES_3XX,
						 METRIC_RESPONSES_4XX, METRIC_RESPONSES_5XX};

	if (status >= 200 && status < 600)
		board_add(listener->board, classes[status / 100 - 2], 1);
}

static void describe(const struct client *client, const struct exchange *exchange,
		     struct access_line *line)
{
	uint64_t now_ns = client_now(client);
	struct tls_facts facts;

	line->source = client->address;
	line->port = client->port;
	if (tls_facts(&client->stream, &facts)) {
		line->tls = facts.version;
		line->cipher = facts.cipher;
		line->name = facts.name;
	}
	if (client->relay) {
		line->in = client->relay->up.received;
		line->out = client->relay->down.sent;
		line->duration_ns = now_ns - client->relay->begun_ns;
		line->upstream = client->relay->server;
		return;
	}
	if (!exchange) {
		line->in = client->received;
		line->out = client->sent;
		line->duration_ns = now_ns - client->since_ns;
		return;
	}
	line->in = exchange->received;
	line->out = exchange->sent;
	line->duration_ns = now_ns - exchange->begun_ns;
	line->upstream = exchange->attempt.server;
	if (exchange->method && exchange->to_server) {
		struct http_slice token = http_method_token(exchange->method);

		line->protocol = exchange->minor ? exchange->front->protocol : "HTTP/1.0";
		line->method = token.at;
		line->method_length = token.length;
		line->target = exchange->to_server->data + exchange->target_at;
		line->target_length = exchange->target_length;
		line->request_id = exchange->to_server->data + exchange->id_at;
		line->request_id_length = exchange->id_length;
	}
}

/* Whose fault it was: those are told apart from the rest, and not each of them. */
static bool is_refusal(enum fw_verdict verdict)
{
	enum fw_action action = (enum fw_action)verdict_rows[verdict].action;

	return verdict != FW_NONE && (action == FW_ACTION_REFUSE || action == FW_ACTION_DROP);
}

void report_request(struct client *client, const struct exchange *exchange, int status,
		    enum fw_verdict verdict)
{
	struct listener *listener = client->listener;
	struct access_line line = {.status = status};

	count_response(listener, status);
	if (verdict != FW_NONE)
		board_count(listener->board, verdict);
	fault_note(client, verdict);
	if (is_refusal(verdict)) {
		describe(client, exchange, &line);
		tell_refusal(listener, &line, verdict);
		return;
	}
	if (listener->worker->log.fd < 0)
		return;
	describe(client, exchange, &line);
	if (verdict != FW_NONE)
		line.reason = verdict_rows[verdict].label;
	add_line(listener, &line);
}

void report_end(struct client *client, enum fw_verdict verdict)
{
	if (client->phase == CLIENT_LINGER)
		return; /* its refusal was reported */
	fault_close(client, verdict);
	/* Inside a request or relay the end is worth a line; between requests it is not. */
	if (client->exchange || client->relay || is_refusal(verdict))
		report_request(client, client->exchange,
			       client->exchange ? client->exchange->status : 0, verdict);
	else
		board_count(client->listener->board, verdict);
}

void report_suppressed(struct listener *listener)
{
	struct worker *worker = listener->worker;

	for (int verdict = 1; verdict < FW_VERDICT_COUNT; verdict++) {
		struct access_line line = {.reason = verdict_rows[verdict].label};

		line.suppressed = sampler_settle(&listener->sampler, verdict, worker->loop.now_ns);
		if (!line.suppressed)
			continue;
		if (worker->log.fd >= 0)
			add_line(listener, &line);
		else
			log_info("%s: refused %u more: %s", listener->config->name, line.suppressed,
				 line.reason);
	}
}
