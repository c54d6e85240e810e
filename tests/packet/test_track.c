// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tracking: real connections over loopback, in a network namespace and a cgroup of the test's own.
 * Whatever way a connection ends, its count must return to where it was.
 */
#include "common/filter.h"
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/place.h"
#include "common/server.h"
#include "contract/address.h"
#include "track.skel.h"

enum { SERVICE = 1, PORT = 4430, BUCKETS = 64 };

static const __u64 seed[2] = {3, 5};

struct tracker {
	struct track_bpf *skeleton;
	struct bpf_link *link;
};

/* --- the tracker ----------------------------------------------------------------------------- */

static void set_epoch(struct tracker *tracker, uint64_t epoch)
{
	tracker->skeleton->data_meta->meta.epoch = epoch;
}

static void bind_service(struct tracker *tracker, const char *address)
{
	struct fw_service_key key = {
		.addr = filter_address(address), .port = htons(PORT), .proto = IPPROTO_TCP};
	uint32_t service = SERVICE;

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(tracker->skeleton->maps.bindings), &key,
					     &service, BPF_ANY),
			 0);
}

static int setup(void **state)
{
	struct tracker *tracker = calloc(1, sizeof(*tracker));
	int fd = open(place_cgroup(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	tracker->skeleton = track_bpf__open();
	memcpy((void *)tracker->skeleton->rodata->fw_seed, seed, sizeof(seed));
	tracker->skeleton->rodata->fw_connection_mask = BUCKETS - 1;
	bpf_map__set_max_entries(tracker->skeleton->maps.connections, BUCKETS);
	bpf_map__set_max_entries(tracker->skeleton->maps.sources, 1024);
	bpf_map__set_max_entries(tracker->skeleton->maps.block_hosts, 1);
	assert_int_equal(track_bpf__load(tracker->skeleton), 0);
	set_epoch(tracker, 1);
	tracker->link = bpf_program__attach_cgroup(tracker->skeleton->progs.floodwall_track, fd);
	assert_non_null(tracker->link);
	close(fd);
	*state = tracker;
	return 0;
}

static int teardown(void **state)
{
	struct tracker *tracker = *state;

	bpf_link__destroy(tracker->link);
	track_bpf__destroy(tracker->skeleton);
	free(tracker);
	return 0;
}

static struct fw_connection_bucket *bucket_of(struct tracker *tracker, const char *source,
					      enum fw_level level, uint64_t *hash)
{
	static struct fw_connection_bucket bucket;
	struct fw_addr addr = filter_address(source);
	uint32_t index;

	addr = fw_addr_at_level(addr, level);
	*hash = fw_hash_at(seed, &addr, SERVICE, level);
	index = fw_connection_bucket_index(*hash, BUCKETS - 1);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(tracker->skeleton->maps.connections),
					     &index, &bucket),
			 0);
	return &bucket;
}

static uint64_t held(struct tracker *tracker, const char *source, enum fw_level level)
{
	uint64_t hash;
	struct fw_connection_bucket *bucket = bucket_of(tracker, source, level, &hash);

	return fw_connection_count(bucket, hash);
}

/* Whether the filter is told, in both halves, to look into the tables for the source's network. */
static bool is_noted(struct tracker *tracker, const char *source)
{
	struct fw_addr addr = filter_address(source);
	uint32_t bit = fw_record_bit(seed, fw_network(&addr)), half, word;
	uint64_t bits, noted = 1;

	for (half = 0; half < 2; half++) {
		word = fw_record_word(half, bit);
		assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(tracker->skeleton->maps.records),
						     &word, &bits),
				 0);
		noted &= (bits >> bit % 64 & FW_RECORD_KNOWN) != 0;
	}
	return noted;
}

