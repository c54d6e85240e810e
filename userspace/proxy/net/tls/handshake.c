// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/net/tls/handshake.h"
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "proxy/net/tls/credentials/site.h"
#include "proxy/net/tls/tls_client.h"

enum {
	SUBJECT_MAX = 512,
	RECEIVED_MAX = 128 << 10, /* bytes; the longest chain that is taken is half of it */
};

/* --- the stream as a BIO ------------------------------------------------------------------------
 */

static int read_given(BIO *bio, struct handshake *handshake, char *data, size_t size)
{
	if (size > handshake->given_size)
		size = handshake->given_size;
	if (!size) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(data, handshake->given, size);
	handshake->given += size;
	handshake->given_size -= size;
	return (int)size;
}

/* What was received with the ClientHello first, then the socket. */
static int read_stream(BIO *bio, char *data, int size)
{
	struct handshake *handshake = BIO_get_data(bio);
	struct stream *stream = handshake->stream;
	struct tls *tls = stream->tls;
	ssize_t count = buffer_length(tls->in);

	BIO_clear_retry_flags(bio);
	if (tls->open)
		return read_given(bio, handshake, data, (size_t)size);
	if (handshake_overran(handshake))
		return -1;
	if (count) {
		if (count > size)
			count = size;
		memcpy(data, buffer_start(tls->in), (size_t)count);
		buffer_consume(tls->in, (uint32_t)count);
		if (!buffer_length(tls->in))
			buffer_give(&tls->in);
		return (int)count;
	}
	count = stream_receive(stream, data, (size_t)size);
	if (count == -EAGAIN)
		BIO_set_retry_read(bio);
	if (count < 0)
		return -1;
	handshake->received += (uint32_t)count;
	return (int)count;
}

static int write_stream(BIO *bio, const char *data, int size)
{
	const struct handshake *handshake = BIO_get_data(bio);
	const struct iovec part = {(void *)data, (size_t)size};
	ssize_t count = stream_send(handshake->stream, &part, 1);

	BIO_clear_retry_flags(bio);
	if (count == -EAGAIN)
		BIO_set_retry_write(bio);
	return count < 0 ? -1 : (int)count;
}

static long control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *stream_method;

static void make_method(void)
{
	stream_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
	if (!stream_method)
		return;
	BIO_meth_set_read(stream_method, read_stream);
	BIO_meth_set_write(stream_method, write_stream);
	BIO_meth_set_ctrl(stream_method, control);
}

static BIO *open_bio(struct handshake *handshake)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	BIO *bio;

	pthread_once(&once, make_method);
	bio = stream_method ? BIO_new(stream_method) : NULL;
	if (bio) {
		BIO_set_data(bio, handshake);
		BIO_set_init(bio, 1);
	}
	return bio;
}

/* --- its life ----------------------------------------------------------------------------------
 */

struct handshake *handshake_create(struct stream *stream, SSL_CTX *context)
{
	struct handshake *handshake = calloc(1, sizeof(*handshake));
	const struct tls *tls = stream->tls;
	BIO *bio;

	if (!handshake)
		return NULL;
	list_init(&handshake->node);
	handshake->stream = stream;
	handshake->notes = (struct context_notes){
		.peer = tls->peer,
		.offers_http2 = tls->offers_http2,
		.alert_sent = -1,
		.alert_received = -1,
	};
	handshake->ssl = SSL_new(context);
	bio = handshake->ssl ? open_bio(handshake) : NULL;
	if (!bio) {
		handshake_free(handshake);
		return NULL;
	}
	SSL_set_bio(handshake->ssl, bio, bio);
	SSL_set_app_data(handshake->ssl, &handshake->notes);
	if (context_is_client(&handshake->notes))
		SSL_set_connect_state(handshake->ssl);
	else
		SSL_set_accept_state(handshake->ssl);
	return handshake;
}

bool handshake_overran(const struct handshake *handshake)
{
	return handshake->received > RECEIVED_MAX;
}

void handshake_free(struct handshake *handshake)
{
	if (!handshake)
		return;
	SSL_free(handshake->ssl);
	OPENSSL_cleanse(handshake, sizeof(*handshake));
	free(handshake);
}

static enum fw_verdict verdict_of_alert(int alert)
{
	switch (alert) {
	case ALERT_HANDSHAKE_FAILURE:
	case ALERT_PROTOCOL_VERSION:
	case ALERT_INSUFFICIENT_SECURITY:
	case ALERT_INAPPROPRIATE_FALLBACK:
	case ALERT_NO_APPLICATION_PROTOCOL:
		return FW_HANDSHAKE_MISMATCH;
	default:
		return FW_BAD_HANDSHAKE;
	}
}

/* Which of an operator's reasons the library's is. */
static enum fw_verdict explain(const struct handshake *handshake, int error)
{
	int reason = ERR_GET_REASON(ERR_peek_error());

