// SPDX-License-Identifier: BSD-2-Clause
/*
 * Nanoseconds a packet: runs Floodwall's filter and its peers over the same packets with
 * BPF_PROG_RUN and prints every sample as "case <tab> subject <tab> nanoseconds".
 *
 * In each round every subject has its turn, so that what drifts on a shared machine drifts for all.
 * A sample counts only if the subject gave the verdict that the case is about, and Floodwall also
 * for the reason that it is about: a fast wrong answer ends the run.
 *
 * Medians and ratios are packet.py's business.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "common/frames.h"
#include "common/measure.h"
#include "common/ours.h"
#include "common/peers.h"
#include "common/prefixes.h"
#include "feed.skel.h"
#include "filter.skel.h"

#define SERVER_4   "192.0.2.1"
#define CLIENT_4   "198.51.100.7"
#define VERIFIED_4 "198.51.100.8"
#define FLOODER_4  "198.51.100.9"
#define BLOCKED_4  "203.0.113.9"
#define SERVER_6   "2001:db8::1"
#define CLIENT_6   "2001:db8:7::7"
#define BLOCKED_6  "2001:db8:9::9"

enum { WARM_UP = 10000, WARM_UP_MILLIONS = 3000000 /* until an LRU hash is full */ };

enum subject {
	FLOODWALL,
	TRIVIAL,
	XDP_FILTER,    /* as `xdp-filter load` loads it */
	XDP_FILTER_IP, /* as `xdp-filter load --features ipv4,ipv6` does: addresses alone */
	LPM_TRIE,
	LRU_INSERT,
	SUBJECT_COUNT,
};

static const char *const subject_names[SUBJECT_COUNT] = {
	[FLOODWALL] = "floodwall",         [TRIVIAL] = "trivial",   [XDP_FILTER] = "xdp-filter",
	[XDP_FILTER_IP] = "xdp-filter-ip", [LPM_TRIE] = "lpm-trie", [LRU_INSERT] = "lru-insert",
};

/* Who takes part beside Floodwall. The trivial program always does. */
enum {
	NOBODY = 0,
	FILTERS = 1 << XDP_FILTER | 1 << XDP_FILTER_IP,
	TRIES = 1 << LPM_TRIE,
	LIMITERS = 1 << LRU_INSERT,
};

struct bench_case {
	const char *name;
	const char *source, *server;
	__u16 port;
	enum frame_kind kind;
	enum xdp_action action; /* of Floodwall and of peers that decide as it does */
	enum fw_verdict reason; /* for which Floodwall does so */
	unsigned int peers;
	enum feeding { ONE_SOURCE, LISTED_SOURCES, RANDOM_SOURCES } feeding;
	__u32 population; /* of random sources */
	bool rewritten;   /* by Floodwall: written anew for every packet, whoever gets it */
	bool returns_cookie;
	bool somebody_is_blocked;
};

static struct ours plain;     /* nobody is answered: the decision alone */
static struct ours blocking;  /* the same, and two sources are on the block list */
static struct ours answering; /* every newcomer is sent a cookie, and has to return it */
static struct feed_bpf *feed;
static int programs[SUBJECT_COUNT];

/* Rates that are charged like any other and never exceeded. */
static void lift_limits(const struct ours *ours, __u32 service)
{
	static const enum fw_setting rates[] = {
		FW_SET_SOURCE_SYN_RATE,        FW_SET_SOURCE_SYN_BURST,
		FW_SET_PREFIX_SYN_RATE,        FW_SET_PREFIX_SYN_BURST,
		FW_SET_CHALLENGE_ANSWERS,      FW_SET_CHALLENGE_PREFIX_ANSWERS,
		FW_SET_PREFIX_CONNECTION_RATE, FW_SET_PREFIX_CONNECTION_BURST};

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		ours_set(ours, service, rates[i], 10000000);
}

