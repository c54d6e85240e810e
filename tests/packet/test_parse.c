// SPDX-License-Identifier: BSD-2-Clause
/*
 * Parsing: every way a header can be cut, lie or hide, and that whatever is whole is found where it
 * is. That the transport header was found is seen by TCP flags that no stack sends: NULL.
 */
#include "common/filter.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "common/family.h"

#define V4 .source = "203.0.113.7", .destination = "198.51.100.1"
#define V6 .source = "2001:db8::7", .destination = "2001:db8:1::1"

#define expect(verdict, ...) filter_expect(filter, FW_HOST_SERVICE, verdict, __VA_ARGS__)
#define expect_frame(verdict, frame)                                                               \
	filter_expect_frame(filter, FW_HOST_SERVICE, FW_##verdict, frame)

static void packets_cut_anywhere_are_truncated(void **state)
{
	static const struct frame_spec specs[] = {
		{V4, .flags = FRAME_ACK, .payload = 5},
		{V4, .flags = FRAME_ACK, .ip_options = 12, .tcp_options = 12},
		{V4, .flags = FRAME_ACK, .vlans = 1},
		{V4, .flags = FRAME_ACK, .vlans = 2},
		{V4, .proto = IPPROTO_UDP, .payload = 3},
		{V4, .proto = IPPROTO_ICMP, .payload = 3},
		{V6, .flags = FRAME_ACK, .payload = 5},
		{V6, .flags = FRAME_ACK, .tcp_options = 12, .vlans = 1},
		{V6, .flags = FRAME_ACK, .vlans = 2},
		{V6, .proto = IPPROTO_UDP, .payload = 3},
		{V6, .proto = IPPROTO_ICMPV6, .payload = 3},
		{V6, .flags = FRAME_ACK,
		 .extension = {{IPPROTO_HOPOPTS, 8, 0}, {IPPROTO_AH, 12, 0}}},
	};
	struct filter *filter = *state;
	size_t i, whole;

	for (i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct frame cut = frame_make(&specs[i]);

		whole = cut.length;
		/* The kernel runs no frame that lacks an Ethernet header. */
		for (cut.length = 14; cut.length < whole; cut.length++)
			expect_frame(TRUNCATED, &cut);
	}
}

/* Ethernet pads short packets: what the IP length leaves out is not part of any header. */
static void headers_beyond_the_stated_length_are_truncated(void **state)
{
	struct filter *filter = *state;
	struct frame v4 = frame(V4, .flags = FRAME_ACK, .padding = 40);
	struct frame v6 = frame(V6, .flags = FRAME_ACK, .padding = 40);
	struct frame udp = frame(V4, .proto = IPPROTO_UDP, .padding = 40);
	struct frame icmp = frame(V6, .proto = IPPROTO_ICMPV6, .padding = 40);
	int length;

	expect_frame(PASS_ESTABLISHED, &v4);
	expect_frame(PASS_ESTABLISHED, &v6);
	for (length = 0; length < 20; length++) {
		frame_ipv4(&v4)->tot_len = htons(length);
		expect_frame(BAD_HEADER, &v4);
		frame_ipv4(&v4)->tot_len = htons(20 + length);
		expect_frame(TRUNCATED, &v4);
		frame_ipv6(&v6)->payload_len = htons(length);
		expect_frame(TRUNCATED, &v6);
	}
	for (length = 0; length < 8; length++) {
		frame_ipv4(&udp)->tot_len = htons(20 + length);
		expect_frame(TRUNCATED, &udp);
		frame_ipv6(&icmp)->payload_len = htons(length);
		expect_frame(TRUNCATED, &icmp);
	}
	frame_ipv4(&v4)->tot_len = htons(v4.length - v4.ip + 1);
	expect_frame(TRUNCATED, &v4);
	frame_ipv6(&v6)->payload_len = htons(v6.length - v6.ip - 40 + 1);
	expect_frame(TRUNCATED, &v6);
}

static void headers_that_contradict_themselves_are_bad(void **state)
{
	struct filter *filter = *state;
	struct frame broken;
	int i;

	for (i = 0; i < 16; i++) {
		broken = frame(V4, .flags = FRAME_ACK);
		frame_ipv4(&broken)->version = i;
		filter_expect_frame(filter, 0, i == 4 ? FW_PASS_ESTABLISHED : FW_BAD_HEADER,
				    &broken);
		broken = frame(V6, .flags = FRAME_ACK);
		frame_ipv6(&broken)->version = i;
		filter_expect_frame(filter, 0, i == 6 ? FW_PASS_ESTABLISHED : FW_BAD_HEADER,
				    &broken);
		/* Five words are there, and twelve bytes of payload. */
		broken = frame(V4, .flags = FRAME_ACK, .payload = 12);
		frame_tcp(&broken)->doff = i;
		filter_expect_frame(
			filter, 0, i >= 5 && i <= 8 ? FW_PASS_ESTABLISHED : FW_BAD_HEADER, &broken);
		broken = frame(V6, .flags = FRAME_ACK, .payload = 12);
		frame_tcp(&broken)->doff = i;
		filter_expect_frame(
			filter, 0, i >= 5 && i <= 8 ? FW_PASS_ESTABLISHED : FW_BAD_HEADER, &broken);
		broken = frame(V4, .proto = IPPROTO_UDP, .payload = 4);
		frame_udp(&broken)->len = htons(i);
		filter_expect_frame(filter, 0, i >= 8 && i <= 12 ? FW_PASS_OTHER : FW_BAD_HEADER,
				    &broken);
		broken = frame(V6, .proto = IPPROTO_UDP, .payload = 4);
		frame_udp(&broken)->len = htons(i);
		filter_expect_frame(filter, 0, i >= 8 && i <= 12 ? FW_PASS_OTHER : FW_BAD_HEADER,
				    &broken);
	}
	for (i = 0; i < 5; i++) {
		broken = frame(V4, .flags = FRAME_ACK);
		frame_ipv4(&broken)->ihl = i;
		expect_frame(BAD_HEADER, &broken);
	}
	broken = frame(V4, .flags = FRAME_ACK);
	frame_ipv4(&broken)->ihl = 15; /* more than the packet has */
	expect_frame(BAD_HEADER, &broken);
}

static void options_of_any_size_are_stepped_over(void **state)
{
	struct filter *filter = *state;
	int size;

	for (size = 0; size <= 40; size += 4) {
		expect(TCP_FLAGS, V4, .ip_options = size);
		expect(TCP_FLAGS, V4, .tcp_options = size);
		expect(TCP_FLAGS, V6, .tcp_options = size);
		expect(PASS_ESTABLISHED, V4, .flags = FRAME_ACK, .ip_options = size,
		       .tcp_options = 40 - size);
	}
}

static void two_vlan_tags_are_read_and_a_third_is_refused(void **state)
{
	struct filter *filter = *state;
	int tags;

	for (tags = 0; tags <= 2; tags++) {
		expect(TCP_FLAGS, V4, .vlans = tags);
		expect(TCP_FLAGS, V6, .vlans = tags);
		expect(PASS_ESTABLISHED, V4, .vlans = tags, .flags = FRAME_ACK);
		expect(PASS_ESTABLISHED, V6, .vlans = tags, .flags = FRAME_ACK);
	}
	for (tags = 3; tags <= 5; tags++) {
		expect(VLAN_DEPTH, V4, .vlans = tags, .flags = FRAME_ACK);
		expect(VLAN_DEPTH, V6, .vlans = tags, .flags = FRAME_ACK);
	}
}

static void what_is_not_ip_is_left_to_the_stack(void **state)
{
	static const uint16_t types[] = {0x0806 /* ARP */,
					 0x0000,
					 0x0026 /* 802.3 length */,
					 0x8847 /* MPLS */,
					 0x8863 /* PPPoE */,
					 0x88cc /* LLDP */,
					 0xffff};
	struct filter *filter = *state;
	struct frame other = frame(V4);
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		other.data[12] = types[i] >> 8;
		other.data[13] = types[i] & 0xff;
		expect_frame(PASS_OTHER, &other);
	}
}

