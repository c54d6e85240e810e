// SPDX-License-Identifier: BSD-2-Clause
/* Sanity: what no honest host sends is dropped, and nothing that an honest one does send. */
#include "common/filter.h"
#include <netinet/in.h>
#include <string.h>
#include "common/family.h"

#define expect(verdict, ...) filter_expect(filter, FW_HOST_SERVICE, verdict, __VA_ARGS__)

/* Every combination of FIN, SYN, RST, PSH, ACK, URG that some state of TCP sends; the other 46 are
 * scans. */
static const char *const sensible[] = {
	"S",   "SP", "SU", "SUP", "SA",  "SAP", "R",   "RP",  "RA",
	"RAP", "A",  "AP", "AU",  "AUP", "FA",  "FAP", "FAU", "FAUP",
};

static uint8_t flags_of(const char *letters)
{
	static const char order[] = "FSRPAU";
	uint8_t flags = 0;

	for (; *letters; letters++)
		flags |= 1 << (strchr(order, *letters) - order);
	return flags;
}

static bool is_sensible(uint8_t flags)
{
	size_t i;

	for (i = 0; i < sizeof(sensible) / sizeof(sensible[0]); i++)
		if (flags_of(sensible[i]) == flags)
			return true;
	return false;
}

static void every_combination_of_tcp_flags_is_judged(void **state)
{
	struct filter *filter = *state;
	int flags, dropped = 0;

	for_each_family(family) for (flags = 0; flags < 256; flags++)
	{ /* ECE and CWR change nothing */
		struct frame segment = frame(.source = family->client,
					     .destination = family->server, .flags = flags);
		bool opens = (flags & FRAME_SYN) && !(flags & FRAME_ACK);

		if (!is_sensible(flags & 0x3f)) {
			filter_expect_frame(filter, 0, FW_TCP_FLAGS, &segment);
			dropped++;
		} else if (opens) {
			filter_expect_frame(filter, 0, FW_PASS_OTHER, &segment);
		} else {
			filter_expect_frame(filter, 0, FW_PASS_ESTABLISHED, &segment);
		}
	}
	assert_int_equal(dropped, 2 * 4 * 46);
}

static void a_packet_from_its_own_destination_is_land(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		expect(LAND, .source = family->server, .destination = family->server,
		       .source_port = 443, .flags = FRAME_SYN);
		expect(LAND, .source = family->server, .destination = family->server,
		       .source_port = 443, .flags = FRAME_ACK);
		expect(LAND, .source = family->server, .destination = family->server,
		       .source_port = 443, .proto = IPPROTO_UDP);
		expect(PASS_ESTABLISHED, .source = family->server, .destination = family->server,
		       .source_port = 444, .flags = FRAME_ACK);
		expect(PASS_ESTABLISHED, .source = family->client, .destination = family->server,
		       .source_port = 443, .flags = FRAME_ACK);
	}
}

static void sources_that_cannot_be_answered_are_martian(void **state)
{
	static const char *const v4[] = {"0.0.0.0",   "127.0.0.1",       "127.255.255.255",
					 "224.0.0.1", "239.255.255.255", "255.255.255.255"};
	static const char *const v6[] = {"::", "::1", "ff02::1", "ff0e::1234"};
	struct filter *filter = *state;
	size_t i;

	for (i = 0; i < sizeof(v4) / sizeof(v4[0]); i++) {
		expect(MARTIAN, .source = v4[i], .destination = "198.51.100.1", .flags = FRAME_SYN);
		expect(MARTIAN, .source = v4[i], .destination = "198.51.100.1", .flags = FRAME_ACK);
		expect(MARTIAN, .source = v4[i], .destination = "198.51.100.1",
		       .proto = IPPROTO_UDP);
	}
	for (i = 0; i < sizeof(v6) / sizeof(v6[0]); i++) {
		expect(MARTIAN, .source = v6[i], .destination = "2001:db8:1::1",
		       .flags = FRAME_SYN);
		expect(MARTIAN, .source = v6[i], .destination = "2001:db8:1::1",
		       .flags = FRAME_ACK);
		expect(MARTIAN, .source = v6[i], .destination = "2001:db8:1::1",
		       .proto = IPPROTO_UDP);
	}
	/* Pings from there too, as far as no protocol depends on them. */
	expect(MARTIAN, .source = "224.0.0.1", .destination = "198.51.100.1",
	       .proto = IPPROTO_ICMP);
	expect(MARTIAN, .source = "ff02::1", .destination = "2001:db8:1::1",
	       .proto = IPPROTO_ICMPV6);
}

