/* SPDX-License-Identifier: BSD-2-Clause */
/* PROXY headers: the specification's examples, every beginning of them, and what is no header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "contract/address.h"
#include "proxy/net/proxy_header.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define TCP4      "\xc0\xa8\0\x01\xc0\xa8\0\x0b\xdc\x04\x01\xbb" /* as in the first example */
#define TCP6                                                                                       \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2"         \
	"\xff\xff\0\x50"

struct bytes {
	uint8_t data[70000];
	size_t size;
};

static struct bytes made;

#define HEADER(text) make(text, sizeof(text) - 1)

static const struct bytes *make(const char *text, size_t size)
{
	memcpy(made.data, text, size);
	made.size = size;
	return &made;
}

/* From memory of that very size, so that a sanitizer sees a read beyond it. */
static int parse(const uint8_t *data, size_t size, struct proxy_header *header)
{
	uint8_t *copy = malloc(size ? size : 1);
	int result;

	memcpy(copy, data, size);
	result = proxy_header_parse(copy, size, header);
	free(copy);
	return result;
}

static void assert_endpoint(const struct fw_addr *addr, uint16_t port, const char *text,
			    uint16_t expected)
{
	char buffer[ADDRESS_TEXT_SIZE];

	assert_string_equal(address_format(addr, buffer), text);
	assert_int_equal(port, expected);
}

/* Whole, and nothing of what may follow is taken; every beginning is only a beginning. */
static struct proxy_header assert_whole(const struct bytes *bytes)
{
	static struct bytes longer;
	struct proxy_header header, again;

	for (size_t size = 0; size < bytes->size; size++)
		assert_int_equal(parse(bytes->data, size, &header), 0);
	assert_int_equal(parse(bytes->data, bytes->size, &header), bytes->size);
	longer = *bytes;
	memcpy(longer.data + longer.size, "GET / HTTP/1.1\r\n", 16);
	assert_int_equal(parse(longer.data, longer.size + 16, &again), bytes->size);
	assert_memory_equal(&header, &again, sizeof(header));
	return header;
}

static void assert_refused(const struct bytes *bytes)
{
	struct proxy_header header;

	assert_int_equal(parse(bytes->data, bytes->size, &header), -FW_BAD_PROXY_HEADER);
}

static void test_a_line(void **state)
{
	struct proxy_header header =
		assert_whole(HEADER("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"));

	(void)state;
	assert_false(header.local);
	assert_endpoint(&header.source, header.source_port, "192.168.0.1", 56324);
	assert_endpoint(&header.destination, header.destination_port, "192.168.0.11", 443);

	header = assert_whole(HEADER("PROXY TCP6 2001:DB8::1 ::ffff:192.0.2.7 0 65535\r\n"));
	assert_endpoint(&header.source, header.source_port, "2001:db8::1", 0);
	assert_endpoint(&header.destination, header.destination_port, "192.0.2.7", 65535);
}

