/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flood: sends packets of one kind as fast as the machine can, or at a given rate.
 *
 * The packets are made in the kernel (flood.bpf.c) by BPF_PROG_RUN in live-frames mode and leave
 * by an interface whose driver can transmit XDP frames. On a veth the other end must poll (have an
 * XDP program, or GRO on), or it receives nothing.
 *
 * "sent" is what the wire took: frames made, less those it had no room for because the other end
 * did not keep up ("lost"). "offered_pps" counts both, "pps" what was sent.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include "common/address.h"
#include "common/options.h"
#include "common/run.h"
#include "flood.h"
#include "flood.skel.h"

#define BATCH       64     /* frames between two flushes */
#define FULL_CHUNK  65536  /* frames of one run at full speed: some tens of milliseconds */
#define PACED_CHUNK 64     /* frames of one run at a given rate: a veth's queue holds 256 */
#define PERIOD_MIN  250000 /* ns between two runs at a given rate: each makes a page pool */
#define PERIOD_MAX  4000000
#define THREADS_MAX 64
#define SECONDS_MAX 3600

static const struct kind {
	const char *name;
	int proto; /* IPPROTO_ICMP stands for both families' */
	bool mirror;
	uint8_t flags;             /* of TCP */
	uint8_t type, code, type6; /* of ICMP; the code is IPv4's */
} kinds[] = {
	{.name = "syn", .proto = IPPROTO_TCP, .flags = 0x02},
	{.name = "synack", .proto = IPPROTO_TCP, .flags = 0x12},
	{.name = "ack", .proto = IPPROTO_TCP, .flags = 0x10},
	{.name = "rst", .proto = IPPROTO_TCP, .flags = 0x04},
	{.name = "fin", .proto = IPPROTO_TCP, .flags = 0x01},
	{.name = "finack", .proto = IPPROTO_TCP, .flags = 0x11},
	{.name = "synfin", .proto = IPPROTO_TCP, .flags = 0x03},
	{.name = "null", .proto = IPPROTO_TCP, .flags = 0x00},
	{.name = "xmas", .proto = IPPROTO_TCP, .flags = 0x29},
	{.name = "land", .proto = IPPROTO_TCP, .mirror = true, .flags = 0x02},
	{.name = "udp", .proto = IPPROTO_UDP},
	{.name = "echo", .proto = IPPROTO_ICMP, .type = 8, .type6 = 128},
	{.name = "unreachable", .proto = IPPROTO_ICMP, .type = 3, .type6 = 1},
	{.name = "toobig", .proto = IPPROTO_ICMP, .type = 3, .code = 4, .type6 = 2},
};

/* Whose SYN it looks like, by its options. */
static const struct stack {
	const char *name;
	uint8_t size;
} stacks[] = {
	{"linux", FLOOD_LINUX_SIZE},
	{"windows", FLOOD_WINDOWS_SIZE},
	{"bare", FLOOD_BARE_SIZE},
};

struct options {
	const char *interface, *gateway, *kind, *stack;
	struct endpoint destination;
	struct prefix prefix;
	uint64_t sources, source_port, rate, threads;
	double seconds;
	bool json;
};

struct sender {
	pthread_t thread;
	int program;
	uint32_t ifindex;
	uint64_t rate; /* packets a second; 0: full speed */
	uint64_t end;
	uint64_t made;
	int error;
};

/* Frames that the interface had no room for so far. */
static uint64_t count_lost(const char *interface)
{
	struct ifaddrs *list, *entry;
	uint64_t lost = 0;

	if (getifaddrs(&list))
		return 0;
	for (entry = list; entry; entry = entry->ifa_next)
		if (!strcmp(entry->ifa_name, interface) && entry->ifa_data &&
		    entry->ifa_addr->sa_family == AF_PACKET)
			lost = ((struct rtnl_link_stats *)entry->ifa_data)->tx_dropped;
	freeifaddrs(list);
	return lost;
}

static void read_ethernet(const struct options *options, uint8_t ethernet[14])
{
	struct ifaddrs *list, *entry;
	bool found = false;
	char end;

	if (sscanf(options->gateway, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx%c", &ethernet[0], &ethernet[1],
		   &ethernet[2], &ethernet[3], &ethernet[4], &ethernet[5], &end) != 6)
		options_refuse("--gateway: can't read '%s'", options->gateway);
	if (getifaddrs(&list))
		options_refuse("getifaddrs: %s", strerror(errno));
	for (entry = list; entry; entry = entry->ifa_next) {
		if (strcmp(entry->ifa_name, options->interface) || !entry->ifa_addr ||
		    entry->ifa_addr->sa_family != AF_PACKET)
			continue;
		memcpy(ethernet + 6, ((struct sockaddr_ll *)entry->ifa_addr)->sll_addr, 6);
		found = true;
	}
	freeifaddrs(list);
	if (!found)
		options_refuse("--interface: there is no '%s' here", options->interface);
	ethernet[12] = options->destination.family == AF_INET ? 0x08 : 0x86;
	ethernet[13] = options->destination.family == AF_INET ? 0x00 : 0xdd;
}

