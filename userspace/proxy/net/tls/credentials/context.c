// SPDX-License-Identifier: BSD-2-Clause
/*
 * OpenSSL gives TLS 1.3's traffic secrets to a key log alone (SSL_CTX_set_keylog_callback(3)), as a
 * line of text; they go from there into struct records and nowhere else. It counts records by
 * itself, and tells nobody: each header passes by the message callback, and those that are sent
 * with the traffic keys (session tickets) are counted there.
 */
#include "proxy/net/tls/credentials/context.h"
#include <string.h>

#define CIPHERS_13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
/* Ephemeral keys and AEADs only: what record.c can speak. */
#define CIPHERS_12                                                                                 \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                               \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                               \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define GROUPS         "X25519:P-256:P-384"
#define SECURITY_LEVEL 2 /* RSA from 2048 bits, curves from 224, SHA-2 */

static int digit(char c)
{
	return c >= 'a' ? c - 'a' + 10 : c >= 'A' ? c - 'A' + 10 : c - '0';
}

/* The last word of "LABEL RANDOM SECRET". */
static void take_secret(struct context_secret *secret, const char *line)
{
	const char *hex = strrchr(line, ' ') + 1;
	size_t size = strlen(hex) / 2;

	if (size > sizeof(secret->data))
		return;
	for (size_t i = 0; i < size; i++)
		secret->data[i] = (uint8_t)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
	secret->size = size;
}

static bool begins(const char *line, const char *label)
{
	return !strncmp(line, label, strlen(label));
}

static void note_secret(const SSL *ssl, const char *line)
{
	struct context_notes *notes = SSL_get_app_data(ssl);

	if (begins(line, "CLIENT_TRAFFIC_SECRET_0 "))
		take_secret(&notes->client, line);
	else if (begins(line, "SERVER_TRAFFIC_SECRET_0 "))
		take_secret(&notes->server, line);
}

static void note_message(int sent, int version, int type, const void *data, size_t length, SSL *ssl,
			 void *argument)
{
	struct context_notes *notes = SSL_get_app_data(ssl);

	(void)version;
	(void)data;
	(void)length;
	(void)argument;
	if (sent && type == SSL3_RT_HEADER && context_our_secret(notes)->size)
		notes->sent++;
}

static void note_alert(const SSL *ssl, int where, int code)
{
	struct context_notes *notes = SSL_get_app_data(ssl);

	if (where & SSL_CB_ALERT)
		*(where & SSL_CB_WRITE ? &notes->alert_sent : &notes->alert_received) = code & 0xff;
}

struct context_notes *context_notes(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

bool context_prepare(SSL_CTX *context, bool only_13)
{
	SSL_CTX_set_keylog_callback(context, note_secret);
	SSL_CTX_set_msg_callback(context, note_message);
	SSL_CTX_set_info_callback(context, note_alert);
	SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_security_level(context, SECURITY_LEVEL);
	return SSL_CTX_set_min_proto_version(context, only_13 ? TLS1_3_VERSION : TLS1_2_VERSION) ==
		       1 &&
	       SSL_CTX_set_cipher_list(context, CIPHERS_12) == 1 &&
	       SSL_CTX_set_ciphersuites(context, CIPHERS_13) == 1 &&
	       SSL_CTX_set1_groups_list(context, GROUPS) == 1;
}
