/* SPDX-License-Identifier: BSD-2-Clause */
/* ClientHellos, whole, cut anywhere, in many records, and such as nobody should send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "floodwall.h"
#include "proxy/net/tls/hello.h"

static uint8_t scratch[HELLO_MESSAGE_MAX];

struct text {
	uint8_t data[HELLO_MESSAGE_MAX + 1024];
	size_t size;
};

static void put(struct text *text, const void *data, size_t size)
{
	memcpy(text->data + text->size, data, size);
	text->size += size;
}

static void put_number(struct text *text, size_t value, int size)
{
	while (size--)
		text->data[text->size++] = (uint8_t)(value >> 8 * size);
}

/* A handshake message of @type that asks for @name (NULL: none), with @padding bytes of an unknown
 * extension. */
static struct text message_of(int type, const char *name, size_t padding)
{
	struct text body = {0}, extensions = {0}, whole = {0};
	static const uint8_t random[32] = {1, 2, 3};

	if (name) {
		size_t length = strlen(name);

		put_number(&extensions, 0, 2);
		put_number(&extensions, length + 5, 2);
		put_number(&extensions, length + 3, 2);
		put_number(&extensions, 0, 1);
		put_number(&extensions, length, 2);
		put(&extensions, name, length);
	}
	put_number(&extensions, 21, 2);
	put_number(&extensions, padding, 2);
	extensions.size += padding;

	put_number(&body, 0x0303, 2);
	put(&body, random, sizeof(random));
	put_number(&body, 0, 1);
	put_number(&body, 2, 2);
	put_number(&body, 0x1301, 2);
	put_number(&body, 1, 1);
	put_number(&body, 0, 1);
	put_number(&body, extensions.size, 2);
	put(&body, extensions.data, extensions.size);

	put_number(&whole, (size_t)type, 1);
	put_number(&whole, body.size, 3);
	put(&whole, body.data, body.size);
	return whole;
}

/* The message in records of up to @each bytes. */
static struct text records_of(const struct text *message, size_t each)
{
	struct text records = {0};

	for (size_t at = 0; at < message->size; at += each) {
		size_t length = message->size - at < each ? message->size - at : each;

		put_number(&records, 22, 1);
		put_number(&records, 0x0301, 2);
		put_number(&records, length, 2);
		put(&records, message->data + at, length);
	}
	return records;
}

static struct text hello_for(const char *name)
{
	struct text message = message_of(1, name, 100);

	return records_of(&message, 16384);
}

static int parse(const struct text *text, struct hello *hello)
{
	return hello_parse(text->data, text->size, scratch, hello);
}

static void test_the_name_is_found(void **state)
{
	struct text text = hello_for("Www.Example.ORG");
	struct hello hello;

	(void)state;
	assert_int_equal(parse(&text, &hello), text.size);
	assert_string_equal(hello.name, "www.example.org");
	text = hello_for(NULL);
	assert_int_equal(parse(&text, &hello), text.size);
	assert_string_equal(hello.name, "");
}

static void test_what_follows_is_left_alone(void **state)
{
	struct text text = hello_for("a.test");
	size_t whole = text.size;
	struct hello hello;

	(void)state;
	put(&text, "\x14\x03\x03\x00\x01\x01", 6);
	assert_int_equal(parse(&text, &hello), whole);
}

static void test_every_beginning_is_partial(void **state)
{
	struct text message = message_of(1, "a.test", 10), text;
	struct hello hello;

	(void)state;
	for (size_t each = 1; each < 400; each += 7) {
		text = records_of(&message, each);
		for (size_t size = 0; size < text.size; size++)
			assert_int_equal(hello_parse(text.data, size, scratch, &hello), 0);
		assert_int_equal(parse(&text, &hello), text.size);
		assert_string_equal(hello.name, "a.test");
	}
}

static void test_what_is_not_tls_is_told_at_the_first_byte(void **state)
{
	static const char *const others[] = {"GET / HTTP/1.1\r\n", "SSH-2.0-x\r\n", "\x80\x2e\x01",
					     "\x15\x03\x01", "\x16\x02"};
	struct hello hello;

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(
			hello_parse((const uint8_t *)others[i], strlen(others[i]), scratch, &hello),
			-FW_NOT_TLS);
}

static void test_other_messages_are_refused(void **state)
{
	struct text message = message_of(2, "a.test", 10), text = records_of(&message, 16384);
	struct hello hello;

	(void)state;
	assert_int_equal(parse(&text, &hello), -FW_BAD_HANDSHAKE);
}

static void test_lengths_that_contradict_each_other(void **state)
{
	struct text text, good = hello_for("a.test");
	struct hello hello;

	(void)state;
	/* Whatever byte of a length is changed: never a whole message with another meaning. */
	for (size_t at = 0; at < good.size; at++) {
		for (int bit = 0; bit < 8; bit++) {
			int result;

			text = good;
			text.data[at] ^= (uint8_t)(1 << bit);
			result = parse(&text, &hello);
			assert_true(result <= (int)good.size);
			if (result > 0)
				assert_int_equal(result, good.size);
		}
	}
	text = good;
	text.data[8]--; /* the message is shorter than its record */
	assert_int_equal(parse(&text, &hello), -FW_BAD_HANDSHAKE);
	text = good;
	text.data[3] = text.data[4] = 0; /* an empty record */
	assert_int_equal(parse(&text, &hello), -FW_BAD_HANDSHAKE);
}

static void test_too_long_is_refused_as_soon_as_it_is_announced(void **state)
{
	static const uint8_t start[] = {22, 3, 1, 0, 4, 1, 1, 0, 0};
	struct hello hello;

	(void)state;
	assert_int_equal(hello_parse(start, sizeof(start), scratch, &hello), -FW_BAD_HANDSHAKE);
}

static void test_names_that_are_none(void **state)
{
	static const char *const names[] = {"a b", "a\x01", "\xc3\xa4.test", ""};
	struct hello hello;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct text text = hello_for(names[i]);

		assert_int_equal(parse(&text, &hello), -FW_BAD_HANDSHAKE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_name_is_found),
		cmocka_unit_test(test_what_follows_is_left_alone),
		cmocka_unit_test(test_every_beginning_is_partial),
		cmocka_unit_test(test_what_is_not_tls_is_told_at_the_first_byte),
		cmocka_unit_test(test_other_messages_are_refused),
		cmocka_unit_test(test_lengths_that_contradict_each_other),
		cmocka_unit_test(test_too_long_is_refused_as_soon_as_it_is_announced),
		cmocka_unit_test(test_names_that_are_none),
	};

	return cmocka_run_group_tests_name("hello", tests, NULL, NULL);
}