static void protocols_unknown_to_the_filter_pass(void **state)
{
	static const int protos[] = {2 /* IGMP */, 4 /* IPIP */,  41 /* 6in4 */,  47 /* GRE */,
				     50 /* ESP */, 59 /* none */, 132 /* SCTP */, 255};
	struct filter *filter = *state;
	size_t i;

	for (i = 0; i < sizeof(protos) / sizeof(protos[0]); i++) {
		expect(PASS_OTHER, V4, .proto = protos[i]);
		expect(PASS_OTHER, V6, .proto = protos[i]);
	}
}

static void six_extension_headers_are_walked_and_no_more(void **state)
{
	static const struct frame_extension kinds[] = {
		{IPPROTO_HOPOPTS, 8, 0},  {IPPROTO_ROUTING, 24, 0}, {IPPROTO_DSTOPTS, 16, 0},
		{IPPROTO_FRAGMENT, 8, 0}, {IPPROTO_AH, 28, 0},      {IPPROTO_DSTOPTS, 256, 0}};
	struct frame_spec spec = {V6};
	struct filter *filter = *state;
	struct frame packet;
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		expect(TCP_FLAGS, V6, .extension = {kinds[i]});
	for (i = 0; i < 6; i++) {
		spec.extension[i] = kinds[i];
		packet = frame_make(&spec);
		expect_frame(TCP_FLAGS, &packet);
	}
	spec.extension[6] = kinds[0];
	packet = frame_make(&spec);
	expect_frame(EXT_HEADERS, &packet);
	spec.proto = 59; /* nothing follows: still one too many to look behind */
	packet = frame_make(&spec);
	expect_frame(EXT_HEADERS, &packet);
}