	if (handshake->notes.alert_received >= 0)
		return FW_HANDSHAKE_REJECTED;
	if (handshake_overran(handshake))
		return FW_BAD_HANDSHAKE;
	if (error == SSL_ERROR_SYSCALL || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return FW_CLIENT_CLOSED;
	if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE ||
	    reason == SSL_R_CERTIFICATE_VERIFY_FAILED ||
	    SSL_get_verify_result(handshake->ssl) != X509_V_OK)
		return FW_CLIENT_CERTIFICATE;
	return verdict_of_alert(handshake->notes.alert_sent);
}

int handshake_step(struct handshake *handshake)
{
	enum fw_verdict verdict;
	int result, error;

	ERR_clear_error();
	result = SSL_do_handshake(handshake->ssl);
	if (result == 1)
		return 1;
	error = SSL_get_error(handshake->ssl, result);
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return 0;
	verdict = context_is_client(&handshake->notes) ? tls_client_explain(handshake)
						       : explain(handshake, error);
	ERR_clear_error();
	return -(int)verdict;
}

/* --- its fruit ---------------------------------------------------------------------------------
 */

/* −1: none that record.c speaks; the contexts allow no other. */
static int cipher_of(const SSL *ssl)
{
	switch (SSL_CIPHER_get_cipher_nid(SSL_get_current_cipher(ssl))) {
	case NID_aes_128_gcm:
		return RECORD_AES_128_GCM;
	case NID_aes_256_gcm:
		return RECORD_AES_256_GCM;
	case NID_chacha20_poly1305:
		return RECORD_CHACHA20_POLY1305;
	default:
		return -1;
	}
}

static bool harvest_12(SSL *ssl, int cipher, struct records *records)
{
	uint8_t client[SSL3_RANDOM_SIZE], server[SSL3_RANDOM_SIZE];
	uint8_t master[SSL_MAX_MASTER_KEY_LENGTH];
	size_t size = SSL_SESSION_get_master_key(SSL_get_session(ssl), master, sizeof(master));
	bool done;

	SSL_get_client_random(ssl, client, sizeof(client));
	SSL_get_server_random(ssl, server, sizeof(server));
	done = records_begin_12(records, (enum record_cipher)cipher, !SSL_is_server(ssl), master,
				size, client, server);
	OPENSSL_cleanse(master, sizeof(master));
	return done;
}

static bool harvest_13(const struct handshake *handshake, int cipher, struct tls *tls)
{
	const struct context_secret *ours = context_our_secret(&handshake->notes),
				    *theirs = context_their_secret(&handshake->notes);

	if (!ours->size || ours->size != theirs->size ||
	    !records_begin_13(tls->engine->records, &tls->records, (enum record_cipher)cipher,
			      theirs->data, ours->data, ours->size))
		return false;
	tls->records.out.sequence = handshake->notes.sent;
	return true;
}

/* Bytes of content that the client takes in one record: most ask for no limit (RFC 6066 section 4).
 */
static uint16_t record_limit_of(const SSL *ssl)
{
	uint8_t code = SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl));

	return code >= TLSEXT_max_fragment_length_512 && code <= TLSEXT_max_fragment_length_4096
		       ? (uint16_t)(256 << code)
		       : RECORD_PLAIN_MAX;
}

/* A subject beyond SUBJECT_MAX is left out: half a name may be another's. NULL: no memory. */
static struct tls_client *describe_client(X509 *certificate)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned int size;
	struct tls_client *client = NULL;
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long length;

	if (bio &&
	    X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0 &&
	    X509_digest(certificate, EVP_sha256(), hash, &size) == 1 &&
	    (length = BIO_get_mem_data(bio, &text)) >= 0 &&
	    (client = calloc(1, sizeof(*client) + SUBJECT_MAX + 1))) {
		if (length <= SUBJECT_MAX)
			memcpy(client->subject, text, (size_t)length);
		for (unsigned int i = 0; i < size; i++)
			snprintf(client->fingerprint + 2 * i, 3, "%02x", hash[i]);
	}
	BIO_free(bio);
	return client;
}

int handshake_harvest(struct handshake *handshake, struct tls *tls)
{
	SSL *ssl = handshake->ssl;
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	bool is_13 = SSL_version(ssl) == TLS1_3_VERSION;
	int cipher = cipher_of(ssl);
	const unsigned char *protocol;
	unsigned int protocol_length;

	/* The BIO gave it no byte beyond Finished; what it holds all the same is out of order. */
	if (SSL_has_pending(ssl) || cipher < 0)
		return -FW_BAD_HANDSHAKE;
	if (!(is_13 ? harvest_13(handshake, cipher, tls) : harvest_12(ssl, cipher, &tls->records)))
		return -FW_MEMORY;
	tls->cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl));
	tls->resumed = SSL_session_reused(ssl);
	tls->most = record_limit_of(ssl);
	SSL_get0_alpn_selected(ssl, &protocol, &protocol_length);
	tls->http2 = protocol_length == 2 && !memcmp(protocol, "h2", 2);
	if (tls->site && certificate && site_forwards_client(tls->site)) {
		tls->client = describe_client(certificate);
		if (!tls->client)
			return -FW_MEMORY;
	}
	return 1;
}
