/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses, prefixes and bindings: what is accepted, what is refused and how that is said. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "contract/address.h"

static struct error error;
static char text[ADDRESS_TEXT_SIZE];

static struct fw_addr addr(const char *string)
{
	struct fw_addr parsed = {{0}};

	if (address_parse(string, &parsed, &error) != 0)
		fail_msg("%s", error.text);
	return parsed;
}

static void v4_is_kept_inside_v6(void **state)
{
	struct fw_addr v4 = addr("192.0.2.1");
	const uint8_t bytes[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 1};

	(void)state;
	assert_memory_equal(&v4, bytes, sizeof(bytes));
	assert_true(fw_addr_is_v4(&v4));
	assert_string_equal(address_format(&v4, text), "192.0.2.1");
}

static void addresses_read_and_write(void **state)
{
	const char *same[] = {
		"0.0.0.0", "255.255.255.255", "::", "::1", "2001:db8::1", "2001:db8:1:2:3:4:5:6"};

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		struct fw_addr parsed = addr(same[i]);

		assert_string_equal(address_format(&parsed, text), same[i]);
	}
}

static void what_is_no_address_is_refused(void **state)
{
	const char *bad[] = {"",     "1.2.3",    "1.2.3.256",  "1.2.3.4.5",     "01.2.3.4",
			     "host", "1.2.3.4 ", "fe80::1%lo", "2001:db8::1::", "[::1]",
			     ":"};
	struct fw_addr parsed;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (address_parse(bad[i], &parsed, &error) != -EINVAL)
			fail_msg("accepted \"%s\"", bad[i]);
		assert_non_null(strstr(error.text, "is not an address"));
	}
}

static void assert_prefix(const char *string, uint32_t length, const char *written)
{
	struct fw_prefix prefix;

	if (prefix_parse(string, &prefix, &error) != 0)
		fail_msg("%s", error.text);
	assert_int_equal(prefix.length, length);
	assert_string_equal(prefix_format(&prefix, text), written);
}

static void prefixes_read_and_write(void **state)
{
	(void)state;
	assert_prefix("192.0.2.0/24", 120, "192.0.2.0/24");
	assert_prefix("192.0.2.1", 128, "192.0.2.1");
	assert_prefix("192.0.2.1/32", 128, "192.0.2.1");
	assert_prefix("0.0.0.0/0", 96, "0.0.0.0/0");
	assert_prefix("10.0.0.0/9", 105, "10.0.0.0/9");
	assert_prefix("2001:db8::/32", 32, "2001:db8::/32");
	assert_prefix("2001:db8::/33", 33, "2001:db8::/33");
	assert_prefix("2001:db8::5", 128, "2001:db8::5");
	assert_prefix("2000::/3", 3, "2000::/3");
	assert_prefix("::ffff:10.0.0.0/104", 104, "10.0.0.0/8");
}

static void assert_prefix_refused(const char *string, const char *hint)
{
	struct fw_prefix prefix = {.length = 4711};

	assert_int_equal(prefix_parse(string, &prefix, &error), -EINVAL);
	assert_int_equal(prefix.length, 4711);
	if (!strstr(error.text, hint))
		fail_msg("\"%s\" does not say \"%s\"", error.text, hint);
}

static void host_bits_name_the_prefix_meant(void **state)
{
	(void)state;
	assert_prefix_refused("192.0.2.1/24", "did you mean 192.0.2.0/24?");
	assert_prefix_refused("10.128.0.0/8", "did you mean 10.0.0.0/8?");
	assert_prefix_refused("2001:db8::1/64", "did you mean 2001:db8::/64?");
	assert_prefix_refused("2001:db8:8000::/32", "did you mean 2001:db8::/32?");
}

static void prefixes_that_would_cover_v4_are_refused(void **state)
{
	(void)state;
	assert_prefix_refused("::/0", "would cover IPv4");
	assert_prefix_refused("::/80", "would cover IPv4");
	assert_prefix("::/81", 81, "::/81");
	assert_prefix("::/128", 128, "::");
	assert_prefix("::ffff:0:0/96", 96, "0.0.0.0/0");
	assert_prefix_refused("::fffe:0:0/95", "would cover IPv4");
}

static void bad_prefixes_say_what_is_allowed(void **state)
{
	const char *lengths[] = {"1.2.3.0/33", "1.2.3.0/",   "1.2.3.0/-1",
				 "1.2.3.0/08", "1.2.3.0/8x", "1.2.3.0/99999999999999"};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		assert_prefix_refused(lengths[i], "from 0 to 32");
	assert_prefix_refused("2001:db8::/129", "from 0 to 128");
	assert_prefix_refused("/8", "is not an address");
	assert_prefix_refused(
		"1111111111111111111111111111111111111111111111111111111111111111111111111111/8",
		"too long");
}

