// SPDX-License-Identifier: BSD-2-Clause
/*
 * Named lists: what the filter finds in an image, and that replacing one leaves no gap. That the
 * image says what the entries do is tests/unit/wall/listing/test_listing.c's part.
 */
#include "common/filter.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include "common/family.h"
#include "contract/address.h"
#include "wall/listing/listing.h"

#define expect(verdict, from)                                                                      \
	filter_expect(filter, FW_HOST_SERVICE, verdict, .source = from,                            \
		      .destination = family->server, .flags = FRAME_ACK)
#define LASTING 0
#define ENDED   1 /* second of CLOCK_MONOTONIC: long ago */

static struct listing_source sources[FW_LISTS_MAX];
static struct fw_listed entries[FW_LISTS_MAX][1024];

static int setup(void **state)
{
	memset(sources, 0, sizeof(sources));
	return filter_setup(state);
}

/* Adds to list @id; list_install() puts it in force. */
static void list_add(uint32_t id, enum fw_list_action action, const char *text, uint32_t expires_s)
{
	struct fw_listed *entry = &entries[id][sources[id].count];
	struct fw_prefix prefix;
	struct error error;

	assert_true(sources[id].count < 1024);
	if (prefix_parse(text, &prefix, &error) < 0)
		fail_msg("%s", error.text);
	*entry = (struct fw_listed){prefix.addr, prefix.length, expires_s};
	strcpy(sources[id].row.name, "test");
	sources[id].row.action = action;
	sources[id].entries = entries[id];
	sources[id].count++;
}

static struct image list_image(void)
{
	struct image image;

	/* Compiled as of second 0, so that what has expired now is in the image. */
	assert_int_equal(listing_compile(sources, 0, &image, NULL), 0);
	return image;
}

/* NULL: no lists. */
static void image_install(struct filter *filter, const struct image *image)
{
	assert_int_equal(
		listing_install(filter_map(filter, "listing"), filter_meta(filter), image, NULL),
		0);
}

static void list_install(struct filter *filter)
{
	struct image image = list_image();

	image_install(filter, &image);
	image_free(&image);
}

static uint64_t list_packets(struct filter *filter, uint32_t id)
{
	uint64_t each[256] = {0}, sum = 0;

	assert_int_equal(bpf_map_lookup_elem(filter_map(filter, "list_packets"), &id, each), 0);
	for (int i = 0; i < 256; i++)
		sum += each[i];
	return sum;
}

static uint32_t uptime_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)now.tv_sec;
}

/* --- what a list does ------------------------------------------------------------------------- */

static void a_listed_source_is_dropped_and_counted(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		list_add(7, FW_LIST_BLOCK, family->client, LASTING);
		list_add(63, FW_LIST_BLOCK, family->wider, LASTING);
		list_install(filter);
		expect(LISTED, family->client);
		expect(LISTED, family->client);
		expect(LISTED, family->neighbour);
		expect(PASS_ESTABLISHED, family->stranger);
		assert_int_equal(list_packets(filter, 7), family == families ? 2 : 4);
		assert_int_equal(list_packets(filter, 63), family == families ? 1 : 2);
	}
	image_install(filter, NULL);
	for_each_family(family) expect(PASS_ESTABLISHED, family->client);
}

static void a_list_that_allows_beats_every_block(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		list_add(0, FW_LIST_ALLOW, family->prefix, LASTING);
		list_add(1, FW_LIST_BLOCK, family->client, LASTING);
		list_add(1, FW_LIST_BLOCK, family->wider, LASTING);
		list_install(filter);
		filter_list(filter, FILTER_BLOCK, family->neighbour, 0);
		expect(PASS_ALLOWED, family->client);
		expect(PASS_ALLOWED, family->neighbour);
		expect(PASS_ESTABLISHED, family->stranger);
	}
	assert_int_equal(list_packets(filter, 0), 4);
}

static void single_entries_still_count(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		list_add(0, FW_LIST_BLOCK, family->prefix, LASTING);
		list_install(filter);
		filter_list(filter, FILTER_ALLOW, family->client_prefix, 0);
		filter_list(filter, FILTER_BLOCK, family->stranger, 0);
		expect(PASS_ALLOWED, family->client);
		expect(LISTED, family->neighbour);
		expect(BLOCKED, family->stranger);
	}
}

static void an_entry_counts_until_it_expires(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		list_add(0, FW_LIST_BLOCK, family->client, ENDED);
		list_add(0, FW_LIST_BLOCK, family->neighbour, uptime_s() + 3600);
		list_install(filter);
		expect(PASS_ESTABLISHED, family->client);
		expect(LISTED, family->neighbour);
	}
}

