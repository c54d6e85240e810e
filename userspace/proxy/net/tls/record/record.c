// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/net/tls/record/record.h"
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

enum { TAG_SIZE = 16, EXPLICIT_SIZE = 8, SALT_SIZE = 4, RANDOM_SIZE = 32, BLOCK_MAX = 88 };

static const struct {
	const char *name, *digest;
	uint8_t key_size, secret_size;
} ciphers[RECORD_CIPHERS] = {
	[RECORD_AES_128_GCM] = {"AES-128-GCM", "SHA2-256", 16, 32},
	[RECORD_AES_256_GCM] = {"AES-256-GCM", "SHA2-384", 32, 48},
	[RECORD_CHACHA20_POLY1305] = {"ChaCha20-Poly1305", "SHA2-256", 32, 32},
};

/* A cipher's context, and the key that is in it. */
struct context {
	EVP_CIPHER_CTX *evp;
	uint8_t key[RECORD_KEY_SIZE];
	bool keyed;
};

struct record_engine {
	struct context seal[RECORD_CIPHERS], open[RECORD_CIPHERS];
	EVP_KDF_CTX *expand[RECORD_CIPHERS]; /* HKDF-Expand-Label with the cipher's digest */
};

/* --- contexts ----------------------------------------------------------------------------------
 */

static OSSL_PARAM octets(const char *name, const void *data, size_t size)
{
	return OSSL_PARAM_construct_octet_string(name, (void *)data, size);
}

static OSSL_PARAM text(const char *name, const char *value)
{
	return OSSL_PARAM_construct_utf8_string(name, (char *)value, 0);
}

static bool context_init(struct context *context, const EVP_CIPHER *cipher, bool seal)
{
	context->evp = EVP_CIPHER_CTX_new();
	return context->evp &&
	       EVP_CipherInit_ex2(context->evp, cipher, NULL, NULL, seal, NULL) == 1;
}

/* What is the same in every derivation is said once: to look a digest up by its name takes longer
 * than to use it. NULL: no memory. */
static EVP_KDF_CTX *make_expand(EVP_KDF *kdf, const char *digest)
{
	EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		text(OSSL_KDF_PARAM_DIGEST, digest),
		octets(OSSL_KDF_PARAM_PREFIX, "tls13 ", 6),
		OSSL_PARAM_construct_end(),
	};

	if (context && EVP_KDF_CTX_set_params(context, params) == 1)
		return context;
	EVP_KDF_CTX_free(context);
	return NULL;
}

struct record_engine *record_engine_create(void)
{
	struct record_engine *engine = calloc(1, sizeof(*engine));

	for (int i = 0; engine && i < RECORD_CIPHERS; i++) {
		EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, ciphers[i].name, NULL);
		EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, NULL);
		bool ready = cipher && kdf && context_init(&engine->seal[i], cipher, true) &&
			     context_init(&engine->open[i], cipher, false) &&
			     (engine->expand[i] = make_expand(kdf, ciphers[i].digest));

		EVP_CIPHER_free(cipher);
		EVP_KDF_free(kdf);
		if (!ready) {
			record_engine_free(engine);
			return NULL;
		}
	}
	return engine;
}

void record_engine_free(struct record_engine *engine)
{
	if (!engine)
		return;
	for (int i = 0; i < RECORD_CIPHERS; i++) {
		EVP_CIPHER_CTX_free(engine->seal[i].evp);
		EVP_CIPHER_CTX_free(engine->open[i].evp);
		EVP_KDF_CTX_free(engine->expand[i]);
	}
	OPENSSL_cleanse(engine, sizeof(*engine));
	free(engine);
}

/* --- keys --------------------------------------------------------------------------------------
 */

static bool derive(const char *function, const OSSL_PARAM *params, uint8_t *out, size_t size)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, function, NULL);
	EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	bool done = context && EVP_KDF_derive(context, out, size, params) == 1;

	EVP_KDF_CTX_free(context);
	EVP_KDF_free(kdf);
	return done;
}

/* HKDF-Expand-Label with an empty context (RFC 8446 section 7.1). */
static bool expand(struct record_engine *engine, const struct records *records,
		   const uint8_t *secret, const char *label, uint8_t *out, size_t size)
{
	const OSSL_PARAM params[] = {
		octets(OSSL_KDF_PARAM_KEY, secret, ciphers[records->cipher].secret_size),
		octets(OSSL_KDF_PARAM_LABEL, label, strlen(label)),
		OSSL_PARAM_construct_end(),
	};

	return EVP_KDF_derive(engine->expand[records->cipher], out, size, params) == 1;
}