static void subjects_open(void)
{
	const struct fw_addr verified = addr_make(VERIFIED_4);

	plain = ours_load(FW_TIER_DROP);
	lift_limits(&plain, OURS_OPEN);
	ours_set(&plain, OURS_STRICT, FW_SET_SOURCE_SYN_RATE, 1);
	ours_set(&plain, OURS_STRICT, FW_SET_SOURCE_SYN_BURST, 1);
	ours_verify(&plain, &verified);
	blocking = ours_load(FW_TIER_DROP);
	ours_block(&blocking, BLOCKED_4);
	ours_block(&blocking, BLOCKED_6);
	answering = ours_load(FW_TIER_OWN);
	ours_set(&answering, OURS_OPEN, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_ALWAYS);
	lift_limits(&answering, OURS_OPEN);
	ours_listen(OURS_OPEN_PORT);
	programs[TRIVIAL] = peers_open_trivial();
	programs[XDP_FILTER] = peers_open_xdp_filter("xdpfilt_alw_all.o", BLOCKED_4, BLOCKED_6);
	programs[XDP_FILTER_IP] = peers_open_xdp_filter("xdpfilt_alw_ip.o", BLOCKED_4, BLOCKED_6);
	programs[LRU_INSERT] = peers_open_lru_insert();
	feed = feed_bpf__open();
	if (!feed ||
	    bpf_map__reuse_fd(feed->maps.arrivals,
			      bpf_map__fd(answering.skeleton->maps.arrivals)) ||
	    feed_bpf__load(feed))
		fail("the kernel refused the program that varies sources: %s", strerror(errno));
}

/* --- measuring ------------------------------------------------------------------------------- */

/* The filter that the case is about. */
static const struct ours *ours_for(const struct bench_case *c)
{
	if (c->rewritten || c->returns_cookie)
		return &answering;
	return c->somebody_is_blocked ? &blocking : &plain;
}

/* What the subject must answer. */
static enum xdp_action expected(const struct bench_case *c, enum subject subject)
{
	return subject == TRIVIAL || subject == LRU_INSERT ? XDP_PASS : c->action;
}

static int program_for(const struct bench_case *c, enum subject subject)
{
	return subject == FLOODWALL ? ours_for(c)->program : programs[subject];
}

/* Puts the program that varies sources in front of the subject, if the case wants it. The one to
 * run. */
static int front(const struct bench_case *c, enum subject subject, const struct frame *frame)
{
	int program = program_for(c, subject);

	if (c->feeding == ONE_SOURCE && !c->returns_cookie)
		return program;
	measure_put(feed->maps.subjects, &(__u32){subject}, &program);
	feed->bss->subject = subject;
	if (c->returns_cookie) {
		feed->bss->place = ours_arrival(&answering, c->source, FRAME_CLIENT_PORT, c->port);
		return measure_program(feed->progs.first_time);
	}
	feed->bss->population = c->population;
	feed->bss->frame_length = c->rewritten ? frame->length : 0;
	memcpy(feed->bss->frame, frame->bytes, sizeof(frame->bytes));
	return measure_program(feed->progs.feed);
}

/* The segment that returns a cookie, which is good for the next minute. Only a newcomer is sent
 * one.
 */
static struct frame with_cookie(const struct bench_case *c, const struct frame *syn)
{
	const struct fw_addr source = addr_make(c->source);
	struct frame answer = {.length = 0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = syn->bytes, .data_size_in = syn->length,
		    .data_out = answer.bytes, .data_size_out = sizeof(answer.bytes), .repeat = 1);

	ours_forget(&answering, &source);
	if (bpf_prog_test_run_opts(answering.program, &opts) || opts.retval != XDP_TX)
		fail("a SYN is not answered with a cookie, but with %u", opts.retval);
	answer.length = opts.data_size_out;
	return frame_complete(syn, &answer);
}

/* Nanoseconds a packet, over @repeat packets. */
static double measure(const struct bench_case *c, enum subject subject, const struct frame *given,
		      unsigned int repeat)
{
	struct frame frame = c->returns_cookie ? with_cookie(c, given) : *given;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.bytes, .data_size_in = frame.length,
		    .repeat = repeat);
	const struct ours *ours = subject == FLOODWALL ? ours_for(c) : NULL;
	__u64 before = ours ? ours_count(ours, c->reason) : 0, start, spent;
	int program = front(c, subject, &frame), err;

	start = measure_now_ns();
	err = bpf_prog_test_run_opts(program, &opts);
	spent = measure_now_ns() - start;
	if (err)
		fail("%s: BPF_PROG_RUN of %s: %s", c->name, subject_names[subject], strerror(-err));
	if (opts.retval != expected(c, subject))
		fail("%s: %s answered %u, not %u: this is not the path that the case is about",
		     c->name, subject_names[subject], opts.retval, expected(c, subject));
	/* A rate limiter lets one packet through now and then: that is its purpose. */
	if (ours && ours_count(ours, c->reason) - before < repeat - repeat / 1000)
		fail("%s: floodwall gave another reason than the case is about", c->name);
	return (double)spent / repeat;
}

