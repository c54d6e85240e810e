/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The real filter, loaded with maps of its own and fed by BPF_PROG_RUN; attached to nothing.
 *
 * filter_expect() is what every test is made of: the packet's fate, and the one counter that moved.
 * Whatever the kernel refuses ends the test.
 */
#ifndef PACKET_FILTER_H
#define PACKET_FILTER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "floodwall.h"
#include "frame.h"

#define FILTER_SECOND  1000000000ULL
#define FILTER_SCALE   7
#define FILTER_BUCKETS 4096
#define FILTER_ANSWERS 64 /* the default of host.answers */

/* Ids of services that tests use: nothing else is filled in or looked at, which saves seconds on
 * slow machines. */
enum { FILTER_SERVICES = 8 };

struct filter;

extern const __u64 filter_seed[2]; /* the key of its hashes */

/* Settings are their defaults, no service is bound, lists are empty, hashing has a fixed key. */
struct filter *filter_load(void);
/* The same with other constants in .rodata. */
struct filter_constants {
	uint32_t buckets; /* of the connection table; 0: FILTER_BUCKETS */
	bool no_events, no_questions;
	enum fw_tier tier;
};
struct filter *filter_load_constants(const struct filter_constants *constants);
#define filter_load_with(...) filter_load_constants(&(struct filter_constants){__VA_ARGS__})
/* The same, and newcomers can be challenged (elsewhere that is off): with one secret, which offers
 * everything and the window scale FILTER_SCALE. */
struct filter *filter_load_challenging(enum fw_tier tier);
void filter_free(struct filter *filter);

/* cmocka fixtures: *@state is the filter. */
int filter_setup(void **state);
int filter_teardown(void **state);

/* Runs the packet once. True: it passes. */
bool filter_passes(struct filter *filter, const struct frame *frame);
/* Runs the packet once; the XDP action, and in @answer what became of the packet. */
uint32_t filter_answer(struct filter *filter, const struct frame *frame, struct frame *answer);
/* What a SYN is answered with, which must be. */
struct frame filter_answer_of(struct filter *filter, const struct frame *syn);
/* The nanoseconds of one run, averaged by the kernel over @repeat. */
uint32_t filter_time(struct filter *filter, const struct frame *frame, int repeat);

/* The packet gets this verdict: dropped, passed or answered accordingly, and this counter of
 * @service alone moves, by one packet and the frame's bytes. */
#define filter_expect(filter, service, verdict, ...)                                               \
	do {                                                                                       \
		struct frame frame_ = frame(__VA_ARGS__);                                          \
                                                                                                   \
		filter_expect_at(filter, service, FW_##verdict, &frame_, __FILE__, __LINE__);      \
	} while (0)
#define filter_expect_frame(filter, service, verdict, frame)                                       \
	filter_expect_at(filter, service, verdict, frame, __FILE__, __LINE__)
void filter_expect_at(struct filter *filter, uint32_t service, enum fw_verdict verdict,
		      const struct frame *frame, const char *file, int line);

/* Added over all CPUs. */
struct fw_counter filter_counter(struct filter *filter, uint32_t service, enum fw_verdict verdict);
/* Added over all services and verdicts too. */
struct fw_counter filter_counted(struct filter *filter);

void filter_set(struct filter *filter, uint32_t service, enum fw_setting setting, uint64_t value);
void filter_set_mode(struct filter *filter, enum fw_verdict verdict, enum fw_mode mode);
/* @address may be a wildcard, "0.0.0.0" or "::". */
void filter_bind(struct filter *filter, uint32_t service, const char *address, uint16_t port,
		 uint8_t proto);

enum filter_list { FILTER_ALLOW, FILTER_BLOCK };
/* As user space does: single addresses to block go to the table of hosts. @seconds until the entry
 * expires: 0 never, negative: it has. */
void filter_list(struct filter *filter, enum filter_list list, const char *prefix, int seconds);
uint64_t filter_list_packets(struct filter *filter, enum filter_list list, const char *prefix);

/* What tracking would have written. */
void filter_verify(struct filter *filter, const char *source, uint32_t service);
void filter_hold(struct filter *filter, const char *source, uint32_t service, enum fw_level level,
		 uint32_t connections);

/* As user space does: until then the source may open no connection, by this slot of its line; 0: it
 * may. */
void filter_shut(struct filter *filter, const char *source, uint32_t service, uint64_t until_ns,
		 int slot);

/* As if nobody had ever brought a cookie back. */
void filter_forget_proofs(struct filter *filter);

/* What questions.bpf.c would have noted: @local asked @remote just now, for the first time. */
void filter_ask(struct filter *filter, uint8_t proto, const char *local, uint16_t local_port,
		const char *remote, uint16_t remote_port);

/* Something is on record about @addr's network; those above see to it themselves. */
void filter_record(struct filter *filter, const struct fw_addr *addr, enum fw_record what);

/* Everything the filter remembers of time becomes @ns older: as if so much had passed. Negative:
 * younger. Other than by this no time passes between packets, however slow the machine is; secrets
 * and what is on lists go by the real time. */
void filter_age(struct filter *filter, int64_t ns);

/* The event with that sequence number; false: there is none. */
bool filter_event(struct filter *filter, uint64_t sequence, struct fw_event *event);
uint64_t filter_events(struct filter *filter); /* sequence of the newest */

/* A secret of cookies, by its index; filter_use_secret() makes it the current one. */
struct fw_secret filter_secret(struct filter *filter, uint32_t index);
void filter_set_secret(struct filter *filter, uint32_t index, const struct fw_secret *secret);
void filter_use_secret(struct filter *filter, uint32_t index);
uint64_t filter_now(void); /* CLOCK_MONOTONIC */

struct fw_addr filter_address(const char *text);
int filter_map(struct filter *filter, const char *name); /* descriptor */
/* What its programs and user space tell each other, in memory that both see. */
struct fw_meta *filter_meta(struct filter *filter);

#endif