static void ordinary_sources_are_not_martian(void **state)
{
	static const char *const v4[] = {"1.0.0.1",         "10.0.0.1",    "126.255.255.255",
					 "128.0.0.1",       "169.254.1.1", "192.168.1.1",
					 "223.255.255.255", "240.0.0.1"};
	static const char *const v6[] = {"::2",     "1::",     "fe80::1",
					 "fd00::1", "fe00::1", "64:ff9b::c000:201"};
	struct filter *filter = *state;
	size_t i;

	for (i = 0; i < sizeof(v4) / sizeof(v4[0]); i++)
		expect(PASS_ESTABLISHED, .source = v4[i], .destination = "198.51.100.1",
		       .flags = FRAME_ACK);
	for (i = 0; i < sizeof(v6) / sizeof(v6[0]); i++)
		expect(PASS_ESTABLISHED, .source = v6[i], .destination = "2001:db8:1::1",
		       .flags = FRAME_ACK);
}

static void protocols_that_need_odd_sources_live(void **state)
{
	struct filter *filter = *state;

	/* DHCP discover; IGMP query of a switch; ICMP from nowhere. */
	expect(PASS_OTHER, .source = "0.0.0.0", .destination = "255.255.255.255",
	       .proto = IPPROTO_UDP, .source_port = 68, .destination_port = 67);
	expect(PASS_OTHER, .source = "0.0.0.0", .destination = "224.0.0.1", .proto = 2);
	expect(PASS_OTHER, .source = "0.0.0.0", .destination = "198.51.100.1",
	       .proto = IPPROTO_ICMP);
	/* Duplicate address detection; listener report behind a router alert; ordinary ND; DHCPv6.
	 */
	expect(PASS_OTHER, .source = "::", .destination = "ff02::1:ff00:7",
	       .proto = IPPROTO_ICMPV6);
	expect(PASS_OTHER, .source = "::", .destination = "ff02::16", .proto = IPPROTO_ICMPV6,
	       .extension = {{IPPROTO_HOPOPTS, 8, 0}});
	expect(PASS_OTHER, .source = "fe80::1", .destination = "ff02::1:ff00:7",
	       .proto = IPPROTO_ICMPV6);
	expect(PASS_OTHER, .source = "fe80::1", .destination = "ff02::1:2", .proto = IPPROTO_UDP,
	       .source_port = 546, .destination_port = 547);
}

static void path_mtu_discovery_lives(void **state)
{
	struct filter *filter = *state;
	struct frame needed = frame(.source = "203.0.113.1", .destination = "198.51.100.1",
				    .proto = IPPROTO_ICMP, .payload = 28);
	struct frame too_big = frame(.source = "2001:db8::1", .destination = "2001:db8:1::1",
				     .proto = IPPROTO_ICMPV6, .payload = 1232);

	needed.data[needed.transport] = 3; /* unreachable: fragmentation needed */
	needed.data[needed.transport + 1] = 4;
	too_big.data[too_big.transport] = 2;
	filter_set(filter, FW_HOST_SERVICE, FW_SET_HOST_DROP_FRAGMENTS, 1);
	filter_expect_frame(filter, 0, FW_PASS_OTHER, &needed);
	filter_expect_frame(filter, 0, FW_PASS_OTHER, &too_big);
}

#define test(name) cmocka_unit_test_setup_teardown(name, filter_setup, filter_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(every_combination_of_tcp_flags_is_judged),
		test(a_packet_from_its_own_destination_is_land),
		test(sources_that_cannot_be_answered_are_martian),
		test(ordinary_sources_are_not_martian),
		test(protocols_that_need_odd_sources_live),
		test(path_mtu_discovery_lives),
	};

	return cmocka_run_group_tests_name("sanity", tests, NULL, NULL);
}
