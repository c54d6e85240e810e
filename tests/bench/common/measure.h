/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every program of the bench needs that runs BPF programs: one CPU, a clock that counts only
 * its own time, and an end to the run when something isn't as it should be.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <linux/types.h>

struct bpf_map;
struct bpf_program;

/* Ends the program: a figure of the wrong thing is worse than none. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* One CPU for all, warnings of libbpf only, and a kernel that does not time every BPF program by
 * itself. */
void measure_prepare(void);
/* CPU time of this thread: what ran in between on the same CPU does not count. */
__u64 measure_now_ns(void);
/* The program's descriptor; compiled, since interpreted it would be measured for nothing. */
int measure_program(const struct bpf_program *program);
/* Writes one element. */
void measure_put(const struct bpf_map *map, const void *key, const void *value);

#endif
