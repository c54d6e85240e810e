// SPDX-License-Identifier: BSD-2-Clause
/*
 * Nanoseconds a packet: runs Floodwall's filter and its peers over the same packets with
 * BPF_PROG_RUN and prints every sample as "case <tab> subject <tab> nanoseconds".
 *
 * In each round every subject has its turn, so that what drifts on a shared machine drifts for all.
 * A sample counts only if the subject gave the verdict that the case is about, and Floodwall also
 * for the reason that it is about: a fast wrong answer ends the run.
 *
 * The programs live in maps of their own, pinned nowhere: the host's filter is not touched.
 * Medians and ratios are packet.py's business.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <glob.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "floodwall.h"
#include "filter.skel.h"
#include "lpm.skel.h"
#include "common/prefixes.h"
#include "sources.skel.h"
#include "trivial.skel.h"

#define PORT_OPEN      443
#define PORT_STRICT    22
#define SERVER_4       "192.0.2.1"
#define CLIENT_4       "198.51.100.7"
#define VERIFIED_4     "198.51.100.8"
#define FLOODER_4      "198.51.100.9"
#define BLOCKED_4      "203.0.113.9"
#define SERVER_6       "2001:db8::1"
#define CLIENT_6       "2001:db8:7::7"
#define BLOCKED_6      "2001:db8:9::9"
#define XDP_FILTER_SRC 1 /* xdp-filter's flag of a rule: it is about the source */
#define WARM_UP        10000

enum { SERVICE_OPEN = 1, SERVICE_STRICT };

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("packet: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static int print_warning(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

/* --- packets --------------------------------------------------------------------------------- */

/* Checksums stay zero: no subject reads them. */
struct packet {
	unsigned char bytes[128];
	unsigned int length;
};

static void packet_append(struct packet *packet, const void *data, unsigned int length)
{
	memcpy(packet->bytes + packet->length, data, length);
	packet->length += length;
}

static struct packet packet_make(const char *source, const char *server, __u16 port, bool syn)
{
	/* What Linux sends: MSS, SACK, timestamps, no-op, window scale; later timestamps alone. */
	static const unsigned char syn_options[20] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0,
						      0, 1, 0, 0,    0, 0, 1, 3,  3, 7};
	static const unsigned char ack_options[12] = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1};
	const void *options = syn ? (const void *)syn_options : ack_options;
	unsigned int options_length = syn ? sizeof(syn_options) : sizeof(ack_options);
	bool v6 = strchr(source, ':');
	struct ethhdr eth = {.h_dest = {2, 0, 0, 0, 0, 1},
			     .h_source = {2, 0, 0, 0, 0, 2},
			     .h_proto = htons(v6 ? ETH_P_IPV6 : ETH_P_IP)};
	struct tcphdr tcp = {.source = htons(40000),
			     .dest = htons(port),
			     .seq = htonl(1),
			     .ack_seq = htonl(syn ? 0 : 1),
			     .doff = (sizeof(tcp) + options_length) / 4,
			     .syn = syn,
			     .ack = !syn,
			     .window = htons(502)};
	struct packet packet = {.length = 0};

	packet_append(&packet, &eth, sizeof(eth));
	if (v6) {
		struct ipv6hdr ip = {.version = 6,
				     .payload_len = htons(sizeof(tcp) + options_length),
				     .nexthdr = IPPROTO_TCP,
				     .hop_limit = 64};

		if (inet_pton(AF_INET6, source, &ip.saddr) != 1 ||
		    inet_pton(AF_INET6, server, &ip.daddr) != 1)
			fail("%s, %s: not IPv6 addresses", source, server);
		packet_append(&packet, &ip, sizeof(ip));
	} else {
		struct iphdr ip = {.version = 4,
				   .ihl = 5,
				   .tot_len = htons(sizeof(ip) + sizeof(tcp) + options_length),
				   .frag_off = htons(0x4000), /* don't fragment */
				   .ttl = 64,
				   .protocol = IPPROTO_TCP};

		if (inet_pton(AF_INET, source, &ip.saddr) != 1 ||
		    inet_pton(AF_INET, server, &ip.daddr) != 1)
			fail("%s, %s: not IPv4 addresses", source, server);
		packet_append(&packet, &ip, sizeof(ip));
	}
	packet_append(&packet, &tcp, sizeof(tcp));
	packet_append(&packet, options, options_length);
	return packet;
}

