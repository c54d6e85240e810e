// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the two numbers of a cookie say, and what cookie_check() reads out of them again: the header
 * is reckoned with here by itself, as it needs neither a packet nor a clock. That the filter
 * answers with these numbers is told in test_cookie.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "floodwall.h"

struct cookie_segment;
struct packet;

int cookie_read_options(struct cookie_segment *segment);
int cookie_check(const struct fw_secret *secret, const struct packet *packet,
		 struct cookie_segment *segment, __u64 now);

#include "cookie.h"

enum { CLIENT_ISN = 0x7fffffff, STEP_MS = 977 };

#define MS     NSEC_PER_MSEC
#define MINUTE COOKIE_SLOT_NS
/* On a minute; its milliseconds wrap within the next one. */
#define WRAP ((1ULL << 32) * MS / MINUTE * MINUTE)

static const struct fw_secret secret = {
	.key = {0x0706050403020100, 0x0f0e0d0c0b0a0908}, .window_scale = 7, .offers = 15};

static struct packet packet_of(bool is_v4)
{
	struct packet packet = {.source_port = 0x1234, .destination.port = 0x5000};

	packet.source.addr =
		is_v4 ? (struct fw_addr){{0, 0, bpf_htonl(0xffff), bpf_htonl(0xc6336407)}}
		      : (struct fw_addr){{bpf_htonl(0x20010db8), 0, 0, bpf_htonl(7)}};
	packet.destination.addr =
		is_v4 ? (struct fw_addr){{0, 0, bpf_htonl(0xffff), bpf_htonl(0xc6336408)}}
		      : (struct fw_addr){{bpf_htonl(0x20010db8), 0, 0, bpf_htonl(8)}};
	return packet;
}

/* Of all the choices there are, those with that number. */
static struct cookie_options choose(uint32_t choices, bool timestamps, uint16_t mss)
{
	return (struct cookie_options){
		.mss = mss,
		.window_scale = choices & 15,
		.sack = choices >> 4 & 1,
		.ecn = choices >> 5 & 1,
		.timestamps = timestamps,
	};
}

/* The segment that brings a cookie back. */
static struct cookie_segment return_of(struct cookie cookie, bool timestamps)
{
	return (struct cookie_segment){
		.seq = CLIENT_ISN + 1u,
		.ack = cookie.isn + 1,
		.options = {.timestamps = timestamps, .tsval = 5, .tsecr = cookie.tsval},
	};
}

static void every_choice_comes_back(void **state)
{
	(void)state;
	for (uint32_t each = 0; each < 4u * (COOKIE_CHOICES + 1); each++) {
		bool is_v4 = each & 1, timestamps = each >> 1 & 1;
		const struct packet packet = packet_of(is_v4);
		struct cookie_options said = choose(each >> 2, timestamps, 1460), got;
		struct cookie cookie = cookie_make(&secret, &packet, CLIENT_ISN, &said, 5 * MINUTE);
		struct cookie_segment segment = return_of(cookie, timestamps);

		assert_true(cookie_check(&secret, &packet, &segment, 5 * MINUTE + 3 * MS));
		got = segment.options;
		assert_int_equal(got.window_scale, said.window_scale);
		assert_int_equal(got.sack, said.sack);
		assert_int_equal(got.ecn, said.ecn);
		assert_int_equal(got.mss, is_v4 ? 1460 : 1440);
		assert_int_equal(got.timestamps, timestamps);
		if (timestamps)
			assert_int_equal(got.tsval, 5); /* the client's own */
	}
}

static void a_size_is_rounded_down_to_one_that_can_be_said(void **state)
{
	static const struct {
		bool is_v4;
		uint16_t said, agreed;
	} rows[] = {
		{true, 0, 536},      {true, 536, 536},    {true, 1299, 536},   {true, 1300, 1300},
		{true, 1439, 1300},  {true, 1440, 1440},  {true, 1459, 1440},  {true, 1460, 1460},
		{true, 65535, 1460}, {false, 0, 1220},    {false, 1379, 1220}, {false, 1380, 1380},
		{false, 1419, 1380}, {false, 1420, 1420}, {false, 1439, 1420}, {false, 1440, 1440},
		{false, 8940, 1440},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct packet packet = packet_of(rows[i].is_v4);
		struct cookie_options said = choose(0, false, rows[i].said);
		struct cookie cookie = cookie_make(&secret, &packet, CLIENT_ISN, &said, 5 * MINUTE);
		struct cookie_segment segment = return_of(cookie, false);

		assert_true(cookie_check(&secret, &packet, &segment, 5 * MINUTE));
		assert_int_equal(segment.options.mss, rows[i].agreed);
	}
}

