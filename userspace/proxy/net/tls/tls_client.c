// SPDX-License-Identifier: BSD-2-Clause
/*
 * What differs from a client's side: whom the handshake is with and why it fails; the messages that
 * a server may send behind it; and the way from one thread to another.
 *
 * TLS 1.3 gives tickets behind the handshake, and only the library can make sessions of them. So it
 * is kept until the first has come: the records in front of the first content are given to it, too,
 * once they have been opened here. It and record.c count them alike.
 */
#include "proxy/net/tls/tls_client.h"
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include "proxy/net/tls/credentials/peer.h"
#include "proxy/net/tls/handshake.h"

enum {
	MESSAGE_NEW_SESSION_TICKET = 4,
	MESSAGE_HEADER = 4,
	AWAITING_MAX = 64,     /* handshakes of a thread that are kept for that */
	TICKET_MAX = 66 << 10, /* bytes: a ticket of 2^16 and what goes with it */
};

int tls_client_begin(struct stream *stream, struct tls_engine *engine, struct account *account,
		     struct tls_peer *peer)
{
	int code = tls_begin(stream, engine, account ? account : &engine->account, NULL);

	if (code == 0)
		stream->tls->peer = peer;
	return code;
}

struct handshake *tls_client_handshake(struct stream *stream)
{
	struct tls_peer *peer = stream->tls->peer;
	struct handshake *handshake = handshake_create(stream, peer_context(peer));

	if (!handshake || peer_prepare(peer, handshake->ssl))
		return handshake;
	handshake_free(handshake);
	return NULL;
}

/* --- why not -----------------------------------------------------------------------------------
 */

static void complain(const struct stream *stream, const char *format, const char *what)
{
	peer_complain(stream->tls->peer, stream->loop->now_ns, format, what);
}

/* What the library found wrong with the certificate. */
static enum fw_verdict judge_certificate(const struct stream *stream, long reason)
{
	const struct tls_peer *peer = stream->tls->peer;

	if (reason == X509_V_ERR_HOSTNAME_MISMATCH || reason == X509_V_ERR_IP_ADDRESS_MISMATCH) {
		complain(stream, "the certificate is not for %s", peer_name(peer));
		return FW_UPSTREAM_NAME;
	}
	complain(stream, "the certificate is refused: %s", X509_verify_cert_error_string(reason));
	return reason == X509_V_ERR_CERT_HAS_EXPIRED || reason == X509_V_ERR_CERT_NOT_YET_VALID
		       ? FW_UPSTREAM_EXPIRED
		       : FW_UPSTREAM_CERTIFICATE;
}

static enum fw_verdict judge_protocol(const struct handshake *handshake)
{
	unsigned long error = ERR_peek_error();
	const char *reason = ERR_reason_error_string(error);

	if (handshake->notes.alert_received >= 0)
		complain(handshake->stream, "the handshake was refused: alert \"%s\"",
			 SSL_alert_desc_string_long(handshake->notes.alert_received));
	else if (handshake_overran(handshake))
		complain(handshake->stream, "the handshake failed: %s",
			 "more was sent than any consists of");
	else if (!reason || ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		complain(handshake->stream, "the handshake failed: %s",
			 "the connection was closed");
	else
		complain(handshake->stream, "the handshake failed: %s", reason);
	return FW_UPSTREAM_TLS;
}

enum fw_verdict tls_client_explain(const struct handshake *handshake)
{
	const struct stream *stream = handshake->stream;
	long reason = SSL_get_verify_result(handshake->ssl);

	/* If it was for the session that this one failed, the next will be without. */
	peer_forget_session(stream->tls->peer);
	return reason != X509_V_OK && peer_is_verified(stream->tls->peer)
		       ? judge_certificate(stream, reason)
		       : judge_protocol(handshake);
}

void tls_client_note_fault(const struct stream *stream, enum tls_alert alert, bool received)
{
	complain(stream,
		 received ? "the connection was ended: alert \"%s\""
			  : "the connection is ended: alert \"%s\"",
		 SSL_alert_desc_string_long((int)alert));
}

/* --- behind the handshake ----------------------------------------------------------------------
 */

bool tls_client_wants_ticket(const struct tls *tls)
{
	return tls->peer && tls->records.is_13 && peer_is_resumed(tls->peer);
}

/* A server may have none to give, and be silent for hours: then it is the library that goes. */
void tls_client_await_ticket(struct tls *tls)
{
	struct tls_engine *engine = tls->engine;
	struct handshake *oldest;

	list_append(&engine->awaiting, &tls->handshake->node);
	if (++engine->awaiting_count <= AWAITING_MAX)
		return;
	oldest = container_of(engine->awaiting.next, struct handshake, node);
	tls_end_handshake(oldest->stream->tls);
}

void tls_client_await_no_ticket(struct tls *tls)
{
	if (!list_is_linked(&tls->handshake->node))
		return;
	list_remove(&tls->handshake->node);
	tls->engine->awaiting_count--;
}

/* The library makes a session of it, and note_session() in peer.c keeps that. */
static void take_ticket(struct tls *tls, const uint8_t *record, size_t size)
{
	struct handshake *handshake = tls->handshake;
	uint8_t nothing;

	handshake->given = record;
	handshake->given_size = size;
	ERR_clear_error();
	SSL_read(handshake->ssl, &nothing, sizeof(nothing));
	ERR_clear_error();
	tls_end_handshake(tls);
}

/* A ticket may be longer than a record. */
static void skip(struct tls *tls, size_t *at, size_t length)
{
	size_t step = tls->skips < length - *at ? tls->skips : length - *at;

	tls->skips -= (uint32_t)step;
	*at += step;
}

int tls_client_take_tickets(struct tls *tls, struct record_content *content, const uint8_t *record,
			    size_t size)
{
	const uint8_t *message;
	size_t at = 0;

	if (!content->length)
		return -EBADMSG;
	skip(tls, &at, content->length);
	while (content->length - at >= MESSAGE_HEADER) {
		message = content->data + at;
		if (*message != MESSAGE_NEW_SESSION_TICKET)
			break;
		tls->skips = (uint32_t)message[1] << 16 | (uint32_t)message[2] << 8 | message[3];
		if (tls->skips > TICKET_MAX)
			return -EBADMSG;
		tls->skips += MESSAGE_HEADER;
		skip(tls, &at, content->length);
	}
	/* One in pieces is passed over: the library would have to be given all of them. */
	if (tls->handshake && tls->skips)
		tls_end_handshake(tls);
	else if (tls->handshake && at)
		take_ticket(tls, record, size);
	content->data += at;
	content->length -= at;
	return 0;
}

/* --- to another thread -------------------------------------------------------------------------
 */

bool tls_client_leave(struct stream *stream)
{
	struct tls *tls = stream->tls;

	if (!tls)
		return true;
	if (!tls->open || tls->in || tls->out || tls->fault || tls->closed || tls->ended)
		return false;
	tls_end_handshake(tls);
	account_discharge(tls->account, sizeof(*tls));
	tls->engine = NULL;
	tls->account = NULL;
	return true;
}

bool tls_client_join(struct stream *stream, struct tls_engine *engine, struct account *account)
{
	struct tls *tls = stream->tls;

	if (!tls)
		return true;
	if (!account)
		account = &engine->account;
	if (!account_charge(account, sizeof(*tls)))
		return false;
	tls->engine = engine;
	tls->account = account;
	return true;
}