/* --- subjects -------------------------------------------------------------------------------- */

static void put(const struct bpf_map *map, const void *key, const void *value)
{
	int err = bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY);

	if (err)
		fail("map %s: %s", bpf_map__name(map), strerror(-err));
}

/* The one XDP program of a loaded object. Interpreted it would be measured for nothing. */
static int xdp_program(struct bpf_object *object)
{
	struct bpf_prog_info info = {.type = BPF_PROG_TYPE_UNSPEC};
	__u32 length = sizeof(info);
	struct bpf_program *program;
	int fd = -1;

	bpf_object__for_each_program(program,
				     object) if (bpf_program__type(program) == BPF_PROG_TYPE_XDP)
		fd = bpf_program__fd(program);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &length))
		fail("%s holds no XDP program", bpf_object__name(object));
	if (!info.jited_prog_len)
		fail("the kernel does not compile BPF: sysctl net.core.bpf_jit_enable=1");
	return fd;
}

static struct filter_bpf *filter;

static struct fw_addr addr_make(const char *text)
{
	struct fw_addr addr = {.word = {0, 0, htonl(0xffff), 0}};

	if (inet_pton(AF_INET, text, &addr.word[3]) != 1 && inet_pton(AF_INET6, text, &addr) != 1)
		fail("%s: not an address", text);
	return addr;
}

static void floodwall_set(__u32 service, enum fw_setting setting, __u64 value)
{
	__u32 key = fw_setting_index(service, setting);

	put(filter->maps.settings, &key, &value);
}

/* A service with default settings on @port of every address; port 0: on none. */
static void floodwall_add_service(__u32 id, const char *name, __u16 port)
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
	put(filter->maps.services, &id, &service);
	for (setting = 0; setting < FW_SETTING_COUNT; setting++)
		floodwall_set(id, setting, initial[setting]);
	for (i = 0; port && i < sizeof(any) / sizeof(any[0]); i++) {
		struct fw_service_key key = {
			.addr = addr_make(any[i]), .port = htons(port), .proto = IPPROTO_TCP};

		put(filter->maps.bindings, &key, &id);
	}
}

/* The filter with two services, one blocked source of each family and one verified source. */
static int floodwall_open(void)
{
	struct fw_meta meta = {.seed = {0x5eed0001, 0x5eed0002}, .epoch = 1};
	struct fw_list_entry entry = {.created_ns = 1};
	struct fw_source_key verified = {.addr = addr_make(VERIFIED_4), .service = SERVICE_OPEN};
	struct fw_source proof = {.verified_ns = 1};
	struct fw_addr blocked_4 = addr_make(BLOCKED_4), blocked_6 = addr_make(BLOCKED_6);
	__u32 zero = 0;

	filter = filter_bpf__open();
	if (!filter)
		fail("opening the filter: %s", strerror(errno));
	memcpy((void *)filter->rodata->fw_seed, meta.seed, sizeof(meta.seed));
	if (filter_bpf__load(filter))
		fail("the kernel refused the filter: %s", strerror(errno));
	put(filter->maps.meta, &zero, &meta);
	floodwall_add_service(FW_HOST_SERVICE, "host", 0);
	floodwall_add_service(SERVICE_OPEN, "open", PORT_OPEN);
	floodwall_add_service(SERVICE_STRICT, "strict", PORT_STRICT);
	/* The verified source's exact rate is computed, and never exceeded … */
	floodwall_set(SERVICE_OPEN, FW_SET_SOURCE_SYN_RATE, 10000000);
	floodwall_set(SERVICE_OPEN, FW_SET_SOURCE_SYN_BURST, 10000000);
	/* … and the flooder's by all but one packet a second. */
	floodwall_set(SERVICE_STRICT, FW_SET_SOURCE_SYN_RATE, 1);
	floodwall_set(SERVICE_STRICT, FW_SET_SOURCE_SYN_BURST, 1);
	put(filter->maps.block_hosts, &blocked_4, &entry);
	put(filter->maps.block_hosts, &blocked_6, &entry);
	put(filter->maps.sources, &verified, &proof);
	return xdp_program(filter->obj);
}