static void what_expires_uncovers_what_it_hid(void **state)
{
	struct filter *filter = *state;

	for_each_family(family)
	{
		list_add(0, FW_LIST_ALLOW, family->client, ENDED);
		list_add(1, FW_LIST_BLOCK, family->prefix, LASTING);
		list_add(2, FW_LIST_ALLOW, family->neighbour, uptime_s() + 3600);
		list_install(filter);
		expect(LISTED, family->client);
		expect(PASS_ALLOWED, family->neighbour);
	}
	assert_int_equal(list_packets(filter, 0), 0);
	assert_int_equal(list_packets(filter, 1), 2);
	assert_int_equal(list_packets(filter, 2), 2);
}

static void in_monitor_mode_a_list_only_tells(void **state)
{
	struct filter *filter = *state;

	filter_set_mode(filter, FW_LISTED, FW_MODE_MONITOR);
	for_each_family(family)
	{
		list_add(0, FW_LIST_BLOCK, family->prefix, LASTING);
		list_install(filter);
		expect(PASS_ESTABLISHED, family->client);
		filter_list(filter, FILTER_BLOCK, family->client, 0);
		expect(BLOCKED, family->client);
	}
	assert_int_equal(filter_counter(filter, 0, FW_LISTED).would, 4);
	assert_int_equal(list_packets(filter, 0), 4);
}

/* --- where entries begin and end -------------------------------------------------------------- */

/* Whether a list has the source dropped, and not that it is a martian. */
static bool is_listed(struct filter *filter, const struct fw_addr *source)
{
	char text[ADDRESS_TEXT_SIZE];
	const struct family *family = &families[!fw_addr_is_v4(source)];
	struct frame frame = frame(.source = address_format(source, text),
				   .destination = family->server, .flags = FRAME_ACK);
	uint64_t before;

	before = filter_counter(filter, FW_HOST_SERVICE, FW_LISTED).packets;
	filter_passes(filter, &frame);
	return filter_counter(filter, FW_HOST_SERVICE, FW_LISTED).packets != before;
}

/* @addr with the bits from @length on all zero or all one, and then one less or more. */
static struct fw_addr edge(struct fw_addr addr, uint32_t length, bool last, bool outside)
{
	uint8_t *bytes = (uint8_t *)&addr, step = last ? 1 : 0xff;

	for (uint32_t bit = length; bit < 128; bit++)
		bytes[bit / 8] = (uint8_t)(last ? bytes[bit / 8] | 0x80 >> bit % 8
						: bytes[bit / 8] & ~(0x80 >> bit % 8));
	for (int i = 15; outside && i >= 0; i--) {
		bytes[i] = (uint8_t)(bytes[i] + step);
		if (bytes[i] != (last ? 0 : 0xff))
			break;
	}
	return addr;
}

static void every_length_ends_where_it_should(void **state)
{
	static const char *const inside[] = {"90.170.170.170",
					     "2aaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa"};
	struct filter *filter = *state;
	char text[ADDRESS_TEXT_SIZE];
	struct fw_addr addr, at;
	struct fw_prefix prefix;

	for (int v6 = 0; v6 < 2; v6++) {
		addr = filter_address(inside[v6]);
		for (uint32_t length = v6 ? 3 : 96; length <= 128; length++) {
			sources[0].count = 0;
			prefix = (struct fw_prefix){length, edge(addr, length, false, false)};
			list_add(0, FW_LIST_BLOCK, prefix_format(&prefix, text), LASTING);
			list_install(filter);
			for (int i = 0; i < 4; i++) {
				at = edge(addr, length, i & 1, i & 2);
				/* Beyond 0.0.0.0/0 there is no IPv4, but other addresses. */
				if (fw_addr_is_v4(&at) == !v6)
					assert_int_equal(is_listed(filter, &at), !(i & 2));
			}
		}
	}
	assert_int_equal(filter_counter(filter, 0, FW_BLOCKED).packets, 0);
}