/* What follows from key->secret. */
static bool set_key(struct record_engine *engine, const struct records *records,
		    struct record_key *key)
{
	size_t size = ciphers[records->cipher].key_size;

	key->sequence = 0;
	return expand(engine, records, key->secret, "key", key->key, size) &&
	       expand(engine, records, key->secret, "iv", key->nonce, RECORD_NONCE_SIZE);
}

bool records_begin_13(struct record_engine *engine, struct records *records,
		      enum record_cipher cipher, const uint8_t *in_secret,
		      const uint8_t *out_secret, size_t size)
{
	*records = (struct records){.cipher = (uint8_t)cipher, .is_13 = true};
	if (size != ciphers[cipher].secret_size)
		return false;
	memcpy(records->in.secret, in_secret, size);
	memcpy(records->out.secret, out_secret, size);
	return set_key(engine, records, &records->in) && set_key(engine, records, &records->out);
}

bool record_update_key(struct record_engine *engine, const struct records *records,
		       struct record_key *key)
{
	uint8_t next[RECORD_SECRET_SIZE];
	size_t size = ciphers[records->cipher].secret_size;

	if (!expand(engine, records, key->secret, "traffic upd", next, size))
		return false;
	memcpy(key->secret, next, size);
	OPENSSL_cleanse(next, sizeof(next));
	return set_key(engine, records, key);
}

/* Of the nonce, what the key block gives. */
static size_t fixed_size(enum record_cipher cipher)
{
	return cipher == RECORD_CHACHA20_POLY1305 ? RECORD_NONCE_SIZE : SALT_SIZE;
}

bool records_begin_12(struct records *records, enum record_cipher cipher, bool client,
		      const uint8_t *master, size_t size, const uint8_t client_random[RANDOM_SIZE],
		      const uint8_t server_random[RANDOM_SIZE])
{
	struct record_key *of_client = client ? &records->out : &records->in;
	struct record_key *of_server = client ? &records->in : &records->out;
	size_t key = ciphers[cipher].key_size, fixed = fixed_size(cipher);
	const OSSL_PARAM params[] = {
		text(OSSL_KDF_PARAM_DIGEST, ciphers[cipher].digest),
		octets(OSSL_KDF_PARAM_SECRET, master, size),
		octets(OSSL_KDF_PARAM_SEED, "key expansion", 13),
		octets(OSSL_KDF_PARAM_SEED, server_random, RANDOM_SIZE),
		octets(OSSL_KDF_PARAM_SEED, client_random, RANDOM_SIZE),
		OSSL_PARAM_construct_end(),
	};
	uint8_t block[BLOCK_MAX], *at = block;
	bool done = derive("TLS1-PRF", params, block, 2 * (key + fixed));

	*records = (struct records){.cipher = (uint8_t)cipher};
	/* The client's come first (RFC 5246 section 6.3). */
	memcpy(of_client->key, at, key);
	memcpy(of_server->key, at += key, key);
	memcpy(of_client->nonce, at += key, fixed);
	memcpy(of_server->nonce, at += fixed, fixed);
	records->in.sequence = records->out.sequence = 1; /* each Finished was the first */
	OPENSSL_cleanse(block, sizeof(block));
	return done;
}

/* --- records -----------------------------------------------------------------------------------
 */

static void put_number(uint8_t *out, uint64_t value, int size)
{
	while (size--) {
		out[size] = (uint8_t)value;
		value >>= 8;
	}
}

bool records_have_explicit_nonce(const struct records *records)
{
	return !records->is_13 && records->cipher != RECORD_CHACHA20_POLY1305;
}

/* What authenticates the header of a record. */
struct frame {
	uint8_t nonce[RECORD_NONCE_SIZE];
	uint8_t data[13];
	int length; /* of data */
};

/* @explicit: the record's own part of the nonce, NULL where it has none. @length: of the content,
 * in TLS 1.3 of the whole. */
static struct frame frame_of(const struct records *records, const struct record_key *key,
			     const uint8_t *record, const uint8_t *explicit, size_t length)
{
	struct frame frame;
	uint8_t *header = frame.data;

	memcpy(frame.nonce, key->nonce, RECORD_NONCE_SIZE);
	if (explicit)
		memcpy(frame.nonce + SALT_SIZE, explicit, EXPLICIT_SIZE);
	else
		for (int i = 0; i < 8; i++)
			frame.nonce[RECORD_NONCE_SIZE - 1 - i] ^= (uint8_t)(key->sequence >> 8 * i);
	if (!records->is_13) {
		put_number(header, key->sequence, 8);
		header += 8;
	}
	memcpy(header, record, 3); /* type and version */
	put_number(header + 3, length, 2);
	frame.length = (int)(header + RECORD_HEADER - frame.data);
	return frame;
}

