// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/net/tls/tls.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include "proxy/net/tls/credentials/site.h"
#include "proxy/net/tls/handshake.h"
#include "proxy/net/tls/hello.h"

enum { CONNECTIONS_KEPT = 1024 };

struct tls_engine *tls_engine_create(struct pool_budget *budget, struct buffers *buffers)
{
	struct tls_engine *engine = calloc(1, sizeof(*engine));

	if (!engine)
		return NULL;
	engine->records = record_engine_create();
	if (!engine->records) {
		free(engine);
		return NULL;
	}
	pool_init(&engine->connections, sizeof(struct tls), CONNECTIONS_KEPT, budget);
	list_init(&engine->awaiting);
	engine->ledger = (struct ledger){.budget = budget, .buffers = buffers, .threads = 1};
	account_open(&engine->account, &engine->ledger, 0);
	return engine;
}

void tls_engine_free(struct tls_engine *engine)
{
	if (!engine)
		return;
	pool_destroy(&engine->connections);
	record_engine_free(engine->records);
	OPENSSL_cleanse(engine->in, sizeof(engine->in));
	free(engine);
}

struct buffers *tls_buffers(const struct tls_engine *engine)
{
	return engine->ledger.buffers;
}

int tls_begin(struct stream *stream, struct tls_engine *engine, struct account *account,
	      const struct tls_site *site)
{
	struct tls *tls = account_take(account, &engine->connections);

	if (!tls)
		return -ENOMEM;
	memset(tls, 0, sizeof(*tls));
	tls->engine = engine;
	tls->account = account;
	tls->site = site;
	tls->most = RECORD_PLAIN_MAX;
	stream->tls = tls;
	return 0;
}

void tls_feed(struct stream *stream, struct buffer **early)
{
	stream->tls->in = *early;
	*early = NULL;
}

void tls_end_handshake(struct tls *tls)
{
	if (!tls->handshake)
		return;
	tls_client_await_no_ticket(tls);
	handshake_free(tls->handshake);
	tls->handshake = NULL;
	account_discharge(tls->account, TLS_HANDSHAKE_CHARGE);
}

void tls_free(struct stream *stream)
{
	struct tls *tls = stream->tls;

	if (!tls)
		return;
	tls_end_handshake(tls);
	buffer_give(&tls->in);
	buffer_give(&tls->out);
	free(tls->name);
	free(tls->client);
	OPENSSL_cleanse(&tls->records, sizeof(tls->records));
	if (tls->engine)
		account_give(tls->account, &tls->engine->connections, tls);
	else
		free(tls); /* between two threads */
	stream->tls = NULL;
}

void tls_abandon(struct stream *stream)
{
	tls_free(stream);
}

enum fw_verdict tls_fault(const struct stream *stream)
{
	return stream->tls ? (enum fw_verdict)stream->tls->fault : FW_NONE;
}

void tls_offer_http2(struct stream *stream)
{
	stream->tls->offers_http2 = true;
}

bool tls_speaks_http2(const struct stream *stream)
{
	return stream->tls && stream->tls->http2;
}

bool tls_facts(const struct stream *stream, struct tls_facts *facts)
{
	const struct tls *tls = stream->tls;

	if (!tls || !tls->open)
		return false;
	*facts = (struct tls_facts){
		.version = tls->records.is_13 ? "TLSv1.3" : "TLSv1.2",
		.cipher = tls->cipher,
		.name = tls->name,
		.subject = tls->client ? tls->client->subject : NULL,
		.fingerprint = tls->client ? tls->client->fingerprint : NULL,
		.is_12 = !tls->records.is_13,
		.resumed = tls->resumed,
		.http2 = tls->http2,
	};
	return true;
}

void tls_alert_plainly(struct stream *stream, enum tls_alert alert)
{
	uint8_t record[] = {RECORD_ALERT, 3, 3, 0, 2, 2, (uint8_t)alert};
	const struct iovec part = {record, sizeof(record)};

	stream_send(stream, &part, 1);
}

