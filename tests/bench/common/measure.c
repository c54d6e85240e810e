// SPDX-License-Identifier: BSD-2-Clause
#include "measure.h"
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("bench: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static int print_warning(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

void measure_prepare(void)
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
	libbpf_set_print(print_warning);
}

__u64 measure_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

int measure_program(const struct bpf_program *program)
{
	struct bpf_prog_info info = {.type = BPF_PROG_TYPE_UNSPEC};
	__u32 length = sizeof(info);
	int fd = bpf_program__fd(program);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &length))
		fail("%s is not loaded", bpf_program__name(program));
	if (!info.jited_prog_len)
		fail("the kernel does not compile BPF: sysctl net.core.bpf_jit_enable=1");
	return fd;
}

void measure_put(const struct bpf_map *map, const void *key, const void *value)
{
	int err = bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY);

	if (err)
		fail("map %s: %s", bpf_map__name(map), strerror(-err));
}
