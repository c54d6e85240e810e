// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/net/tls/record/ktls.h"
#include <endian.h>
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static const char layer[] = "tls";

static int begin_layer(int fd)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, layer, sizeof(layer)) < 0 ? -errno : 0;
}

bool ktls_is_there(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), code;

	if (fd < 0)
		return false;
	/* Who has it says first that the socket is not connected. */
	code = begin_layer(fd);
	close(fd);
	return code == -ENOTCONN;
}

/*
 * A cipher as the kernel names it. What it is told is a struct of its own for each, and all of them
 * are the same but for sizes: info, iv, key, salt, number of the next record. Salt and iv together
 * are the nonce's fixed part; TLS 1.2 with AES-GCM has the record's own part for iv, and the kernel
 * counts on from there, as record.c does.
 */
static const struct {
	uint16_t type;
	uint8_t key_size, salt_size;
	uint8_t size; /* of the struct */
} ciphers[RECORD_CIPHERS] = {
	[RECORD_AES_128_GCM] = {TLS_CIPHER_AES_GCM_128, TLS_CIPHER_AES_GCM_128_KEY_SIZE,
				TLS_CIPHER_AES_GCM_128_SALT_SIZE,
				sizeof(struct tls12_crypto_info_aes_gcm_128)},
	[RECORD_AES_256_GCM] = {TLS_CIPHER_AES_GCM_256, TLS_CIPHER_AES_GCM_256_KEY_SIZE,
				TLS_CIPHER_AES_GCM_256_SALT_SIZE,
				sizeof(struct tls12_crypto_info_aes_gcm_256)},
	[RECORD_CHACHA20_POLY1305] = {TLS_CIPHER_CHACHA20_POLY1305,
				      TLS_CIPHER_CHACHA20_POLY1305_KEY_SIZE,
				      TLS_CIPHER_CHACHA20_POLY1305_SALT_SIZE,
				      sizeof(struct tls12_crypto_info_chacha20_poly1305)},
};

static uint8_t *add(uint8_t *at, const void *data, size_t size)
{
	memcpy(at, data, size);
	return at + size;
}

/* Returns the size of what is told. */
static size_t describe(const struct records *records, uint8_t told[static 64])
{
	const struct tls_crypto_info info = {
		.version = records->is_13 ? TLS_1_3_VERSION : TLS_1_2_VERSION,
		.cipher_type = ciphers[records->cipher].type,
	};
	const struct record_key *key = &records->out;
	uint64_t next = htobe64(key->sequence);
	size_t salt_size = ciphers[records->cipher].salt_size;
	uint8_t *at = add(told, &info, sizeof(info));

	if (records_have_explicit_nonce(records))
		at = add(at, &next, sizeof(next));
	else
		at = add(at, key->nonce + salt_size, RECORD_NONCE_SIZE - salt_size);
	at = add(at, key->key, ciphers[records->cipher].key_size);
	at = add(at, key->nonce, salt_size);
	add(at, &next, sizeof(next));
	return ciphers[records->cipher].size;
}

int ktls_begin(int fd, const struct records *records)
{
	uint8_t told[64];
	size_t size = describe(records, told);
	int code = begin_layer(fd);

	if (code == 0 && setsockopt(fd, SOL_TLS, TLS_TX, told, (socklen_t)size) < 0)
		code = -errno;
	OPENSSL_cleanse(told, sizeof(told));
	return code;
}

int ktls_send(int fd, enum record_type type, const void *data, size_t size)
{
	struct iovec part = {(void *)data, size};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(1)];
	} control = {.header = {.cmsg_level = SOL_TLS,
				.cmsg_type = TLS_SET_RECORD_TYPE,
				.cmsg_len = CMSG_LEN(1)}};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control.room)};
	ssize_t sent;

	*CMSG_DATA(&control.header) = (uint8_t)type;
	do
		sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

bool ktls_has_room(int fd)
{
	struct pollfd asked = {.fd = fd, .events = POLLOUT};

	return poll(&asked, 1, 0) == 1;
}
