// SPDX-License-Identifier: BSD-2-Clause
#include "filter.h"
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "contract/address.h"
#include "contract/rows.h"
#include "filter.skel.h"

/* Shorter ones are left alone: no interval that a test lets pass is near that. */
#define FILTER_STALL (FILTER_SECOND / 50)

struct filter {
	struct filter_bpf *skeleton;
	int program, cpus;
	uint64_t ran_ns; /* when the last packet came: the present, to a story */
};

const __u64 filter_seed[2] = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};

static void filter_require(bool good, const char *what)
{
	if (!good)
		fail_msg("%s", what);
}

static void filter_write(struct filter *filter, const char *map, const void *key, const void *value)
{
	filter_require(bpf_map_update_elem(filter_map(filter, map), key, value, BPF_ANY) == 0, map);
}

uint64_t filter_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * FILTER_SECOND + now.tv_nsec;
}

/* --- life ------------------------------------------------------------------------------------ */

struct filter *filter_load_constants(const struct filter_constants *constants)
{
	uint32_t buckets = constants->buckets ? constants->buckets : FILTER_BUCKETS;
	struct filter *filter = calloc(1, sizeof(*filter));
	uint32_t service, setting;

	filter_require(filter != NULL, "no memory");
	filter->cpus = libbpf_num_possible_cpus();
	filter->skeleton = filter_bpf__open();
	filter_require(filter->skeleton != NULL, "filter does not open");
	memcpy((void *)filter->skeleton->rodata->fw_seed, filter_seed, sizeof(filter_seed));
	filter->skeleton->rodata->fw_connection_mask = buckets - 1;
	filter->skeleton->rodata->fw_sample_events = !constants->no_events;
	filter->skeleton->rodata->fw_notes_questions = !constants->no_questions;
	filter->skeleton->rodata->fw_tier = constants->tier;
	bpf_map__set_max_entries(filter->skeleton->maps.connections, buckets);
	bpf_map__set_max_entries(filter->skeleton->maps.sources, 1024);
	bpf_map__set_max_entries(filter->skeleton->maps.block_hosts, 1024);
	filter_require(filter_bpf__load(filter->skeleton) == 0, "filter does not load");
	filter->program = bpf_program__fd(filter->skeleton->progs.floodwall_filter);
	filter->ran_ns = filter_now();
	for (service = 0; service < FILTER_SERVICES; service++)
		for (setting = 0; setting < FW_SETTING_COUNT; setting++)
			filter_set(filter, service, setting, setting_rows[setting].initial);
	return filter;
}

struct filter *filter_load_challenging(enum fw_tier tier)
{
	struct fw_secret secret = {.key = {0x1122334455667788ULL, 0x99aabbccddeeff00ULL},
				   .window_scale = FILTER_SCALE,
				   .offers = FW_OFFER_WINDOW_SCALE | FW_OFFER_SACK |
					     FW_OFFER_TIMESTAMPS | FW_OFFER_ECN};
	struct filter *filter = filter_load_with(.tier = tier);

	filter_set_secret(filter, 0, &secret);
	return filter;
}

struct filter *filter_load(void)
{
	return filter_load_with(.tier = FW_TIER_DROP);
}

void filter_free(struct filter *filter)
{
	filter_bpf__destroy(filter->skeleton);
	free(filter);
}

int filter_setup(void **state)
{
	*state = filter_load();
	return 0;
}

int filter_teardown(void **state)
{
	filter_free(*state);
	return 0;
}

int filter_map(struct filter *filter, const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(filter->skeleton->obj, name);

	filter_require(fd >= 0, name);
	return fd;
}

struct fw_meta *filter_meta(struct filter *filter)
{
	return &filter->skeleton->data_meta->meta;
}

struct fw_addr filter_address(const char *text)
{
	struct fw_addr addr;
	struct error error;

	filter_require(address_parse(text, &addr, &error) == 0, text);
	return addr;
}

/* --- packets --------------------------------------------------------------------------------- */

/* Between two packets no time passes but what a test says. What the machine took for itself, for
 * filter_age() above all, is no part of the story. */
static void filter_hold_time(struct filter *filter)
{
	uint64_t stall = filter_now() - filter->ran_ns;

	if (stall > FILTER_STALL)
		filter_age(filter, -(int64_t)stall);
}