static void extension_headers_longer_than_the_packet_are_truncated(void **state)
{
	struct filter *filter = *state;
	struct frame packet;
	int length;

	for (length = 4; length < 256; length += 7) {
		packet = frame(V6, .flags = FRAME_ACK, .extension = {{IPPROTO_DSTOPTS, 8, 0}});
		packet.data[packet.ip + 41] = length;
		expect_frame(TRUNCATED, &packet);
		packet = frame(V6, .flags = FRAME_ACK, .extension = {{IPPROTO_AH, 12, 0}});
		packet.data[packet.ip + 41] = length + 4;
		expect_frame(TRUNCATED, &packet);
	}
	/* Within the packet, but beyond what the IP header states. */
	packet = frame(V6, .flags = FRAME_ACK, .padding = 64,
		       .extension = {{IPPROTO_DSTOPTS, 8, 0}});
	packet.data[packet.ip + 41] = 5;
	expect_frame(TRUNCATED, &packet);
	/* Two extension headers, each within the packet: the second one's end is not. */
	packet = frame(V6, .flags = FRAME_ACK,
		       .extension = {{IPPROTO_HOPOPTS, 2048, 0}, {IPPROTO_DSTOPTS, 8, 0}});
	expect_frame(PASS_ESTABLISHED, &packet);
	packet.data[packet.ip + 40 + 2048 + 1] = 3;
	expect_frame(TRUNCATED, &packet);
}

static void a_first_fragment_is_judged_like_a_whole_packet(void **state)
{
	struct filter *filter = *state;

	expect(PASS_ESTABLISHED, V4, .flags = FRAME_ACK, .ip_fragment = 1);
	expect(TCP_FLAGS, V4, .ip_fragment = 1);
	expect(PASS_OTHER, V4, .proto = IPPROTO_UDP, .ip_fragment = 1);
	expect(PASS_ESTABLISHED, V6, .flags = FRAME_ACK, .extension = {{IPPROTO_FRAGMENT, 8, 1}});
	expect(TCP_FLAGS, V6, .extension = {{IPPROTO_FRAGMENT, 8, 1}});
	expect(PASS_OTHER, V6, .proto = IPPROTO_UDP, .extension = {{IPPROTO_FRAGMENT, 8, 1}});
}