static void test_the_longest_lines(void **state)
{
	struct proxy_header header =
		assert_whole(HEADER("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"));

	(void)state;
	assert_int_equal(made.size, 56);
	assert_endpoint(&header.source, header.source_port, "255.255.255.255", 65535);
	header = assert_whole(HEADER("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
				     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"));
	assert_int_equal(made.size, 104);
	assert_false(header.local);
	header = assert_whole(HEADER("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
				     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"));
	assert_int_equal(made.size, PROXY_HEADER_V1_MAX);
	assert_true(header.local);
}

static void test_a_line_that_does_not_say(void **state)
{
	(void)state;
	assert_true(assert_whole(HEADER("PROXY UNKNOWN\r\n")).local);
	assert_true(assert_whole(HEADER("PROXY UNKNOWN \x01 \r whatever\r\n")).local);
}

static void test_lines_that_are_none(void **state)
{
	static const char *const lines[] = {
		"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\n",
		"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 \r\n",
		"PROXY TCP4 192.168.0.1 192.168.0.11 56324\r\n",
		"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 1\r\n",
		"PROXY TCP4  192.168.0.1 192.168.0.11 56324 443\r\n",
		"PROXY TCP4\t192.168.0.1 192.168.0.11 56324 443\r\n",
		"PROXY TCP4 192.168.0.01 192.168.0.11 56324 443\r\n",
		"PROXY TCP4 192.168.0 192.168.0.11 56324 443\r\n",
		"PROXY TCP4 256.168.0.1 192.168.0.11 56324 443\r\n",
		"PROXY TCP4 2001:db8::1 2001:db8::2 56324 443\r\n",
		"PROXY TCP6 192.168.0.1 192.168.0.11 56324 443\r\n",
		"PROXY TCP6 1::2::3 ::1 56324 443\r\n",
		"PROXY TCP6 fe80::1%eth0 ::1 56324 443\r\n",
		"PROXY TCP4 192.168.0.1 192.168.0.11 056324 443\r\n",
		"PROXY TCP4 192.168.0.1 192.168.0.11 65536 443\r\n",
		"PROXY TCP4 192.168.0.1 192.168.0.11 99999999999 443\r\n",
		"PROXY TCP4 192.168.0.1 192.168.0.11 +1 443\r\n",
		"PROXY TCP4 192.168.0.1 192.168.0.11 56324 -1\r\n",
		"PROXY TCP4 192.168.0.1 192.168.0.11 56324 0x1\r\n",
		"PROXY TCP4 192.168.0.1 192.168.0.11  443\r\n",
		"PROXY tcp4 192.168.0.1 192.168.0.11 56324 443\r\n",
		"PROXY UDP4 192.168.0.1 192.168.0.11 56324 443\r\n",
		"PROXY UNKNOWNS\r\n",
		"PROXY \r\n",
		"PROXY TCP4\r\n",
		"PROXY TCP4 192.168.0.1\r\n",
		"proxy TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
		"PROXYTCP4",
		"GET / HTTP/1.1\r\n",
		"\x16\x03\x01",
		"\r\nPROXY",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_refused(make(lines[i], strlen(lines[i])));
	/* An address that ends before its word does. */
	assert_refused(HEADER("PROXY TCP4 192.168.0.1\0.9 192.168.0.11 56324 443\r\n"));
	assert_refused(HEADER("PROXY TCP4 192.168.0.1 192.168.0.11 56324 44\0"
			      "3\r\n"));
}

static void test_a_line_must_end_in_time(void **state)
{
	struct proxy_header header;

	(void)state;
	memset(made.data, 'x', 200);
	memcpy(made.data, "PROXY UNKNOWN ", 14);
	assert_int_equal(parse(made.data, PROXY_HEADER_V1_MAX - 1, &header), 0);
	assert_int_equal(parse(made.data, PROXY_HEADER_V1_MAX, &header), -FW_BAD_PROXY_HEADER);
	memcpy(made.data + PROXY_HEADER_V1_MAX - 1, "\r\n", 2);
	assert_int_equal(parse(made.data, PROXY_HEADER_V1_MAX + 1, &header), -FW_BAD_PROXY_HEADER);
}

static void test_binary_addresses(void **state)
{
	struct proxy_header header = assert_whole(HEADER(SIGNATURE "\x21\x11\0\x0c" TCP4));

	(void)state;
	assert_false(header.local);
	assert_endpoint(&header.source, header.source_port, "192.168.0.1", 56324);
	assert_endpoint(&header.destination, header.destination_port, "192.168.0.11", 443);
	header = assert_whole(HEADER(SIGNATURE "\x21\x21\0\x24" TCP6));
	assert_endpoint(&header.source, header.source_port, "2001:db8::1", 65535);
	assert_endpoint(&header.destination, header.destination_port, "2001:db8::2", 80);
}

static void test_binary_without_addresses(void **state)
{
	(void)state;
	assert_true(assert_whole(HEADER(SIGNATURE "\x20\0\0\0")).local);
	assert_true(assert_whole(HEADER(SIGNATURE "\x21\0\0\0")).local);
	/* Whatever a health check brings along is ignored. */
	assert_true(assert_whole(HEADER(SIGNATURE "\x20\x11\0\x0c" TCP4)).local);
	assert_true(assert_whole(HEADER(SIGNATURE "\x20\xff\0\x03xyz")).local);
}

static void test_binary_that_is_none(void **state)
{
	(void)state;
	assert_refused(HEADER(SIGNATURE "\x11\x11\0\x0c" TCP4)); /* version 1 */
	assert_refused(HEADER(SIGNATURE "\x22"));                /* command 2, at once */
	assert_refused(HEADER(SIGNATURE "\x21\x12\0\x0c" TCP4)); /* UDP */
	assert_refused(HEADER(SIGNATURE "\x21\x22\0\x24" TCP6)); /* UDP */
	assert_refused(HEADER(SIGNATURE "\x21\x01\0\x0c" TCP4)); /* TCP over nothing */
	assert_refused(HEADER(SIGNATURE "\x21\x41\0\x0c" TCP4)); /* no family */
	assert_refused(HEADER(SIGNATURE "\x21\x11\0\x0b" TCP4)); /* too short */
	assert_refused(HEADER(SIGNATURE "\x21\x21\0\x0c" TCP4)); /* too short */
	assert_refused(HEADER("\r\n\r\n\0\r\nQUIT\r\x21\x11\0\x0c" TCP4));
	make(SIGNATURE "\x21\x31\0\xd8", 16); /* a Unix socket */
	memset(made.data + 16, 0, 216);
	made.size = 16 + 216;
	assert_refused(&made);
}

static void test_a_length_is_bounded(void **state)
{
	struct proxy_header header;
	size_t most = PROXY_HEADER_MAX - 16;

	(void)state;
	make(SIGNATURE "\x21\x11\0\0" TCP4, 28);
	memset(made.data + 28, 0, most);
	made.data[28] = 4; /* one attribute of padding */
	made.data[29] = (uint8_t)((most - 15) >> 8);
	made.data[30] = (uint8_t)(most - 15);
	made.data[14] = (uint8_t)(most >> 8);
	made.data[15] = (uint8_t)most;
	made.size = PROXY_HEADER_MAX;
	assert_false(assert_whole(&made).local);
	made.data[14] = (uint8_t)((most + 1) >> 8);
	made.data[15] = (uint8_t)(most + 1);
	assert_int_equal(parse(made.data, 16, &header), -FW_BAD_PROXY_HEADER);
}

static void test_attributes_are_skipped(void **state)
{
	struct proxy_header header =
		assert_whole(HEADER(SIGNATURE "\x21\x11\0\x1e" TCP4 "\x01\0\x02h2"
					      "\x05\0\x04\x01\x02\x03\x04"
					      "\xe0\0\x03xyz"));

	(void)state;
	assert_endpoint(&header.source, header.source_port, "192.168.0.1", 56324);
	assert_whole(HEADER(SIGNATURE "\x20\0\0\x03\x04\0\0"));
	/* One that is cut off, or longer than the header. */
	assert_refused(HEADER(SIGNATURE "\x21\x11\0\x0d" TCP4 "\x04"));
	assert_refused(HEADER(SIGNATURE "\x21\x11\0\x0e" TCP4 "\x04\0"));
	assert_refused(HEADER(SIGNATURE "\x21\x11\0\x0f" TCP4 "\x04\0\x01"));
	assert_refused(HEADER(SIGNATURE "\x21\x11\0\x10" TCP4 "\x04\xff\xff\0"));
}

/* Bit by bit, from the polynomial: not how the parser does it. */
static uint32_t crc32c(const uint8_t *data, size_t size)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < size; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void test_the_checksum_is_verified(void **state)
{
	uint32_t crc;

	(void)state;
	assert_int_equal(crc32c((const uint8_t *)"123456789", 9), 0xe3069283);
	HEADER(SIGNATURE "\x21\x11\0\x16" TCP4 "\x03\0\x04\0\0\0\0"
			 "\x04\0\0");
	crc = crc32c(made.data, made.size);
	for (int i = 0; i < 4; i++)
		made.data[31 + i] = (uint8_t)(crc >> (24 - 8 * i));
	assert_false(assert_whole(&made).local);
	/* Any bit that has changed on the way, the checksum's own included. */
	for (size_t at = 16; at < made.size; at++) {
		for (int bit = 0; bit < 8; bit++) {
			bool hides_it = at == 28; /* its type: it is then another attribute */

			made.data[at] ^= (uint8_t)(1 << bit);
			if (!hides_it)
				assert_refused(&made);
			made.data[at] ^= (uint8_t)(1 << bit);
		}
	}
	assert_refused(HEADER(SIGNATURE "\x21\x11\0\x11" TCP4 "\x03\0\x02\0\0"));
}

static void test_every_other_first_byte_is_refused_at_once(void **state)
{
	struct proxy_header header;

	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		uint8_t data = (uint8_t)byte;
		bool starts = byte == 'P' || byte == '\r';

		assert_int_equal(parse(&data, 1, &header), starts ? 0 : -FW_BAD_PROXY_HEADER);
	}
}

static struct proxy_header header_of(const char *source, const char *destination)
{
	struct proxy_header header = {.source_port = 56324, .destination_port = 443};
	struct error error;

	assert_int_equal(address_parse(source, &header.source, &error), 0);
	assert_int_equal(address_parse(destination, &header.destination, &error), 0);
	return header;
}

static void test_what_is_written_is_read(void **state)
{
	static const char *const pairs[][2] = {{"192.168.0.1", "192.168.0.11"},
					       {"2001:db8::1", "2001:db8::2"},
					       {"192.0.2.1", "2001:db8::2"},
					       {"2001:db8::1", "192.0.2.1"},
					       {"255.255.255.255", "::"}};
	uint8_t out[PROXY_HEADER_WRITE_MAX];
	struct proxy_header read;

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct proxy_header header = header_of(pairs[i][0], pairs[i][1]);

		for (int version = 1; version <= 2; version++) {
			size_t size = version == 1 ? proxy_header_write_v1(out, &header)
						   : proxy_header_write_v2(out, &header, NULL);

			assert_int_equal(parse(out, size, &read), size);
			assert_memory_equal(&read, &header, sizeof(header));
		}
	}
}

static void test_as_the_specification_writes_them(void **state)
{
	static const char line[] = "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n";
	struct proxy_header header = header_of("192.168.0.1", "192.168.0.11");
	uint8_t out[PROXY_HEADER_WRITE_MAX];

	(void)state;
	assert_int_equal(proxy_header_write_v1(out, &header), sizeof(line) - 1);
	assert_memory_equal(out, line, sizeof(line) - 1);
	assert_int_equal(proxy_header_write_v2(out, &header, NULL), 28);
	assert_memory_equal(out, SIGNATURE "\x21\x11\0\x0c" TCP4, 28);
	header.local = true;
	assert_int_equal(proxy_header_write_v1(out, &header), 15);
	assert_memory_equal(out, "PROXY UNKNOWN\r\n", 15);
	assert_int_equal(proxy_header_write_v2(out, &header, NULL), 16);
	assert_memory_equal(out, SIGNATURE "\x20\0\0\0", 16);
}

static void test_attributes_are_written(void **state)
{
	struct proxy_header header = header_of("192.168.0.1", "192.168.0.11"), read;
	struct proxy_attributes attributes = {
		.authority = "a.test", .tls = "TLSv1.3", .cipher = "C", .certificate = true};
	uint8_t out[PROXY_HEADER_WRITE_MAX];
	size_t size = proxy_header_write_v2(out, &header, &attributes);

	(void)state;
	assert_int_equal(size, 28 + (3 + 5 + 10 + 4) + 9);
	assert_memory_equal(out + 28,
			    "\x20\0\x13\x07\0\0\0\0\x21\0\x07TLSv1.3\x23\0\x01"
			    "C"
			    "\x02\0\x06"
			    "a.test",
			    31);
	assert_int_equal(parse(out, size, &read), size);

	attributes.certificate = false;
	proxy_header_write_v2(out, &header, &attributes);
	assert_memory_equal(out + 31, "\x01\0\0\0\x01", 5); /* TLS, and nothing verified */
}

static void test_attributes_that_do_not_fit_are_left_out(void **state)
{
	static char name[PROXY_HEADER_WRITE_MAX + 100];
	struct proxy_header header = header_of("192.168.0.1", "192.168.0.11"), read;
	struct proxy_attributes attributes = {.authority = name, .tls = "TLSv1.3", .cipher = "C"};
	uint8_t out[PROXY_HEADER_WRITE_MAX];
	size_t size;

	(void)state;
	for (size_t length = PROXY_HEADER_WRITE_MAX - 80; length < sizeof(name) - 1; length++) {
		memset(name, 'a', length);
		size = proxy_header_write_v2(out, &header, &attributes);
		assert_true(size <= sizeof(out));
		assert_int_equal(parse(out, size, &read), size);
		attributes.cipher = name;
		size = proxy_header_write_v2(out, &header, &attributes);
		assert_int_equal(parse(out, size, &read), size);
		attributes.cipher = "C";
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line),
		cmocka_unit_test(test_the_longest_lines),
		cmocka_unit_test(test_a_line_that_does_not_say),
		cmocka_unit_test(test_lines_that_are_none),
		cmocka_unit_test(test_a_line_must_end_in_time),
		cmocka_unit_test(test_binary_addresses),
		cmocka_unit_test(test_binary_without_addresses),
		cmocka_unit_test(test_binary_that_is_none),
		cmocka_unit_test(test_a_length_is_bounded),
		cmocka_unit_test(test_attributes_are_skipped),
		cmocka_unit_test(test_the_checksum_is_verified),
		cmocka_unit_test(test_every_other_first_byte_is_refused_at_once),
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_as_the_specification_writes_them),
		cmocka_unit_test(test_attributes_are_written),
		cmocka_unit_test(test_attributes_that_do_not_fit_are_left_out),
	};

	return cmocka_run_group_tests_name("proxy_header", tests, NULL, NULL);
}
