/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records: the traces of RFC 8448 byte by byte, both ends of a connection facing each other, and
 * everything that is not authentic.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "proxy/net/tls/record/record.h"

/* RFC 8448 section 3: "Simple 1-RTT Handshake". */
static const char client_secret[] =
	"9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
static const char server_secret[] =
	"a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";
/* The client's application data, of the octets 0 to 49. */
static const char client_record[] =
	"1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20"
	"441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4";

static size_t unhex(const char *hex, uint8_t *out)
{
	size_t size = strlen(hex) / 2;

	for (size_t i = 0; i < size; i++) {
		char two[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

		out[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	return size;
}

static void test_the_trace_of_rfc_8448(void **state)
{
	struct record_engine *engine = record_engine_create();
	uint8_t in[32], out[32], wire[128], expected[50];
	struct record_content content;
	struct records server;
	size_t size = unhex(client_record, wire);

	(void)state;
	unhex(client_secret, in);
	unhex(server_secret, out);
	for (size_t i = 0; i < sizeof(expected); i++)
		expected[i] = (uint8_t)i;
	assert_true(records_begin_13(engine, &server, RECORD_AES_128_GCM, in, out, 32));
	assert_int_equal(record_size(wire), size);
	assert_true(record_open(engine, &server, wire, size, &content));
	assert_int_equal(content.type, RECORD_DATA);
	assert_int_equal(content.length, sizeof(expected));
	assert_memory_equal(content.data, expected, sizeof(expected));
	record_engine_free(engine);
}

/* --- both ends ------------------------------------------------------------------------------- */

struct ends {
	struct record_engine *engine;
	struct records server, client;
};

static void turn_around(struct ends *ends)
{
	ends->client = ends->server;
	ends->client.in = ends->server.out;
	ends->client.out = ends->server.in;
}

static struct ends ends_of(enum record_cipher cipher, bool is_13)
{
	struct ends ends = {.engine = record_engine_create()};
	uint8_t secret[2][48], random[2][32];

	memset(secret[0], 1, sizeof(secret[0]));
	memset(secret[1], 2, sizeof(secret[1]));
	memset(random, 3, sizeof(random));
	if (is_13)
		assert_true(records_begin_13(ends.engine, &ends.server, cipher, secret[0],
					     secret[1], cipher == RECORD_AES_256_GCM ? 48 : 32));
	else
		assert_true(records_begin_12(&ends.server, cipher, false, secret[0], 48, random[0],
					     random[1]));
	turn_around(&ends);
	return ends;
}

/* Calls @story for every version and cipher. */
static void for_all(void (*story)(struct ends *ends))
{
	for (int is_13 = 0; is_13 < 2; is_13++) {
		for (int cipher = 0; cipher < RECORD_CIPHERS; cipher++) {
			struct ends ends = ends_of((enum record_cipher)cipher, is_13);

			story(&ends);
			record_engine_free(ends.engine);
		}
	}
}

static void story_there_and_back(struct ends *ends)
{
	static uint8_t plain[RECORD_PLAIN_MAX], wire[RECORD_PLAIN_MAX + RECORD_OVERHEAD_MAX];
	static const size_t sizes[] = {0, 1, 15, 16, 17, 1000, RECORD_PLAIN_MAX};
	struct record_content content;

	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		/* In three parts, one of them empty. */
		const struct iovec parts[] = {
			{plain, sizes[i] / 3},
			{plain + 5, 0},
			{plain + sizes[i] / 3, sizes[i] - sizes[i] / 3},
		};
		size_t size = record_seal(ends->engine, &ends->server, RECORD_DATA, parts, 3, wire);

		assert_true(size > sizes[i] && size <= sizes[i] + RECORD_OVERHEAD_MAX);
		assert_int_equal(record_size(wire), size);
		assert_true(record_open(ends->engine, &ends->client, wire, size, &content));
		assert_int_equal(content.type, RECORD_DATA);
		assert_int_equal(content.length, sizes[i]);
		assert_memory_equal(content.data, plain, sizes[i]);
	}
	assert_int_equal(ends->server.out.sequence, ends->client.in.sequence);
}

static void test_there_and_back(void **state)
{
	(void)state;
	for_all(story_there_and_back);
}

static void story_forged(struct ends *ends)
{
	uint8_t wire[64], copy[64];
	const struct iovec part = {"hello", 5};
	struct record_content content;
	size_t size = record_seal(ends->engine, &ends->server, RECORD_DATA, &part, 1, wire);
	uint64_t before = ends->client.in.sequence;

	for (size_t bit = 0; bit < size * 8; bit++) {
		memcpy(copy, wire, size);
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (bit / 8 == 3 || bit / 8 == 4)
			continue; /* another length is another record */
		assert_false(record_open(ends->engine, &ends->client, copy, size, &content));
	}
	for (size_t shorter = 0; shorter < size; shorter++) {
		memcpy(copy, wire, size);
		assert_false(record_open(ends->engine, &ends->client, copy, shorter, &content));
	}
	assert_int_equal(ends->client.in.sequence, before);
	assert_true(record_open(ends->engine, &ends->client, wire, size, &content));
}

static void test_what_was_changed_does_not_open(void **state)
{
	(void)state;
	for_all(story_forged);
}

static void story_replayed(struct ends *ends)
{
	uint8_t first[64], second[64], copy[64];
	const struct iovec part = {"hello", 5};
	struct record_content content;
	size_t size = record_seal(ends->engine, &ends->server, RECORD_DATA, &part, 1, first);

	record_seal(ends->engine, &ends->server, RECORD_DATA, &part, 1, second);
	assert_memory_not_equal(first, second, size);
	memcpy(copy, second, size);
	assert_false(record_open(ends->engine, &ends->client, copy, size, &content));
	memcpy(copy, first, size);
	assert_true(record_open(ends->engine, &ends->client, copy, size, &content));
	memcpy(copy, first, size);
	assert_false(record_open(ends->engine, &ends->client, copy, size, &content));
	assert_true(record_open(ends->engine, &ends->client, second, size, &content));
}

static void test_a_record_opens_once_and_in_its_turn(void **state)
{
	(void)state;
	for_all(story_replayed);
}

static void test_keys_move_on_together(void **state)
{
	(void)state;
	for (int cipher = 0; cipher < RECORD_CIPHERS; cipher++) {
		struct ends ends = ends_of((enum record_cipher)cipher, true);
		const struct iovec part = {"hello", 5};
		struct record_key old = ends.server.out;
		struct record_content content;
		uint8_t wire[64], copy[64];
		size_t size;

		for (int turn = 0; turn < 3; turn++) {
			assert_true(record_update_key(ends.engine, &ends.server, &ends.server.out));
			assert_int_equal(ends.server.out.sequence, 0);
			assert_memory_not_equal(ends.server.out.key, old.key, 16);
			assert_memory_not_equal(ends.server.out.nonce, old.nonce, 12);
			size = record_seal(ends.engine, &ends.server, RECORD_DATA, &part, 1, wire);
			memcpy(copy, wire, size);
			assert_false(record_open(ends.engine, &ends.client, copy, size, &content));
			assert_true(record_update_key(ends.engine, &ends.client, &ends.client.in));
			assert_true(record_open(ends.engine, &ends.client, wire, size, &content));
		}
		record_engine_free(ends.engine);
	}
}

static void test_padding_hides_type_and_content(void **state)
{
	struct ends ends = ends_of(RECORD_AES_128_GCM, true);
	static uint8_t zeros[100], wire[200];
	const struct iovec nothing = {zeros, 100};
	struct record_content content;
	size_t size;

	(void)state;
	/* The type stands before the zeros, and content before the type (RFC 8446 section 5.4). */
	zeros[0] = 'x';
	zeros[1] = 0;
	zeros[2] = RECORD_DATA;
	size = record_seal(ends.engine, &ends.server, (enum record_type)0, &nothing, 1, wire);
	assert_true(record_open(ends.engine, &ends.client, wire, size, &content));
	assert_int_equal(content.type, RECORD_DATA);
	assert_int_equal(content.length, 2);
	/* Nothing but zeros has none. */
	memset(zeros, 0, sizeof(zeros));
	size = record_seal(ends.engine, &ends.server, (enum record_type)0, &nothing, 1, wire);
	assert_true(record_open(ends.engine, &ends.client, wire, size, &content));
	assert_int_equal(content.type, 0);
	assert_int_equal(content.length, 0);
	record_engine_free(ends.engine);
}

static void test_sizes_have_a_limit(void **state)
{
	uint8_t header[] = {23, 3, 3, 0x41, 0x00};

	(void)state;
	assert_int_equal(record_size(header), RECORD_WIRE_MAX);
	header[4] = 1;
	assert_int_equal(record_size(header), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_trace_of_rfc_8448),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_what_was_changed_does_not_open),
		cmocka_unit_test(test_a_record_opens_once_and_in_its_turn),
		cmocka_unit_test(test_keys_move_on_together),
		cmocka_unit_test(test_padding_hides_type_and_content),
		cmocka_unit_test(test_sizes_have_a_limit),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