/* Sockets close a moment after the call that closes them. Who has ever held one is on record. */
static void expect_held(struct tracker *tracker, const char *source, uint64_t count)
{
	int tries;

	for (tries = 0; tries < 500; tries++) {
		if (held(tracker, source, FW_LEVEL_SOURCE) == count &&
		    held(tracker, source, FW_LEVEL_PREFIX) == count) {
			assert_true(count == 0 || is_noted(tracker, source));
			return;
		}
		poll(NULL, 0, 10);
	}
	fail_msg("%s holds %lu, its prefix %lu, not %lu", source,
		 (unsigned long)held(tracker, source, FW_LEVEL_SOURCE),
		 (unsigned long)held(tracker, source, FW_LEVEL_PREFIX), (unsigned long)count);
}

static uint64_t faults(struct tracker *tracker, enum fw_verdict verdict)
{
	int cpus = libbpf_num_possible_cpus(), cpu;
	struct fw_counter *each = calloc(cpus, sizeof(*each));
	uint32_t index = fw_counter_index(SERVICE, verdict);
	uint64_t sum = 0;

	assert_int_equal(
		bpf_map_lookup_elem(bpf_map__fd(tracker->skeleton->maps.counters), &index, each),
		0);
	for (cpu = 0; cpu < cpus; cpu++)
		sum += each[cpu].packets;
	free(each);
	return sum;
}

/* --- sockets --------------------------------------------------------------------------------- */

static int socket_at(const char *address, uint16_t port, struct sockaddr_storage *to,
		     socklen_t *size)
{
	struct fw_addr addr = filter_address(address);
	const int one = 1;
	int fd;

	*size = address_to_sockaddr(&addr, port, to);
	fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return fd;
}