static struct flood_plan make_plan(const struct options *options)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&options->destination.address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&options->destination.address;
	unsigned int bits = options->destination.family == AF_INET ? 32 : 128;
	struct flood_plan plan = {.is_v6 = bits == 128, .port = v4->sin_port};
	const struct kind *kind = NULL;
	const struct stack *stack = NULL;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].name, options->kind))
			kind = &kinds[i];
	if (!kind)
		options_refuse("--kind: there is no '%s'", options->kind);
	for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++)
		if (!strcmp(stacks[i].name, options->stack))
			stack = &stacks[i];
	if (!stack)
		options_refuse("--stack: there is no '%s'", options->stack);
	if (options->prefix.family != options->destination.family)
		options_refuse("--source-prefix and --destination must be of one family");
	if (options->sources > prefix_hosts(&options->prefix))
		options_refuse("--sources: the prefix has only %llu",
			       (unsigned long long)prefix_hosts(&options->prefix));
	plan.proto = (uint8_t)kind->proto;
	if (kind->proto == IPPROTO_ICMP && plan.is_v6)
		plan.proto = IPPROTO_ICMPV6;
	plan.type = plan.is_v6 ? kind->type6 : kind->type;
	plan.code = plan.is_v6 ? 0 : kind->code;
	plan.source_port = htons((uint16_t)options->source_port);
	plan.mirror = kind->mirror;
	plan.flags = kind->flags;
	plan.size = kind->flags & 0x02 ? stack->size : FLOOD_BARE_SIZE;
	plan.sources = (uint32_t)options->sources;
	/* As prefix_host() counts: an IPv6 host has a network of its own, if there is room. */
	plan.counted = bits == 32 ? 0 : options->prefix.length < 64 ? 1 : 3;
	plan.anywhere = options->prefix.length == 0;
	plan.ifindex = if_nametoindex(options->interface);
	memcpy(plan.from, options->prefix.address, sizeof(plan.from));
	if (plan.is_v6)
		memcpy(plan.to, &v6->sin6_addr, 16);
	else
		memcpy(plan.to, &v4->sin_addr, 4);
	for (unsigned int bit = options->prefix.length; bit < bits; bit++)
		((uint8_t *)plan.host_bits)[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	read_ethernet(options, plan.ethernet);
	return plan;
}

/* How many frames to send now. Never catches up by more than a tenth of a second: a stall is a
 * stall. */
static uint64_t frames_due(const struct sender *sender, uint64_t start, uint64_t now,
			   uint64_t *forgiven)
{
	uint64_t due, most = sender->rate / 10 + BATCH;

	if (!sender->rate)
		return FULL_CHUNK;
	due = (uint64_t)((__uint128_t)(now - start) * sender->rate / SECOND) - *forgiven -
	      sender->made;
	if (due > most) {
		*forgiven += due - most;
		due = most;
	}
	return due;
}

/* Often enough that no run is a burst, and not more often. */
static uint64_t frames_period(uint64_t rate)
{
	uint64_t period = rate ? PACED_CHUNK * SECOND / rate : 0;

	return period < PERIOD_MIN ? PERIOD_MIN : period > PERIOD_MAX ? PERIOD_MAX : period;
}

static void *send_frames(void *context)
{
	struct sender *sender = context;
	uint8_t frame[14 + 40 + FLOOD_LINUX_SIZE] = {0};
	struct xdp_md in = {.data_end = sizeof(frame), .ingress_ifindex = sender->ifindex};
	uint64_t start = run_clock(), turn = start, period = frames_period(sender->rate);
	uint64_t forgiven = 0, now, due;

	prctl(PR_SET_TIMERSLACK, 1);
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame),
		    .ctx_in = &in, .ctx_size_in = sizeof(in), .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
		    .batch_size = BATCH);

	while (!run_stopped && (now = run_clock()) < sender->end) {
		due = frames_due(sender, start, now, &forgiven);
		if (due) {
			run.repeat = (int)due;
			sender->error = bpf_prog_test_run_opts(sender->program, &run);
			if (!sender->error)
				sender->made += due;
			else if (sender->error != -ENOSPC) /* page pools still in use */
				break;
		}
		if (sender->rate) {
			struct timespec until;

			turn += period;
			until.tv_sec = (time_t)(turn / SECOND);
			until.tv_nsec = (long)(turn % SECOND);
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		}
	}
	return NULL;
}