/* How often the filter has given this reason. */
static __u64 floodwall_count(enum fw_verdict verdict)
{
	int cpus = libbpf_num_possible_cpus(), cpu, err;
	struct fw_counter *counters = calloc(cpus, sizeof(*counters));
	__u64 sum = 0;
	__u32 service, key;

	if (!counters)
		fail("out of memory");
	for (service = 0; service <= SERVICE_STRICT; service++) {
		key = fw_counter_index(service, verdict);
		err = bpf_map_lookup_elem(bpf_map__fd(filter->maps.counters), &key, counters);
		if (err)
			fail("map counters: %s", strerror(-err));
		for (cpu = 0; cpu < cpus; cpu++)
			sum += counters[cpu].packets;
	}
	free(counters);
	return sum;
}

static int trivial_open(void)
{
	struct trivial_bpf *trivial = trivial_bpf__open_and_load();

	if (!trivial)
		fail("the kernel refused the trivial program: %s", strerror(errno));
	return xdp_program(trivial->obj);
}

/* A rule of xdp-filter, as `xdp-filter ip --mode src` writes it: one value for each CPU. */
static void xdp_filter_block(struct bpf_object *object, const char *map, const void *source)
{
	int cpus = libbpf_num_possible_cpus(), cpu;
	__u64 *values = calloc(cpus, sizeof(*values));

	if (!values)
		fail("out of memory");
	for (cpu = 0; cpu < cpus; cpu++)
		values[cpu] = XDP_FILTER_SRC;
	if (!bpf_object__find_map_by_name(object, map))
		fail("xdp-filter's %s has no map %s", bpf_object__name(object), map);
	put(bpf_object__find_map_by_name(object, map), source, values);
	free(values);
}

/* Debian's xdp-filter, from the object file that `xdp-filter load` would take, with the same
 * blocked sources. */
static int xdp_filter_open(const char *file)
{
	struct in_addr blocked_4;
	struct in6_addr blocked_6;
	struct bpf_object *object;
	struct bpf_map *map;
	char pattern[128];
	glob_t found;
	int err;

	snprintf(pattern, sizeof(pattern), "/usr/lib/*/bpf/%s", file);
	if (glob(pattern, 0, NULL, &found))
		fail("no %s: install the package xdp-tools", pattern);
	object = bpf_object__open(found.gl_pathv[0]);
	globfree(&found);
	if (!object)
		fail("%s: %s", file, strerror(errno));
	bpf_object__for_each_map(map, object)
	{
		err = bpf_map__set_pin_path(map, NULL);
		if (err)
			fail("%s: map %s: %s", file, bpf_map__name(map), strerror(-err));
	}
	err = bpf_object__load(object);
	if (err)
		fail("the kernel refused %s: %s", file, strerror(-err));
	inet_pton(AF_INET, BLOCKED_4, &blocked_4);
	inet_pton(AF_INET6, BLOCKED_6, &blocked_6);
	xdp_filter_block(object, "filter_ipv4", &blocked_4);
	xdp_filter_block(object, "filter_ipv6", &blocked_6);
	return xdp_program(object);
}

enum subject {
	FLOODWALL,
	TRIVIAL,
	XDP_FILTER,    /* as `xdp-filter load` loads it */
	XDP_FILTER_IP, /* as `xdp-filter load --features ipv4,ipv6` does: addresses alone */
	LPM_TRIE,      /* the least program with an LPM trie, which holds the same list */
	SUBJECT_COUNT,
};

static const char *const subject_names[SUBJECT_COUNT] = {
	[FLOODWALL] = "floodwall",         [TRIVIAL] = "trivial",   [XDP_FILTER] = "xdp-filter",
	[XDP_FILTER_IP] = "xdp-filter-ip", [LPM_TRIE] = "lpm-trie",
};

static int programs[SUBJECT_COUNT];
static struct lpm_bpf *lpm;
static struct sources_bpf *sources;

/* Hands packets with ever new sources on to the subjects. */
static void sources_open(void)
{
	sources = sources_bpf__open_and_load();
	if (!sources)
		fail("the kernel refused the program that varies sources: %s", strerror(errno));
	for (__u32 i = 0; i < SUBJECT_COUNT; i++)
		put(sources->maps.subjects, &i, &programs[i]);
}

/* The list is in force in the filter and in the trie, and sources are drawn from it. The peers that
 * hold no lists keep their one address. */
