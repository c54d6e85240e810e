/* SPDX-License-Identifier: BSD-2-Clause */
/* See wire.h. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "wire.h"

#define SERVER_NAME "web.test"
#define WITHHELD    8 /* bytes of the last flight */
#define FLIGHT_MAX  16384

struct wire_tls {
	SSL_CTX *context;
};

struct wire_tls *wire_tls_new(const char *protocol)
{
	struct wire_tls *tls = calloc(1, sizeof(*tls));
	uint8_t offer[64];
	size_t length = strlen(protocol);

	if (!tls || length >= sizeof(offer) || !(tls->context = SSL_CTX_new(TLS_client_method()))) {
		free(tls);
		return NULL;
	}
	offer[0] = (uint8_t)length;
	memcpy(offer + 1, protocol, length);
	SSL_CTX_set_verify(tls->context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(tls->context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(tls->context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set1_groups_list(tls->context, "X25519:P-256");
	if (SSL_CTX_set_alpn_protos(tls->context, offer, (unsigned int)length + 1)) {
		wire_tls_free(tls);
		return NULL;
	}
	return tls;
}

void wire_tls_free(struct wire_tls *tls)
{
	if (tls)
		SSL_CTX_free(tls->context);
	free(tls);
}

static SSL *client_new(const struct wire_tls *tls)
{
	SSL *client = SSL_new(tls->context);

	if (client) {
		SSL_set_tlsext_host_name(client, SERVER_NAME);
		SSL_set_connect_state(client);
	}
	return client;
}

size_t wire_tls_hello(const struct wire_tls *tls, uint8_t *room, size_t size)
{
	SSL *client = client_new(tls);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	int length = 0;

	if (client && in && out) {
		BIO_up_ref(in);
		BIO_up_ref(out);
		SSL_set_bio(client, in, out);
		SSL_do_handshake(client);
		length = BIO_read(out, room, (int)size);
	}
	SSL_free(client);
	BIO_free(in);
	BIO_free(out);
	ERR_clear_error();
	return length > 0 ? (size_t)length : 0;
}

bool wire_open(struct wire *wire, int fd, const struct wire_tls *tls, enum wire_cover cover)
{
	SSL *client = NULL;

	if (cover != WIRE_PLAIN) {
		client = client_new(tls);
		if (!client || !SSL_set_fd(client, fd)) {
			SSL_free(client);
			return false;
		}
	}
	*wire = (struct wire){.fd = fd, .tls = client, .withholds = cover == WIRE_TLS_UNFINISHED};
	if (wire->withholds)
		SSL_set0_wbio(client, BIO_new(BIO_s_mem()));
	return true;
}

/* What a failed call of OpenSSL means: 0 and @events, or −errno. */
static int failure(const struct wire *wire, int result, uint32_t *events)
{
	int error = errno;

	switch (SSL_get_error(wire->tls, result)) {
	case SSL_ERROR_WANT_READ:
		*events = EPOLLIN;
		return 0;
	case SSL_ERROR_WANT_WRITE:
		*events = EPOLLOUT;
		return 0;
	case SSL_ERROR_SYSCALL:
		ERR_clear_error();
		return error ? -error : -EPIPE;
	default:
		ERR_clear_error();
		return -EPROTO;
	}
}

/* Sends the flight that waits in memory: the first one whole, the second without its end. */
static int shake_withholding(struct wire *wire, uint32_t *events)
{
	uint8_t flight[FLIGHT_MAX];
	bool second = SSL_get_state(wire->tls) != TLS_ST_BEFORE;
	int result = SSL_do_handshake(wire->tls), length;

	if (result != 1 && failure(wire, result, events) < 0)
		return -EPROTO;
	length = BIO_read(SSL_get_wbio(wire->tls), flight, sizeof(flight));
	*events = EPOLLIN;
	if (length <= 0)
		return 0;
	if (second)
		length -= WITHHELD;
	if (send(wire->fd, flight, (size_t)length, MSG_NOSIGNAL) != length)
		return -EPIPE;
	return second;
}

int wire_shake(struct wire *wire, uint32_t *events)
{
	int result;

	if (wire->withholds)
		return shake_withholding(wire, events);
	errno = 0;
	result = SSL_do_handshake(wire->tls);
	return result == 1 ? 1 : failure(wire, result, events);
}

ssize_t wire_send(struct wire *wire, const void *data, size_t length)
{
	uint32_t events;
	ssize_t sent;

	if (!wire->tls) {
		sent = send(wire->fd, data, length, MSG_NOSIGNAL);
		return sent < 0 ? -errno : sent;
	}
	errno = 0;
	sent = SSL_write(wire->tls, data, (int)length);
	if (sent > 0)
		return sent;
	sent = failure(wire, (int)sent, &events);
	return sent ? sent : -EAGAIN;
}

ssize_t wire_receive(struct wire *wire, void *room, size_t size)
{
	uint32_t events;
	ssize_t received;

	if (!wire->tls || wire->withholds) {
		received = recv(wire->fd, room, size, 0);
		return received < 0 ? -errno : received;
	}
	errno = 0;
	received = SSL_read(wire->tls, room, (int)size);
	if (received > 0)
		return received;
	if (SSL_get_error(wire->tls, (int)received) == SSL_ERROR_ZERO_RETURN)
		return 0;
	received = failure(wire, (int)received, &events);
	/* The end without close_notify is one too. */
	if (received == -EPIPE || received == -EPROTO)
		return 0;
	return received ? received : -EAGAIN;
}

void wire_forget(struct wire *wire)
{
	SSL_free(wire->tls);
	wire->tls = NULL;
}

void wire_close(struct wire *wire)
{
	wire_forget(wire);
	if (wire->fd >= 0)
		close(wire->fd);
	wire->fd = -1;
}
