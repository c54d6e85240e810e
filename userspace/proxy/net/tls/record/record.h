/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TLS records after the handshake: protection of what goes out, and the opening of what comes in,
 * by TLS 1.3 (RFC 8446 section 5) and 1.2 (RFC 5246 section 6, with the AEADs of RFC 5288 and
 * 7905).
 *
 * A connection is two keys and two counters, 240 bytes in all. What a cipher needs beyond that, key
 * schedules and tables, is made when it is used, in a context that every connection of the thread
 * shares: setting a key costs less than the cache lines of one kept for an hour. Invariant: a
 * sequence number is never used twice with the same key.
 *
 * Left out: the handshake, which is OpenSSL's, and what the records carry.
 */
#ifndef PROXY_NET_TLS_RECORD_RECORD_H
#define PROXY_NET_TLS_RECORD_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum record_cipher {
	RECORD_AES_128_GCM,
	RECORD_AES_256_GCM,
	RECORD_CHACHA20_POLY1305,
	RECORD_CIPHERS,
};

enum record_type {
	RECORD_CHANGE_CIPHER_SPEC = 20,
	RECORD_ALERT = 21,
	RECORD_HANDSHAKE = 22,
	RECORD_DATA = 23,
};

enum {
	RECORD_HEADER = 5,
	RECORD_PLAIN_MAX = 16384,
	RECORD_OVERHEAD_MAX = 5 + 8 + 16, /* added to what is sent, of any version and cipher */
	RECORD_WIRE_MAX = RECORD_HEADER + RECORD_PLAIN_MAX + 256,
	RECORD_KEY_SIZE = 32,
	RECORD_NONCE_SIZE = 12,
	RECORD_SECRET_SIZE = 48,
};

/* One direction. */
struct record_key {
	uint64_t sequence; /* of the next record */
	uint8_t key[RECORD_KEY_SIZE];
	uint8_t nonce[RECORD_NONCE_SIZE];   /* its fixed part */
	uint8_t secret[RECORD_SECRET_SIZE]; /* TLS 1.3: what the next key is derived from */
};

struct records {
	struct record_key in, out;
	uint8_t cipher; /* enum record_cipher */
	bool is_13;     /* else 1.2 */
};

/* Contexts of one thread. */
struct record_engine;

struct record_engine *record_engine_create(void);      /* NULL: no memory */
void record_engine_free(struct record_engine *engine); /* NULL is allowed */

/* TLS 1.3: keys of both application traffic secrets, @size bytes each. False: no memory. */
bool records_begin_13(struct record_engine *engine, struct records *records,
		      enum record_cipher cipher, const uint8_t *in_secret,
		      const uint8_t *out_secret, size_t size);
/* TLS 1.2: keys of the master secret, for the client's side or the server's; both Finished have
 * been sent. */
bool records_begin_12(struct records *records, enum record_cipher cipher, bool client,
		      const uint8_t *master, size_t size, const uint8_t client_random[32],
		      const uint8_t server_random[32]);

/* Whether each record bears a part of its nonce: the number that it has. */
bool records_have_explicit_nonce(const struct records *records);

/*
 * Seals @parts, at most RECORD_PLAIN_MAX bytes together, in one record of @type at @out, which has
 * room for RECORD_OVERHEAD_MAX more. Returns its size; 0: no memory.
 */
size_t record_seal(struct record_engine *engine, struct records *records, enum record_type type,
		   const struct iovec *parts, int count, uint8_t *out);

/* Bytes of the record that begins at @data: RECORD_HEADER of them must be there. 0: too long. */
size_t record_size(const uint8_t *data);

/* What was in a record. */
struct record_content {
	uint8_t *data;
	size_t length; /* not judged: padding may have hidden that it is too long, or nothing */
	uint8_t type;  /* enum record_type, or what else the peer wrote there; 0: nothing but zeros
			*/
};

/*
 * Opens a whole record of @size bytes in its place. False: not authentic, its header included. What
 * stands at @record then is not to be looked at.
 */
bool record_open(struct record_engine *engine, struct records *records, uint8_t *record,
		 size_t size, struct record_content *content);

/* TLS 1.3: on to the next key (RFC 8446 section 7.2). False: no memory. */
bool record_update_key(struct record_engine *engine, const struct records *records,
		       struct record_key *key);

#endif