static void list_load(const struct prefixes *list)
{
	struct fw_addr source;
	int err;

	lpm_bpf__destroy(lpm);
	lpm = lpm_bpf__open_and_load();
	if (!lpm)
		fail("the kernel refused the LPM trie: %s", strerror(errno));
	programs[LPM_TRIE] = xdp_program(lpm->obj);
	err = prefixes_fill_trie(list,
				 bpf_map__fd(list->v6 ? lpm->maps.trie_v6 : lpm->maps.trie_v4));
	if (err)
		fail("filling the trie: %s", strerror(-err));
	err = prefixes_install(list, bpf_map__fd(filter->maps.listing));
	if (err)
		fail("loading %zu prefixes: %s", list->count, strerror(-err));
	for (__u32 i = 0; i < bpf_map__max_entries(sources->maps.pool); i++) {
		source = prefixes_draw(list);
		put(sources->maps.pool, &i, &source);
	}
	put(sources->maps.subjects, &(__u32){LPM_TRIE}, &programs[LPM_TRIE]);
}

static void subjects_open(void)
{
	programs[FLOODWALL] = floodwall_open();
	programs[TRIVIAL] = trivial_open();
	programs[XDP_FILTER] = xdp_filter_open("xdpfilt_alw_all.o");
	programs[XDP_FILTER_IP] = xdp_filter_open("xdpfilt_alw_ip.o");
	lpm = lpm_bpf__open_and_load();
	if (!lpm)
		fail("the kernel refused the LPM trie: %s", strerror(errno));
	programs[LPM_TRIE] = xdp_program(lpm->obj);
	sources_open();
}

/* --- measuring ------------------------------------------------------------------------------- */

struct bench_case {
	const char *name;
	const char *source, *server;
	__u16 port;
	bool syn;
	enum xdp_action action; /* of all subjects but the trivial one, which passes everything */
	enum fw_verdict reason; /* for which Floodwall does so */
	bool floodwall_only;    /* no peer knows such a thing; the trivial program still runs */
	bool random;            /* another source of the list in force for every packet */
};

static const struct bench_case cases[] = {
	{"established_pass", CLIENT_4, SERVER_4, PORT_OPEN, false, XDP_PASS, FW_PASS_ESTABLISHED,
	 false, false},
	{"established_pass_v6", CLIENT_6, SERVER_6, PORT_OPEN, false, XDP_PASS, FW_PASS_ESTABLISHED,
	 false, false},
	{"blocked_drop_1", BLOCKED_4, SERVER_4, PORT_OPEN, false, XDP_DROP, FW_BLOCKED, false,
	 false},
	{"blocked_drop_1_v6", BLOCKED_6, SERVER_6, PORT_OPEN, false, XDP_DROP, FW_BLOCKED, false,
	 false},
	{"syn_pass_verified", VERIFIED_4, SERVER_4, PORT_OPEN, true, XDP_PASS, FW_PASS_VERIFIED,
	 true, false},
	{"syn_drop_rate", FLOODER_4, SERVER_4, PORT_STRICT, true, XDP_DROP, FW_SOURCE_SYN_RATE,
	 true, false},
};

/* With lists of so many prefixes in force. */
static const struct list_case {
	size_t prefixes;
	struct bench_case c;
} list_cases[] = {
#define LIST_CASE(count, name, random, blocked, server)                                            \
	{                                                                                          \
		count,                                                                             \
		{                                                                                  \
			name, blocked, server, PORT_OPEN, false, XDP_DROP, FW_LISTED, random,      \
				random                                                             \
		}                                                                                  \
	}
	LIST_CASE(100000, "blocked_drop_100k", false, BLOCKED_4, SERVER_4),
	LIST_CASE(100000, "blocked_drop_100k_random", true, BLOCKED_4, SERVER_4),
	LIST_CASE(1000000, "blocked_drop_1m", false, BLOCKED_4, SERVER_4),
	LIST_CASE(1000000, "blocked_drop_1m_random", true, BLOCKED_4, SERVER_4),
	LIST_CASE(100000, "blocked_drop_100k_v6", false, BLOCKED_6, SERVER_6),
	LIST_CASE(100000, "blocked_drop_100k_random_v6", true, BLOCKED_6, SERVER_6),
	LIST_CASE(1000000, "blocked_drop_1m_v6", false, BLOCKED_6, SERVER_6),
};