/* Its UDP length is that of the packet once put together. */
static void a_first_fragment_may_state_more_than_it_holds(void **state)
{
	struct filter *filter = *state;
	struct frame v4 = frame(V4, .proto = IPPROTO_UDP, .ip_fragment = 1, .payload = 8);
	struct frame v6 = frame(V6, .proto = IPPROTO_UDP, .payload = 8,
				.extension = {{IPPROTO_FRAGMENT, 8, 1}});

	frame_udp(&v4)->len = frame_udp(&v6)->len = htons(3000);
	expect_frame(PASS_OTHER, &v4);
	expect_frame(PASS_OTHER, &v6);
}

static void fragments_that_hide_their_transport_header_are_dropped(void **state)
{
	struct filter *filter = *state;
	struct frame v4, v6;
	int size;

	for (size = 0; size < 20; size++) {
		v4 = frame(V4, .flags = FRAME_SYN, .ip_fragment = 1);
		v4.length = v4.transport + size;
		frame_ipv4(&v4)->tot_len = htons(20 + size);
		expect_frame(FRAGMENT, &v4);
		v6 = frame(V6, .flags = FRAME_SYN, .extension = {{IPPROTO_FRAGMENT, 8, 1}});
		v6.length = v6.transport + size;
		frame_ipv6(&v6)->payload_len = htons(8 + size);
		expect_frame(FRAGMENT, &v6);
	}
	/* TCP options that continue in the next fragment, and one that would overwrite the flags.
	 */
	v4 = frame(V4, .flags = FRAME_SYN, .ip_fragment = 1);
	frame_tcp(&v4)->doff = 6;
	expect_frame(FRAGMENT, &v4);
	expect(FRAGMENT, V4, .ip_fragment = 8);
	expect(FRAGMENT, V4, .ip_fragment = 8 | 1);
	expect(FRAGMENT, V6, .extension = {{IPPROTO_FRAGMENT, 8, 8}});
	/* Extension headers that continue in the next fragment (RFC 7112), and nested fragments. */
	v6 = frame(V6, .flags = FRAME_SYN,
		   .extension = {{IPPROTO_FRAGMENT, 8, 1}, {IPPROTO_DSTOPTS, 8, 0}});
	v6.data[v6.ip + 40 + 8 + 1] = 200;
	expect_frame(FRAGMENT, &v6);
	expect(FRAGMENT, V6, .flags = FRAME_SYN,
	       .extension = {{IPPROTO_FRAGMENT, 8, 1}, {IPPROTO_FRAGMENT, 8, 1}});
}

static void later_fragments_pass_as_they_open_nothing(void **state)
{
	struct filter *filter = *state;
	int offset;

	for (offset = 16; offset < 60000; offset = offset * 2 + 8) {
		expect(PASS_OTHER, V4, .ip_fragment = offset);
		expect(PASS_OTHER, V6, .extension = {{IPPROTO_FRAGMENT, 8, offset | 1}});
	}
	expect(PASS_OTHER, V4, .proto = IPPROTO_UDP, .ip_fragment = 8);
	expect(PASS_OTHER, V6, .proto = IPPROTO_UDP, .extension = {{IPPROTO_FRAGMENT, 8, 8}});
}

static void the_host_may_refuse_every_fragment(void **state)
{
	struct filter *filter = *state;

	filter_set(filter, FW_HOST_SERVICE, FW_SET_HOST_DROP_FRAGMENTS, 1);
	expect(FRAGMENT, V4, .flags = FRAME_ACK, .ip_fragment = 1);
	expect(FRAGMENT, V4, .proto = IPPROTO_UDP, .ip_fragment = 1480);
	expect(FRAGMENT, V6, .flags = FRAME_ACK, .extension = {{IPPROTO_FRAGMENT, 8, 1}});
	expect(FRAGMENT, V6, .proto = IPPROTO_UDP, .extension = {{IPPROTO_FRAGMENT, 8, 1480}});
	/* A fragment header around a whole packet, and the bit "don't fragment", are no fragments.
	 */
	expect(PASS_ESTABLISHED, V6, .flags = FRAME_ACK, .extension = {{IPPROTO_FRAGMENT, 8, 0}});
	struct frame whole = frame(V4, .flags = FRAME_ACK);
	frame_ipv4(&whole)->frag_off = htons(0x4000);
	expect_frame(PASS_ESTABLISHED, &whole);
}