static uint32_t filter_run(struct filter *filter, const struct frame *frame, int repeat,
			   uint32_t *action, struct frame *answer)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->data,
		    .data_size_in = frame->length, .data_out = answer ? answer->data : NULL,
		    .data_size_out = answer ? sizeof(answer->data) : 0, .repeat = repeat);

	filter_hold_time(filter);
	filter_require(bpf_prog_test_run_opts(filter->program, &options) == 0, "BPF_PROG_RUN");
	filter->ran_ns = filter_now();
	*action = options.retval;
	if (answer)
		answer->length = options.data_size_out;
	return options.duration;
}

uint32_t filter_answer(struct filter *filter, const struct frame *frame, struct frame *answer)
{
	uint32_t action;

	*answer = *frame; /* offsets are the same */
	filter_run(filter, frame, 1, &action, answer);
	return action;
}

struct frame filter_answer_of(struct filter *filter, const struct frame *syn)
{
	struct frame answer;

	filter_require(filter_answer(filter, syn, &answer) == XDP_TX, "a SYN is not answered");
	return answer;
}

bool filter_passes(struct filter *filter, const struct frame *frame)
{
	uint32_t action;

	filter_run(filter, frame, 1, &action, NULL);
	filter_require(action == XDP_PASS || action == XDP_DROP, "neither passed nor dropped");
	return action == XDP_PASS;
}

uint32_t filter_time(struct filter *filter, const struct frame *frame, int repeat)
{
	uint32_t action;

	return filter_run(filter, frame, repeat, &action, NULL);
}

/* --- counters -------------------------------------------------------------------------------- */

static struct fw_counter filter_sum(struct filter *filter, const struct fw_counter *each)
{
	struct fw_counter sum = {};
	int cpu;

	for (cpu = 0; cpu < filter->cpus; cpu++) {
		sum.packets += each[cpu].packets;
		sum.bytes += each[cpu].bytes;
		sum.would += each[cpu].would;
	}
	return sum;
}

struct fw_counter filter_counter(struct filter *filter, uint32_t service, enum fw_verdict verdict)
{
	struct fw_counter *each = calloc(filter->cpus, sizeof(*each)), sum;
	uint32_t index = fw_counter_index(service, verdict);

	filter_require(each && bpf_map_lookup_elem(filter_map(filter, "counters"), &index, each) ==
				       0,
		       "counters");
	sum = filter_sum(filter, each);
	free(each);
	return sum;
}

struct fw_counter filter_counted(struct filter *filter)
{
	uint32_t count = FILTER_SERVICES * FW_VERDICTS_MAX, next, i;
	struct fw_counter *each = calloc((size_t)count * filter->cpus, sizeof(*each));
	uint32_t *keys = calloc(count, sizeof(*keys));
	struct fw_counter sum = {}, one;
	int error;

	filter_require(each && keys, "no memory");
	error = bpf_map_lookup_batch(filter_map(filter, "counters"), NULL, &next, keys, each,
				     &count, NULL);
	filter_require(error == 0 || error == -ENOENT, "counters");
	for (i = 0; i < count; i++) {
		one = filter_sum(filter, each + (size_t)i * filter->cpus);
		sum.packets += one.packets;
		sum.bytes += one.bytes;
		sum.would += one.would;
	}
	free(each);
	free(keys);
	return sum;
}

/* The first counter that moved since @before, for the message of a test that fails. */
static const char *filter_verdict_moved(struct filter *filter, uint32_t service,
					const uint64_t before[FW_VERDICT_COUNT])
{
	int i;

	for (i = 0; i < FW_VERDICT_COUNT; i++)
		if (filter_counter(filter, service, i).packets != before[i])
			return verdict_rows[i].label;
	return "another service's, or none";
}

/* The XDP action that carries a verdict out. */
static uint32_t filter_fate(enum fw_verdict verdict)
{
	switch (verdict_rows[verdict].action) {
	case FW_ACTION_PASS:
		return XDP_PASS;
	case FW_ACTION_ANSWER:
		return XDP_TX;
	default:
		return XDP_DROP;
	}
}