/* @listed: a source that Floodwall and the trie drop because of a list; NULL: no list is in force.
 */
static void run_case(const struct bench_case *c, const char *listed, unsigned int rounds,
		     unsigned int repeat)
{
	struct frame frame = frame_make(c->source, c->server, c->port, c->kind);
	struct frame from_list =
		frame_make(listed ? listed : c->source, c->server, c->port, c->kind);
	unsigned int warm_up = c->population > WARM_UP ? WARM_UP_MILLIONS : WARM_UP;
	unsigned int all = c->peers | 1 << FLOODWALL | 1 << TRIVIAL, round;
	enum subject subject;
	bool lists;
	double ns;

	for (round = 0; round <= rounds; round++) {
		for (subject = 0; subject < SUBJECT_COUNT; subject++) {
			if (!(all & 1 << subject))
				continue;
			lists = subject == FLOODWALL || subject == LPM_TRIE;
			ns = measure(c, subject, lists ? &from_list : &frame,
				     round ? repeat : warm_up);
			if (round) /* the first one only warms up */
				printf("%s\t%s\t%.2f\n", c->name, subject_names[subject], ns);
		}
	}
}

/* --- cases ----------------------------------------------------------------------------------- */

#define V4       .server = SERVER_4, .port = OURS_OPEN_PORT
#define V6       .server = SERVER_6, .port = OURS_OPEN_PORT
#define THOUSAND .feeding = RANDOM_SOURCES, .population = 1000
#define MILLIONS .feeding = RANDOM_SOURCES, .population = 10000000

static const struct bench_case cases[] = {
	{"established_pass", CLIENT_4, V4, .kind = FRAME_DATA, .action = XDP_PASS,
	 .reason = FW_PASS_ESTABLISHED, .peers = FILTERS},
	{"established_pass_v6", CLIENT_6, V6, .kind = FRAME_DATA, .action = XDP_PASS,
	 .reason = FW_PASS_ESTABLISHED, .peers = FILTERS},
	{"established_pass_blocking", CLIENT_4, V4, .kind = FRAME_DATA, .action = XDP_PASS,
	 .reason = FW_PASS_ESTABLISHED, .peers = FILTERS, .somebody_is_blocked = true},
	{"established_pass_blocking_v6", CLIENT_6, V6, .kind = FRAME_DATA, .action = XDP_PASS,
	 .reason = FW_PASS_ESTABLISHED, .peers = FILTERS, .somebody_is_blocked = true},
	{"blocked_drop_1", BLOCKED_4, V4, .kind = FRAME_DATA, .action = XDP_DROP,
	 .reason = FW_BLOCKED, .peers = FILTERS, .somebody_is_blocked = true},
	{"blocked_drop_1_v6", BLOCKED_6, V6, .kind = FRAME_DATA, .action = XDP_DROP,
	 .reason = FW_BLOCKED, .peers = FILTERS, .somebody_is_blocked = true},
	{"syn_pass_verified", VERIFIED_4, V4, .kind = FRAME_SYN, .action = XDP_PASS,
	 .reason = FW_PASS_VERIFIED},
	{"syn_single_source", FLOODER_4, SERVER_4, OURS_STRICT_PORT, .kind = FRAME_SYN,
	 .action = XDP_DROP, .reason = FW_SOURCE_SYN_RATE},
	{"syn_random_1k", CLIENT_4, V4, .kind = FRAME_SYN, .action = XDP_PASS,
	 .reason = FW_PASS_SYN, .peers = LIMITERS, THOUSAND},
	{"syn_random_10m", CLIENT_4, V4, .kind = FRAME_SYN, .action = XDP_PASS,
	 .reason = FW_PASS_SYN, .peers = LIMITERS, MILLIONS},
	{"syn_random_1k_v6", CLIENT_6, V6, .kind = FRAME_SYN, .action = XDP_PASS,
	 .reason = FW_PASS_SYN, .peers = LIMITERS, THOUSAND},
	{"syn_random_10m_v6", CLIENT_6, V6, .kind = FRAME_SYN, .action = XDP_PASS,
	 .reason = FW_PASS_SYN, .peers = LIMITERS, MILLIONS},
	{"cookie_answer_v4", CLIENT_4, V4, .kind = FRAME_SYN_ECN, .action = XDP_TX,
	 .reason = FW_COOKIE_SENT, .rewritten = true, MILLIONS},
	{"cookie_answer_v6", CLIENT_6, V6, .kind = FRAME_SYN_ECN, .action = XDP_TX,
	 .reason = FW_COOKIE_SENT, .rewritten = true, MILLIONS},
	{"cookie_ack", CLIENT_4, V4, .kind = FRAME_SYN_ECN, .action = XDP_PASS,
	 .reason = FW_PASS_COOKIE, .returns_cookie = true},
	{"cookie_ack_v6", CLIENT_6, V6, .kind = FRAME_SYN_ECN, .action = XDP_PASS,
	 .reason = FW_PASS_COOKIE, .returns_cookie = true},
};