/* Of one connection TSval runs with the host's milliseconds, never ahead of them and at most one
 * step of the choices and a round behind; also where they wrap. The socket's clock goes on from
 * where it stands: what a client has seen never comes again. */
static void the_clock_of_a_connection_is_the_hosts(void **state)
{
	static const uint64_t starts[] = {5 * MINUTE, WRAP};
	const struct packet packet = packet_of(true);

	(void)state;
	for (uint32_t each = 0; each < 2u * (COOKIE_CHOICES + 1); each++) {
		const uint64_t start = starts[each & 1];
		struct cookie_options said = choose(each >> 1, true, 1460);
		uint32_t offset = 0;

		for (uint64_t ms = 0; ms < 60000; ms += STEP_MS) {
			uint64_t now = start + ms * MS;
			uint32_t now_ms = (uint32_t)(now / MS), seen;
			struct cookie cookie =
				cookie_make(&secret, &packet, CLIENT_ISN, &said, now);
			struct cookie_segment segment = return_of(cookie, true);

			assert_int_equal(cookie.tsval & COOKIE_CHOICES, each >> 1);
			assert_true(cookie_check(&secret, &packet, &segment, now));
			seen = segment.options.tsecr - cookie.tsval;
			assert_in_range(seen, 0, COOKIE_CHOICES);
			if (!ms)
				offset = segment.options.tsecr - now_ms;
			assert_int_equal(segment.options.tsecr - now_ms, offset);
			/* Half a minute later its clock is that much further. */
			segment = return_of(cookie, true);
			assert_true(cookie_check(&secret, &packet, &segment, now + MINUTE / 2));
			assert_int_equal(segment.options.tsecr - now_ms, offset + 30000);
		}
		assert_int_equal(offset & COOKIE_CHOICES, 0);
		assert_int_not_equal(offset, 0); /* nobody learns the host's clock by it */
	}
}

/* As old as the minutes let it be, and no older; nor of a time that has not come. */
static void its_age_is_looked_at(void **state)
{
	static const struct {
		int64_t ms;      /* after it was made, at the beginning of a minute */
		uint32_t echoed; /* TSecr's error */
		bool taken;
	} rows[] = {
		{0, 0, true},
		{0, (uint32_t)-120000, true},
		{0, (uint32_t)-120064, false},
		{119999, 0, true},
		{120000, 0, false},
		{59999, 64, true},
		{100, 64, true},
		{0, 64, false},
		{100, 128, false},
		{100, (uint32_t)-119808, true},
		{100, (uint32_t)-119936, false},
	};
	const struct packet packet = packet_of(true);
	struct cookie_options said = choose(0, true, 1460);
	const uint64_t now = 6 * MINUTE;
	struct cookie cookie = cookie_make(&secret, &packet, CLIENT_ISN, &said, now);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cookie_segment segment = return_of(cookie, true);

		segment.options.tsecr += rows[i].echoed;
		assert_int_equal(
			cookie_check(&secret, &packet, &segment, now + (uint64_t)rows[i].ms * MS),
			rows[i].taken);
	}
}

/* Made by a host whose clock is ahead: what the client has seen is the clock then. */
static void a_clock_that_is_behind_does_not_step_back(void **state)
{
	const struct packet packet = packet_of(true);
	struct cookie_options said = choose(0, true, 1460);
	struct fw_secret shared = secret;
	const uint64_t theirs = 6 * MINUTE + 30 * NSEC_PER_SEC;
	struct cookie cookie;
	struct cookie_segment segment;

	(void)state;
	shared.skew_ms = 5000;
	cookie = cookie_make(&shared, &packet, CLIENT_ISN, &said, theirs);
	segment = return_of(cookie, true);
	assert_true(cookie_check(&shared, &packet, &segment, theirs - 4000 * MS));
	assert_int_equal(segment.options.tsecr, cookie.tsval);
	segment = return_of(cookie, true);
	assert_true(cookie_check(&shared, &packet, &segment, theirs + 4000 * MS));
	assert_in_range(segment.options.tsecr - cookie.tsval, 4000, 4000 + COOKIE_CHOICES);
	/* Two minutes' end comes sooner by as much, and no other bound. */
	segment = return_of(cookie, true);
	assert_true(cookie_check(&shared, &packet, &segment, theirs + 84000 * MS));
	segment = return_of(cookie, true);
	assert_false(cookie_check(&shared, &packet, &segment, theirs + 86000 * MS));
	segment = return_of(cookie, true);
	assert_false(cookie_check(&shared, &packet, &segment, theirs - 5100 * MS));
}