void filter_expect_at(struct filter *filter, uint32_t service, enum fw_verdict verdict,
		      const struct frame *frame, const char *file, int line)
{
	uint32_t expected = filter_fate(verdict), action;
	struct fw_counter all = filter_counted(filter), one;
	uint64_t before[FW_VERDICT_COUNT];
	int i;

	for (i = 0; i < FW_VERDICT_COUNT; i++)
		before[i] = filter_counter(filter, service, i).packets;
	one = filter_counter(filter, service, verdict);
	filter_run(filter, frame, 1, &action, NULL);
	if (filter_counter(filter, service, verdict).packets != one.packets + 1) {
		print_error("%s:%d: expected %s, counted %s\n", file, line,
			    verdict_rows[verdict].label,
			    filter_verdict_moved(filter, service, before));
		_fail(file, line);
	}
	if (action != expected) {
		print_error("%s:%d: %s, but the packet's XDP action was %u\n", file, line,
			    verdict_rows[verdict].label, action);
		_fail(file, line);
	}
	if (filter_counter(filter, service, verdict).bytes != one.bytes + frame->length ||
	    filter_counted(filter).packets != all.packets + 1) {
		print_error("%s:%d: %s: bytes are wrong, or another counter moved too\n", file,
			    line, verdict_rows[verdict].label);
		_fail(file, line);
	}
}

/* --- records --------------------------------------------------------------------------------- */

void filter_record(struct filter *filter, const struct fw_addr *addr, enum fw_record what)
{
	uint32_t bit = fw_record_bit(filter_seed, fw_network(addr)), word = fw_record_word(0, bit);
	uint64_t bits = 0;

	bpf_map_lookup_elem(filter_map(filter, "records"), &word, &bits);
	bits |= (uint64_t)what << bit % 64;
	filter_write(filter, "records", &word, &bits);
	filter_meta(filter)->blocked |= what == FW_RECORD_BLOCKED;
}

/* --- policy ---------------------------------------------------------------------------------- */

void filter_set(struct filter *filter, uint32_t service, enum fw_setting setting, uint64_t value)
{
	uint32_t index = fw_setting_index(service, setting);

	filter_write(filter, "settings", &index, &value);
}

void filter_set_mode(struct filter *filter, enum fw_verdict verdict, enum fw_mode mode)
{
	uint32_t index = verdict;
	uint64_t value = mode;

	filter_write(filter, "modes", &index, &value);
}

void filter_bind(struct filter *filter, uint32_t service, const char *address, uint16_t port,
		 uint8_t proto)
{
	struct fw_service_key key = {
		.addr = filter_address(address), .port = htons(port), .proto = proto};

	filter_write(filter, "bindings", &key, &service);
}

static const char *filter_list_map(enum filter_list list, const struct fw_prefix *prefix)
{
	if (list == FILTER_ALLOW)
		return "allow";
	return prefix->length == 128 ? "block_hosts" : "block_prefixes";
}

static const void *filter_list_key(enum filter_list list, const struct fw_prefix *prefix)
{
	return list == FILTER_BLOCK && prefix->length == 128 ? (const void *)&prefix->addr : prefix;
}

void filter_list(struct filter *filter, enum filter_list list, const char *text, int seconds)
{
	struct fw_list_entry entry = {.created_ns = filter_now()};
	struct fw_prefix prefix;
	struct error error;

	filter_require(prefix_parse(text, &prefix, &error) == 0, text);
	entry.length = prefix.length;
	if (seconds)
		entry.expires_ns = entry.created_ns + seconds * (int64_t)FILTER_SECOND;
	filter_write(filter, filter_list_map(list, &prefix), filter_list_key(list, &prefix),
		     &entry);
	filter_record(filter, &prefix.addr, FW_RECORD_BLOCKED);
}

uint64_t filter_list_packets(struct filter *filter, enum filter_list list, const char *text)
{
	struct fw_list_entry entry;
	struct fw_prefix prefix;
	struct error error;

	filter_require(
		prefix_parse(text, &prefix, &error) == 0 &&
			bpf_map_lookup_elem(filter_map(filter, filter_list_map(list, &prefix)),
					    filter_list_key(list, &prefix), &entry) == 0,
		text);
	return entry.packets;
}

/* --- what tracking writes -------------------------------------------------------------------- */

void filter_verify(struct filter *filter, const char *source, uint32_t service)
{
	struct fw_source_key key = {
		.addr = fw_addr_at_level(filter_address(source), FW_LEVEL_SOURCE),
		.service = service,
	};
	struct fw_source value = {};

	filter_write(filter, "sources", &key, &value);
	filter_record(filter, &key.addr, FW_RECORD_KNOWN);
}

