/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The compiler of named lists against an oracle that looks at every entry: whatever the lists, the
 * image says the same of any address, above all of those next to where an entry begins or ends.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/clock.h"
#include "contract/address.h"
#include "wall/listing/listing.h"

#define NOW     1000 /* seconds */
#define FOREVER UINT64_MAX

static struct listing_source sources[FW_LISTS_MAX];
static struct error error;

static int begin(void **state)
{
	(void)state;
	srandom(1);
	memset(sources, 0, sizeof(sources));
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (size_t i = 0; i < FW_LISTS_MAX; i++)
		free((void *)sources[i].entries);
	return 0;
}

/* Room for @count entries in list @id. */
static struct fw_listed *list(uint32_t id, enum fw_list_action action, size_t count)
{
	struct fw_listed *entries = calloc(count ? count : 1, sizeof(*entries));

	assert_non_null(entries);
	free((void *)sources[id].entries);
	sources[id] = (struct listing_source){.entries = entries, .count = count};
	sources[id].row.action = action;
	strcpy(sources[id].row.name, "test");
	return entries;
}

static struct fw_listed entry(const char *text, uint32_t expires_s)
{
	struct fw_listed made = {.expires_s = expires_s};
	struct fw_prefix prefix;

	if (prefix_parse(text, &prefix, &error) < 0)
		fail_msg("%s", error.text);
	made.addr = prefix.addr;
	made.length = prefix.length;
	return made;
}