static void bindings_read_and_write(void **state)
{
	struct fw_service_key keys[2];
	size_t count;

	(void)state;
	assert_int_equal(binding_parse("0.0.0.0:443", IPPROTO_TCP, keys, &count, &error), 0);
	assert_int_equal(count, 1);
	assert_int_equal(keys[0].port, htons(443));
	assert_int_equal(keys[0].proto, IPPROTO_TCP);
	assert_int_equal(keys[0].zero, 0);
	assert_string_equal(binding_format(&keys[0], text), "0.0.0.0:443");

	assert_int_equal(binding_parse("[2001:db8::1]:53", IPPROTO_UDP, keys, &count, &error), 0);
	assert_int_equal(count, 1);
	assert_string_equal(binding_format(&keys[0], text), "[2001:db8::1]:53");

	assert_int_equal(binding_parse("*:22", IPPROTO_TCP, keys, &count, &error), 0);
	assert_int_equal(count, 2);
	assert_string_equal(binding_format(&keys[0], text), "[::]:22");
	assert_string_equal(binding_format(&keys[1], text), "0.0.0.0:22");
}

static void bad_bindings_say_what_is_wrong(void **state)
{
	const struct {
		const char *text, *hint;
	} bad[] = {
		{"443", "has no port"},
		{"0.0.0.0:", "from 1 to 65535"},
		{"0.0.0.0:0", "from 1 to 65535"},
		{"0.0.0.0:65536", "from 1 to 65535"},
		{"0.0.0.0:http", "from 1 to 65535"},
		{"[::]:-1", "from 1 to 65535"},
		{":443", "is not an address"},
		{"::1:443", "brackets"},
		{"[::1:443", "bracket is not closed"},
		{"[]:443", "is not an address"},
		{"[:443", "bracket is not closed"},
		{"host:443", "is not an address"},
		{"**:443", "is not an address"},
	};
	struct fw_service_key keys[2];
	size_t count;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(binding_parse(bad[i].text, IPPROTO_TCP, keys, &count, &error),
				 -EINVAL);
		if (!strstr(error.text, bad[i].hint) || !strstr(error.text, bad[i].text))
			fail_msg("%s: \"%s\" does not say \"%s\"", bad[i].text, error.text,
				 bad[i].hint);
	}
}

static void socket_addresses_go_both_ways(void **state)
{
	const char *both[] = {"192.0.2.1", "2001:db8::1"};
	struct sockaddr_storage storage;
	struct fw_addr there, back;
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		there = addr(both[i]);
		assert_int_equal(address_to_sockaddr(&there, 8080, &storage),
				 i == 0 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		assert_int_equal(storage.ss_family, i == 0 ? AF_INET : AF_INET6);
		back = address_from_sockaddr((struct sockaddr *)&storage, &port);
		assert_memory_equal(&there, &back, sizeof(there));
		assert_int_equal(port, 8080);
	}
	storage.ss_family = AF_UNIX;
	back = address_from_sockaddr((struct sockaddr *)&storage, &port);
	assert_string_equal(address_format(&back, text), "::");
	assert_int_equal(port, 0);
}

static void a_prefix_has_its_own_familys_addresses(void **state)
{
	static const struct {
		const char *prefix, *address;
		bool has;
	} rows[] = {
		{"192.0.2.0/24", "192.0.2.255", true},  {"192.0.2.0/24", "192.0.3.0", false},
		{"192.0.2.7", "192.0.2.7", true},       {"192.0.2.7", "192.0.2.6", false},
		{"0.0.0.0/0", "192.0.2.7", true},       {"0.0.0.0/0", "2001:db8::1", false},
		{"2000::/3", "2001:db8::1", true},      {"2000::/3", "192.0.2.7", false},
		{"2001:db8::/33", "2001:db8::1", true}, {"2001:db8::/33", "2001:db8:8000::", false},
		{"128.0.0.0/1", "128.0.0.1", true},     {"128.0.0.0/1", "127.0.0.1", false},
	};
	struct fw_prefix prefix;
	struct fw_addr addr;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(prefix_parse(rows[i].prefix, &prefix, NULL), 0);
		assert_int_equal(address_parse(rows[i].address, &addr, NULL), 0);
		assert_int_equal(prefix_has(&prefix, &addr), rows[i].has);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v4_is_kept_inside_v6),
		cmocka_unit_test(a_prefix_has_its_own_familys_addresses),
		cmocka_unit_test(addresses_read_and_write),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(prefixes_read_and_write),
		cmocka_unit_test(host_bits_name_the_prefix_meant),
		cmocka_unit_test(prefixes_that_would_cover_v4_are_refused),
		cmocka_unit_test(bad_prefixes_say_what_is_allowed),
		cmocka_unit_test(bindings_read_and_write),
		cmocka_unit_test(bad_bindings_say_what_is_wrong),
		cmocka_unit_test(socket_addresses_go_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