/* "::" listens to both families. */
static int listen_at(const char *address)
{
	struct sockaddr_storage to;
	socklen_t size;
	int fd = socket_at(address, PORT, &to, &size);

	assert_int_equal(bind(fd, (struct sockaddr *)&to, size), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

static int connect_to(const char *address)
{
	struct sockaddr_storage to;
	socklen_t size;
	int fd = socket_at(address, PORT, &to, &size);

	if (connect(fd, (struct sockaddr *)&to, size) != 0)
		fail_msg("connect to %s: %s", address, strerror(errno));
	return fd;
}

static void reset(int fd)
{
	const struct linger now = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

/* A connection's two ends. */
struct pair {
	int client, server;
};

static struct pair pair_open(int listener, const char *address)
{
	struct pair pair = {.client = connect_to(address)};

	pair.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(pair.server >= 0);
	return pair;
}

/* --- stories --------------------------------------------------------------------------------- */

static const struct place {
	const char *wildcard, *address;
} places[] = {{"0.0.0.0", "127.0.0.1"}, {"::", "::1"}};

#define for_each_place(place) for (const struct place *place = places; place < places + 2; place++)

static void connections_are_counted_until_either_side_closes(void **state)
{
	struct tracker *tracker = *state;
	struct pair pair[3];
	int listener, i;

	for_each_place(place)
	{
		bind_service(tracker, place->wildcard);
		listener = listen_at(place->address);
		for (i = 0; i < 3; i++) {
			pair[i] = pair_open(listener, place->address);
			expect_held(tracker, place->address, i + 1);
		}
		/* A half-closed connection is still one. */
		close(pair[0].client);
		poll(NULL, 0, 50);
		expect_held(tracker, place->address, 3);
		close(pair[0].server);
		expect_held(tracker, place->address, 2);
		/* Here the server's side goes through TIME_WAIT, which is no connection. */
		close(pair[1].server);
		close(pair[1].client);
		expect_held(tracker, place->address, 1);
		reset(pair[2].client);
		expect_held(tracker, place->address, 0);
		close(pair[2].server);
		close(listener);
		expect_held(tracker, place->address, 0);
	}
	assert_int_equal(faults(tracker, FW_TRACK_FULL), 0);
	assert_int_equal(faults(tracker, FW_SOCKET_STORAGE), 0);
}

static void a_reset_by_the_server_counts_as_a_close(void **state)
{
	struct tracker *tracker = *state;
	struct pair pair;
	int listener;

	for_each_place(place)
	{
		bind_service(tracker, place->address);
		listener = listen_at(place->address);
		pair = pair_open(listener, place->address);
		expect_held(tracker, place->address, 1);
		reset(pair.server);
		expect_held(tracker, place->address, 0);
		close(pair.client);
		close(listener);
	}
}

static void connections_nobody_accepted_are_counted_too(void **state)
{
	struct tracker *tracker = *state;
	int client[5], listener, i;

	for_each_place(place)
	{
		bind_service(tracker, place->wildcard);
		listener = listen_at(place->address);
		for (i = 0; i < 5; i++)
			client[i] = connect_to(place->address);
		expect_held(tracker, place->address, 5);
		close(listener); /* resets them */
		expect_held(tracker, place->address, 0);
		for (i = 0; i < 5; i++)
			close(client[i]);
	}
}

static void a_killed_server_leaves_no_count(void **state)
{
	struct tracker *tracker = *state;
	int client[8], listener, status, i;
	pid_t server;

	for_each_place(place)
	{
		bind_service(tracker, place->wildcard);
		listener = listen_at(place->address);
		server = fork();
		assert_true(server >= 0);
		if (server == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				if (accept(listener, NULL, NULL) < 0)
					_exit(1);
		}
		close(listener);
		for (i = 0; i < 8; i++) {
			client[i] = connect_to(place->address);
			/* Unread bytes make some of them end in a reset. */
			assert_int_equal(write(client[i], "GET /", i % 2 ? 5 : 1) > 0, 1);
		}
		expect_held(tracker, place->address, 8);
		kill(server, SIGKILL);
		waitpid(server, &status, 0);
		for (i = 0; i < 8; i++)
			close(client[i]);
		expect_held(tracker, place->address, 0);
	}
}

/* Changes from several CPUs at once lose nothing: the last close brings every count back to zero.
 */
static void counts_are_exact_under_contention(void **state)
{
	enum { WORKERS = 4, ROUNDS = 300 };
	struct tracker *tracker = *state;
	int round, status, i;
	pid_t worker[WORKERS];

	bind_service(tracker, "0.0.0.0");
	for (i = 0; i < WORKERS; i++) {
		worker[i] = fork();
		assert_true(worker[i] >= 0);
		if (worker[i] == 0) {
			/* A server each, lest one reset what another is about to connect; to all
			 * of 127.0.0.0/8 the source is 127.0.0.1. */
			char address[16];
			int listener;

			snprintf(address, sizeof(address), "127.0.0.%d", i + 1);
			listener = listen_at(address);
			for (round = 0; round < ROUNDS; round++) {
				struct pair pair = pair_open(listener, address);

				reset(round % 2 ? pair.client : pair.server);
				close(round % 2 ? pair.server : pair.client);
			}
			_exit(0);
		}
	}
	for (i = 0; i < WORKERS; i++) {
		waitpid(worker[i], &status, 0);
		assert_int_equal(status, 0);
	}
	expect_held(tracker, "127.0.0.1", 0);
	assert_int_equal(faults(tracker, FW_TRACK_FULL), 0);
}

/* The v4 client's address on a v6 socket is v4-mapped; binding, source and prefix are v4's. */
static void a_dual_stack_listener_counts_v4_clients_as_v4(void **state)
{
	struct tracker *tracker = *state;
	int listener = listen_at("::");
	struct pair v4, v6;

	bind_service(tracker, "0.0.0.0");
	v4 = pair_open(listener, "127.0.0.1");
	v6 = pair_open(listener, "::1"); /* bound for v4 only: not a service's */
	expect_held(tracker, "127.0.0.1", 1);
	expect_held(tracker, "::1", 0);
	close(v4.client);
	close(v4.server);
	expect_held(tracker, "127.0.0.1", 0);
	close(v6.client);
	close(v6.server);
	close(listener);
}

static void what_is_no_service_is_not_tracked(void **state)
{
	struct tracker *tracker = *state;
	struct fw_source_key key;

	for_each_place(place)
	{
		int listener = listen_at(place->address);
		struct pair pair = pair_open(listener, place->address);

		expect_held(tracker, place->address, 0);
		close(pair.client);
		close(pair.server);
		close(listener);
	}
	assert_int_equal(
		bpf_map_get_next_key(bpf_map__fd(tracker->skeleton->maps.sources), NULL, &key),
		-ENOENT);
}

static void a_handshake_verifies_its_source_and_keeps_its_rate(void **state)
{
	struct tracker *tracker = *state;
	int fd = bpf_map__fd(tracker->skeleton->maps.sources), listener, i;
	struct fw_source source;
	struct pair pair;

	for_each_place(place)
	{
		struct fw_source_key key = {
			.addr = fw_addr_at_level(filter_address(place->address), FW_LEVEL_SOURCE),
			.service = SERVICE,
		};

		bind_service(tracker, place->wildcard);
		listener = listen_at(place->address);
		assert_int_not_equal(bpf_map_lookup_elem(fd, &key, &source), 0);
		for (i = 0; i < 2; i++) {
			pair = pair_open(listener, place->address);
			assert_int_equal(bpf_map_lookup_elem(fd, &key, &source), 0);
			assert_int_equal(source.tat_ns, i ? 4711 : 0);
			source.tat_ns = 4711;
			assert_int_equal(bpf_map_update_elem(fd, &key, &source, BPF_EXIST), 0);
			close(pair.client);
			close(pair.server);
		}
		close(listener);
		expect_held(tracker, place->address, 0);
	}
}

static bool is_verified(struct tracker *tracker, const char *source)
{
	struct fw_source_key key = {.addr = filter_address(source), .service = SERVICE};
	struct fw_source value;

	return bpf_map_lookup_elem(bpf_map__fd(tracker->skeleton->maps.sources), &key, &value) == 0;
}

/* A server that takes a SYN's data at its word, as Fast Open may, takes its source for nobody. */
static void fast_open_proves_nothing_by_a_syn(void **state)
{
	struct frame syn = frame(.source = "127.0.0.9", .destination = "127.0.0.1",
				 .destination_port = PORT, .flags = FRAME_SYN, .payload = 4);
	struct tracker *tracker = *state;
	struct sockaddr_storage to;
	struct pair pair;
	socklen_t size;
	int listener;

	server_sysctl("ipv4/tcp_fastopen", 0x607); /* both sides, no cookie, every listener */
	bind_service(tracker, "0.0.0.0");
	listener = listen_at("127.0.0.1");
	server_receive(&syn);
	pair.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC); /* before any handshake */
	assert_true(pair.server >= 0);
	assert_false(is_verified(tracker, "127.0.0.9"));
	assert_int_equal(held(tracker, "127.0.0.9", FW_LEVEL_SOURCE), 0);
	close(pair.server);

	pair.client = socket_at("127.0.0.1", PORT, &to, &size);
	assert_int_equal(sendto(pair.client, "GET ", 4, MSG_FASTOPEN, (struct sockaddr *)&to, size),
			 4);
	pair.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(pair.server >= 0);
	expect_held(tracker, "127.0.0.1", 1);
	assert_true(is_verified(tracker, "127.0.0.1"));
	reset(pair.client);
	expect_held(tracker, "127.0.0.1", 0);
	close(pair.server);
	close(listener);
}

/* The table was cleared and tracking began anew: what was counted before must not be undone now. */
static void a_socket_of_an_older_epoch_is_not_undone(void **state)
{
	struct tracker *tracker = *state;
	struct pair old, new;
	int listener;

	for_each_place(place)
	{
		set_epoch(tracker, 1);
		bind_service(tracker, place->wildcard);
		listener = listen_at(place->address);
		old = pair_open(listener, place->address);
		set_epoch(tracker, 2);
		new = pair_open(listener, place->address);
		expect_held(tracker, place->address, 2);
		close(old.client);
		close(old.server);
		poll(NULL, 0, 100);
		expect_held(tracker, place->address, 2);
		close(new.client);
		close(new.server);
		expect_held(tracker, place->address, 1);
		close(listener);
	}
}

/* Fails open: the connection lives, the fault is counted, and no stranger's count is touched. */
static void a_full_bucket_leaves_the_connection_uncounted(void **state)
{
	struct tracker *tracker = *state;
	int fd = bpf_map__fd(tracker->skeleton->maps.connections), listener, i;
	struct fw_connection_bucket full, now;
	struct pair pair;
	uint32_t index;
	char byte;

	for (i = 0; i < FW_CONNECTION_SLOTS; i++)
		full.slot[i] = (uint64_t)(i + 1) << 60 | 1 << 24 | 9;
	for (index = 0; index < BUCKETS; index++)
		assert_int_equal(bpf_map_update_elem(fd, &index, &full, BPF_ANY), 0);
	for_each_place(place)
	{
		bind_service(tracker, place->wildcard);
		listener = listen_at(place->address);
		pair = pair_open(listener, place->address);
		assert_int_equal(write(pair.client, "x", 1), 1);
		assert_int_equal(read(pair.server, &byte, 1), 1);
		expect_held(tracker, place->address, 0);
		close(pair.client);
		close(pair.server);
		close(listener);
	}
	poll(NULL, 0, 100);
	assert_int_equal(faults(tracker, FW_TRACK_FULL), 4); /* source and prefix, twice */
	for (index = 0; index < BUCKETS; index++) {
		assert_int_equal(bpf_map_lookup_elem(fd, &index, &now), 0);
		assert_memory_equal(now.slot, full.slot, sizeof(full.slot));
	}
}

static void a_slot_names_its_holder_and_is_freed_after_the_last(void **state)
{
	struct tracker *tracker = *state;
	struct fw_connection_bucket *bucket;
	struct fw_addr addr;
	struct pair pair;
	uint64_t hash;
	int listener, i;

	for_each_place(place)
	{
		bind_service(tracker, place->wildcard);
		listener = listen_at(place->address);
		pair = pair_open(listener, place->address);
		expect_held(tracker, place->address, 1);
		bucket = bucket_of(tracker, place->address, FW_LEVEL_SOURCE, &hash);
		addr = fw_addr_at_level(filter_address(place->address), FW_LEVEL_SOURCE);
		for (i = 0; bucket->slot[i] != (fw_connection_fingerprint(hash) | 1); i++)
			assert_true(i < FW_CONNECTION_SLOTS - 1);
		assert_memory_equal(&bucket->owner[i].addr, &addr, sizeof(addr));
		assert_int_equal(bucket->owner[i].service, SERVICE);
		assert_int_equal(bucket->owner[i].level, FW_LEVEL_SOURCE);
		close(pair.client);
		close(pair.server);
		expect_held(tracker, place->address, 0);
		bucket = bucket_of(tracker, place->address, FW_LEVEL_SOURCE, &hash);
		assert_int_equal(bucket->slot[i], 0);
		close(listener);
	}
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(connections_are_counted_until_either_side_closes),
		test(a_reset_by_the_server_counts_as_a_close),
		test(connections_nobody_accepted_are_counted_too),
		test(a_killed_server_leaves_no_count),
		test(counts_are_exact_under_contention),
		test(a_dual_stack_listener_counts_v4_clients_as_v4),
		test(what_is_no_service_is_not_tracked),
		test(a_handshake_verifies_its_source_and_keeps_its_rate),
		test(fast_open_proves_nothing_by_a_syn),
		test(a_socket_of_an_older_epoch_is_not_undone),
		test(a_full_bucket_leaves_the_connection_uncounted),
		test(a_slot_names_its_holder_and_is_freed_after_the_last),
	};

	return cmocka_run_group_tests_name("track", tests, place_enter, place_leave);
}