/* The context, ready for one record. NULL: no memory. */
static EVP_CIPHER_CTX *prepare(struct context *context, const struct record_key *key,
			       const struct frame *frame)
{
	/* The key in it is another connection's: how much of it is the same must not show. */
	bool same =
		context->keyed && CRYPTO_memcmp(context->key, key->key, sizeof(context->key)) == 0;
	bool ready = EVP_CipherInit_ex2(context->evp, NULL, same ? NULL : key->key, frame->nonce,
					-1, NULL) == 1;
	int unused;

	context->keyed = ready;
	memcpy(context->key, key->key, sizeof(context->key));
	ready = ready &&
		EVP_CipherUpdate(context->evp, NULL, &unused, frame->data, frame->length) == 1;
	return ready ? context->evp : NULL;
}

size_t record_seal(struct record_engine *engine, struct records *records, enum record_type type,
		   const struct iovec *parts, int count, uint8_t *out)
{
	bool is_explicit = records_have_explicit_nonce(records);
	uint8_t *at = out + RECORD_HEADER, inner = (uint8_t)type;
	size_t length = 0, rest;
	struct frame frame;
	EVP_CIPHER_CTX *evp;
	bool good = true;
	int done;

	for (int i = 0; i < count; i++)
		length += parts[i].iov_len;
	rest = length + TAG_SIZE + (records->is_13 ? 1 : 0) + (is_explicit ? EXPLICIT_SIZE : 0);
	out[0] = records->is_13 ? RECORD_DATA : (uint8_t)type;
	put_number(out + 1, 0x0303, 2);
	put_number(out + 3, rest, 2);
	if (is_explicit) {
		/* The counter itself. The library's one record, Finished, has 64 random bits there:
		 * that they are met within 2^32 records (64 TiB) is less likely than 2^-32, which
		 * is what NIST SP 800-38D section 8 demands. */
		put_number(at, records->out.sequence, EXPLICIT_SIZE);
		at += EXPLICIT_SIZE;
	}
	frame = frame_of(records, &records->out, out, is_explicit ? at - EXPLICIT_SIZE : NULL,
			 records->is_13 ? rest : length);
	evp = prepare(&engine->seal[records->cipher], &records->out, &frame);
	for (int i = 0; evp && good && i < count; i++) {
		good = EVP_EncryptUpdate(evp, at, &done, parts[i].iov_base,
					 (int)parts[i].iov_len) == 1;
		at += parts[i].iov_len;
	}
	if (evp && good && records->is_13)
		good = EVP_EncryptUpdate(evp, at++, &done, &inner, 1) == 1;
	if (!evp || !good || EVP_EncryptFinal_ex(evp, at, &done) != 1 ||
	    EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, at) != 1)
		return 0;
	records->out.sequence++;
	return RECORD_HEADER + rest;
}

size_t record_size(const uint8_t *data)
{
	size_t size = RECORD_HEADER + ((size_t)data[3] << 8 | data[4]);

	return size <= RECORD_WIRE_MAX ? size : 0;
}

/* TLS 1.3 hides the type behind the content, and padding behind the type. */
static void find_type(struct record_content *content)
{
	while (content->length && content->data[content->length - 1] == 0)
		content->length--;
	content->type = content->length ? content->data[--content->length] : 0;
}

bool record_open(struct record_engine *engine, struct records *records, uint8_t *record,
		 size_t size, struct record_content *content)
{
	bool is_explicit = records_have_explicit_nonce(records);
	size_t before = RECORD_HEADER + (is_explicit ? EXPLICIT_SIZE : 0);
	uint8_t *data = record + before, tail[TAG_SIZE];
	struct frame frame;
	EVP_CIPHER_CTX *evp;
	size_t length;
	int done;

	if (size < before + TAG_SIZE)
		return false;
	length = size - before - TAG_SIZE;
	frame = frame_of(records, &records->in, record, is_explicit ? record + RECORD_HEADER : NULL,
			 records->is_13 ? length + TAG_SIZE : length);
	evp = prepare(&engine->open[records->cipher], &records->in, &frame);
	if (!evp || EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, data + length) != 1 ||
	    EVP_DecryptUpdate(evp, data, &done, data, (int)length) != 1 ||
	    EVP_DecryptFinal_ex(evp, tail, &done) != 1)
		return false;
	records->in.sequence++;
	*content = (struct record_content){data, length, record[0]};
	if (records->is_13)
		find_type(content);
	return true;
}