/* Each bit of what the MAC covers counts. The secret is always the same, and so is what it says. */
static void no_bit_can_be_changed(void **state)
{
	(void)state;
	for (uint32_t each = 0; each < 4; each++) {
		bool is_v4 = each & 1, timestamps = each >> 1;
		const struct packet whole = packet_of(is_v4);
		struct cookie_options said = choose(0x19, timestamps, 1460);
		struct cookie cookie = cookie_make(&secret, &whole, CLIENT_ISN, &said, 6 * MINUTE);

		for (uint32_t bit = 0; bit < 128; bit++) {
			struct cookie_segment segment = return_of(cookie, timestamps);
			struct packet packet = whole;
			uint32_t one = 1u << bit % 32;

			packet.source.addr.word[bit / 32] ^= bpf_htonl(one);
			assert_false(cookie_check(&secret, &packet, &segment, 6 * MINUTE));
			packet = whole;
			packet.destination.addr.word[bit / 32] ^= bpf_htonl(one);
			/* Of IPv4, what is in front is the same for all. */
			if (!is_v4 || bit >= 96)
				assert_false(cookie_check(&secret, &packet, &segment, 6 * MINUTE));
			if (bit >= 32)
				continue;
			segment.ack ^= one;
			assert_false(cookie_check(&secret, &whole, &segment, 6 * MINUTE));
			segment = return_of(cookie, timestamps);
			segment.seq ^= one;
			assert_false(cookie_check(&secret, &whole, &segment, 6 * MINUTE));
			if (bit >= 16)
				continue;
			segment = return_of(cookie, timestamps);
			packet = whole;
			packet.source_port ^= (uint16_t)one;
			assert_false(cookie_check(&secret, &packet, &segment, 6 * MINUTE));
			packet = whole;
			packet.destination.port ^= (uint16_t)one;
			assert_false(cookie_check(&secret, &packet, &segment, 6 * MINUTE));
		}
		/* Nor may timestamps be left away, or come of themselves. */
		struct cookie_segment segment = return_of(cookie, !timestamps);

		assert_false(cookie_check(&secret, &whole, &segment, 6 * MINUTE));
	}
}

/* Hosts of a fleet that share a secret share this as well, whatever each was built from. */
static void every_build_reckons_the_same(void **state)
{
	static const struct {
		bool is_v4, timestamps;
		uint32_t isn, tsval;
	} rows[] = {
		{true, false, 0xec8dc291, 0xdeb39919},
		{true, true, 0xe8babbb8, 0xec2fabd9},
		{false, false, 0xec8c2c50, 0x2faa0cd9},
		{false, true, 0xe7433bf1, 0x0bebb7d9},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct packet packet = packet_of(rows[i].is_v4);
		struct cookie_options said = choose(0x19, rows[i].timestamps, 1460);
		struct cookie cookie =
			cookie_make(&secret, &packet, CLIENT_ISN, &said, 7 * MINUTE + 12345 * MS);

		assert_int_equal(cookie.isn, rows[i].isn);
		assert_int_equal(cookie.tsval, rows[i].tsval);
	}
}

/* What only one of the ends does is left out. */
static void both_ends_agree(void **state)
{
	(void)state;
	for (uint32_t offers = 0; offers < 16; offers++) {
		struct cookie_options all = choose(0x37, true, 1460), none = {.window_scale = 15};

		cookie_negotiate(&all, offers);
		assert_int_equal(all.window_scale,
				 offers & FW_OFFER_WINDOW_SCALE ? 7 : COOKIE_NO_SCALE);
		assert_int_equal(all.sack, !!(offers & FW_OFFER_SACK));
		assert_int_equal(all.timestamps, !!(offers & FW_OFFER_TIMESTAMPS));
		assert_int_equal(all.ecn, !!(offers & FW_OFFER_ECN));
		cookie_negotiate(&none, offers);
		assert_int_equal(none.window_scale, COOKIE_NO_SCALE);
		assert_false(none.sack || none.timestamps || none.ecn);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_choice_comes_back),
		cmocka_unit_test(a_size_is_rounded_down_to_one_that_can_be_said),
		cmocka_unit_test(the_clock_of_a_connection_is_the_hosts),
		cmocka_unit_test(its_age_is_looked_at),
		cmocka_unit_test(a_clock_that_is_behind_does_not_step_back),
		cmocka_unit_test(no_bit_can_be_changed),
		cmocka_unit_test(every_build_reckons_the_same),
		cmocka_unit_test(both_ends_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