/* --- the ClientHello ---------------------------------------------------------------------------
 */

/* Room for more of it. False: it is longer than any should be, or no memory. */
static int make_room(struct tls *tls)
{
	if (!tls->in)
		tls->in = buffer_take(tls->account, BUFFER_SMALL);
	else if (buffer_room(tls->in))
		return 0;
	else if (buffer_length(tls->in) > HELLO_MESSAGE_MAX)
		return -FW_BAD_HANDSHAKE;
	else if (!buffer_grow(&tls->in))
		return -FW_MEMORY;
	return tls->in ? 0 : -FW_MEMORY;
}

static int refuse(struct stream *stream, enum fw_verdict verdict)
{
	if (verdict == FW_BAD_HANDSHAKE)
		tls_alert_plainly(stream, ALERT_DECODE_ERROR);
	else if (verdict == FW_UNKNOWN_NAME)
		tls_alert_plainly(stream, ALERT_UNRECOGNIZED_NAME);
	return -(int)verdict;
}

/* Readies the handshake for the client whose hello this is. */
static int accept_hello(struct stream *stream, const struct hello *hello)
{
	struct tls *tls = stream->tls;

	if (*hello->name && !(tls->name = strdup(hello->name)))
		return -FW_MEMORY;
	if (!site_context(tls->site, hello->name))
		return refuse(stream, FW_UNKNOWN_NAME);
	tls->greeted = true;
	return 1;
}

bool tls_awaits_hello(const struct stream *stream)
{
	return !stream->tls->greeted;
}

/* What has been received of it. 1: it is whole; 0; −enum fw_verdict. */
static int look(struct stream *stream)
{
	struct tls *tls = stream->tls;
	struct hello hello;
	int result;

	if (!buffer_length(tls->in))
		return 0;
	result = hello_parse((const uint8_t *)buffer_start(tls->in), buffer_length(tls->in),
			     tls->engine->in, &hello);
	if (result < 0)
		return refuse(stream, (enum fw_verdict) - result);
	return result > 0 ? accept_hello(stream, &hello) : 0;
}

int tls_greet(struct stream *stream)
{
	struct tls *tls = stream->tls;
	ssize_t count;
	int result;

	for (;;) {
		result = look(stream);
		if (result != 0)
			return result;
		result = make_room(tls);
		if (result < 0)
			return refuse(stream, (enum fw_verdict) - result);
		count = stream_receive(stream, buffer_end(tls->in), buffer_room(tls->in));
		if (count <= 0)
			break;
		tls->in->end += (uint32_t)count;
	}
	/* Who left before a word was not refused anything. */
	if (count != -EAGAIN)
		return -(buffer_length(tls->in) ? FW_CLIENT_CLOSED : FW_DONE);
	if (!buffer_length(tls->in))
		buffer_give(&tls->in);
	return 0;
}

/* --- the rest of the handshake -----------------------------------------------------------------
 */

static int begin_handshake(struct stream *stream)
{
	struct tls *tls = stream->tls;

	if (!account_charge(tls->account, TLS_HANDSHAKE_CHARGE))
		return -FW_MEMORY;
	tls->handshake =
		tls->peer ? tls_client_handshake(stream)
			  : handshake_create(stream,
					     site_context(tls->site, tls->name ? tls->name : ""));
	if (tls->handshake)
		return 0;
	account_discharge(tls->account, TLS_HANDSHAKE_CHARGE);
	return -FW_MEMORY;
}

int tls_shake(struct stream *stream)
{
	struct tls *tls = stream->tls;
	int result = tls->handshake ? 0 : begin_handshake(stream);

	if (result == 0)
		result = handshake_step(tls->handshake);
	if (result <= 0)
		return result;
	result = handshake_harvest(tls->handshake, tls);
	tls->open = result > 0;
	if (tls->open && tls_client_wants_ticket(tls))
		tls_client_await_ticket(tls);
	else
		tls_end_handshake(tls);
	return result;
}
