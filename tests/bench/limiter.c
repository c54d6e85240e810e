// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a limiter does to the innocent, and what it lets through: an attack at a fixed rate from so
 * many sources, and between its SYNs those of innocents, each of whom connects every ten seconds.
 * Prints "case <tab> subject <tab> metric <tab> value".
 *
 * Time is real, as the limiters read the clock. An attack comes in steps of a tenth of a second, of
 * which BPF_PROG_RUN needs some for itself, and the innocents at the end of each. What is granted
 * at once has been used up before counting begins. Floodwall answers nobody here (tier drop), so
 * that the limiter alone is measured: whom it refuses without knowing him it would send a cookie.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "common/frames.h"
#include "common/measure.h"
#include "common/ours.h"
#include "common/peers.h"
#include "feed.skel.h"
#include "filter.skel.h"
#include "lru.skel.h"

#define STEP_NS 100000000ULL
#define SECOND  1000000000ULL
#define SERVER  "192.0.2.1"

enum {
	INNOCENTS = 10000, /* of each kind … */
	TURNS = 100,       /* … of whom so many have their turn in every step */
	RATE = 50,         /* of one source; the settings' defaults */
	BURST = 100,
	TIGHT_RATE = 5, /* with which an attack that fills the sketch takes a tenth of the CPU */
	TIGHT_BURST = 2,
	CELLS = FW_SKETCH_LINES * FW_SKETCH_CELLS,
	SETTLE_SECONDS = 4, /* twice what a burst takes to be earned again */
	LRU_ENTRIES = 1 << 20,
	LRU_ENTRIES_SMALL = 256 * 1024 / 80, /* in the sketch's memory: an element is 64 bytes, and
						16 of buckets */
};

enum subject { FLOODWALL, LRU, LRU_SMALL, SUBJECT_COUNT };

static const char *const subject_names[SUBJECT_COUNT] = {"floodwall", "lru", "lru-small"};

/* The limiter under test; of the two one is there. */
struct limiter {
	struct ours ours;
	struct lru_bpf *lru;
	int program;
};

struct attack {
	const char *name;
	__u32 sources;
	__u64 rate; /* SYNs a second, in all */
	bool fills; /* the sketch, whose limit is tight for that; of Floodwall alone */
};

/* What came of it. */
struct tally {
	__u64 attack, attack_passed;
	__u64 strangers, strangers_refused; /* innocents who have proved nothing */
	__u64 verified, verified_refused;
	__u64 spent_ns, lasted_ns;
};

static struct feed_bpf *feed;

static __u64 wall_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

/* Innocents live each in a network of his own, outside of those that the attack comes from. */
static struct fw_addr innocent(bool is_verified, __u32 number)
{
	return (struct fw_addr){{0, 0, htonl(0xffff),
				 htonl((is_verified ? 0x15000007 : 0x14000007) | number << 8)}};
}

static struct limiter limiter_open(const struct attack *attack, enum subject subject)
{
	struct limiter limiter = {.lru = NULL};
	struct fw_addr addr;

	if (subject != FLOODWALL) {
		limiter.lru = peers_load_lru_limit(subject == LRU ? LRU_ENTRIES : LRU_ENTRIES_SMALL,
						   RATE, BURST);
		limiter.program = measure_program(limiter.lru->progs.lru_limit);
		return limiter;
	}
	limiter.ours = ours_load(FW_TIER_DROP);
	limiter.program = limiter.ours.program;
	ours_set(&limiter.ours, OURS_OPEN, FW_SET_SOURCE_SYN_RATE,
		 attack->fills ? TIGHT_RATE : RATE);
	ours_set(&limiter.ours, OURS_OPEN, FW_SET_SOURCE_SYN_BURST,
		 attack->fills ? TIGHT_BURST : BURST);
	for (__u32 i = 0; i < INNOCENTS; i++) {
		addr = innocent(true, i);
		ours_verify(&limiter.ours, &addr);
	}
	return limiter;
}

static void limiter_close(struct limiter *limiter)
{
	if (limiter->lru)
		lru_bpf__destroy(limiter->lru);
	else
		ours_unload(&limiter->ours);
}

static __u64 count_passed(const struct limiter *limiter)
{
	return limiter->lru ? limiter->lru->bss->passed : ours_count(&limiter->ours, FW_PASS_SYN);
}

/* The XDP action that @repeat of these packets come to. */
static __u32 run(int program, const struct frame *frame, __u32 repeat)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->bytes, .data_size_in = frame->length,
		    .repeat = repeat);
	int err = bpf_prog_test_run_opts(program, &opts);

	if (err)
		fail("BPF_PROG_RUN: %s", strerror(-err));
	return opts.retval;
}

static bool is_refused(const struct limiter *limiter, bool is_verified, __u32 number)
{
	struct frame frame = frame_make("192.0.2.99", SERVER, OURS_OPEN_PORT, FRAME_SYN);
	struct fw_addr addr = innocent(is_verified, number);

	memcpy(frame.bytes + 26, &addr.word[3], 4);
	return run(limiter->program, &frame, 1) != XDP_PASS;
}