/* The filter's walk and user space's, over trees of every depth. */
static void the_filter_finds_what_user_space_finds(void **state)
{
	static const uint32_t spreads[] = {0xffffffff, 0x00000fff, 0x0f000f0f, 0x80000001};
	struct filter *filter = *state;
	uint32_t dropped = 0;
	struct image image;

	srandom(1);
	for (int round = 0; round < 8; round++) {
		uint32_t spread = htonl(spreads[round % 4]);

		sources[0].count = 0;
		list_add(0, FW_LIST_BLOCK, "192.0.2.1", LASTING);
		for (; sources[0].count < 1024; sources[0].count++) {
			struct fw_listed *entry = &entries[0][sources[0].count];
			bool v4 = random() % 2;
			uint32_t length = 128 - (uint32_t)random() % (v4 ? 12 : 90);

			entry->addr = filter_address(v4 ? "10.1.0.0" : "2001:db8::");
			for (int i = v4 ? 3 : 1; i < 4; i++)
				entry->addr.word[i] |= (uint32_t)random() & spread;
			entry->addr = edge(entry->addr, length, false, false);
			entry->length = length;
			entry->expires_s = LASTING;
		}
		listing_tidy(entries[0], &sources[0].count, &sources[0].row);
		list_install(filter);
		image = list_image();
		for (size_t i = 0; i < 4 * sources[0].count; i++) {
			const struct fw_listed *entry = &entries[0][i / 4];
			struct fw_addr at = edge(entry->addr, entry->length, i & 1, i & 2);
			bool listed = image_find(&image, &at) != FW_RULE_NONE;

			dropped += listed;
			if (is_listed(filter, &at) != listed) {
				char text[ADDRESS_TEXT_SIZE];

				fail_msg("%s is%s listed, and the filter thinks otherwise",
					 address_format(&at, text), listed ? "" : " not");
			}
		}
		image_free(&image);
	}
	assert_true(dropped > 1000);
}

/* --- replacement ------------------------------------------------------------------------------ */

struct traffic {
	struct filter *filter;
	const struct family *family;
	bool done;
	uint64_t packets;
};

static void *send_packets(void *context)
{
	struct traffic *traffic = context;
	struct frame frame = frame(.source = traffic->family->client,
				   .destination = traffic->family->server, .flags = FRAME_ACK);

	while (!__atomic_load_n(&traffic->done, __ATOMIC_RELAXED)) {
		filter_time(traffic->filter, &frame, 10000);
		traffic->packets += 10000;
	}
	return NULL;
}

/* Times that the list is replaced: as many as it takes until each has met some of the traffic,
 * which has but its turns of a CPU. */
enum { REPLACED = 40, REPLACED_MOST = 10000 };

static bool both_are_met(struct filter *filter)
{
	return list_packets(filter, 0) > 0 && list_packets(filter, 1) > 0;
}

/* Two lists that share one source and nothing else, in turns, under traffic from that source. */
static void replacing_leaves_no_moment_without(void **state)
{
	struct filter *filter = *state;
	struct image image[2];
	uint64_t listed = 0;

	for_each_family(family)
	{
		struct traffic traffic = {.filter = filter, .family = family};
		pthread_t thread;

		for (int i = 0; i < 2; i++) {
			char text[32];

			memset(sources, 0, sizeof(sources));
			for (int j = 0; j < 500; j++) {
				snprintf(text, sizeof(text), "%d.%d.%d.0/24", 60 + i, j / 256,
					 j % 256);
				list_add(i, FW_LIST_BLOCK, text, LASTING);
				snprintf(text, sizeof(text), "2001:%x:%x::/48", 0x1000 + i, j);
				list_add(i, FW_LIST_BLOCK, text, LASTING);
			}
			list_add(i, FW_LIST_BLOCK, i ? family->client : family->prefix, LASTING);
			image[i] = list_image();
		}
		image_install(filter, &image[0]);
		assert_int_equal(pthread_create(&thread, NULL, send_packets, &traffic), 0);
		for (int i = 0; i < REPLACED || (i < REPLACED_MOST && !both_are_met(filter)); i++)
			image_install(filter, &image[i % 2]);
		__atomic_store_n(&traffic.done, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		listed += traffic.packets;
		assert_true(traffic.packets > 0);
		assert_int_equal(filter_counter(filter, 0, FW_LISTED).packets, listed);
		assert_int_equal(filter_counted(filter).packets, listed);
		image_free(&image[0]);
		image_free(&image[1]);
	}
	assert_int_equal(list_packets(filter, 0) + list_packets(filter, 1), listed);
	assert_true(both_are_met(filter));
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, filter_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_listed_source_is_dropped_and_counted),
		test(a_list_that_allows_beats_every_block),
		test(single_entries_still_count),
		test(an_entry_counts_until_it_expires),
		test(what_expires_uncovers_what_it_hid),
		test(in_monitor_mode_a_list_only_tells),
		test(every_length_ends_where_it_should),
		test(the_filter_finds_what_user_space_finds),
		test(replacing_leaves_no_moment_without),
	};

	return cmocka_run_group_tests_name("listed", tests, NULL, NULL);
}
