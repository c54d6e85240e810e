// SPDX-License-Identifier: BSD-2-Clause
#include "ours.h"
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "filter.skel.h"
#include "measure.h"

struct fw_addr addr_make(const char *text)
{
	struct fw_addr addr = {.word = {0, 0, htonl(0xffff), 0}};

	if (inet_pton(AF_INET, text, &addr.word[3]) != 1 && inet_pton(AF_INET6, text, &addr) != 1)
		fail("%s: not an address", text);
	return addr;
}

void ours_set(const struct ours *ours, __u32 service, enum fw_setting setting, __u64 value)
{
	__u32 key = fw_setting_index(service, setting);

	measure_put(ours->skeleton->maps.settings, &key, &value);
}

/* @port 0: bound to none. */
static void add_service(const struct ours *ours, __u32 id, const char *name, __u16 port)
{
	static const __u64 initial[FW_SETTING_COUNT] = {
#define FW_SETTING(id, name, scope, unit, def, min, max, text) [FW_SET_##id] = def,
#include "settings.def"
#undef FW_SETTING
	};
	static const char *const any[] = {"0.0.0.0", "::"};
	struct fw_service service = {.kind = FW_SERVICE_PLAIN};
	enum fw_setting setting;
	size_t i;

	snprintf(service.name, sizeof(service.name), "%s", name);
	measure_put(ours->skeleton->maps.services, &id, &service);
	for (setting = 0; setting < FW_SETTING_COUNT; setting++)
		ours_set(ours, id, setting, initial[setting]);
	for (i = 0; port && i < sizeof(any) / sizeof(any[0]); i++) {
		struct fw_service_key key = {
			.addr = addr_make(any[i]), .port = htons(port), .proto = IPPROTO_TCP};

		measure_put(ours->skeleton->maps.bindings, &key, &id);
	}
}

struct ours ours_load(enum fw_tier tier)
{
	struct fw_secret secret = {.key = {0x5eed0003, 0x5eed0004},
				   .window_scale = 7,
				   .offers = FW_OFFER_WINDOW_SCALE | FW_OFFER_SACK |
					     FW_OFFER_TIMESTAMPS | FW_OFFER_ECN};
	/* As wide as a drawn one: under a few bits' worth the records of IPv4 would share some
	 * lines, and be in the nearest cache. */
	const __u64 seed[2] = {0x5eed00019e3779b9, 0xbf58476d5eed0002};
	struct ours ours = {.skeleton = filter_bpf__open()};
	__u32 zero = 0;

	if (!ours.skeleton)
		fail("opening the filter: %s", strerror(errno));
	memcpy((void *)ours.skeleton->rodata->fw_seed, seed, sizeof(seed));
	ours.skeleton->rodata->fw_tier = tier;
	if (filter_bpf__load(ours.skeleton))
		fail("the kernel refused the filter: %s", strerror(errno));
	ours.program = measure_program(ours.skeleton->progs.floodwall_filter);
	ours.skeleton->data_meta->meta.epoch = 1;
	measure_put(ours.skeleton->maps.secrets, &zero, &secret);
	add_service(&ours, FW_HOST_SERVICE, "host", 0);
	add_service(&ours, OURS_OPEN, "open", OURS_OPEN_PORT);
	add_service(&ours, OURS_STRICT, "strict", OURS_STRICT_PORT);
	return ours;
}

/* @what is in a table about the address' network. */
static void note(const struct ours *ours, const struct fw_addr *addr, enum fw_record what)
{
	const __u64 seed[2] = {ours->skeleton->rodata->fw_seed[0],
			       ours->skeleton->rodata->fw_seed[1]};
	__u32 bit = fw_record_bit(seed, fw_network(addr)), word = fw_record_word(0, bit);
	__u64 bits = 0;

	bpf_map_lookup_elem(bpf_map__fd(ours->skeleton->maps.records), &word, &bits);
	bits |= (__u64)what << bit % 64;
	measure_put(ours->skeleton->maps.records, &word, &bits);
	ours->skeleton->data_meta->meta.blocked |= what == FW_RECORD_BLOCKED;
}

void ours_block(const struct ours *ours, const char *source)
{
	struct fw_list_entry entry = {.created_ns = 1};
	struct fw_addr addr = addr_make(source);

	measure_put(ours->skeleton->maps.block_hosts, &addr, &entry);
	note(ours, &addr, FW_RECORD_BLOCKED);
}

void ours_unload(struct ours *ours)
{
	filter_bpf__destroy(ours->skeleton);
}

static struct fw_source_key key_of(const struct fw_addr *source)
{
	return (struct fw_source_key){.addr = fw_addr_at_level(*source, FW_LEVEL_SOURCE),
				      .service = OURS_OPEN};
}

void ours_forget(const struct ours *ours, const struct fw_addr *source)
{
	struct fw_source_key key = key_of(source);

	bpf_map_delete_elem(bpf_map__fd(ours->skeleton->maps.sources), &key);
}

void ours_verify(const struct ours *ours, const struct fw_addr *source)
{
	struct fw_source_key key = key_of(source);
	struct fw_source proof = {};

	measure_put(ours->skeleton->maps.sources, &key, &proof);
	note(ours, source, FW_RECORD_KNOWN);
}

__u64 ours_count(const struct ours *ours, enum fw_verdict verdict)
{
	int cpus = libbpf_num_possible_cpus(), cpu, err;
	struct fw_counter *counters = calloc(cpus, sizeof(*counters));
	__u64 sum = 0;
	__u32 service, key;

	if (!counters)
		fail("out of memory");
	for (service = 0; service < OURS_SERVICES; service++) {
		key = fw_counter_index(service, verdict);
		err = bpf_map_lookup_elem(bpf_map__fd(ours->skeleton->maps.counters), &key,
					  counters);
		if (err)
			fail("map counters: %s", strerror(-err));
		for (cpu = 0; cpu < cpus; cpu++)
			sum += counters[cpu].packets;
	}
	free(counters);
	return sum;
}

__u32 ours_arrival(const struct ours *ours, const char *source, __u16 source_port, __u16 port)
{
	const __u64 seed[2] = {ours->skeleton->rodata->fw_seed[0],
			       ours->skeleton->rodata->fw_seed[1]};
	struct fw_addr addr = addr_make(source);

	return fw_hash(seed, &addr, (__u32)htons(source_port) << 16 | htons(port), 0) &
	       (FW_ARRIVALS - 1);
}

static void listen_at(const void *address, socklen_t size, int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 ||
	    (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on))) ||
	    bind(fd, address, size) || listen(fd, 4096))
		fail("listening: %s", strerror(errno));
}

void ours_listen(__u16 port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo))
		fail("bringing lo up: %s", strerror(errno));
	close(fd);
	listen_at(&v4, sizeof(v4), AF_INET);
	listen_at(&v6, sizeof(v6), AF_INET6);
}