static int flood(const struct options *options, const struct flood_plan *plan)
{
	struct sender senders[THREADS_MAX] = {0};
	uint64_t start, lost, made = 0;
	struct flood_bpf *skeleton;
	struct bpf_link *anchor;
	double seconds;
	sigset_t signals;
	int error = 0;

	skeleton = flood_bpf__open();
	if (!skeleton)
		options_refuse("can't open the generator's program: %s", strerror(errno));
	memcpy((void *)&skeleton->rodata->plan, plan, sizeof(*plan));
	if (flood_bpf__load(skeleton))
		options_refuse("can't load the generator's program: %s", strerror(errno));

	/*
	 * A program that runs nowhere is put into the kernel's XDP dispatcher and taken out again
	 * with every BPF_PROG_RUN, at some 20 ms of waiting. On lo it passes everything and stays
	 * in. Where something else sits there already we are only slower.
	 */
	anchor = bpf_program__attach_xdp(skeleton->progs.flood, if_nametoindex("lo"));
	run_begin(options->seconds);
	lost = count_lost(options->interface);
	start = run_clock();
	/* Only the main thread takes signals: an interrupted run would not say what it sent. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	for (uint64_t i = 0; i < options->threads; i++) {
		struct sender *sender = &senders[i];

		sender->program = bpf_program__fd(skeleton->progs.flood);
		sender->ifindex = if_nametoindex(options->interface);
		sender->rate = options->rate / options->threads;
		sender->end = start + (uint64_t)(options->seconds * 1e9);
		sender->error = -pthread_create(&sender->thread, NULL, send_frames, sender);
	}
	pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
	for (uint64_t i = 0; i < options->threads; i++) {
		if (senders[i].thread)
			pthread_join(senders[i].thread, NULL);
		made += senders[i].made;
		if (senders[i].error && !senders[i].made)
			error = senders[i].error;
	}
	seconds = (double)(run_clock() - start) / 1e9;
	lost = (uint32_t)(count_lost(options->interface) - lost); /* the counter has 32 bits */
	bpf_link__destroy(anchor);
	flood_bpf__destroy(skeleton);
	if (error) {
		fprintf(stderr, "flood: BPF_PROG_RUN: %s\n", strerror(-error));
		return EXIT_FAILURE;
	}
	lost = lost < made ? lost : made;
	return run_report(json_pack("{s:I, s:I, s:f, s:f, s:f}", "sent", (json_int_t)(made - lost),
				    "lost", (json_int_t)lost, "seconds", seconds, "offered_pps",
				    (double)made / seconds, "pps", (double)(made - lost) / seconds),
			  options->json);
}

int main(int argc, char **argv)
{
	struct options options = {
		.kind = "syn", .stack = "linux", .gateway = "", .seconds = 10, .threads = 1};
	const struct option_row rows[] = {
		{"interface", OPTION_TEXT, &options.interface, "to send by"},
		{"gateway", OPTION_TEXT, &options.gateway, "Ethernet address of the next hop"},
		{"destination", OPTION_ENDPOINT, &options.destination, "what to flood"},
		{"source-prefix", OPTION_PREFIX, &options.prefix,
		 "sources; 0.0.0.0/0 or ::/0: from anywhere"},
		{"sources", OPTION_COUNT, &options.sources,
		 "only the prefix's first N addresses; 0: all"},
		{"kind", OPTION_TEXT, &options.kind,
		 "syn synack ack rst fin finack synfin null xmas land udp echo unreachable toobig"},
		{"source-port", OPTION_COUNT, &options.source_port, "always this one; 0: any"},
		{"stack", OPTION_TEXT, &options.stack,
		 "whose SYNs they look like: linux windows bare; linux unless said"},
		{"rate", OPTION_COUNT, &options.rate, "packets a second; 0: full speed"},
		{"threads", OPTION_COUNT, &options.threads, "senders; 1 unless said"},
		{"seconds", OPTION_SECONDS, &options.seconds, "how long; 10 unless said"},
		{"json", OPTION_SWITCH, &options.json, "print the result as JSON"},
	};
	struct flood_plan plan;

	options_read(argc, argv, "sends packets of one kind at speed", rows,
		     sizeof(rows) / sizeof(rows[0]));
	if (!options.interface || !options.destination.family || !options.prefix.family)
		options_refuse("--interface, --destination and --source-prefix are needed");
	if (options.source_port > UINT16_MAX)
		options_refuse("--source-port: at most %d", UINT16_MAX);
	if (options.threads < 1 || options.threads > THREADS_MAX)
		options_refuse("--threads: 1 to %d", THREADS_MAX);
	if (options.seconds > SECONDS_MAX)
		options_refuse("--seconds: at most %d", SECONDS_MAX);
	plan = make_plan(&options);
	return flood(&options, &plan);
}