/* They would borrow what the lists and services say of IPv4. */
static void v4_mapped_addresses_on_the_wire_are_martian(void **state)
{
	struct filter *filter = *state;

	filter_list(filter, FILTER_ALLOW, "203.0.113.7", 0);
	expect(PASS_ALLOWED, V4, .flags = FRAME_ACK);
	expect(MARTIAN, .source = "::ffff:203.0.113.7", .destination = "2001:db8:1::1",
	       .flags = FRAME_ACK);
	expect(MARTIAN, .source = "2001:db8::7", .destination = "::ffff:198.51.100.1",
	       .flags = FRAME_ACK);
}

/* Whatever comes: one packet, one counter, and passed or dropped. */
static void garbage_is_counted_exactly_once_each(void **state)
{
	static const struct frame_spec specs[] = {
		{V4, .flags = FRAME_SYN, .ip_options = 8, .tcp_options = 8, .payload = 20},
		{V6, .flags = FRAME_SYN, .payload = 40},
		{V4, .vlans = 2, .proto = IPPROTO_UDP, .payload = 20},
		{V6, .flags = FRAME_ACK,
		 .extension = {{IPPROTO_HOPOPTS, 8, 0}, {IPPROTO_FRAGMENT, 8, 0}}},
	};
	struct filter *filter = *state;
	uint64_t bytes = 0, passed = 0, passes = 0;
	struct fw_counter counted;
	int i, k;

	srandom(20240229);
	filter_bind(filter, 1, "0.0.0.0", 443, IPPROTO_TCP);
	filter_bind(filter, 1, "::", 443, IPPROTO_TCP);
	for (i = 0; i < 10000; i++) {
		struct frame packet = frame_make(&specs[i % 4]);

		if (i % 5 == 0) /* nothing but noise */
			for (k = 0; k < (int)packet.length; k++)
				packet.data[k] = random();
		for (k = random() % 6; k >= 0; k--) /* a good packet with a few wrong bytes */
			packet.data[random() % packet.length] = random();
		if (i % 3 == 0)
			packet.length = 14 + random() % (packet.length - 13);
		bytes += packet.length;
		passed += filter_passes(filter, &packet);
	}
	counted = filter_counted(filter);
	assert_int_equal(counted.packets, 10000);
	assert_int_equal(counted.bytes, bytes);
	for (i = 0; i < 2; i++)
		for (k = FW_PASS_OTHER; k <= FW_PASS_VERIFIED; k++)
			passes += filter_counter(filter, i, k).packets;
	assert_int_equal(passes, passed);
	assert_true(passed > 1000 && passed < 9000); /* the mixture reached both ends */
}

#define test(name) cmocka_unit_test_setup_teardown(name, filter_setup, filter_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(packets_cut_anywhere_are_truncated),
		test(headers_beyond_the_stated_length_are_truncated),
		test(headers_that_contradict_themselves_are_bad),
		test(options_of_any_size_are_stepped_over),
		test(two_vlan_tags_are_read_and_a_third_is_refused),
		test(what_is_not_ip_is_left_to_the_stack),
		test(protocols_unknown_to_the_filter_pass),
		test(six_extension_headers_are_walked_and_no_more),
		test(extension_headers_longer_than_the_packet_are_truncated),
		test(a_first_fragment_is_judged_like_a_whole_packet),
		test(a_first_fragment_may_state_more_than_it_holds),
		test(fragments_that_hide_their_transport_header_are_dropped),
		test(later_fragments_pass_as_they_open_nothing),
		test(the_host_may_refuse_every_fragment),
		test(v4_mapped_addresses_on_the_wire_are_martian),
		test(garbage_is_counted_exactly_once_each),
	};

	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