/* A step of the attack, and innocents of each kind. */
static void step(const struct limiter *limiter, const struct attack *attack,
		 const struct frame *syn, __u32 number, struct tally *tally)
{
	__u32 count = attack->rate * STEP_NS / SECOND;
	__u64 start = measure_now_ns(), before;

	before = count_passed(limiter);
	run(measure_program(feed->progs.feed), syn, count);
	tally->spent_ns += measure_now_ns() - start;
	tally->attack += count;
	tally->attack_passed += count_passed(limiter) - before;
	for (__u32 i = number * TURNS; i < (number + 1) * TURNS; i++) {
		tally->strangers++;
		tally->strangers_refused += is_refused(limiter, false, i % INNOCENTS);
		tally->verified++;
		tally->verified_refused += is_refused(limiter, true, i % INNOCENTS);
	}
}

static struct tally attack_for(const struct limiter *limiter, const struct attack *attack,
			       __u64 duration_ns)
{
	struct frame syn = frame_make("198.51.100.7", SERVER, OURS_OPEN_PORT, FRAME_SYN);
	__u64 begin = wall_clock_ns(), due = begin, now = begin;
	struct tally tally = {.attack = 0};
	struct timespec until;

	measure_put(feed->maps.subjects, &(__u32){0}, &limiter->program);
	feed->bss->population = attack->sources;
	for (__u32 number = 0; due < begin + duration_ns; number++) {
		step(limiter, attack, &syn, number, &tally);
		due += STEP_NS;
		now = wall_clock_ns();
		until = (struct timespec){.tv_sec = due / SECOND, .tv_nsec = due % SECOND};
		if (now < due)
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		else if (now > begin + 2 * duration_ns)
			break; /* it can't keep up: what it does is counted all the same */
	}
	tally.lasted_ns = wall_clock_ns() - begin;
	return tally;
}

static double share(__u64 part, __u64 whole)
{
	return whole ? (double)part / whole : 0;
}

static void print_metric(const struct attack *attack, enum subject subject, const char *metric,
			 double value)
{
	printf("%s\t%s\t%s\t%.6f\n", attack->name, subject_names[subject], metric, value);
}

static void report(const struct attack *attack, enum subject subject, const struct tally *tally)
{
	__u64 allowed = (__u64)attack->sources * (attack->fills ? TIGHT_RATE : RATE) *
			tally->lasted_ns / SECOND;

	if (subject == FLOODWALL) {
		print_metric(attack, subject, "false_challenge",
			     share(tally->strangers_refused, tally->strangers));
		print_metric(attack, subject, "false_drop",
			     share(tally->verified_refused, tally->verified));
	} else { /* it knows no difference */
		print_metric(attack, subject, "false_drop",
			     share(tally->strangers_refused + tally->verified_refused,
				   tally->strangers + tally->verified));
	}
	if (allowed < tally->attack)
		print_metric(attack, subject, "missed",
			     tally->attack_passed > allowed ? share(tally->attack_passed - allowed,
								    tally->attack - allowed)
							    : 0);
	print_metric(attack, subject, "ns", share(tally->spent_ns, tally->attack));
	print_metric(attack, subject, "attack_pps",
		     share(tally->attack * SECOND, tally->lasted_ns));
}

int main(int argc, char **argv)
{
	static const struct attack attacks[] = {
		{"sources_1", 1, 1000000, false},
		{"sources_1k", 1000, 1000000, false},
		{"sources_10k", 10000, 1000000, false},
		{"sources_100k", 100000, 1000000, false},
		{"sources_1m", 1000000, 1000000, false},
		{"sources_10m", 10000000, 1000000, false},
		{"sources_10m_80pct", 10000000, CELLS * TIGHT_RATE * 8 / 10, true},
		{"sources_10m_120pct", 10000000, CELLS * TIGHT_RATE * 12 / 10, true},
		{"sources_10m_200pct", 10000000, CELLS * TIGHT_RATE * 2, true},
	};
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 0;
	double settle = argc > 2 ? strtod(argv[2], NULL) : SETTLE_SECONDS;
	enum subject subject;
	struct limiter limiter;
	struct tally tally;

	if (argc < 2 || argc > 3 || seconds <= 0 || settle < 0)
		fail("usage: limiter SECONDS [SECONDS-BEFORE]");
	setvbuf(stdout, NULL, _IOLBF, 0);
	measure_prepare();
	feed = feed_bpf__open_and_load();
	if (!feed)
		fail("the kernel refused the program that varies sources: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		for (subject = 0; subject < SUBJECT_COUNT; subject++) {
			if (subject != FLOODWALL && attacks[i].fills)
				continue;
			limiter = limiter_open(&attacks[i], subject);
			attack_for(&limiter, &attacks[i], settle * SECOND);
			tally = attack_for(&limiter, &attacks[i], seconds * SECOND);
			report(&attacks[i], subject, &tally);
			limiter_close(&limiter);
		}
	}
	return 0;
}
