// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/net/tls/credentials/resumption.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#define TICKETS_13 1 /* of one handshake */

/* Sets up sealing or opening of a ticket (SSL_CTX_set_tlsext_ticket_key_evp_cb(3)). */
static int use_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
			  EVP_MAC_CTX *mac, int seal)
{
	const struct ticket_keys *tickets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct ticket_key key;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac, sizeof(key.mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA2-256", 0),
		OSSL_PARAM_construct_end(),
	};
	int age = 0, ready;

	if (seal) {
		tickets_current(tickets, &key);
		memcpy(name, key.name, sizeof(key.name));
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
			return -1;
	} else {
		age = tickets_find(tickets, name, &key);
		if (age < 0)
			return 0; /* a full handshake */
	}
	ready = EVP_CipherInit_ex2(cipher, EVP_aes_256_cbc(), key.cipher, iv, seal, NULL) == 1 &&
		EVP_MAC_CTX_set_params(mac, params) == 1;
	OPENSSL_cleanse(&key, sizeof(key));
	if (!ready)
		return -1;
	return age ? 2 : 1; /* 2: good, and to be replaced */
}

/*
 * What becomes of a ticket (SSL_CTX_set_session_ticket_cb(3)). TLS 1.3 has each used once, so that
 * nobody can tell by it who comes back: whoever uses one is given another. A client's certificate
 * that has expired since proves nothing any more.
 */
static SSL_TICKET_RETURN judge_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
				      size_t length, SSL_TICKET_STATUS status, void *argument)
{
	const X509 *client;

	(void)name;
	(void)length;
	(void)argument;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	client = SSL_SESSION_get0_peer(session);
	if (client && X509_cmp_current_time(X509_get0_notAfter(client)) <= 0)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS_RENEW || SSL_version(ssl) == TLS1_3_VERSION
		       ? SSL_TICKET_RETURN_USE_RENEW
		       : SSL_TICKET_RETURN_USE;
}

/* Sessions are resumed only where they were begun: under the same listener, and the same demands on
 * client certificates. */
static bool bind_sessions(SSL_CTX *context, const struct config_service *listener,
			  STACK_OF(X509) * authorities)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	uint8_t demand = (uint8_t)listener->tls.client_certificate;
	unsigned char hash[EVP_MAX_MD_SIZE], each[EVP_MAX_MD_SIZE];
	unsigned int size = 0, each_size;
	bool good = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
		    EVP_DigestUpdate(digest, listener->name, strlen(listener->name) + 1) == 1 &&
		    EVP_DigestUpdate(digest, &demand, 1) == 1;

	for (int i = 0; good && i < sk_X509_num(authorities); i++)
		good = X509_digest(sk_X509_value(authorities, i), EVP_sha256(), each, &each_size) ==
			       1 &&
		       EVP_DigestUpdate(digest, each, each_size) == 1;
	good = good && EVP_DigestFinal_ex(digest, hash, &size) == 1 &&
	       SSL_CTX_set_session_id_context(context, hash, size) == 1;
	EVP_MD_CTX_free(digest);
	return good;
}

static bool set_tickets(SSL_CTX *context, const struct ticket_keys *tickets)
{
	SSL_CTX_set_timeout(context, TICKET_LIFETIME_S);
	if (tickets)
		return SSL_CTX_set_num_tickets(context, TICKETS_13) == 1 &&
		       SSL_CTX_set_tlsext_ticket_key_evp_cb(context, use_ticket_key) == 1 &&
		       SSL_CTX_set_session_ticket_cb(context, NULL, judge_ticket, NULL) == 1;
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
	return SSL_CTX_set_num_tickets(context, 0) == 1;
}

bool resumption_prepare(SSL_CTX *context, const struct config_service *listener,
			STACK_OF(X509) * authorities, const struct ticket_keys *tickets)
{
	SSL_CTX_set_app_data(context, (void *)tickets);
	return set_tickets(context, tickets) && bind_sessions(context, listener, authorities);
}