/* CPU time of this thread: what ran in between on the same CPU does not count. */
static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* Nanoseconds a packet, over @repeat packets. */
static double measure(const struct bench_case *c, enum subject subject, struct packet *packet,
		      unsigned int repeat)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet->bytes,
		    .data_size_in = packet->length, .repeat = repeat);
	enum xdp_action expected = subject == TRIVIAL ? XDP_PASS : c->action;
	__u64 before = subject == FLOODWALL ? floodwall_count(c->reason) : 0, start, spent;
	int err;

	start = now_ns();
	if (c->random)
		sources->bss->subject = subject;
	err = bpf_prog_test_run_opts(
		c->random ? bpf_program__fd(sources->progs.sources) : programs[subject], &opts);
	spent = now_ns() - start;
	if (err)
		fail("%s: BPF_PROG_RUN of %s: %s", c->name, subject_names[subject], strerror(-err));
	if (opts.retval != expected)
		fail("%s: %s answered %u, not %u: this is not the path that the case is about",
		     c->name, subject_names[subject], opts.retval, expected);
	/* A rate limiter lets one packet through now and then: that is its purpose. */
	if (subject == FLOODWALL && floodwall_count(c->reason) - before < repeat - repeat / 1000)
		fail("%s: floodwall gave another reason than the case is about", c->name);
	return (double)spent / repeat;
}

/* Whether the subject has what the case is about. */
static bool takes_part(const struct bench_case *c, enum subject subject, bool listed)
{
	switch (subject) {
	case FLOODWALL:
	case TRIVIAL:
		return true;
	case LPM_TRIE:
		return listed;
	default: /* of a list xdp-filter holds one address, always the same */
		return !c->floodwall_only && !c->random;
	}
}

/* @listed: a source that Floodwall and the trie drop because of a list; NULL: no list is in force.
 */
static void run_case(const struct bench_case *c, const char *listed, unsigned int rounds,
		     unsigned int repeat)
{
	struct packet packet = packet_make(c->source, c->server, c->port, c->syn);
	struct packet from_list =
		packet_make(listed ? listed : c->source, c->server, c->port, c->syn);
	enum subject subject;
	unsigned int round;
	double ns;

	for (round = 0; round <= rounds; round++) {
		for (subject = 0; subject < SUBJECT_COUNT; subject++) {
			if (!takes_part(c, subject, listed))
				continue;
			ns = measure(c, subject,
				     subject == FLOODWALL || subject == LPM_TRIE ? &from_list
										 : &packet,
				     round ? repeat : WARM_UP);
			if (round) /* the first one only warms up */
				printf("%s\t%s\t%.2f\n", c->name, subject_names[subject], ns);
		}
	}
}

static void run_list_case(const struct list_case *l, unsigned int rounds, unsigned int repeat)
{
	struct prefixes list = prefixes_make(l->prefixes, strchr(l->c.source, ':'));
	struct fw_addr source = prefixes_draw(&list);
	char text[INET6_ADDRSTRLEN];

	inet_ntop(list.v6 ? AF_INET6 : AF_INET, list.v6 ? &source.word[0] : &source.word[3], text,
		  sizeof(text));
	list_load(&list);
	prefixes_free(&list);
	run_case(&l->c, text, rounds, repeat);
}

/* One CPU for all, and a kernel that does not time every BPF program by itself. */
static void prepare_host(void)
{
	FILE *stats = fopen("/proc/sys/kernel/bpf_stats_enabled", "r");
	cpu_set_t cpus;

	if (stats && fgetc(stats) == '1')
		fail("BPF run-time statistics slow every program: sysctl "
		     "kernel.bpf_stats_enabled=0");
	if (stats)
		fclose(stats);
	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		fail("pinning to one CPU: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned int repeat = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	size_t i;

	if (argc != 3 || !rounds || repeat < WARM_UP)
		fail("usage: packet ROUNDS PACKETS-PER-ROUND (at least %d)", WARM_UP);
	setvbuf(stdout, NULL, _IOLBF, 0);
	libbpf_set_print(print_warning);
	prepare_host();
	subjects_open();
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		run_case(&cases[i], NULL, rounds, repeat);
	for (i = 0; i < sizeof(list_cases) / sizeof(list_cases[0]); i++)
		run_list_case(&list_cases[i], rounds, repeat);
	return 0;
}