void filter_ask(struct filter *filter, uint8_t proto, const char *local, uint16_t local_port,
		const char *remote, uint16_t remote_port)
{
	struct fw_question key = {
		.local = filter_address(local),
		.remote = filter_address(remote),
		.local_port = htons(local_port),
		.remote_port = htons(remote_port),
		.proto = proto,
	};
	struct fw_asked asked = {.asked_ns = filter->ran_ns, .answers = FILTER_ANSWERS};

	filter_write(filter, "questions", &key, &asked);
}

void filter_hold(struct filter *filter, const char *source, uint32_t service, enum fw_level level,
		 uint32_t connections)
{
	struct fw_addr source_addr = filter_address(source);
	struct fw_addr addr = fw_addr_at_level(source_addr, level);
	uint64_t hash = fw_hash_at(filter_seed, &addr, service, level);
	uint32_t index =
		fw_connection_bucket_index(hash, filter->skeleton->rodata->fw_connection_mask);
	struct fw_connection_bucket bucket;
	int fd = filter_map(filter, "connections"), i;

	filter_require(bpf_map_lookup_elem(fd, &index, &bucket) == 0, "connections");
	for (i = 0; i < FW_CONNECTION_SLOTS - 1; i++)
		if (bucket.slot[i] == 0 ||
		    (bucket.slot[i] & ~FW_CONNECTION_COUNT_MASK) == fw_connection_fingerprint(hash))
			break;
	bucket.slot[i] = connections ? fw_connection_fingerprint(hash) | connections : 0;
	filter_write(filter, "connections", &index, &bucket);
	filter_record(filter, &addr, FW_RECORD_KNOWN);
}

void filter_shut(struct filter *filter, const char *source, uint32_t service, uint64_t until_ns,
		 int slot)
{
	struct fw_addr addr = filter_address(source);
	uint64_t hash = fw_hash_at(filter_seed, &addr, service, FW_LEVEL_SOURCE);
	uint32_t index = fw_shut_line_index(hash);
	struct fw_shut_line line;

	filter_require(bpf_map_lookup_elem(filter_map(filter, "shut"), &index, &line) == 0, "shut");
	line.slot[slot] =
		until_ns ? hash >> 32 << 32 | (uint32_t)(until_ns >> FW_SHUT_TICK_BITS) : 0;
	filter_write(filter, "shut", &index, &line);
	if (filter_meta(filter)->shut_ns < until_ns)
		filter_meta(filter)->shut_ns = until_ns;
}

/* --- cookies --------------------------------------------------------------------------------- */

struct fw_secret filter_secret(struct filter *filter, uint32_t index)
{
	struct fw_secret secret;

	filter_require(bpf_map_lookup_elem(filter_map(filter, "secrets"), &index, &secret) == 0,
		       "secrets");
	return secret;
}

void filter_set_secret(struct filter *filter, uint32_t index, const struct fw_secret *secret)
{
	filter_write(filter, "secrets", &index, secret);
}

void filter_use_secret(struct filter *filter, uint32_t index)
{
	filter_meta(filter)->secret = index;
}

/* --- proofs ---------------------------------------------------------------------------------- */

static void filter_forget_arrivals(struct filter *filter)
{
	static const uint64_t nothing;

	for (uint32_t place = 0; place < FW_ARRIVALS; place++)
		filter_write(filter, "arrivals", &place, &nothing);
}

void filter_forget_proofs(struct filter *filter)
{
	struct fw_source_key key;

	filter_forget_arrivals(filter);
	while (bpf_map_get_next_key(filter_map(filter, "sources"), NULL, &key) == 0)
		bpf_map_delete_elem(filter_map(filter, "sources"), &key);
}

/* --- events ---------------------------------------------------------------------------------- */

uint64_t filter_events(struct filter *filter)
{
	return filter_meta(filter)->events;
}

bool filter_event(struct filter *filter, uint64_t sequence, struct fw_event *event)
{
	uint32_t slot = sequence % FW_EVENTS_MAX;

	filter_require(bpf_map_lookup_elem(filter_map(filter, "events"), &slot, event) == 0,
		       "events");
	return event->sequence == sequence;
}