static void list_of(uint32_t id, enum fw_list_action action, const char *const *texts, size_t count)
{
	struct fw_listed *entries = list(id, action, count);

	for (size_t i = 0; i < count; i++)
		entries[i] = entry(texts[i], 0);
	listing_tidy(entries, &sources[id].count, &sources[id].row);
}
#define LIST(id, action, ...)                                                                      \
	list_of(id, FW_LIST_##action, (const char *const[]){__VA_ARGS__},                          \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static struct image compile(void)
{
	struct image image;

	if (listing_compile(sources, NOW, &image, &error) < 0)
		fail_msg("%s", error.text);
	assert_int_equal(image.lines[0].head.lines, image.count);
	return image;
}

static struct fw_list_rule rule_at(const struct image *image, uint32_t number)
{
	assert_true(number < image->lines[0].head.rules);
	return image->lines[FW_LINE_RULES + number / 2].rule[number & 1];
}

static struct fw_list_rule find(const struct image *image, const char *text)
{
	struct fw_addr addr = entry(text, 0).addr;

	return rule_at(image, image_find(image, &addr));
}

#define assert_blocked(image, text, list)                                                          \
	do {                                                                                       \
		assert_int_equal(find(image, text).allow_until_ns, 0);                             \
		assert_int_equal(find(image, text).block_until_ns, FOREVER);                       \
		assert_int_equal(find(image, text).block_list, list);                              \
	} while (0)
#define assert_unlisted(image, text)                                                               \
	do {                                                                                       \
		assert_int_equal(find(image, text).allow_until_ns, 0);                             \
		assert_int_equal(find(image, text).block_until_ns, 0);                             \
	} while (0)

/* --- an oracle -------------------------------------------------------------------------------- */

static bool holds(const struct fw_listed *listed, const struct fw_addr *addr)
{
	const uint8_t *a = (const void *)&listed->addr, *b = (const void *)addr;
	uint32_t bytes = listed->length / 8, bits = listed->length % 8;

	return memcmp(a, b, bytes) == 0 && (!bits || (a[bytes] ^ b[bytes]) >> (8 - bits) == 0);
}

static void longest(const struct fw_addr *addr, uint64_t until[2])
{
	until[FW_LIST_BLOCK] = until[FW_LIST_ALLOW] = 0;
	for (size_t i = 0; i < FW_LISTS_MAX; i++)
		for (size_t j = 0; j < sources[i].count; j++) {
			const struct fw_listed *listed = &sources[i].entries[j];
			uint64_t lasts =
				listed->expires_s ? listed->expires_s * CLOCK_SEC : FOREVER;

			if (lasts > NOW * CLOCK_SEC && holds(listed, addr) &&
			    lasts > until[sources[i].row.action])
				until[sources[i].row.action] = lasts;
		}
	if (until[FW_LIST_BLOCK] <= until[FW_LIST_ALLOW])
		until[FW_LIST_BLOCK] = 0;
}

static void agree(const struct image *image, const struct fw_addr *addr)
{
	struct fw_list_rule rule = rule_at(image, image_find(image, addr));
	char text[ADDRESS_TEXT_SIZE];
	uint64_t until[2];

	longest(addr, until);
	if (rule.allow_until_ns != until[FW_LIST_ALLOW] ||
	    rule.block_until_ns != until[FW_LIST_BLOCK])
		fail_msg("%s: allow %lu instead of %lu, block %lu instead of %lu",
			 address_format(addr, text), (unsigned long)rule.allow_until_ns,
			 (unsigned long)until[FW_LIST_ALLOW], (unsigned long)rule.block_until_ns,
			 (unsigned long)until[FW_LIST_BLOCK]);
}

/* @addr ± 1, staying in its family. */
static struct fw_addr next_to(struct fw_addr addr, int step)
{
	bool v4 = fw_addr_is_v4(&addr);
	uint8_t *bytes = (uint8_t *)&addr;

	for (int i = 15; i >= (v4 ? 12 : 0); i--) {
		bytes[i] = (uint8_t)(bytes[i] + step);
		if (bytes[i] != (step > 0 ? 0 : 0xff))
			break;
	}
	return addr;
}

static struct fw_addr last_of(const struct fw_listed *listed)
{
	struct fw_addr addr = listed->addr;
	uint8_t *bytes = (uint8_t *)&addr;

	for (uint32_t bit = listed->length; bit < 128; bit++)
		bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return addr;
}

static struct fw_addr random_addr(bool v4, uint32_t spread)
{
	struct fw_addr addr;

	for (int i = 0; i < 4; i++)
		addr.word[i] = htonl((uint32_t)random() << 1 ^ (uint32_t)random());
	if (v4) {
		addr.word[0] = addr.word[1] = 0;
		addr.word[2] = htonl(0xffff);
		addr.word[3] &= htonl(spread);
	} else { /* few sites, networks and hosts, so that prefixes nest and share a /64 */
		addr.word[0] = htonl(0x20010db8);
		addr.word[1] &= htonl(spread);
		addr.word[2] &= htonl(spread);
		addr.word[3] &= htonl(spread);
	}
	return addr;
}

static struct fw_listed random_entry(bool v4, uint32_t spread, bool expiring)
{
	struct fw_listed made = {.addr = random_addr(v4, spread)};
	uint8_t *bytes = (uint8_t *)&made.addr;

	made.length = random() % 4 == 0 ? 128
		      : v4              ? 96 + (uint32_t)random() % 33
					: 20 + (uint32_t)random() % 109;
	for (uint32_t bit = made.length; bit < 128; bit++)
		bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	if (expiring && random() % 2)
		made.expires_s = NOW - 2 + (uint32_t)random() % 6;
	return made;
}

/* Wherever an entry begins or ends, and anywhere else. */
static void agree_everywhere(const struct image *image, uint32_t spread)
{
	for (size_t i = 0; i < FW_LISTS_MAX; i++)
		for (size_t j = 0; j < sources[i].count; j++) {
			struct fw_addr first = sources[i].entries[j].addr;
			struct fw_addr last = last_of(&sources[i].entries[j]);
			struct fw_addr before = next_to(first, -1), after = next_to(last, 1);

			agree(image, &first);
			agree(image, &last);
			agree(image, &before);
			agree(image, &after);
		}
	for (int i = 0; i < 1000; i++) {
		struct fw_addr v4 = random_addr(true, i % 2 ? spread : ~0u);
		struct fw_addr v6 = random_addr(false, spread);

		agree(image, &v4);
		agree(image, &v6);
	}
}

static void random_lists_mean_what_their_entries_say(void **state)
{
	static const uint32_t spreads[] = {0xffffffff, 0x0f0f00ff, 0x000001ff, 0x8000c003, 0x3};
	struct image image;

	(void)state;
	for (uint32_t round = 0; round < 60; round++) {
		uint32_t spread = spreads[round % 5];

		for (uint32_t id = 0; id < 4; id++) {
			size_t count = (size_t)random() % 120;
			struct fw_listed *entries = list(id * 21, id % 2, count);

			for (size_t i = 0; i < count; i++)
				entries[i] = random_entry(random() % 2, spread, round % 3 == 0);
			listing_tidy(entries, &sources[id * 21].count, &sources[id * 21].row);
		}
		image = compile();
		agree_everywhere(&image, spread);
		image_free(&image);
	}
}

/* --- edges ------------------------------------------------------------------------------------ */

static void every_length_of_v4_has_its_edges(void **state)
{
	char text[ADDRESS_TEXT_SIZE];
	struct fw_prefix prefix;
	struct image image;

	(void)state;
	for (uint32_t length = 0; length <= 32; length++) {
		prefix = (struct fw_prefix){96 + length, entry("170.170.170.170", 0).addr};
		prefix.addr.word[3] &= htonl(length ? ~0u << (32 - length) : 0);
		LIST(0, BLOCK, prefix_format(&prefix, text));
		image = compile();
		agree_everywhere(&image, ~0u);
		assert_blocked(&image, "170.170.170.170", 0);
		image_free(&image);
	}
}

static void every_length_of_v6_has_its_edges(void **state)
{
	struct fw_listed *entries;
	struct image image;

	(void)state;
	for (uint32_t length = 3; length <= 128; length++) {
		entries = list(0, FW_LIST_BLOCK, 1);
		*entries = entry("2aaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa", 0);
		entries->length = length;
		for (uint32_t bit = length; bit < 128; bit++)
			((uint8_t *)&entries->addr)[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
		image = compile();
		agree_everywhere(&image, ~0u);
		assert_blocked(&image, "2aaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa", 0);
		assert_unlisted(&image, "192.0.2.1");
		image_free(&image);
	}
}

static void the_first_and_the_last_address_are_addresses(void **state)
{
	struct image image;

	(void)state;
	LIST(0, BLOCK, "0.0.0.0", "255.255.255.255", "::", "::1",
	     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::fffe:ffff:ffff", "::1:0:0:0");
	image = compile();
	agree_everywhere(&image, ~0u);
	assert_blocked(&image, "0.0.0.0", 0);
	assert_blocked(&image, "255.255.255.255", 0);
	assert_unlisted(&image, "0.0.0.1");
	assert_unlisted(&image, "255.255.255.254");
	assert_blocked(&image, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0);
	assert_unlisted(&image, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");
	image_free(&image);
}

static void nothing_listed_is_an_image_that_finds_nothing(void **state)
{
	struct image image;

	(void)state;
	image = compile();
	assert_unlisted(&image, "192.0.2.1");
	assert_unlisted(&image, "2001:db8::1");
	assert_int_equal(image.lines[0].head.rules, FW_RULE_OTHER);
	image_free(&image);
}

/* Every other address of two /17, and of a /112: the deepest trees there are. */
static void a_comb_has_as_many_parts_as_addresses(void **state)
{
	struct fw_listed *entries = list(0, FW_LIST_BLOCK, 65536);
	struct fw_addr addr;
	struct image image;

	(void)state;
	for (uint32_t i = 0; i < 32768; i++) {
		entries[2 * i] = entry("10.1.0.0", 0);
		entries[2 * i].addr.word[3] |= htonl(2 * i);
		entries[2 * i + 1] = entry("2001:db8::", 0);
		entries[2 * i + 1].addr.word[3] |= htonl(2 * i);
	}
	listing_tidy(entries, &sources[0].count, &sources[0].row);
	assert_int_equal(sources[0].count, 65536);
	image = compile();
	for (uint32_t i = 0; i < 65536; i++) {
		addr = entry("10.1.0.0", 0).addr;
		addr.word[3] |= htonl(i);
		assert_int_equal(image_find(&image, &addr), 1 - i % 2);
		addr = entry("2001:db8::", 0).addr;
		addr.word[3] |= htonl(i);
		assert_int_equal(image_find(&image, &addr), 1 - i % 2);
	}
	image_free(&image);
}

/* --- lists and time --------------------------------------------------------------------------- */

static void the_narrowest_of_equals_is_counted(void **state)
{
	struct image image;

	(void)state;
	LIST(3, BLOCK, "203.0.113.0/24", "2001:db8::/32");
	LIST(5, BLOCK, "203.0.0.0/16", "2001:db8:1::/48");
	LIST(7, BLOCK, "203.0.113.128/25");
	image = compile();
	assert_blocked(&image, "203.0.1.1", 5);
	assert_blocked(&image, "203.0.113.1", 3);
	assert_blocked(&image, "203.0.113.129", 7);
	assert_blocked(&image, "2001:db8:1::1", 5);
	assert_blocked(&image, "2001:db8:2::1", 3);
	image_free(&image);
}

static void allow_beats_block_whichever_is_narrower(void **state)
{
	struct image image;

	(void)state;
	LIST(0, ALLOW, "203.0.113.0/24", "192.0.2.7");
	LIST(1, BLOCK, "203.0.113.7", "192.0.2.0/24");
	image = compile();
	assert_int_equal(find(&image, "203.0.113.7").allow_until_ns, FOREVER);
	assert_int_equal(find(&image, "203.0.113.7").block_until_ns, 0);
	assert_int_equal(find(&image, "192.0.2.7").allow_until_ns, FOREVER);
	assert_blocked(&image, "192.0.2.8", 1);
	image_free(&image);
}

static void a_rule_says_what_comes_after(void **state)
{
	struct fw_listed *entries = list(0, FW_LIST_ALLOW, 1);
	struct fw_list_rule rule;
	struct image image;

	(void)state;
	entries[0] = entry("203.0.113.7", NOW + 10);
	LIST(1, BLOCK, "203.0.113.0/24");
	image = compile();
	rule = find(&image, "203.0.113.7");
	assert_int_equal(rule.allow_until_ns, (NOW + 10) * CLOCK_SEC);
	assert_int_equal(rule.block_until_ns, FOREVER);
	assert_int_equal(rule.block_list, 1);
	image_free(&image);
}

static void what_has_expired_is_left_out(void **state)
{
	struct fw_listed *entries = list(0, FW_LIST_BLOCK, 2);
	struct listing_source read[FW_LISTS_MAX];
	struct image image;

	(void)state;
	entries[0] = entry("192.0.2.1", NOW);
	entries[1] = entry("192.0.2.2", NOW + 1);
	image = compile();
	assert_unlisted(&image, "192.0.2.1");
	assert_int_equal(find(&image, "192.0.2.2").block_until_ns, (NOW + 1) * CLOCK_SEC);
	listing_read(&image, read);
	assert_int_equal(read[0].count, 1);
	assert_int_equal(read[0].row.expired, 1);
	image_free(&image);
}

/* More moments than an image has rules: rounded up, never down. */
static void very_many_expiries_are_rounded_up(void **state)
{
	const uint32_t count = 150000;
	struct fw_listed *entries = list(0, FW_LIST_BLOCK, count);
	struct fw_list_rule rule;
	uint64_t exact;
	struct image image;

	(void)state;
	for (uint32_t i = 0; i < count; i++) {
		entries[i] = entry("10.0.0.0", NOW + 1 + i);
		entries[i].addr.word[3] |= htonl(i);
	}
	image = compile();
	assert_int_equal(image.lines[0].head.granularity_s, 4);
	for (uint32_t i = 0; i < count; i += 997) {
		rule = rule_at(&image, image_find(&image, &entries[i].addr));
		exact = (NOW + 1 + i) * CLOCK_SEC;
		assert_true(rule.block_until_ns >= exact);
		assert_true(rule.block_until_ns < exact + 4 * CLOCK_SEC);
	}
	image_free(&image);
}

static void what_says_nothing_new_is_left_out_and_counted(void **state)
{
	struct fw_listed *entries = list(0, FW_LIST_BLOCK, 7);

	(void)state;
	entries[0] = entry("10.0.0.0/8", NOW + 100);
	entries[1] = entry("10.1.0.0/16", NOW + 50); /* covered: gone before the wider one */
	entries[2] = entry("10.2.0.0/16", 0);        /* outlasts it */
	entries[3] = entry("10.2.3.0/24", 0);        /* covered by [2] */
	entries[4] = entry("10.2.0.0/16", NOW + 10); /* twice, and shorter */
	entries[5] = entry("10.0.0.0/8", NOW + 100); /* twice */
	entries[6] = entry("11.0.0.0/8", 0);
	listing_tidy(entries, &sources[0].count, &sources[0].row);
	assert_int_equal(sources[0].row.given, 7);
	assert_int_equal(sources[0].row.duplicates, 2);
	assert_int_equal(sources[0].row.covered, 2);
	assert_int_equal(sources[0].count, 3);
}

static void an_image_is_what_the_next_one_is_made_from(void **state)
{
	struct listing_source read[FW_LISTS_MAX];
	struct image image, again;

	(void)state;
	LIST(0, ALLOW, "192.0.2.0/24", "2001:db8::/32");
	LIST(63, BLOCK, "198.51.100.1", "198.51.100.9", "203.0.113.0/24");
	image = compile();
	listing_read(&image, read);
	assert_int_equal(read[0].count, 2);
	assert_int_equal(read[0].row.entries_v4, 1);
	assert_int_equal(read[63].count, 3);
	assert_int_equal(listing_compile(read, NOW, &again, &error), 0);
	assert_int_equal(again.count, image.count);
	assert_memory_equal(again.lines, image.lines, (size_t)image.count * FW_LINE_SIZE);
	image_free(&image);
	image_free(&again);
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(random_lists_mean_what_their_entries_say),
		test(every_length_of_v4_has_its_edges),
		test(every_length_of_v6_has_its_edges),
		test(the_first_and_the_last_address_are_addresses),
		test(nothing_listed_is_an_image_that_finds_nothing),
		test(a_comb_has_as_many_parts_as_addresses),
		test(the_narrowest_of_equals_is_counted),
		test(allow_beats_block_whichever_is_narrower),
		test(a_rule_says_what_comes_after),
		test(what_has_expired_is_left_out),
		test(very_many_expiries_are_rounded_up),
		test(what_says_nothing_new_is_left_out_and_counted),
		test(an_image_is_what_the_next_one_is_made_from),
	};

	return cmocka_run_group_tests_name("listing", tests, NULL, NULL);
}