/* With lists of so many prefixes in force. Of a list xdp-filter holds one address, always the same.
 */
static const struct list_case {
	size_t prefixes;
	struct bench_case c;
} list_cases[] = {
#define LIST_CASE(...) LIST_CASE_(__VA_ARGS__)
#define LIST_CASE_(count, title, drawn, who, from, to)                                             \
	{                                                                                          \
		count,                                                                             \
		{                                                                                  \
			.name = title, .source = from, .server = to, .port = OURS_OPEN_PORT,       \
			.kind = FRAME_DATA, .action = XDP_DROP, .reason = FW_LISTED, .peers = who, \
			.feeding = drawn                                                           \
		}                                                                                  \
	}
#define ONE    ONE_SOURCE, FILTERS | TRIES
#define RANDOM LISTED_SOURCES, TRIES
	LIST_CASE(100000, "blocked_drop_100k", ONE, BLOCKED_4, SERVER_4),
	LIST_CASE(100000, "blocked_drop_100k_random", RANDOM, BLOCKED_4, SERVER_4),
	LIST_CASE(1000000, "blocked_drop_1m", ONE, BLOCKED_4, SERVER_4),
	LIST_CASE(1000000, "blocked_drop_1m_random", RANDOM, BLOCKED_4, SERVER_4),
	LIST_CASE(100000, "blocked_drop_100k_v6", ONE, BLOCKED_6, SERVER_6),
	LIST_CASE(100000, "blocked_drop_100k_random_v6", RANDOM, BLOCKED_6, SERVER_6),
	LIST_CASE(1000000, "blocked_drop_1m_v6", ONE, BLOCKED_6, SERVER_6),
};

/* The list is in force in the filter and in the trie, and sources are drawn from it. */
static void list_load(const struct prefixes *list)
{
	struct fw_addr source;
	int err;

	programs[LPM_TRIE] = peers_open_lpm(list);
	err = prefixes_install(list, bpf_map__fd(plain.skeleton->maps.listing),
			       &plain.skeleton->data_meta->meta);
	if (err)
		fail("loading %zu prefixes: %s", list->count, strerror(-err));
	for (__u32 i = 0; i < bpf_map__max_entries(feed->maps.pool); i++) {
		source = prefixes_draw(list);
		measure_put(feed->maps.pool, &i, &source);
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

/* Whether the case is asked for: its name begins with @prefix. */
static bool wanted(const struct bench_case *c, const char *prefix)
{
	return strncmp(c->name, prefix, strlen(prefix)) == 0;
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned int repeat = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	const char *prefix = argc > 3 ? argv[3] : "";
	size_t i;

	if (argc < 3 || argc > 4 || !rounds || repeat < WARM_UP)
		fail("usage: packet ROUNDS PACKETS-PER-ROUND (at least %d) [BEGINNING-OF-CASES]",
		     WARM_UP);
	setvbuf(stdout, NULL, _IOLBF, 0);
	measure_prepare();
	subjects_open();
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (wanted(&cases[i], prefix))
			run_case(&cases[i], NULL, rounds, repeat);
	for (i = 0; i < sizeof(list_cases) / sizeof(list_cases[0]); i++)
		if (wanted(&list_cases[i].c, prefix))
			run_list_case(&list_cases[i], rounds, repeat);
	return 0;
}
